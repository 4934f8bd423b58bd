//! The library's own evaluation is the reference: on every example of every rule, and on values of every type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rsigma_eval::evaluate_rule;
use serde_json::{Value, json};

use super::*;
use crate::enrich::catalogue::Catalogue;
use crate::enrich::dispatch::{Evidence, Source};
use crate::enrich::networks::Networks;
use crate::enrich::rules::RuleSet;
use crate::enrich::unpacked::Unpacked;
use crate::record::Record;
use crate::settings::RulesConfig;

/// The rules that match by the library, each evaluated by itself.
fn by_the_library(rules: &[&CompiledRule], event: &SigmaEvent<'_, '_>) -> Vec<usize> {
    (0..rules.len()).filter(|&position| evaluate_rule(rules[position], event).is_some()).collect()
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn on_every_example_the_rules_match_that_match_by_the_library_and_the_dispatch_hides_none() {
    let mut placeholders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut records: Vec<Value> = Vec::new();
    for path in paths(Path::new("../../tests/rules")).iter().flat_map(|folder| paths(folder)) {
        if path.ends_with("placeholders.json") {
            placeholders.append(&mut read(&path));
        } else if path.ends_with("history.json") {
            records.append(&mut read(&path));
        } else {
            records.push(read(&path));
        }
    }
    for path in paths(Path::new("../../tests/fixtures/src")) {
        let file: Value = read(&path);
        records.extend(file["Records"].as_array().unwrap().iter().cloned());
    }
    let set = RuleSet::load(&RulesConfig { placeholders, ..RulesConfig::default() }).unwrap();
    assert!(set.inactive().is_empty() && set.rules().len() > 100 && records.len() > 400);
    let rules: Vec<&CompiledRule> = set.rules().iter().map(crate::enrich::Rule::compiled).collect();
    let alone = Conditions::of(rules.iter().map(|rule| (*rule, None)));
    let catalogue = Catalogue::built_in();
    let mut found = 0;
    let networks = Networks::built_in();
    for record in records {
        let text = record.to_string();
        let record = Record::parse(text.as_bytes()).unwrap();
        let unpacked = Unpacked::of(&record);
        let event = SigmaEvent::new(&record, &unpacked, &catalogue, &networks);
        let expected = by_the_library(&rules, &event);
        let all = (0..rules.len()).collect();
        assert_eq!(alone.matching(all, &event).0, expected, "{text}");
        let matches: Vec<&str> = set.matches(&event).iter().map(|rule| rule.id.as_str()).collect();
        let expected: Vec<&str> =
            expected.iter().map(|&position| set.rules()[position].id.as_str()).collect();
        assert_eq!(matches, expected, "{text}");
        found += expected.len();
    }
    assert!(found > 400, "{found}");
}

/// Every kind of matcher and every form of condition, on the fields `a`, `b` and `a.b`.
const DETECTIONS: &[&str] = &[
    "{s: {a: x}, condition: s}",
    "{s: {a: ''}, condition: s}",
    "{s: {a: null}, condition: s}",
    "{s: {a: [x, null]}, condition: s}",
    "{s: {a: [X, y, '1', 'true', é]}, condition: s}",
    "{s: {a: 1}, condition: s}",
    "{s: {a: true}, condition: s}",
    "{s: {a|contains: X}, condition: s}",
    "{s: {a|contains: [X, y, É, k, q1, q2, q3, q4, q5, q6]}, condition: s}",
    "{s: {a|contains|all: [x, y]}, condition: s}",
    "{s: {a|startswith|all: [x, xy]}, condition: s}",
    "{s: {a|startswith: [x, 'i̇']}, condition: s}",
    "{s: {a|endswith: [X, 'σ', ß]}, condition: s}",
    "{s: {a|cased: X}, condition: s}",
    "{s: {a|contains|cased: [X, É]}, condition: s}",
    "{s: {a: ['x*', y]}, condition: s}",
    "{s: {a: '*x?y'}, condition: s}",
    "{s: {a: '?*'}, condition: s}",
    "{s: {a|re: '^X.*Y'}, condition: s}",
    "{s: {a|re|i: ['^X.*y', 'é', k]}, condition: s}",
    "{s: {a|exists: true}, condition: s}",
    "{s: {a|exists: false}, condition: s}",
    "{s: {a|gt: 0}, condition: s}",
    "{s: {a|lte: 1}, condition: s}",
    "{s: {a|cidr: ['10.0.0.0/8', '::/0']}, condition: s}",
    "{s: {a|fieldref: b}, condition: s}",
    "{s: {a|neq: x}, condition: s}",
    "{s: {a|windash|contains: ' -x'}, condition: s}",
    "{s: {a|base64offset|contains: x}, condition: s}",
    "{s: {a.b: [x, y]}, condition: s}",
    "{s: [x, y], condition: s}",
    "{s: [{a: x}, {b: y}], condition: s}",
    "{s: {a: x, b: y}, condition: s}",
    "{s: {a: x}, t: {b: y}, condition: s and not t}",
    "{s: {a: x}, t: {b: y}, condition: s or t}",
    "{s_a: {a: x}, s_b: {b: y}, s_c: {a|contains: x}, condition: 2 of s_*}",
    "{s_a: {a: x}, s_b: {b: y}, condition: all of them}",
    "{s_a: {a: x}, s_b: {b: y}, condition: 1 of s_*}",
    "{s: {a: x}, condition: [s, not s]}",
    "{s: {'a[any]': {b: x}}, condition: s}",
    "{s: {'a[all]': {b: x}, b: y}, condition: s}",
];

fn compile(detection: &str) -> CompiledRule {
    let yaml = format!("title: t\nsigma-version: 3\nlogsource: {{product: aws}}\ndetection: {detection}");
    let parsed = rsigma_parser::parse_sigma_yaml(&yaml).unwrap();
    assert!(parsed.errors.is_empty(), "{detection} {:?}", parsed.errors);
    rsigma_eval::compile_rule(&parsed.rules[0]).unwrap_or_else(|error| panic!("{detection} {error}"))
}

fn compiled() -> Vec<CompiledRule> {
    DETECTIONS.iter().map(|detection| compile(detection)).collect()
}

#[test]
fn what_only_some_of_the_calls_answer_is_still_asked() {
    let rule = compile(
        "{s: {eventName: [A, B], eventSource: [x, y]}, t: {eventName: b}, u: {eventSource: x}, condition: s and t and u}",
    );
    let texts = |texts: [&str; 2]| texts.map(str::to_owned);
    let sources = texts(["x", "y"]).map(Source::Is).into();
    let calls =
        Calls { sources: Some(sources), names: Some(texts(["a", "b"]).into()), evidence: Evidence::Call };
    let conditions = Conditions::of([(&rule, Some(&calls))]);
    assert!(matches!(&conditions.of_rules[0], Formula::All(left) if left.len() == 2));
    let (catalogue, networks, unpacked) = (Catalogue::built_in(), Networks::built_in(), Unpacked::default());
    for (source, name, expected) in [("x", "A", 0), ("x", "B", 1), ("y", "B", 0)] {
        let text = json!({"eventSource": source, "eventName": name}).to_string();
        let record = Record::parse(text.as_bytes()).unwrap();
        let event = SigmaEvent::new(&record, &unpacked, &catalogue, &networks);
        assert_eq!(conditions.matching(vec![0], &event).0.len(), expected, "{text}");
    }
}

fn assert_agrees(record: &Value) -> Vec<usize> {
    thread_local!(static RULES: (Vec<CompiledRule>, Conditions, Catalogue) = {
        let rules = compiled();
        let conditions = Conditions::of(rules.iter().map(|rule| (rule, None)));
        (rules, conditions, Catalogue::built_in())
    });
    RULES.with(|(rules, conditions, catalogue)| {
        let text = record.to_string();
        let record = Record::parse(text.as_bytes()).unwrap();
        let (unpacked, networks) = (Unpacked::default(), Networks::built_in());
        let event = SigmaEvent::new(&record, &unpacked, catalogue, &networks);
        let ours = conditions.matching((0..rules.len()).collect(), &event).0;
        let theirs = by_the_library(&rules.iter().collect::<Vec<_>>(), &event);
        let named = |positions: &[usize]| -> Vec<&str> {
            positions.iter().map(|&position| DETECTIONS[position]).collect()
        };
        assert_eq!(named(&ours), named(&theirs), "{text}");
        ours
    })
}

#[test]
fn each_kind_of_matcher_and_condition_matches_what_it_should() {
    let mut unmatched: Vec<usize> = (0..DETECTIONS.len()).collect();
    for a in [
        json!("x"),
        json!("XY"),
        json!("xaY"),
        json!("a -x"),
        json!("eA=="),
        json!("É"),
        json!(""),
        json!("ΑΣ"),
        json!("\u{212a}"),
        json!("İ"),
        json!("x\ny"),
        json!("\n"),
        json!("10.1.2.3"),
        json!(1),
        json!(0.5),
        json!(true),
        json!(null),
        json!(["x", "y"]),
        json!(["q", ["X", 1]]),
        json!({"b": "X"}),
        json!([{"b": "x"}, {"b": "y"}]),
    ] {
        for b in [json!("y"), json!("x"), json!(null)] {
            for record in [json!({"a": a, "b": b}), json!({"a": a}), json!({"b": b})] {
                let matching = assert_agrees(&record);
                unmatched.retain(|position| !matching.contains(position));
            }
        }
    }
    let unmatched: Vec<&str> = unmatched.into_iter().map(|position| DETECTIONS[position]).collect();
    assert!(unmatched.is_empty(), "nothing shows these: {unmatched:?}");
}

proptest! {
    #[test]
    fn on_values_of_any_type_the_rules_match_that_match_by_the_library(a in value(), b in value()) {
        assert_agrees(&json!({"a": a, "b": b}));
    }
}

/// Values near to those of the rules, of any type and nested.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[xXyYéÉkK\u{212a}İσΣß1 ./:*?\n-]{0,6}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}
