//! What a match is stored as.

use serde_json::json;
use time::Duration;

use super::{COUNT, GroupKey, ID, Point, START, calls, correlation, document, load_text, matches, point};
use crate::settings::Override;

/// Five calls of ann's by two sessions at two resources, the first of them denied.
fn points() -> Vec<Point> {
    (0..5)
        .map(|number: usize| {
            let outcome = if number == 0 { "failure" } else { "success" };
            let resource = format!("arn:aws:sagemaker:eu-west-1:111122223333:endpoint/{}", number % 2);
            let session = if number < 3 { "session-1" } else { "session-2" };
            let values = [
                ("user.name", "ann"),
                ("event.action", ["A", "A", "A", "B", "C"][number]),
                ("event.outcome", outcome),
                ("event.provider", "sagemaker.amazonaws.com"),
                ("cloud.account.id", "111122223333"),
                ("cloud.region", "eu-west-1"),
                ("source.ip", "203.0.113.5"),
                ("sagemaker.alert.origin", "person:ann"),
                ("sagemaker.alert.identity", "arn:aws:iam::111122223333:role/Dev"),
                ("sagemaker.alert.principal", session),
                ("sagemaker.alert.resource", &resource),
                ("sagemaker.resource.type", "endpoint"),
            ];
            point(&number.to_string(), i64::try_from(number).unwrap(), &[0], &values)
        })
        .collect()
}

#[test]
fn two_episodes_that_begin_with_one_point_have_two_ids() {
    const MIDNIGHT: i64 = 12 * 60 * 60;
    let count = correlation(COUNT);
    let calls = calls(&[-20, -10, -1, 1].map(|second| MIDNIGHT + second));
    let (points, key) = (calls.iter().collect::<Vec<_>>(), GroupKey(vec!["ann".to_owned()]));
    let found = matches(&count, &["ann"], &calls);
    let [evening, morning] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(evening.first, morning.first);
    let id = |found: &super::Match| found.document(&count, &key, &points, START).0;
    assert_ne!(id(evening), id(morning));
}

#[test]
fn a_match_is_a_signal_with_the_fields_of_an_event_and_the_same_id_each_time() {
    let count = correlation(COUNT);
    let (points, key) = (points(), GroupKey(vec!["ann".to_owned()]));
    let points: Vec<&Point> = points.iter().collect();
    let found = count.matches(&key, &points);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    let (id, written) = found.document(&count, &key, &points, START + Duration::HOUR);
    assert_eq!(id.as_str().len(), 32);
    let title = "Something is done often";
    let finding = json!({"id": ID, "title": title, "level": "high"});
    assert_eq!(
        written,
        json!({
            "@timestamp": "2026-11-10T12:00:04.000Z",
            "message": "ann and another session made 5 calls within 1 minute (A, B, C): Something is done often",
            "ecs": {"version": "8.11.0"},
            "event": {
                "kind": "signal", "outcome": "success", "severity": 4, "action": ["A", "B", "C"],
                "provider": ["sagemaker.amazonaws.com"], "start": "2026-11-10T12:00:00.000Z",
                "end": "2026-11-10T12:00:04.000Z", "ingested": "2026-11-10T13:00:00.000Z"
            },
            "cloud": {"account": {"id": ["111122223333"]}, "region": ["eu-west-1"]},
            "source": {"ip": ["203.0.113.5"]}, "user": {"name": ["ann"]},
            "related": {"ip": ["203.0.113.5"], "user": ["ann"]},
            "rule": {"id": [ID], "name": [title], "level": ["high"]},
            "threat": {"framework": "MITRE ATT&CK"},
            "sagemaker": {
                "severity": "high", "findings": [finding],
                "alert": {
                    "origin": "person:ann", "principal": "session-1", "identity": "arn:aws:iam::111122223333:role/Dev",
                    "resource": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/0", "finding": [title],
                    "selves": ["person:ann", "session-1"]
                },
                "correlation": {
                    "rule": ID, "type": "event_count", "key": ["user.name=ann"], "value": 5.0, "events": 5,
                    "first_id": "0", "points": ["0", "1", "2", "3", "4"], "cut": false
                }
            }
        })
    );
    let (again, _) = found.document(&count, &key, &points[..3], START);
    assert_eq!(again, id);
    let (other, _) = found.document(&count, &GroupKey(vec!["bob".to_owned()]), &points, START);
    assert_ne!(other, id);
}

