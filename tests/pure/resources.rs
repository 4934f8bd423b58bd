//! The resource of every SageMaker record at hand: the fixtures, the examples of the rules and, in the folder that
//! `SAGETRAIL_TEST_RECORDS` names, real records.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sagetrail::config::Scope;
use sagetrail::enrich::catalogue::{About, Catalogue};
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use sagetrail::record::{Record, is_sagemaker_family};
use serde_json::Value;
use time::macros::datetime;

#[test]
fn every_sagemaker_record_has_its_resource_or_a_reason_to_have_none() {
    let mut records = fixtures();
    records.extend(rule_examples());
    match std::env::var_os("SAGETRAIL_TEST_RECORDS") {
        Some(folder) => {
            records.extend(files_of(Path::new(&folder), ".json.gz").iter().flat_map(|path| read(path)));
        }
        None => println!("skipped: the real records, for SAGETRAIL_TEST_RECORDS names no folder"),
    }
    let enricher = Enricher::built_in(Scope::Sagemaker);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut without_reason = Vec::new();
    for record in records {
        let raw = record.to_string();
        let source = record["eventSource"].as_str().unwrap_or_default();
        if !is_sagemaker_family(source) {
            continue;
        }
        let resource = resource_in_document(&raw, &enricher);
        match reason(&record, &raw, &resource, &enricher.catalogue) {
            Some(reason) => *counts.entry(reason).or_default() += 1,
            None => without_reason.push(format!("{} {}", record["eventName"], record["requestParameters"])),
        }
    }
    println!("{counts:#?}");
    assert_eq!(without_reason, Vec::<String>::new());
    assert!(counts["an ARN"] > 100);
}

/// What the document says of the resource; why it may say no more. None where it ought to.
fn reason(record: &Value, raw: &str, resource: &Value, catalogue: &Catalogue) -> Option<&'static str> {
    let parsed = Record::parse(raw.as_bytes()).unwrap();
    let has_parameters = record["requestParameters"].as_object().is_some_and(|members| !members.is_empty());
    if resource["arn"].is_string() {
        return Some("an ARN");
    }
    let operation = catalogue.operation(&parsed);
    match operation.map(|operation| &operation.about) {
        None => Some("an operation that the catalogue does not know"),
        Some(About::Nothing) => Some("about no resource"),
        Some(_) if !has_parameters => Some("no parameters"),
        Some(_) if record["requestParameters"]["omitted"] == true => {
            Some("parameters that CloudTrail left out")
        }
        // The response has the version that SageMaker gives to it.
        Some(_) if resource["parent"]["arn"].is_string() => {
            Some("what it lies in, from a request without response")
        }
        Some(_) if resource["name"].is_string() && lacks_place(record) => {
            Some("a name, in a record without region or account")
        }
        Some(About::Kind(kind)) if resource["name"].is_string() && never_built(kind) => {
            Some("a name, of a kind whose ARN has an id")
        }
        Some(_) => None,
    }
}

fn lacks_place(record: &Value) -> bool {
    let has = |pointer| record.pointer(pointer).is_some_and(Value::is_string);
    !(has("/awsRegion") && (has("/recipientAccountId") || has("/userIdentity/accountId")))
}

/// Kinds that SageMaker gives an id to, which the name in the request is not.
fn never_built(kind: &str) -> bool {
    ["cluster", "domain", "mlflow-app", "partner-app", "workteam", "image-version", "artifact"]
        .contains(&kind)
}

fn resource_in_document(raw: &str, enricher: &Enricher) -> Value {
    let origin = Origin { path: "record", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    match enrich(raw.as_bytes(), origin, enricher) {
        Enriched::Selected { document, .. } => {
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            source["sagemaker"]["resource"].clone()
        }
        other => panic!("{other:?}"),
    }
}

fn fixtures() -> Vec<Value> {
    files_of(&here("tests/fixtures"), ".json.gz").iter().flat_map(|path| read(path)).collect()
}

fn rule_examples() -> Vec<Value> {
    let folders = std::fs::read_dir(here("tests/rules")).unwrap().map(|entry| entry.unwrap().path());
    let examples = folders.flat_map(|folder| files_of(&folder, ".json"));
    examples.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files_of(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    files
}

/// The records of one CloudTrail file that are JSON objects.
fn read(path: &Path) -> Vec<Value> {
    let mut text = String::new();
    let bytes = std::fs::read(path).unwrap();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["Records"].as_array().unwrap().iter().filter(|record| record.is_object()).cloned().collect()
}
