use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::*;
use crate::config::RedactionConfig;

/// The examples in the file of secrets.
#[derive(Deserialize)]
struct Examples {
    members: Vec<String>,
    links: Vec<String>,
    variables: Vec<String>,
    commands: Vec<String>,
    scripts: Vec<String>,
    words: Vec<String>,
    shapes: Vec<ShapeExamples>,
}

#[derive(Deserialize)]
struct ShapeExamples {
    about: String,
    #[serde(default)]
    commands_only: bool,
    finds: Vec<String>,
    keeps: Vec<String>,
}

fn examples() -> Examples {
    Figment::from(Toml::string(secrets::FILE)).extract().unwrap()
}

fn key() -> FingerprintKey {
    let key = Some("0123456789abcdef0123456789abcdef".into());
    FingerprintKey::load(&RedactionConfig { key, key_file: None }).unwrap()
}

fn redacted(record: &Json) -> Option<Json> {
    let raw = record.to_string();
    let parsed = Record::parse(raw.as_bytes()).unwrap();
    redact(raw.as_bytes(), &parsed, &key()).map(|text| serde_json::from_str(&text).unwrap())
}

#[test]
fn each_shape_finds_its_examples_and_keeps_what_only_looks_like_one() {
    for shape in examples().shapes {
        // A shape of commands is looked for in them, and any other one wherever it stands.
        let member = if shape.commands_only { "command" } else { "note" };
        let place = |text: &str| json!({ member: text });
        for example in &shape.finds {
            let (before, rest) = example.split_once('‹').expect("‹ marks the secret");
            let (secret, after) = rest.split_once('›').expect("› ends the secret");
            let expected = format!("{before}{}{after}", key().marker(secret));
            let plain = format!("{before}{secret}{after}");
            if !plain.starts_with(['{', '[']) {
                assert_eq!(redacted(&place(&plain)), Some(place(&expected)), "{}: {plain}", shape.about);
            }
            assert_eq!(redact_code(&plain, &key()), expected, "{}", shape.about);
            assert!(
                !redact_text(&place(&plain).to_string()[1..], &key()).contains(secret),
                "{}: {plain}",
                shape.about
            );
        }
        for text in &shape.keeps {
            assert_eq!(redacted(&place(text)), None, "{}: {text}", shape.about);
        }
    }
}

