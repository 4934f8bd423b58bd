//! What a configuration may say, and how each mistake in it is refused.

use std::collections::BTreeSet;

use super::*;

const DOCUMENTED: &str = include_str!("../../config/sagetrail.toml");

fn load_text(text: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load(Some(file.path()))
}

#[test]
fn the_documented_file_says_the_defaults() {
    let documented = load_text(DOCUMENTED).unwrap();
    assert_eq!(format!("{documented:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_documented_file_names_every_key_and_no_other() {
    let mut sections: Vec<(&str, BTreeSet<String>)> = Vec::new();
    for line in DOCUMENTED.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((section, BTreeSet::new()));
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        {
            sections.last_mut().expect("keys stand in sections").1.insert(key.to_owned());
        }
    }
    assert_eq!(sections.len(), 19);
    // Its keys are names that the operator chooses.
    sections.retain(|(section, _)| *section != "channels");
    for (section, keys) in sections {
        let known = variable::keys_of(section).iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(keys, known, "[{section}]");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_mistake_is_refused_with_its_key_and_what_is_right() {
    let cases = [
        ("[sink]\nurll = 'x'", "sink.urll: there is no such key; did you mean `url`?"),
        ("[snik]\nurl = 'x'", "snik: there is no such key; did you mean `sink`?"),
        ("[select]\nzzz = 1", "select.zzz: there is no such key; the keys here are scope"),
        (
            "[select]\nscope = 'some'",
            "select.scope: `some` is not allowed; give one of sagemaker, related, all",
        ),
        ("[source]\nreceivers = 0", "source.receivers: must be a whole number above 0"),
        ("[source]\nreceivers = 'many'", "source.receivers: must be a whole number above 0, not a text"),
        ("[source]\nmax_object_bytes = -1", "source.max_object_bytes: must be a whole number, not below 0"),
        ("[source]\nallowed_buckets = 'a'", "source.allowed_buckets: must be a list such as [\"a\", \"b\"]"),
        ("[source]\nrequester_pays = 'yes'", "source.requester_pays: must be true or false, not a text"),
        ("[rules]\nfolder = ['secret']", "rules.folder: must be a text in quotes, not a list"),
        ("[admin]\nlisten = '9600'", "admin.listen: is not an address; give an IP address and a port"),
        ("[admin]\nlisten = 9600", "admin.listen: must be an address in quotes"),
        (
            "[shutdown]\ngrace = 25",
            "shutdown.grace: must be a duration such as \"20s\" or \"5m\", not a number",
        ),
        ("sink = 'secret'", "sink: must be a section with keys of its own, not a text"),
        ("[source]\nwait = '21s'", "source.wait: SQS long polling waits at most 20s"),
        ("[source]\nwait = 'soon'", "source.wait: must be a duration such as"),
        ("[correlate]\nperiod = '61s'", "correlate.period: must be between a second and a minute"),
        ("[correlate]\nperiod = '0s'", "correlate.period: must be between a second and a minute"),
        ("[source]\nmax_object_bytes = 67108865", "source.max_object_bytes: is 67108865, more than"),
        ("[source]\nexternal_id = 'x'", "source.external_id: needs source.assume_role_arn"),
        ("[sink]\nurl = 'ftp://x'", "sink.url: must begin with http:// or https://"),
        ("[sink]\nurl = 'search'", "sink.url: is not a URL; give a complete one"),
        ("[sink]\nurl = 'http://me:secret@host:port'", "sink.url: is not a URL"),
        ("[sink]\nurl = 'http://me:secret@x'", "sink.url: must not carry credentials"),
        ("[sink]\nindex_prefix = 'Acme'", "sink.index_prefix: must be 1 to 100 of the characters"),
        ("[sink]\nindex_prefix = 'a-events'", "sink.index_prefix: must not have `-events` in it"),
        ("[sink]\nauth = 'basic'", "sink.username: is needed"),
        ("[sink]\nauth = 'basic'\nusername = 'me'", "sink.password_file: exactly one of"),
        ("[sink]\nauth = 'certificate'", "sink.client_certificate_file"),
        ("[sink]\nbulk_max_bytes = 99999999", "sink.bulk_max_bytes: must not be more than sink.queue_bytes"),
        ("[redaction]\nkey = 'secret'\nkey_file = 'x'", "redaction.key: is set beside redaction.key_file"),
        (
            "[source]\nallowed_accounts = ['1111-2222-3333']",
            "source.allowed_accounts: \"1111-2222-3333\" is not an account's id, such as",
        ),
        (
            "[source]\nallowed_buckets = ['s3://trail/']",
            "source.allowed_buckets: \"s3://trail/\" is not the name of a bucket",
        ),
        (
            "[source]\nassume_role_arn = 'reader'",
            "source.assume_role_arn: \"reader\" is not a role's ARN, such as",
        ),
        (
            "[rules]\nplaceholders.allowed_networks = ['203.0.113.7']",
            "rules.placeholders.allowed_networks: \"203.0.113.7\" is not a network in CIDR notation",
        ),
        (
            "[rules]\nplaceholders.trusted_accounts = ['111122223333', 'prod']",
            "rules.placeholders.trusted_accounts: \"prod\" is not an account's id, twelve digits, such as \"111122223333\"",
        ),
        (
            "[channels]\n'a b' = { kind = 'slack', url = 'https://x' }",
            "channels.a b: a name is made of letters",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'ftp://am' }",
            "channels.am: url must be a complete URL",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'https://me:hunter2@am' }",
            "channels.am: url must not carry credentials",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'https://am', username = 'me' }",
            "channels.am: username needs exactly one of",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'https://am', password_file = 'p' }",
            "channels.am: username needs exactly one of",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'https://am', bearer_token = 'a', bearer_token_file = 'p' }",
            "channels.am: at most one of bearer_token",
        ),
        (
            "[channels]\nam = { kind = 'alertmanager', url = 'https://am', bearer_token = 'a', username = 'me', password = 'p' }",
            "channels.am: either a bearer token or",
        ),
        (
            "[channels]\nsoc = { kind = 'sns', topic_arn = 'arn:aws:sqs:eu-central-1:111122223333:q' }",
            "channels.soc: topic_arn must be a topic's ARN, such as",
        ),
        (
            "[channels]\nsoc = { kind = 'sns', topic_arn = 'arn:aws:sns:eu-central-1:111122223333:t', role_arn = 'pages' }",
            "channels.soc: role_arn must be a role's ARN, such as",
        ),
        (
            "[channels]\nsoc = { kind = 'email', sender_id = 'a', recipients = ['soc'] }",
            "channels.soc: recipients must be addresses, such as",
        ),
        (
            "[channels]\nsoc = { kind = 'email', sender_id = 'a', recipients = [] }",
            "channels.soc: recipients must be addresses, such as",
        ),
        (
            "[channels]\nsoc = { kind = 'email', sender_id = '', recipients = ['soc@example.com'] }",
            "channels.soc: sender_id must be",
        ),
        ("[sink", "TOML parse error at line 1"),
        ("[sink]\npassword = 'secret", "TOML parse error at line 2"),
        ("[sink]\npassword = ['secret']", "sink.password: must be a text in quotes, not a list"),
    ];
    for (text, expected) in cases {
        let error = load_text(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n  {error}\n  {expected}");
        assert!(!error.contains("secret"), "{error}");
        assert!(error.starts_with(&*std::env::temp_dir().to_string_lossy()), "it names the file: {error}");
    }
}