#[test]
fn what_the_site_mutes_is_written_all_the_same_and_finds_nothing() {
    let wanted = Override {
        disable: true,
        reason: Some("agreed".to_owned()),
        until: Some("2099-01-01".to_owned()),
        ..Override::default()
    };
    let change =
        |config: &mut crate::settings::RulesConfig| drop(config.overrides.insert(ID.to_owned(), wanted));
    let set = load_text(&document(COUNT), change).unwrap();
    let muted = set.correlations().get(ID).unwrap();
    let (points, key) = (points(), GroupKey(vec!["ann".to_owned()]));
    let points: Vec<&Point> = points.iter().collect();
    let (_, written) = muted.matches(&key, &points)[0].document(muted, &key, &points, START);
    let by = json!([{"id": ID, "title": "Something is done often", "level": "high", "by": "override", "reason": "agreed"}]);
    assert_eq!(written["sagemaker"]["muted"], by);
    assert!(written.get("rule").is_none() && written["sagemaker"].get("findings").is_none(), "{written}");
}

#[test]
fn a_sentence_says_who_did_what_how_often_and_within_which_time() {
    let cases = [
        (COUNT, "ann and another session made 5 calls within 1 minute (A, B, C): Something is done often"),
        (
            "type: value_count\nrules: [a]\ngroup-by: [user.name]\ntimespan: 2h\ncondition: {gte: 2, field: eventName}",
            "ann and another session called 3 different operations within 2 hours (A, B, C): Something is done often",
        ),
        (
            "type: value_count\nrules: [a]\ngroup-by: [user.name]\ntimespan: 90s\ncondition: {gte: 2, field: sagemaker.alert.resource}",
            "ann and another session touched 2 different resources of type endpoint within 90 seconds (A, B, C): \
             Something is done often",
        ),
        (
            "type: temporal_ordered\nrules: [a, b]\ngroup-by: [user.name]\ntimespan: 1d",
            "Something is done often, by ann and another session within 1 day: A was called, then B was called",
        ),
    ];
    for (members, expected) in cases {
        let correlation = correlation(members);
        let (mut points, key) = (points(), GroupKey(vec!["ann".to_owned()]));
        points[4].rules.push(super::RULES[1].to_owned());
        let points: Vec<&Point> = points.iter().collect();
        let (_, written) = correlation.matches(&key, &points)[0].document(&correlation, &key, &points, START);
        assert_eq!(written["message"], expected, "{members}");
    }
}

#[test]
fn a_point_is_read_from_a_stored_document_by_its_fields() {
    let document = json!({
        "@timestamp": "2026-11-10T12:00:04.000Z", "rule": {"id": ["r2", "r1"]}, "user": {"name": "ann"},
        "sagemaker": {"findings": [{"title": "x"}, {"title": "y"}], "alert": {"identity": "ann's role"}},
        "source": {"as": {"number": 64500}}
    });
    let fields =
        ["user.name", "sagemaker.findings.title", "sagemaker.alert.origin", "source.as.number", "source.ip"];
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let point = Point::of_document("id", &document, &fields).unwrap();
    assert_eq!((point.id.as_str(), point.time), ("id", START + Duration::seconds(4)));
    assert_eq!(point.rules, ["r1", "r2"]);
    let values: Vec<(&str, Vec<&str>)> = point
        .values
        .iter()
        .map(|(field, values)| (field.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    let expected = [
        ("sagemaker.alert.origin", vec!["ann's role"]),
        ("sagemaker.findings.title", vec!["x", "y"]),
        ("source.as.number", vec!["64500"]),
        ("user.name", vec!["ann"]),
    ];
    assert_eq!(values, expected);
    assert!(Point::of_document("id", &json!({}), &fields).is_none());
}
