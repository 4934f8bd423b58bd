use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::json::Writer;
use super::members::Place;
use super::text::Redaction;
use super::*;
use crate::settings::RedactionConfig;

/// The examples in the file of secrets.
#[derive(Deserialize)]
struct Examples {
    members: Vec<String>,
    links: Vec<String>,
    variables: Vec<String>,
    commands: Vec<String>,
    scripts: Vec<String>,
    strong_words: Vec<String>,
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
    toml::from_str(secrets::FILE).unwrap()
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
        examples.variables.iter().flat_map(|name| examples.strong_words.iter().map(move |word| (name, word)))
    {
        assert!(redacted(&json!({ name: { word.replace(' ', "_"): secret } })).is_some(), "{name}.{word}");
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
    let cleaned = STANDARD.encode(format!("export TOKEN={}\n", f("abc")));
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
            json!({"studioLifecycleConfigContent": cleaned, "onStart": [{"content": STANDARD.encode(format!("echo {cleaned} | base64 -d | sh"))}]}),
        ),
        (
            json!({"containerEntrypoint": ["sh", "-c", format!("echo {inner} | base64 -d | sh")]}),
            json!({"containerEntrypoint": ["sh", "-c", format!("echo {cleaned} | base64 -d | sh")]}),
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
    let expected = json!({"content": key().unsearched(&bomb)});
    assert_eq!(redacted(&json!({"content": bomb})), Some(expected));
}

/// Bytes of work for each byte of the record.
fn work(record: &Json) -> f64 {
    let raw = record.to_string();
    let parsed = Record::parse(raw.as_bytes()).unwrap();
    let key = key();
    let mut redaction = Redaction::new(&key, raw.len());
    let mut writer = Writer::new(&mut redaction, String::new());
    writer.write(parsed.root(), Place::Elsewhere);
    let written = writer.finish().map_or(0, |text| text.len());
    assert!(written <= 4 * raw.len() + 1024, "{} bytes became {written}", raw.len());
    #[expect(clippy::cast_precision_loss, reason = "a rough number is enough")]
    let work = redaction.spent() as f64 / raw.len() as f64;
    work
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A record with a script, an environment and a command line, as people send them.
fn ordinary() -> Json {
    json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob", "userAgent": "Boto3/1.34.0 md/Botocore#1.34.0",
        "requestParameters": {
            "environment": {"DB_PASSWORD": "hunter2", "STAGE": "prod"}, "hyperParameters": {"epochs": "3", "bos_token": "<s>"},
            "containerArguments": ["train", "--epochs", "3", "--api-key", "0123456789abcdef"],
            "onStart": [{"content": STANDARD.encode("#!/bin/bash\nset -e\nexport HF_TOKEN=abcdefgh12345678\npip install torch\n".repeat(4))}],
        },
    })
}

#[test]
fn no_record_costs_more_than_twenty_times_what_an_ordinary_one_does() {
    let most = 20.0 * work(&ordinary());
    let many = |text: &str| text.repeat(2_000);
    let examples = examples();
    let hints: Vec<&str> = examples
        .shapes
        .iter()
        .flat_map(|shape| shape.finds.iter().chain(&shape.keeps).map(String::as_str))
        .collect();
    let hints = hints.join(" ");
    let mut nested = b"export TOKEN=abcdefgh12345678\n".repeat(2000);
    let mut base64 = "export TOKEN=abcdefgh12345678\n".to_owned();
    let mut quoted = "password=hunter2".to_owned();
    for _ in 0..5 {
        nested = format!("echo {} | base64 -d | gunzip | sh\n", STANDARD.encode(gzip(&nested)))
            .repeat(20)
            .into_bytes();
        base64 = format!("echo {} | base64 -d\n", STANDARD.encode(&base64));
        quoted = json!({"a": quoted}).to_string();
    }
    let key_with_tokens: Vec<String> = std::iter::once("-----BEGIN RSA PRIVATE KEY-----".to_owned())
        .chain((0..5_000).map(|number| format!("--token={number}")))
        .collect();
    let cases = [
        many("token="),
        many("://"),
        many("sk-"),
        many("ghp_"),
        many("%22"),
        many("\\"),
        many("\"+\""),
        many("@"),
        many("echo "),
        many("&quot;"),
        many("-----BEGIN RSA PRIVATE KEY-----"),
        many("a.a."),
        many("curl -u a:"),
        many("x://a:b@"),
        many("{\"a\":"),
        many("\"name\":\"x\",\"value\":"),
        many("--password "),
        many("eyJ"),
        many("arn:aws:"),
        many("'"),
        many("machine "),
        many("name: "),
        many("1.2.3."),
        many("echo a | sudo "),
        many("<password>"),
        hints.repeat(3),
        base64,
        quoted,
        STANDARD.encode(gzip(&nested)),
        STANDARD.encode(vec![b'A'; 1 << 15]),
        STANDARD.encode(gzip(&vec![b' '; 1 << 22])),
    ];
    let records = cases.iter().flat_map(|text| {
        [
            json!({ "command": text }),
            json!({ "containerArguments": [text] }),
            json!({ "containerArguments": text.split(' ').collect::<Vec<_>>() }),
            json!({ "environment": { "X": text } }),
            json!({ "description": text }),
            json!({ "content": text }),
            json!({ "errorMessage": text }),
            json!({ "content": STANDARD.encode(text) }),
            json!({ "description": format!("[{text}") }),
        ]
    });
    for record in records.chain([json!({ "containerArguments": key_with_tokens })]) {
        let work = work(&record);
        let text = record.to_string();
        assert!(work <= most, "{work} where {most} is allowed: {}", &text[..text.floor_char_boundary(200)]);
    }
}

#[test]
fn what_the_budget_does_not_reach_is_replaced_and_says_so() {
    let mut hidden = "export TOKEN=abcdefgh12345678\n".to_owned();
    for _ in 0..6 {
        hidden = format!("echo {} | base64 -d | sh\n", STANDARD.encode(&hidden));
    }
    let bomb = STANDARD.encode(gzip(&vec![b' '; 4 << 20]));
    for text in [format!("echo {bomb} | base64 -d | gunzip"), hidden] {
        let redacted = redacted(
            &json!({"command": text, "trainingJobName": "ghp_0123456789abcdefghijABCDEFGHIJ012345"}),
        )
        .unwrap();
        let command = redacted["command"].as_str().unwrap();
        let mut all = command.to_owned();
        let mut inner = command.to_owned();
        while let Some(start) = inner.find("echo ") {
            let packed = inner[start + 5..].split(' ').next().unwrap().to_owned();
            let Ok(bytes) = STANDARD.decode(&packed) else { break };
            inner = String::from_utf8_lossy(&bytes).into_owned();
            all.push_str(&inner);
        }
        assert!(all.contains(":unsearched]") && !all.contains("abcdefgh12345678"), "{all}");
        assert_eq!(redacted["trainingJobName"], "ghp_0123456789abcdefghijABCDEFGHIJ012345");
    }
}
