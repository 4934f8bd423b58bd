//! Who did what, on every record at hand: the fixtures, the rules' examples and, where `SAGETRAIL_TEST_RECORDS` names a
//! folder of them, records as AWS really writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sagetrail::config::Scope;
use sagetrail::decode::Limits;
use sagetrail::enrich::Enricher;
use sagetrail::offline::enrich_files;
use serde_json::Value;

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 8 << 20 };
const MAX_CHARACTERS: usize = 500;

#[test]
fn every_record_has_an_actor_or_a_reason_why_not_and_a_message_that_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    check("fixtures", &documents(&files(&folder.join("tests/fixtures"), ".json.gz")));
    check("examples of rules", &examples(&folder.join("tests/rules")));
    match std::env::var_os("SAGETRAIL_TEST_RECORDS") {
        Some(real) => check("real records", &documents(&files(Path::new(&real), ".json.gz"))),
        None => println!("skipped: SAGETRAIL_TEST_RECORDS names no folder of real CloudTrail records"),
    }
}

/// Every document names its actor or says why it cannot, and what it says to a person is one clean line.
fn check(what: &str, documents: &[Value]) {
    assert!(!documents.is_empty(), "{what}: there is none");
    let mut unnamed: BTreeMap<&str, usize> = BTreeMap::new();
    for document in documents {
        let source = &document["_source"];
        let actor = &source["sagemaker"]["actor"];
        match (actor["name"].as_str(), actor["unnamed"].as_str()) {
            (Some(name), None) => assert!(!name.is_empty(), "{source}"),
            (None, Some("no_identity")) => *unnamed.entry("no identity").or_default() += 1,
            (None, Some("empty_identity")) => *unnamed.entry("empty identity").or_default() += 1,
            other => panic!("{other:?}: {source}"),
        }
        assert_eq!(actor["name"], source["user"]["name"]);
        let message = source["message"].as_str().unwrap();
        assert!(message.len() > 20 && message.chars().count() <= MAX_CHARACTERS, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
    println!("{what}: {} record(s), without a name: {unnamed:?}", documents.len());
}

fn documents(files: &[PathBuf]) -> Vec<Value> {
    let enricher = Enricher::built_in(Scope::All);
    let mut output = Vec::new();
    // Some files of the folder are damaged on purpose; what lies before the damage counts.
    enrich_files(files, &LIMITS, &enricher, &mut output, |error| println!("{error}")).unwrap();
    let lines = std::str::from_utf8(&output).unwrap().lines();
    // What is no record has a document of its own, without an actor.
    let documents = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    documents.filter(|document| document["_index"] != "sagetrail-rejected").collect()
}

/// The examples are single records; a CloudTrail file is made of them all.
fn examples(folder: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    for rule in std::fs::read_dir(folder).unwrap() {
        let examples = files(&rule.unwrap().path(), ".json");
        for example in examples
            .iter()
            .filter(|path| !["placeholders.json", "history.json"].iter().any(|other| path.ends_with(other)))
        {
            records.push(serde_json::from_str::<Value>(&std::fs::read_to_string(example).unwrap()).unwrap());
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::json!({"Records": records}).to_string()).unwrap();
    documents(&[file.path().to_owned()])
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}
