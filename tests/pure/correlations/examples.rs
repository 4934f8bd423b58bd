//! Every correlation on its own examples: `tests/correlations/<id>/match-*.json` must match and `miss-*.json` must not.
//!
//! A file is a list of steps. Each has a record, which comes `times` times with `every` seconds between, beginning
//! `after` seconds after the first. `{n}` in its texts is the number of the repetition, from 0. `history.json` is what
//! the site had before.

use std::path::{Path, PathBuf};

use sagetrail::config::Scope;
use sagetrail::enrich::Enricher;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{documents, found, ids, points};

const NEAR_MISSES: usize = 2;

fn folder(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/correlations").join(id)
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder with this prefix, in order.
fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    files.sort();
    files
}

/// The records of a file of steps, in the order of their times, with those that the site had before.
fn records(path: &Path) -> Vec<Value> {
    let history = path.with_file_name("history.json");
    let mut records = if history.exists() { expand(&read(&history), 1) } else { Vec::new() };
    records.extend(expand(&read(path), 2));
    records
}

/// Each record of a step, with an id of its own that begins with a digit.
fn expand(steps: &Value, digit: u8) -> Vec<Value> {
    let mut records = Vec::new();
    for (step, told) in steps.as_array().unwrap().iter().enumerate() {
        let number = |member: &str, default| told[member].as_i64().unwrap_or(default);
        let (times, every, after) = (number("times", 1), number("every", 1), number("after", 0));
        for repetition in 0..times {
            let text = told["record"].to_string().replace("{n}", &repetition.to_string());
            let mut record: Value = serde_json::from_str(&text).unwrap();
            let start = OffsetDateTime::parse(record["eventTime"].as_str().unwrap(), &Rfc3339).unwrap();
            let time = start + Duration::seconds(after + repetition * every);
            record["eventTime"] = json!(time.format(&Rfc3339).unwrap());
            record["eventID"] = json!(format!("{digit}0000000-0000-4000-8000-{step:04}{repetition:08}"));
            records.push(record);
        }
    }
    records.sort_by_key(|record| record["eventTime"].as_str().unwrap().to_owned());
    records
}

#[test]
fn every_correlation_matches_its_examples_and_none_of_its_near_misses() {
    let enricher = Enricher::built_in(Scope::All);
    let mut problems = Vec::new();
    for correlation in enricher.rules.correlations().iter() {
        let folder = folder(&correlation.id);
        let (matches, misses) = (files(&folder, "match-"), files(&folder, "miss-"));
        if matches.is_empty() || misses.len() < NEAR_MISSES {
            problems.push(format!("\"{}\" ({}) lacks examples", correlation.title, correlation.id));
        }
        let all = matches.iter().map(|path| (path, true)).chain(misses.iter().map(|path| (path, false)));
        for (path, expected) in all {
            if ids(&records(path), &enricher).contains(&correlation.id) != expected {
                let what = if expected { "does not match" } else { "matches" };
                problems.push(format!("\"{}\" {what} {}", correlation.title, path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_match_is_told_in_a_sentence_and_says_where_to_read_how_to_contain_it() {
    let enricher = Enricher::built_in(Scope::All);
    let mut told = Vec::new();
    for correlation in enricher.rules.correlations().iter() {
        for path in files(&folder(&correlation.id), "match-") {
            let points = points(&documents(&records(&path), &enricher), &enricher);
            let found = found(&enricher, &points);
            let found = found.iter().find(|found| found.correlation.id == correlation.id).unwrap();
            let document = found.document();
            let finding = &document["sagemaker"]["findings"][0];
            let reference = finding["reference"].as_str().unwrap_or_default();
            assert!(reference.starts_with("https://docs.aws.amazon.com/"), "{document:#}");
            assert_eq!(finding["level"], document["sagemaker"]["severity"], "{document:#}");
            for field in ["origin", "principal", "identity", "resource"] {
                assert!(document["sagemaker"]["alert"][field].is_string(), "{field}: {document:#}");
            }
            told.push(document["message"].as_str().unwrap().to_owned());
        }
    }
    told.sort();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/correlations.txt");
    let told = told.join("\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, told).unwrap();
    } else {
        assert_eq!(told, std::fs::read_to_string(golden).unwrap(), "run with UPDATE_GOLDEN=1");
    }
}

#[test]
fn every_folder_of_examples_belongs_to_a_correlation() {
    let enricher = Enricher::built_in(Scope::All);
    for folder in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/correlations"), "") {
        let id = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(enricher.rules.correlations().get(&id).is_some(), "{id} is no correlation's id");
    }
}
