//! Hostile input: whatever somebody puts into a message, a file, a record or an answer ends in a value, within bounds
//! of memory, and reaches nothing but its own document.
//!
//! The properties hold for any bytes; `fuzz/` looks for bytes for which they do not. The records are those that a
//! forger would try first.

#[path = "../../../fuzz/daemon.rs"]
mod daemon;
#[path = "../../../fuzz/properties.rs"]
mod properties;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use sagetrail::config::{ContentHash, Scope};
use sagetrail::decode::{Damage, Limits, Scratch, decode};
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::hostile::{self, hostile_records};

/// A stage and what holds there.
type Property = (&'static str, fn(&[u8]));

const PROPERTIES: [Property; 5] = [
    ("notification", daemon::notification),
    ("decode", properties::decode),
    ("record", properties::record),
    ("enrich", properties::enrich),
    ("answer", daemon::answer),
];

#[test]
fn every_property_holds_for_every_seed_of_the_fuzzer() {
    for (stage, property) in PROPERTIES {
        let seeds = seeds(stage);
        assert!(!seeds.is_empty(), "{stage}");
        for seed in seeds {
            property(&seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_property_holds_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, property) in PROPERTIES {
            property(&bytes);
        }
    }

    #[test]
    fn every_property_holds_for_seeds_that_are_cut_joined_and_changed(
        pick in any::<[Index; 2]>(),
        at in any::<[Index; 4]>(),
        byte in any::<u8>(),
    ) {
        for (stage, property) in PROPERTIES {
            let seeds = seeds(stage);
            let (first, second) = (pick[0].get(&seeds), pick[1].get(&seeds));
            let mut changed = first.clone();
            changed[at[0].index(first.len())] = byte;
            property(&changed);
            let joined = [&first[..at[1].index(first.len())], &second[at[2].index(second.len())..]].concat();
            property(&joined);
            property(&first[..at[3].index(first.len())]);
        }
    }
}

fn seeds(stage: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(stage);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_gigabyte_of_one_line_is_passed_in_a_window_and_never_held() {
    // Members of gzip of one megabyte each, of which nobody has to compress more than one.
    let line = gzip(&vec![b'x'; 1 << 20]);
    let before = gzip(br#"{"junk":{"line":""#);
    let after = gzip(br#""},"Records":[{"a":1}]}"#);
    let object = [before, line.repeat(1 << 10), after].concat();
    let limits = Limits { uncompressed_bytes: 2 << 30, record_bytes: 8 << 20 };
    let mut decoded = None;
    let memory = allocation_counter::measure(|| {
        decoded = Some(decode(&object, &limits, ContentHash::None, &mut Scratch::default(), |_| {
            ControlFlow::Continue(())
        }));
    });
    let decoded = decoded.unwrap();
    assert_eq!((decoded.records, decoded.damage), (1, None));
    assert!(decoded.raw_bytes > 1 << 30);
    assert!(memory.bytes_max < 4 << 20, "{} bytes were held", memory.bytes_max);
}

#[test]
fn a_gigabyte_in_one_record_is_given_up_at_the_records_cap() {
    let object =
        [gzip(br#"{"Records":[{"a":1},{"line":""#), gzip(&vec![b'x'; 1 << 20]).repeat(1 << 10)].concat();
    let limits = Limits { uncompressed_bytes: 2 << 30, record_bytes: 8 << 20 };
    let mut decoded = None;
    let memory = allocation_counter::measure(|| {
        decoded = Some(decode(&object, &limits, ContentHash::None, &mut Scratch::default(), |_| {
            ControlFlow::Continue(())
        }));
    });
    let decoded = decoded.unwrap();
    assert_eq!(decoded.records, 1);
    assert_eq!(decoded.damage, Some(Damage::RecordTooLarge { index: 1, limit: 8 << 20 }));
    assert!(memory.bytes_max < 40 << 20, "{} bytes were held", memory.bytes_max);
}

#[test]
fn a_million_brackets_exhaust_no_stack_at_any_stage() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let member = format!(r#"{{"eventSource":"sagemaker.amazonaws.com","Records":{deep},"items":{deep}}}"#);
    let objects = r#"{"a":"#.repeat(100_000);
    for text in [&deep, &member, &objects] {
        for (_, property) in PROPERTIES {
            property(text.as_bytes());
        }
    }
    let document = document_of(member.as_bytes());
    assert_eq!(document.index.as_str(), "sagetrail-rejected");
}

#[test]
fn every_hostile_record_becomes_one_document_of_ours_or_is_rejected() {
    for (name, raw, is_json) in hostile_records("111122223333") {
        let document = document_of(raw.as_bytes());
        properties::assert_is_ours(&document);
        daemon::assert_is_one_item(&document);
        assert_eq!(document.index.as_str() != "sagetrail-rejected", is_json, "{name}");
    }
}

#[test]
fn a_record_that_imitates_our_fields_changes_none_of_them() {
    let honest = hostile::record("111122223333", 1);
    let mut forged = honest.clone();
    for (name, value) in [
        ("@timestamp", json!("1999-01-01T00:00:00Z")),
        ("event", json!({"id": "x", "action": "x", "severity": 0})),
        ("sagemaker", json!({"severity": "none", "categories": []})),
        ("rule", json!({"id": [], "level": []})),
        ("cloud", json!({"account": {"id": "999999999999"}})),
        ("_id", json!("x")),
        ("_index", json!("sagetrail-rejected")),
        ("create", json!({"_index": "x", "_id": "y"})),
    ] {
        forged[name] = value;
    }
    let (mut honest, mut forged) = (source_of(&honest), source_of(&forged));
    for document in [&mut honest, &mut forged] {
        document["event"].as_object_mut().unwrap().remove("original").unwrap();
    }
    assert_eq!(honest, forged);
}

#[test]
fn half_a_character_costs_no_record_its_event_and_no_rule_its_match() {
    let record = |reason: &[u8]| {
        [
            br#"{"eventSource":"sagemaker.amazonaws.com","eventName":"CreateNotebookInstance","requestParameters":"#,
            br#"{"notebookInstanceName":"#.as_slice(),
            br#""x","rootAccess":"Enabled","directInternetAccess":"Enabled"},"errorMessage":""#,
            reason,
            br#"","eventTime":"2026-11-01T12:00:00Z","eventID":"4da0b3c5"}"#,
        ]
        .concat()
    };
    let findings = |document: &Document| {
        let source: Value = serde_json::from_slice(&document.source).unwrap();
        (source["sagemaker"]["findings"].clone(), source["event"]["original"].as_str().unwrap().to_owned())
    };
    let (whole, _) = findings(&document_of(&record(b"cut")));
    assert!(!whole.as_array().unwrap().is_empty());
    let mut ids = std::collections::BTreeSet::new();
    for reason in
        [br"cut\ud83d".as_slice(), br"\uDE00cut", br"\ud83d\ud83d", b"cut\xf0\x9f\x98", b"cut\x00", b"cut\n"]
    {
        let document = document_of(&record(reason));
        let (found, original) = findings(&document);
        assert_eq!(found, whole, "{}", reason.escape_ascii());
        let original: Value = serde_json::from_str(&original).unwrap();
        assert_eq!(original["eventID"], "4da0b3c5");
        let message = original["errorMessage"].as_str().unwrap();
        assert!(message.contains('\u{fffd}') || message.bytes().any(|byte| byte < b' '), "{message}");
        ids.insert(document.id);
    }
    assert_eq!(ids.len(), 6, "what was read as one character stays different");
}

#[test]
fn a_service_is_judged_alike_in_every_partition() {
    let record = |domain: &str| {
        let mut record = hostile::record("111122223333", 1);
        record["eventSource"] = json!(format!("sagemaker.{domain}"));
        record["eventName"] = json!("CreatePresignedDomainUrl");
        record["requestParameters"] = json!({"domainId": "d-abc123", "userProfileName": "bob"});
        record
    };
    let expected = source_of(&record("amazonaws.com"))["sagemaker"].clone();
    assert!(!expected["categories"].as_array().unwrap().is_empty());
    for domain in [
        "amazonaws.com.cn",
        "amazonaws.eu",
        "c2s.ic.gov",
        "sc2s.sgov.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
    ] {
        let source = source_of(&record(domain));
        assert_eq!(source["sagemaker"], expected, "{domain}");
        assert_eq!(source["event"]["provider"], format!("sagemaker.{domain}"), "as it is written");
    }
    assert_ne!(source_of(&record("amazonaws.com.example"))["sagemaker"], expected);
}

#[test]
fn what_is_left_out_of_a_record_breaks_no_control_and_is_told() {
    let document = |parameters: Value| {
        let mut record = hostile::record("111122223333", 1);
        record["eventName"] = json!("CreateNotebookInstance");
        record["requestParameters"] = parameters;
        source_of(&record)
    };
    let titles = |source: &Value| source["rule"]["name"].to_string();
    let told = document(json!({"notebookInstanceName": "x"}));
    for title in ["Direct Internet", "Root Access", "Without A KMS Key", "Outside A VPC"] {
        assert!(titles(&told).contains(title), "{title} {}", titles(&told));
    }
    for parameters in
        [json!({"omitted": true, "originalSize": 131_072}), json!("HIDDEN_DUE_TO_SECURITY_REASONS")]
    {
        let source = document(parameters);
        let titles = titles(&source);
        assert!(titles.contains("SageMaker Call Whose Parameters Were Left Out"), "{titles}");
        for title in ["Internet", "Root Access", "KMS", "VPC"] {
            assert!(!titles.contains(title), "{titles}");
        }
        let message = source["message"].as_str().unwrap();
        assert!(message.contains("with parameters that CloudTrail left out"), "{message}");
        assert!(!message.contains("root access") && !message.contains("internet"), "{message}");
    }
}

#[test]
fn a_record_in_another_layout_is_the_same_document() {
    let record = hostile::record("111122223333", 1);
    let (compact, pretty) = (record.to_string(), serde_json::to_string_pretty(&record).unwrap());
    let turned: serde_json::Map<String, Value> =
        record.as_object().unwrap().iter().rev().map(|(name, value)| (name.clone(), value.clone())).collect();
    let [compact, pretty, turned] =
        [compact, pretty, Value::Object(turned).to_string()].map(|text| document_of(text.as_bytes()));
    assert_eq!((&compact.id, &compact.index), (&pretty.id, &pretty.index));
    assert_eq!((&compact.id, &compact.index), (&turned.id, &turned.index));
}

#[test]
fn one_event_id_with_two_contents_keeps_both() {
    let (first, mut second) = (hostile::record("111122223333", 1), hostile::record("111122223333", 1));
    second["sourceIPAddress"] = json!("198.51.100.7");
    let [first, second] = [first, second].map(|record| document_of(record.to_string().as_bytes()));
    assert_eq!(first.index, second.index);
    assert_ne!(first.id, second.id);
}

#[test]
fn a_time_that_cannot_be_right_makes_no_index_and_is_not_searched_for_in_the_year_nought() {
    let now = "2026-11-03T01:12:03";
    let cases = [
        (json!("0000-01-01T00:00:00Z"), "sagetrail-events-undated", "0000-01-01"),
        (json!("9999-12-31T23:59:59Z"), "sagetrail-events-undated", "9999-12-31"),
        (json!("2012-12-31T23:59:59Z"), "sagetrail-events-undated", "2012-12-31"),
        (json!("9999-12-31T23:59:59-01:00"), "sagetrail-events-undated", now),
        (json!("2026-13-41T25:61:61Z"), "sagetrail-events-undated", now),
        (json!("../_all"), "sagetrail-events-undated", now),
        (json!(1_793_534_400), "sagetrail-events-undated", now),
        (json!(null), "sagetrail-events-undated", now),
        (json!("2026-11-01T12:00:00Z"), "sagetrail-events-2026.11", "2026-11-01T12:00:00"),
    ];
    for (time, index, timestamp) in cases {
        let mut record = hostile::record("111122223333", 1);
        record["eventTime"] = time.clone();
        let document = document_of(record.to_string().as_bytes());
        assert_eq!(document.index.as_str(), index, "{time}");
        let source: Value = serde_json::from_slice(&document.source).unwrap();
        let written = source["@timestamp"].as_str().unwrap();
        assert!(written.starts_with(timestamp), "{time} {written}");
    }
}

fn source_of(record: &Value) -> Value {
    serde_json::from_slice(&document_of(record.to_string().as_bytes()).source).unwrap()
}

fn document_of(raw: &[u8]) -> Document {
    static KNOWLEDGE: std::sync::LazyLock<Enricher> =
        std::sync::LazyLock::new(|| Enricher::built_in(Scope::All));
    let origin =
        Origin { path: "s3://trail/file.json.gz", written_at: None, now: datetime!(2026-11-03 01:12:03 UTC) };
    match enrich(raw, origin, &KNOWLEDGE) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => document,
        Enriched::NotSelected | Enriched::RepeatedRead | Enriched::ToRecall(_) => {
            panic!("every record is selected")
        }
        Enriched::Panicked(document) => panic!("it panicked: {document:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
