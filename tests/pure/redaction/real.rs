//! What is redacted in real records, where there are some.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use sagetrail::enrich::redact::redact;
use sagetrail::record::Record;
use serde_json::Value;

use super::{KNOWLEDGE, document_of};

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
    let (mut records, mut without_hints, mut texts) = (0, 0, 0);
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
            texts += count_texts(record);
            let raw = record.to_string();
            let parsed = Record::parse(raw.as_bytes()).unwrap();
            let spent = allocation_counter::measure(|| {
                redact(raw.as_bytes(), &parsed, &KNOWLEDGE.fingerprint_key);
            });
            without_hints += usize::from(spent.count_total == 0);
        }
    }
    println!("{records} records with {texts} texts, {without_hints} without a hint");
    // Session tokens and streams' links are secrets; nothing else in those records is one.
    let is_secret =
        |path: &str| path.contains(".sessionToken") || path.to_ascii_lowercase().contains("streamurl");
    let wrong: usize =
        redactions.iter().filter(|(redaction, _)| !is_secret(redaction)).map(|(_, times)| times).sum();
    assert!(wrong * 10_000 <= texts, "{wrong} of {texts} harmless texts are redacted: {redactions:#?}");
    for (redaction, times) in &redactions {
        assert!(
            !redaction.contains("HIDDEN_DUE_TO_SECURITY_REASONS ->") && !redaction.contains("* ->"),
            "{redaction}"
        );
        println!("{times} × {redaction}");
    }
}

fn count_texts(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(count_texts).sum(),
        Value::Object(members) => members.values().map(count_texts).sum(),
        value => usize::from(value.is_string()),
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
