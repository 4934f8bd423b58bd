//! The growth of the rules: the built-in ones and copies of them with ids of their own.
//!
//! A copy that is about other operations asks for one more parameter, last. Without it the copies of rules that ask
//! what is absent would match every record of their operation, and the documents would grow instead of the rules. So a
//! copy costs what a rule costs that a record meets and does not match.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::{Captures, Regex};
use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::Enricher;
use sagetrail::enrich::rules::RuleSet;

/// The ways in which a pack of rules can grow.
#[derive(Clone, Copy)]
pub enum Growth {
    OtherServices,
    OtherOperations,
    SameOperations,
}

/// The built-in rules and copies of them, `size` times as many in all. Every placeholder has values, so that no rule is
/// silent.
pub fn grown(growth: Growth, size: usize) -> Enricher {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (number, path) in rule_files().iter().enumerate() {
        let text = std::fs::read_to_string(path).expect("a rule can be read");
        for copy in 1..size {
            let file = folder.path().join(format!("{number}-{copy}.yml"));
            std::fs::write(file, copied(&text, growth, copy)).expect("a copy can be written");
        }
    }
    let config = RulesConfig {
        folder: Some(folder.path().to_owned()),
        placeholders: placeholders(),
        ..RulesConfig::default()
    };
    Enricher {
        rules: RuleSet::load(&config).expect("copies load").into(),
        ..Enricher::built_in(Scope::Related)
    }
}

fn copied(text: &str, growth: Growth, copy: usize) -> String {
    let id = Regex::new("(?m)^id: [0-9a-f]{8}").expect("it is a regex");
    let text = id.replace(text, format!("id: {copy:08x}"));
    let quoted = Regex::new(r"'([A-Za-z0-9.]+)'").expect("it is a regex");
    let operations = operations();
    let renamed = |found: &Captures<'_>| {
        let value = &found[1];
        match growth {
            Growth::SameOperations => format!("'{value}'"),
            Growth::OtherServices if value == "sagemaker" => format!("'service{copy}'"),
            Growth::OtherServices => match value.strip_suffix(".amazonaws.com") {
                Some(service) if !service.is_empty() => format!("'{service}{copy}.amazonaws.com'"),
                _ => format!("'{value}'"),
            },
            Growth::OtherOperations => match operations.binary_search_by(|known| known.as_str().cmp(value)) {
                // Steps of a prime number, so that no two copies of a rule name the same operations.
                Ok(at) => format!("'{}'", operations[(at + copy * 23) % operations.len()]),
                Err(_) if value.starts_with(|first: char| first.is_ascii_uppercase()) => {
                    format!("'{value}{copy}'")
                }
                Err(_) => format!("'{value}'"),
            },
        }
    };
    let (head, detection) = text.split_once("\ndetection:").expect("a rule has a detection");
    let renamed = quoted.replace_all(detection, renamed);
    let detection = match growth {
        Growth::OtherServices | Growth::SameOperations => renamed.into_owned(),
        Growth::OtherOperations => asking_for_more(&renamed, copy),
    };
    format!("{head}\ndetection:{detection}")
}

/// The detection with one more condition that no record meets.
fn asking_for_more(detection: &str, copy: usize) -> String {
    let (selections, rest) = detection.split_once("\n    condition:").expect("a detection has a condition");
    let mut lines = rest.lines();
    let first = lines.next().unwrap_or_default().trim().trim_start_matches(">-");
    let others: Vec<&str> = lines.clone().take_while(|line| line.starts_with(' ')).collect();
    let after: Vec<&str> = lines.skip(others.len()).collect();
    format!(
        "{selections}\n    copy:\n        requestParameters.copy: '{copy}'\n    condition: ({first} {}) and copy\n{}\n",
        others.join(" "),
        after.join("\n")
    )
}

/// The operations of the catalogue, sorted.
fn operations() -> Vec<String> {
    let catalogue = std::fs::read_to_string("config/catalogue.toml").expect("the catalogue can be read");
    let mut names: Vec<String> =
        catalogue.lines().filter_map(|line| Some(line.split_once(" = {")?.0.to_owned())).collect();
    names.sort();
    names
}

fn rule_files() -> Vec<PathBuf> {
    ["threats", "posture", "detections"]
        .iter()
        .flat_map(|folder| files(&Path::new("config/rules").join(folder), ".yml"))
        .collect()
}

/// The values with which the examples of the rules are tested.
fn placeholders() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for folder in files(Path::new("tests/rules"), "") {
        if let Ok(text) = std::fs::read_to_string(folder.join("placeholders.json")) {
            let values: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).expect("it is a map");
            all.extend(values);
        }
    }
    all
}

/// The files of a folder whose names end so, sorted.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path()).collect());
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    files
}