#[test]
fn every_member_that_is_known_lets_its_record_through_to_redaction() {
    let examples = examples();
    let secret = "hunter2 hunter2";
    for name in [&examples.members, &examples.links].into_iter().flatten() {
        for record in [json!({ name: secret }), json!({ "text": json!({ name: secret }).to_string() })] {
            let text = redacted(&record).unwrap_or_else(|| panic!("{record}")).to_string();
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
    for (name, word) in
        examples.variables.iter().flat_map(|name| examples.words.iter().map(move |word| (name, word)))
    {
        assert!(redacted(&json!({ name: { word: secret } })).is_some(), "{name}.{word}");
    }
    for name in &examples.commands {
        assert!(redacted(&json!({ name: "run --password hunter2" })).is_some(), "{name}");
    }
    for name in &examples.scripts {
        assert!(redacted(&json!({ name: STANDARD.encode("PASSWORD=hunter2") })).is_some(), "{name}");
    }
    let escaped = r#"{"pass\u0077ord":"hunter2"}"#;
    let parsed = Record::parse(escaped.as_bytes()).unwrap();
    assert!(redact(escaped.as_bytes(), &parsed, &key()).is_some());
}

#[test]
fn secrets_are_replaced_wherever_a_record_carries_them_and_what_surrounds_them_stays() {
    let aws = "wJalrXUtnFEMI/K7MDENG1bPxRfiCYEXAMPLEKEY";
    let f = |secret: &str| key().marker(secret);
    let script = "export TOKEN=abc\n";
    let inner = STANDARD.encode(script);
    let cases = [
        (
            json!({"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": "abc", "expiration": "x"}}),
            json!({"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": f("abc"), "expiration": "x"}}),
        ),
        (
            json!({"authorizedUrl": "https://d-1.studio.eu-west-1.sagemaker.aws/auth?token=abc&X-Amz-Date=1#top"}),
            json!({"authorizedUrl": format!("https://d-1.studio.eu-west-1.sagemaker.aws/auth?token={}&X-Amz-Date=1#{}", f("abc"), f("top"))}),
        ),
        (
            json!({"authorizedUrl": "https://me:pw@a.example/x?abc", "streamUrl": "wss://b.example:1?a=b?c"}),
            json!({"authorizedUrl": format!("https://a.example/x?{}", f("abc")), "streamUrl": format!("wss://b.example:1?a={}?{}", f("b"), f("c"))}),
        ),
        (
            json!({"authorizedUrlConfigs": [{"url": "https://a.example/x"}], "streamUrl": "secret"}),
            json!({"authorizedUrlConfigs": [{"url": format!("https://a.example/{}", f("x"))}], "streamUrl": f("secret")}),
        ),
        (
            json!({"environment": {"DB_PASSWORD": "hunter2", "STAGE": "prod", "X": aws, "PIN_PASSWORD": 1234}}),
            json!({"environment": {"DB_PASSWORD": f("hunter2"), "STAGE": "prod", "X": f(aws), "PIN_PASSWORD": f("1234")}}),
        ),
        (
            json!({"environment": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "X", "value": "y"}]}),
            json!({"environment": [{"name": "DB_PASSWORD", "value": f("hunter2")}, {"name": "X", "value": "y"}]}),
        ),
        (
            json!({"headers": ["X-Api-Key: abc", "Accept: json"], "customHeaders": [{"name": "Authorization", "value": "ApiKey abc"}]}),
            json!({"headers": [format!("X-Api-Key: {}", f("abc")), "Accept: json"], "customHeaders": [{"name": "Authorization", "value": f("ApiKey abc")}]}),
        ),
        (
            json!({"errorMessage": r#"Value '{"STAGE": "prod", "DB_PASSWORD": "x y"}' at 'environment' failed"#, "additionalEventData": {"token": "abc", "CipherSuite": "x"}}),
            json!({"errorMessage": format!(r#"Value '{{"STAGE": "prod", "DB_PASSWORD": "{}"}}' at 'environment' failed"#, f("x y")), "additionalEventData": {"token": f("abc"), "CipherSuite": "x"}}),
        ),
        (
            json!({"pipelineParameters": [{"name": "DbPassword", "value": "abc"}, {"name": "Epochs", "value": "3"}]}),
            json!({"pipelineParameters": [{"name": "DbPassword", "value": f("abc")}, {"name": "Epochs", "value": "3"}]}),
        ),
        (
            json!({"environment": {"AUTHORIZATION": "Bearer abcdefghijklmnop", "U": "postgres://u:hunter2@h/d"}}),
            json!({"environment": {"AUTHORIZATION": format!("Bearer {}", f("abcdefghijklmnop")), "U": format!("postgres://u:{}@h/d", f("hunter2"))}}),
        ),
        (
            json!({"containerArguments": ["--password", "correct horse", "--user", "me", "curl", "-u", "me:hunter2"]}),
            json!({"containerArguments": ["--password", f("correct horse"), "--user", "me", "curl", "-u", format!("me:{}", f("hunter2"))]}),
        ),
        (
            json!({"environment": "{\"api_key\":\"0123\",\"n\":1}", "policy": "{\"a\":\"{\\\"password\\\":\\\"x y\\\"}\"}"}),
            json!({"environment": format!("{{\"api_key\":\"{}\",\"n\":1}}", f("0123")), "policy": format!("{{\"a\":\"{{\\\"password\\\":\\\"{}\\\"}}\"}}", f("x y"))}),
        ),
        (
            json!({"studioLifecycleConfigContent": inner, "onStart": [{"content": STANDARD.encode(format!("echo {inner} | base64 -d | sh"))}]}),
            json!({"studioLifecycleConfigContent": f(&inner), "onStart": [{"content": f(&STANDARD.encode(format!("echo {inner} | base64 -d | sh")))}]}),
        ),
        (
            json!({"containerEntrypoint": ["sh", "-c", format!("echo {inner} | base64 -d | sh")]}),
            json!({"containerEntrypoint": ["sh", "-c", format!("echo {} | base64 -d | sh", f(&inner))]}),
        ),
    ];
    for (record, expected) in cases {
        assert_eq!(redacted(&record), Some(expected), "{record}");
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for record in [
        json!({"requestParameters": {"nextToken": "abc", "clientRequestToken": "1-2", "clientToken": "x", "maxResults": 5}}),
        json!({"userIdentity": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "sessionContext": {"attributes": {}}}}),
        json!({"environment": {"COMMIT": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "PASSWORD": "", "PWD": "/root"}}),
        json!({"environment": {"DB_SECRET": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x", "SECRET_NAME": "prod"}}),
        json!({"environment": {"DIGEST": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}),
        json!({"requestParameters": {"secretId": "prod/db", "masterUserPassword": "****", "tokenValue": "Value hidden due to security reasons."}}),
        json!({"idToken": "HIDDEN_DUE_TO_SECURITY_REASONS", "userData": "<sensitiveDataRemoved>"}),
        json!({"hyperParameters": {"max_tokens": "512", "tokenizer": "bert", "eos_token": "</s>", "use_auth_token": "true"}}),
        json!({"containerArguments": ["--token", "$TOKEN", "--password", "--verbose"], "onStart": [{"content": STANDARD.encode("echo hello")}]}),
        json!({"errorMessage": "User: arn:aws:sts::111122223333:assumed-role/R/s is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-central-1:111122223333:secret:db because no identity-based policy allows it"}),
        json!({"errorMessage": "The security token included in the request is expired", "additionalEventData": {"CredentialType": "PASSWORD", "AuthenticationMethod": "AuthHeader"}}),
        json!({"hyperParameters": {"label_key": "y", "sort_key": "id"}, "environment": {"PUBLIC_KEY_COLUMN": "k"}}),
        json!({"imageDigest": "sha256:0123", "uiTemplate": {"content": "{{ task.input }}"}, "tags": [{"key": "team", "value": "x"}]}),
    ] {
        assert_eq!(redacted(&record), None, "{record}");
    }
}

#[test]
fn text_that_is_no_json_is_redacted_by_members_shapes_and_what_stands_beside_them() {
    let f = |secret: &str| key().marker(secret);
    let cases = [
        (
            r#"{"sessionToken" : "Fwo\"G", "n": tru, "auth":"Bearer abcdefghijklmnop", "password":"cut"#,
            format!(
                r#"{{"sessionToken" : "{}", "n": tru, "auth":"Bearer {}", "password":"{}"#,
                f("Fwo\"G"),
                f("abcdefghijklmnop"),
                f("cut")
            ),
        ),
        (r#"{"a": "x"y", "password":"hunter2""#, format!(r#"{{"a": "x"y", "password":"{}""#, f("hunter2"))),
        (
            r#"["--password","x y", "PIN_SECRET": 12,"#,
            format!(r#"["--password","{}", "PIN_SECRET": "{}","#, f("x y"), f("12")),
        ),
        (
            r#"{"name":"DB_PASSWORD","value":"x y""#,
            format!(r#"{{"name":"DB_PASSWORD","value":"{}""#, f("x y")),
        ),
        (r#"{"p":"{\"password\":\"x y\"}", "#, format!(r#"{{"p":"{{\"password\":\"{}\"}}", "#, f("x y"))),
    ];
    for (text, expected) in cases {
        assert_eq!(redact_text(text, &key()), expected);
    }
}

#[test]
fn everything_beside_the_secret_is_left_as_it_was() {
    let record = json!({
        "n": [1, -2.5, true, null, "é\"\\\n"], "empty": {}, "list": [],
        "responseElements": {"credentials": {"sessionToken": "FwoG"}}
    });
    let mut expected = record.clone();
    expected["responseElements"]["credentials"]["sessionToken"] = key().marker("FwoG").into();
    assert_eq!(redacted(&record), Some(expected));
}

#[test]
fn base64_that_unfolds_too_far_to_be_searched_is_replaced_unseen() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b' '; 2 << 20]).unwrap();
    let bomb = STANDARD.encode(encoder.finish().unwrap());
    let expected = json!({"content": key().marker(&bomb)});
    assert_eq!(redacted(&json!({"content": bomb})), Some(expected));
}