#[test]
fn a_secret_never_shows_in_debug() {
    let config = load_text(
        "[redaction]\nkey = 'hunter2'\n[sink]\nauth = 'basic'\nusername = 'me'\npassword = 'hunter2'",
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn channels_say_whom_the_monitors_page_and_refuse_what_their_kind_does_not_know() {
    let config = load_text(
        "[channels]\nsoc = { kind = 'slack', url = 'https://hooks.slack.com/x' }\n\
         night = { kind = 'pagerduty', routing_key = 'k', severities = ['critical'] }",
    )
    .unwrap();
    assert!(config.channels["soc"].takes(Severity::Low));
    assert!(config.channels["night"].takes(Severity::Critical));
    assert!(!config.channels["night"].takes(Severity::High));
    assert!(!format!("{config:?}").contains("hooks.slack.com"), "the URL of a webhook is a secret");
    for (text, expected) in [
        ("soc = { kind = 'slack', urll = 'x' }", "urll"),
        ("soc = { kind = 'slack' }", "url"),
        ("soc = { kind = 'fax' }", "fax"),
        ("soc = { kind = 'slack', url = 'x', severities = ['urgent'] }", "urgent"),
    ] {
        let error = load_text(&format!("[channels]\n{text}")).unwrap_err().to_string();
        assert!(error.contains("channels") && error.contains(expected), "{error}");
    }
}
