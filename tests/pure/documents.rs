//! The documents of the fixtures: what is selected, how it is tagged, and that each field has its place in the mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sagetrail::config::Scope;
use sagetrail::decode::Limits;
use sagetrail::enrich::Enricher;
use sagetrail::offline::enrich_files;
use serde_json::Value;

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 8 << 20 };
const FIXTURES: [&str; 5] = ["attack-story", "odd-shapes", "other-services", "playbook-calls", "quiet-day"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json.gz"))
}

/// The lines that `sagetrail enrich` prints for one fixture.
fn documents(name: &str, scope: Scope) -> Vec<Value> {
    documents_of(fixture(name), scope)
}

fn documents_of(file: PathBuf, scope: Scope) -> Vec<Value> {
    let enricher = Enricher::built_in(scope);
    let mut output = Vec::new();
    enrich_files(&[file], &LIMITS, &enricher, &mut output, |error| panic!("{error}")).unwrap();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn all_documents() -> Vec<Value> {
    FIXTURES.iter().flat_map(|name| documents(name, Scope::All)).collect()
}

/// The documents of the records that the rules have as examples.
fn example_documents() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut records = Vec::new();
    for rule in std::fs::read_dir(folder).unwrap() {
        for example in std::fs::read_dir(rule.unwrap().path()).unwrap() {
            let example = example.unwrap();
            if example.file_name() != "placeholders.json" && example.file_name() != "history.json" {
                let record: Value = serde_json::from_slice(&std::fs::read(example.path()).unwrap()).unwrap();
                records.push(record);
            }
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::json!({ "Records": records }).to_string()).unwrap();
    let documents = documents_of(file.path().to_owned(), Scope::All);
    assert_eq!(documents.len(), records.len());
    documents
}

#[test]
fn each_call_of_the_playbook_has_its_categories() {
    let expected: BTreeMap<String, Vec<String>> =
        serde_json::from_str(include_str!("../fixtures/expected-categories.json")).unwrap();
    let found: BTreeMap<String, Value> = documents("playbook-calls", Scope::Related)
        .into_iter()
        .map(|document| {
            (document["_source"]["event"]["id"].as_str().unwrap().to_owned(), document["_source"].clone())
        })
        .collect();
    assert_eq!(found.len(), expected.len());
    for (event_id, categories) in expected {
        let source = &found[&event_id];
        let tagged: BTreeSet<&str> =
            source["sagemaker"]["categories"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for category in &categories {
            assert!(
                tagged.contains(category.as_str()),
                "{} lacks {category}: {tagged:?}",
                source["event"]["action"]
            );
        }
    }
}

#[test]
fn nothing_of_other_services_is_shipped_that_does_not_concern_sagemaker() {
    assert_eq!(documents("other-services", Scope::Related), Vec::<Value>::new());
    assert!(!documents("other-services", Scope::All).is_empty());
}

#[test]
fn the_same_record_has_one_id_and_one_event_id_with_two_contents_has_two() {
    let mut contents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for document in documents("odd-shapes", Scope::All) {
        let id = document["_id"].as_str().unwrap().to_owned();
        *ids.entry(id.clone()).or_default() += 1;
        if let Some(event_id) = document["_source"]["event"]["id"].as_str() {
            contents.entry(event_id.to_owned()).or_default().insert(id);
        }
    }
    assert_eq!(ids.values().filter(|count| **count == 2).count(), 1, "the exact duplicate");
    assert_eq!(contents.values().filter(|ids| ids.len() == 2).count(), 1, "the forged event");
}

#[test]
fn no_secret_of_the_attack_story_is_in_any_document() {
    let story = documents("attack-story", Scope::All);
    let text: String = story.iter().map(Value::to_string).collect();
    for secret in
        ["wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEXAMPLE", "NOTEBOOK-TOKEN-MUST-BE", "EXAMPLE-PRESIGNED"]
    {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("[redacted:"));
}

#[test]
fn every_field_of_every_document_is_in_the_mapping_with_a_value_that_fits() {
    let component: Value =
        serde_json::from_str(include_str!("../../mappings/component-events-mappings.json")).unwrap();
    let mapping = &component["template"]["mappings"]["properties"];
    let mut problems = BTreeSet::new();
    for document in all_documents().into_iter().chain(example_documents()) {
        check_fields(&document["_source"], mapping, "", &mut problems);
    }
    assert_eq!(problems, BTreeSet::new());
}

fn check_fields(value: &Value, properties: &Value, path: &str, problems: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().expect("a document is made of objects") {
        let path = format!("{path}{name}");
        let Some(field) = properties.get(name) else {
            problems.insert(format!("{path} is not mapped"));
            continue;
        };
        let values: Vec<&Value> =
            value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
        for value in values {
            match field["type"].as_str() {
                None => check_fields(value, &field["properties"], &format!("{path}."), problems),
                Some(kind) if !fits(value, kind) => {
                    problems.insert(format!("{path} is {kind}, and not {value}"));
                }
                Some(_) => {}
            }
        }
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "keyword" | "text" => value.is_string(),
        "boolean" => value.is_boolean(),
        "long" => value.is_i64() || value.is_u64(),
        "flat_object" => value.is_object(),
        "date" => value.as_str().is_some_and(|text| {
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).is_ok()
        }),
        "ip" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
        _ => false,
    }
}

#[test]
fn every_alias_of_the_mapping_leads_to_a_field() {
    let component: Value =
        serde_json::from_str(include_str!("../../mappings/component-events-mappings.json")).unwrap();
    let mapping = &component["template"]["mappings"]["properties"];
    let mut aliases = Vec::new();
    collect_aliases(mapping, &mut aliases);
    assert!(aliases.len() > 20);
    for alias in aliases {
        let mut field = mapping;
        for (depth, name) in alias.split('.').enumerate() {
            field = if depth == 0 { &field[name] } else { &field["properties"][name] };
        }
        assert!(field["type"].is_string() && field["type"] != "alias", "{alias}");
    }
}

fn collect_aliases(properties: &Value, aliases: &mut Vec<String>) {
    for field in properties.as_object().into_iter().flat_map(|properties| properties.values()) {
        match field["type"].as_str() {
            Some("alias") => aliases.push(field["path"].as_str().unwrap().to_owned()),
            Some(_) => {}
            None => collect_aliases(&field["properties"], aliases),
        }
    }
}

/// The documents of one fixture stand beside it as they were when a person last read them. `UPDATE_GOLDEN=1` writes
/// them anew; read the difference before it is committed.
#[test]
fn the_documents_of_the_odd_shapes_are_as_they_were_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/odd-shapes.json");
    let mut found = documents("odd-shapes", Scope::Related);
    for document in &mut found {
        let source = &mut document["_source"];
        assert!(source["event"]["ingested"].take().is_string());
        // It changes with every rule.
        assert!(source["sagemaker"]["rules"]["version"].take().is_string());
        // A record without a time has that of its ingestion, and the path is that of the checkout.
        if document["_index"] == "sagetrail-events-undated" {
            assert!(document["_source"]["@timestamp"].take().is_string());
        }
        assert!(document["_source"]["log"]["file"]["path"].take().is_string());
        // What is long is in it by its length; the text itself is the fixture's.
        shorten(document);
    }
    let text = format!("{:#}\n", Value::Array(found));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(text == expected, "the documents changed; run with UPDATE_GOLDEN=1 and read the difference");
}

fn shorten(value: &mut Value) {
    const SHOWN: usize = 200;
    match value {
        Value::String(text) if text.chars().count() > SHOWN => {
            let shown: String = text.chars().take(SHOWN).collect();
            *text = format!("{shown}… ({} bytes)", text.len());
        }
        Value::Array(elements) => elements.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}
