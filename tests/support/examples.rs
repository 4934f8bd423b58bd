//! Example records: those of each rule in `tests/rules`, and those of the fixtures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::Known;
use serde_json::Value;
use time::macros::datetime;

/// One record, the file that holds it, and the records that a site had before.
pub struct Example {
    pub path: PathBuf,
    pub record: Value,
    pub history: Vec<Value>,
}

impl Example {
    /// The record as it is judged after its history; a record without one is judged alone.
    pub fn enrich<'k>(&self, enricher: &'k Enricher) -> Enriched<'k> {
        enrich_knowing(self.record.to_string().as_bytes(), ORIGIN, enricher, &self.known(enricher))
    }

    /// What its history has told.
    pub fn known(&self, enricher: &Enricher) -> Known {
        let mut known = if self.history.is_empty() { Known::off() } else { Known::whole() };
        for record in &self.history {
            match enrich_knowing(record.to_string().as_bytes(), ORIGIN, enricher, &known) {
                Enriched::Selected { facts, .. } => known.learn(&facts),
                Enriched::NotSelected | Enriched::RepeatedRead => {}
                other => panic!("{}: {other:?}", self.path.display()),
            }
        }
        known
    }
}

const ORIGIN: Origin<'_> = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };

/// The values of placeholders by their names, as a site would configure them.
pub type Values = BTreeMap<String, Vec<String>>;

/// Every record of `tests/rules`, and every one of `tests/fixtures`.
pub fn all() -> Vec<Example> {
    let mut examples: Vec<Example> = folders()
        .iter()
        .flat_map(|folder| records(folder, "match-").chain(records(folder, "miss-")))
        .collect();
    for path in files(&tests().join("fixtures/src"), "") {
        let file: Value = read(&path);
        let records = file["Records"].as_array().expect("a fixture is a CloudTrail file");
        examples.extend(records.iter().map(|record| Example {
            path: path.clone(),
            record: record.clone(),
            history: Vec::new(),
        }));
    }
    examples
}

/// The folders of the rules, each called by the rule's id.
pub fn folders() -> Vec<PathBuf> {
    files(&tests().join("rules"), "")
}

/// The records of one rule whose files begin with `match-` or `miss-`. A rule that reads memory has a `history.json`:
/// the records that the site had before any of them.
pub fn records(folder: &Path, prefix: &str) -> impl Iterator<Item = Example> {
    let history = folder.join("history.json");
    let history: Vec<Value> = if history.exists() { read(&history) } else { Vec::new() };
    files(folder, prefix).into_iter().map(move |path| Example {
        record: read(&path),
        history: history.clone(),
        path,
    })
}

/// The values that a rule's examples are written for; none where the rule has no placeholders.
pub fn values(folder: &Path) -> Values {
    let path = folder.join("placeholders.json");
    if path.exists() { read(&path) } else { Values::new() }
}

/// The values of all rules together.
pub fn all_values() -> Values {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, values) in folders().iter().flat_map(|folder| values(folder)) {
        all.entry(name).or_default().extend(values);
    }
    all.into_iter().map(|(name, values)| (name, values.into_iter().collect())).collect()
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The files or folders of that prefix, in order; none where the folder is missing.
fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    files.sort();
    files
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
