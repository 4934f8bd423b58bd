//! Every rule on its own examples: `tests/rules/<id>/match-*.json` must match and `miss-*.json` must not, though each
//! differs by the one thing that matters. `placeholders.json` holds the values that a site would configure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::catalogue::Catalogue;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enriched, Knowledge, Origin, enrich};
use serde_json::Value;
use time::macros::datetime;

const NEAR_MISSES: usize = 2;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")
}

/// The rules as a site would load them that has configured these values.
fn load(folder: &Path) -> Knowledge {
    let values = std::fs::read_to_string(folder.join("placeholders.json"));
    let placeholders: BTreeMap<String, Vec<String>> =
        values.map_or_else(|_| BTreeMap::new(), |text| serde_json::from_str(&text).unwrap());
    let config = RulesConfig { placeholders, ..RulesConfig::default() };
    Knowledge { rules: RuleSet::load(&config).unwrap(), catalogue: Catalogue::built_in(), scope: Scope::All }
}

fn rule_ids(record: &Path, knowledge: &Knowledge) -> Vec<String> {
    let record: Value = serde_json::from_str(&std::fs::read_to_string(record).unwrap()).unwrap();
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    match enrich(record.to_string().as_bytes(), origin, knowledge) {
        Enriched::Selected { document, .. } => {
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            let ids = source["rule"]["id"].as_array().map_or(&[][..], Vec::as_slice);
            ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    files.sort();
    files
}

#[test]
fn every_rule_matches_its_examples_and_none_of_its_near_misses() {
    let plain = load(Path::new("no placeholders"));
    let mut rules: BTreeMap<String, String> =
        plain.rules.rules().iter().map(|rule| (rule.id.clone(), rule.title.clone())).collect();
    rules.extend(plain.rules.silent().iter().map(|rule| (rule.id.clone(), rule.title.clone())));
    assert!(rules.len() > 100);

    let mut problems = Vec::new();
    for (id, title) in &rules {
        let folder = examples().join(id);
        let (matches, misses) = (files(&folder, "match-"), files(&folder, "miss-"));
        if matches.is_empty() || misses.len() < NEAR_MISSES {
            problems.push(format!("\"{title}\" ({id}) lacks examples"));
        }
        let with_values = folder.join("placeholders.json").exists().then(|| load(&folder));
        let knowledge = with_values.as_ref().unwrap_or(&plain);
        for (path, expected) in
            matches.iter().map(|path| (path, true)).chain(misses.iter().map(|path| (path, false)))
        {
            if rule_ids(path, knowledge).contains(id) != expected {
                let what = if expected { "does not match" } else { "matches" };
                problems.push(format!("\"{title}\" {what} {}", path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_folder_of_examples_belongs_to_a_rule() {
    let plain = load(Path::new("no placeholders"));
    for folder in files(&examples(), "") {
        let id = folder.file_name().unwrap().to_string_lossy().into_owned();
        let known = plain.rules.rules().iter().any(|rule| rule.id == id)
            || plain.rules.silent().iter().any(|rule| rule.id == id);
        assert!(known, "{id} is no rule's id");
    }
}
