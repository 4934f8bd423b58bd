//! What a day's document says, from what a verification found.

use time::macros::{date, datetime};

use super::*;

const FROM: Date = date!(2026 - 03 - 01);
const TO: Date = date!(2026 - 03 - 02);

fn day(kind: &str, day: &str) -> String {
    format!("logs/AWSLogs/o-1a/111122223333/{kind}/eu-west-1/2026/03/{day}/")
}

fn documents(day_status: &DayStatus) -> Vec<(String, Value)> {
    let now = datetime!(2026-03-04 00:00 UTC);
    let lines: Vec<Value> = day_status
        .bulks("sagetrail-verified", now)
        .iter()
        .flat_map(|bulk| std::str::from_utf8(bulk).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let id = |action: &Value| action["index"]["_id"].as_str().unwrap().to_owned();
    lines.chunks(2).map(|pair| (id(&pair[0]), pair[1].clone())).collect()
}

fn gaps(day_status: &DayStatus) -> Vec<(String, u64)> {
    let text = |document: &Value| document["verification"]["day"].as_str().unwrap().to_owned();
    documents(day_status)
        .iter()
        .map(|(_, document)| (text(document), document["verification"]["gaps"].as_u64().unwrap()))
        .collect()
}

#[test]
fn a_finding_counts_on_its_day_and_what_is_repaired_no_more() {
    let mut day_status = DayStatus::default();
    let days = [day("CloudTrail", "01"), day("CloudTrail-Digest", "01"), day("CloudTrail-Digest", "03")];
    day_status.cover("b", &days, (FROM, TO));
    assert_eq!(gaps(&day_status), [("2026-03-01".to_owned(), 0)], "a digest of the next day is no day");
    let find = |day_status: &mut DayStatus, kind, key: &str| {
        day_status.find(&Finding::new(kind, "b", key, String::new()), FROM, TO);
    };
    let missing = format!("{}a.json.gz", day("CloudTrail", "01"));
    find(&mut day_status, FindingKind::MissingFile, &missing);
    find(&mut day_status, FindingKind::LateFile, &missing);
    find(&mut day_status, FindingKind::BrokenChain, &format!("{}c.json.gz", day("CloudTrail-Digest", "03")));
    let expected = [("2026-03-01".to_owned(), 1), ("2026-03-02".to_owned(), 1)];
    assert_eq!(gaps(&day_status), expected, "what lies after the period belongs to its last day");

    let (_, document) = &documents(&day_status)[0];
    assert_eq!(document["verification"]["place"], "s3://b/logs/AWSLogs/o-1a/");
    assert_eq!(document["cloud"], json!({"account": {"id": "111122223333"}, "region": "eu-west-1"}));
    assert_eq!(document["verification"]["missing_files"], 1);
    assert_eq!(document["verification"]["objects"], json!([format!("missing files: s3://b/{missing}")]));
    day_status.repair(&format!("s3://b/{missing}"), TO);
    assert_eq!(gaps(&day_status)[0].1, 0);
    assert_eq!(
        documents(&day_status)[0].1["verification"]["objects"],
        Value::Null,
        "it names no gap any more"
    );
}

#[test]
fn a_region_without_digests_is_a_gap_on_each_of_its_days() {
    let mut day_status = DayStatus::default();
    day_status.cover("b", &[day("CloudTrail", "01"), day("CloudTrail", "02")], (FROM, TO));
    let region = "logs/AWSLogs/o-1a/111122223333/CloudTrail-Digest/eu-west-1/";
    day_status.find(&Finding::new(FindingKind::MissingDigest, "b", region, String::new()), FROM, TO);
    assert_eq!(gaps(&day_status).iter().map(|(_, gaps)| gaps).collect::<Vec<_>>(), [&1, &1]);
}

#[test]
fn whether_a_trail_holds_anything_is_one_document_that_a_later_period_closes() {
    let documents_of = |from: Date, is_empty: bool| {
        let mut day_status = DayStatus::default();
        day_status.cover_trail("s3://b/wrong/", from);
        if is_empty {
            day_status.find(
                &Finding::new(FindingKind::MissingDigest, "b", "wrong/", String::new()),
                from,
                TO,
            );
        }
        documents(&day_status)
    };
    let (empty, full) = (documents_of(FROM, true), documents_of(TO, false));
    assert_eq!((empty.len(), full.len()), (1, 1));
    assert_eq!(empty[0].0, full[0].0);
    let outcome = |documents: &[(String, Value)]| documents[0].1["verification"]["outcome"].clone();
    assert_eq!((outcome(&empty), outcome(&full)), (json!("gap"), json!("whole")));
}

#[test]
fn parts_of_a_trail_add_up() {
    let object = format!("s3://b/{}a.json.gz", day("CloudTrail", "01"));
    let part = || {
        let mut day_status = DayStatus::default();
        day_status.deliver(&object, TO);
        day_status.ship(&object, TO);
        day_status
    };
    let mut day_status = part();
    day_status.merge(part());
    let (_, document) = &documents(&day_status)[0];
    assert_eq!(
        (&document["verification"]["delivered"], &document["verification"]["shipped"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn every_field_of_a_days_document_is_in_the_mapping() {
    let mut day_status = DayStatus::default();
    day_status.cover_trail("s3://b/", FROM);
    day_status.find(&Finding::new(FindingKind::MissingDigest, "b", "", String::new()), FROM, TO);
    let template: Value =
        serde_json::from_str(include_str!("../../../mappings/template-verified.json")).unwrap();
    let mapping = &template["template"]["mappings"]["properties"];
    let (_, document) = &documents(&day_status)[0];
    for name in document["verification"].as_object().unwrap().keys() {
        assert!(mapping["verification"]["properties"][name].is_object(), "{name}");
    }
    assert!(mapping["@timestamp"].is_object());
    assert!(mapping["cloud"]["properties"]["account"]["properties"]["id"].is_object());
    assert!(mapping["cloud"]["properties"]["region"].is_object());
}

#[test]
fn the_answer_says_what_is_open_and_one_without_an_index_that_nothing_is_known() {
    let mut told = json!({"doc_count": 2});
    for kind in FindingKind::ALL.iter().copied() {
        told[plural(kind)] = json!({"value": if kind == FindingKind::MissingFile { 3.0 } else { 0.0 }});
    }
    let answer = json!({"aggregations": {"last": {"value": 1_772_000_000_123.0_f64}, "told": told}});
    let known = OpenGaps::read(&answer).unwrap();
    assert_eq!(known.gaps[&FindingKind::MissingFile], 3);
    assert_eq!(known.gaps.values().sum::<u64>(), 3);
    assert!(!known.gaps.contains_key(&FindingKind::LateFile));
    assert_eq!(known.last_run_at.unwrap().unix_timestamp(), 1_772_000_000);
    let never = json!({"aggregations": {"last": {"value": null}, "told": told}});
    assert_eq!(OpenGaps::read(&never).unwrap().last_run_at, None);
    assert_eq!(OpenGaps::read(&json!({"hits": {}})), Some(OpenGaps::default()));
    assert_eq!(OpenGaps::read(&json!({"aggregations": {}})), None);
}
