//! What holds for the searches and documents of a round as a whole.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::correlation::{GroupKey, Point, TOLD_FIELDS};
use sagetrail_core::incident::{
    Asset, DrillFields, Incident, NewsFields, Signal, State, Surroundings, Tally, Weights, assets, judge,
    rest,
};
use sagetrail_core::labels::HealthRule;
use sagetrail_core::timestamp::Timestamp;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use super::{bounds, changed, handing, points, standing, tally, tied, weak};
use crate::config::RulesConfig;
use crate::enrich::rules::RuleSet;
use crate::opensearch::events::no_drills;

const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);
const RULE: &str = "00000000-0000-4000-8000-000000000001";

/// The type of each mapped field, by its path.
fn mapped(templates: &[&str]) -> BTreeMap<String, String> {
    fn walk(properties: &Value, path: &str, mapped: &mut BTreeMap<String, String>) {
        for (name, field) in properties.as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match field["type"].as_str() {
                Some(kind) => drop(mapped.insert(path, kind.to_owned())),
                None => walk(&field["properties"], &path, mapped),
            }
        }
    }
    let mut mapped = BTreeMap::new();
    for text in templates {
        let template: Value = serde_json::from_str(text).unwrap();
        walk(&template["template"]["mappings"]["properties"], "", &mut mapped);
    }
    mapped
}

/// The paths of all values.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                leaves(member, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, found)),
        Value::Null => {}
        _ => drop(found.insert(path.to_owned())),
    }
}

fn document(number: u32, member: &str, outcome: &str, level: &str) -> Value {
    json!({
        "@timestamp": format!("2026-11-29T1{number}:00:00.000Z"), "message": format!("number {number}"),
        "event": {"outcome": outcome}, "cloud": {"account": {"id": "111122223333"}, "region": "eu-central-1"},
        "source": {"address": "203.0.113.5"},
        "sagemaker": {
            "categories": ["credential-theft"], (member): [{"id": RULE, "title": "Key stolen", "level": level, "reference": "https://example.com"}],
            "alert": {"origin": "role/a", "principal": format!("role/a/{number}"), "resource": format!("notebook/{number}"), "ties": ["notebook/0"]}
        }
    })
}

/// The second of two notebooks counts for more.
fn asset() -> Asset {
    Asset { arn: Some("notebook/1".to_owned()), tag: None, percent: 150, reason: "why".to_owned() }
}

fn tally() -> Tally {
    let documents =
        [document(0, "findings", "success", "critical"), document(1, "attempts", "failure", "high")];
    let signals: Vec<Signal> = documents
        .iter()
        .zip(0..)
        .map(|(document, number): (_, u32)| {
            let signal = Signal::read("i", &format!("id-{number}"), document).unwrap();
            let asset = assets::percent(&[asset()], signal.resource.as_deref(), &signal.tags);
            Signal { asset, ..signal }
        })
        .collect();
    Tally::of(&signals)
}

pub(super) fn incident() -> Incident {
    let weights = Weights::built_in();
    let around = Surroundings { usual: &BTreeSet::new(), weights: &weights, now: NOW };
    judge(&tally(), None, around).expect("a critical finding opens an incident")
}

#[test]
fn aggregations_say_what_adding_up_each_signal_says() {
    let millis = |number: u32| f64::from(number) * 3_600_000.0 + 1_795_946_400_000.0;
    let name = |key: &str, number| json!({"key": key, "at": {"value": millis(number)}});
    let names = |all: &[(&str, u32)]| json!({"buckets": all.iter().map(|(key, number)| name(key, *number)).collect::<Vec<_>>()});
    let told = |number, document| json!({"hits": {"hits": [{"_id": format!("id-{number}"), "_index": "i", "_source": document}]}});
    let resource = ["notebook/0", "notebook/1"];
    let matches = |number: u32, document: Value| {
        json!({"buckets": [{
        "key": RULE, "doc_count": 1, "last": {"value": millis(number)},
        "resources": names(&[(resource[number as usize], number)]), "told": told(number, document)}]})
    };
    let answer = json!({
        "hits": {"total": {"value": 2}},
        "aggregations": {
            "first": {"value": millis(0)}, "last": {"value": millis(1)}, "failed": {"doc_count": 1},
            "categories": {"buckets": [{"key": "credential-theft"}]},
            "findings": matches(0, document(0, "findings", "success", "critical")),
            "attempts": matches(1, document(1, "attempts", "failure", "high")),
            "origins": names(&[("role/a", 0)]), "principals": names(&[("role/a/0", 0), ("role/a/1", 1)]),
            "resources": names(&[("notebook/0", 0), ("notebook/1", 1), ("none", 0)]), "ties": names(&[("notebook/0", 0)]),
            "accounts": names(&[("111122223333", 0)]), "regions": names(&[("eu-central-1", 0)]),
            "addresses": names(&[("203.0.113.5", 0)])
        }
    });
    assert_eq!(tally::read(&answer, &[asset()]), tally());
    // Without any index there is nothing.
    assert_eq!(tally::read(&json!({"hits": {"total": {"value": 0}}}), &[asset()]), Tally::default());
}

/// A resource with how many documents about it have a tag, and how many do not.
type At<'r> = (&'r str, u32, u32);

/// An answer of which one rule has buckets of these resources.
fn answer_at(resources: &[(String, u32, u32)]) -> Value {
    let bucket = |(resource, tagged, others): &(String, u32, u32)| {
        json!({"key": resource, "at": {"value": 1_795_946_400_000.0}, "tags": {"buckets": {
            "1": {"doc_count": tagged}, "_other_": {"doc_count": others}
        }}})
    };
    let told = json!({"hits": {"hits": [{"_id": "id-0", "_index": "i", "_source": document(0, "findings", "success", "critical")}]}});
    json!({"hits": {"total": {"value": 1}}, "aggregations": {"findings": {"buckets": [{
        "key": RULE, "doc_count": 1, "last": {"value": 1_795_946_400_000.0}, "told": told,
        "resources": {"buckets": resources.iter().map(bucket).collect::<Vec<_>>()}
    }]}}})
}

#[test]
fn a_finding_counts_as_where_it_counts_most_and_less_only_where_it_does_everywhere() {
    let less = Asset { percent: 50, ..asset() };
    let tagged = Asset { arn: None, tag: Some("env=prod".to_owned()), percent: 70, ..asset() };
    let entries = [less, tagged];
    let cases: [(&[At<'_>], u32); 6] = [
        (&[("notebook/1", 0, 1)], 50),
        (&[("notebook/1", 1, 0)], 70),
        (&[("notebook/2", 1, 0)], 70),
        (&[("notebook/2", 1, 1)], 100),
        (&[("notebook/1", 0, 1), ("notebook/2", 0, 1)], 100),
        (&[], 100),
    ];
    for (resources, expected) in cases {
        let owned: Vec<_> = resources.iter().map(|(name, t, o)| ((*name).to_owned(), *t, *o)).collect();
        let tally = tally::read(&answer_at(&owned), &entries);
        assert_eq!(tally.findings[RULE].asset, expected, "{resources:?}");
    }
}

#[test]
fn patterns_are_asked_for_among_all_resources_only_where_there_are_more_than_are_named() {
    let many = |count: u32| (0..count).map(|number| (format!("job/{number}"), 0, 1)).collect::<Vec<_>>();
    let origins = ["role/a".to_owned()];
    let asked = |count, entries: &[Asset]| {
        tally::question_of_assets(&answer_at(&many(count)), &origins, NOW, entries)
    };
    let tagged = Asset { arn: None, tag: Some("env=prod".to_owned()), ..asset() };
    assert_eq!(asked(50, &[asset()]), None);
    assert_eq!(asked(51, std::slice::from_ref(&tagged)), None);
    let question = asked(51, &[tagged, asset()]).expect("there are more");
    let filters = &question["aggs"]["findings"]["aggs"]["assets"]["filters"]["filters"];
    assert_eq!(filters.as_object().map(|all| all.keys().map(String::as_str).collect()), Some(vec!["1"]));
    let mut tally = tally::read(&answer_at(&many(51)), &[asset()]);
    let found = json!({"aggregations": {"findings": {"buckets": [
        {"key": RULE, "assets": {"buckets": {"0": {"doc_count": 1}}}}
    ]}}});
    tally::read_assets(&found, &[asset()], &mut tally);
    assert_eq!(tally.findings[RULE].asset, 150);
}

#[test]
fn every_field_that_is_asked_for_is_mapped_so_that_it_can_be_asked() {
    fn collect(value: &Value, fields: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("field", Value::String(field)) => drop(fields.insert(field.clone())),
                        ("term" | "terms" | "range" | "wildcard", Value::Object(asked))
                            if !asked.contains_key("field") =>
                        {
                            fields.extend(asked.keys().cloned());
                        }
                        _ => collect(member, fields),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
            _ => {}
        }
    }
    let mut of_signals = BTreeSet::new();
    let window = changed::Window::new(None, NOW, &Weights::built_in().times);
    let tagged = Asset { arn: None, tag: Some("env=prod".to_owned()), ..asset() };
    for question in [
        tally::question(&["role/a".to_owned()], NOW, &[asset(), tagged]),
        changed::question(&["sagemaker.alert.origin".to_owned()], &window.filter(), None),
        tied::question(&incident(), NOW),
        weak::question(&["role/a"].into(), NOW),
    ] {
        collect(&question, &mut of_signals);
    }
    let events = mapped(&[include_str!("../../mappings/component-events-mappings.json")]);
    assert!(of_signals.len() > 10, "{of_signals:?}");
    let unmapped: Vec<_> = of_signals.iter().filter(|field| !events.contains_key(*field)).collect();
    assert!(unmapped.is_empty(), "{unmapped:?}");

    let mut of_incidents = BTreeSet::new();
    collect(&standing::question_of_last("role/a"), &mut of_incidents);
    collect(&handing::question(NOW), &mut of_incidents);
    let incidents = mapped(&[include_str!("../../mappings/template-incidents.json")]);
    assert!(of_incidents.iter().all(|field| incidents.contains_key(field)), "{of_incidents:?}");
}

#[test]
fn every_field_of_an_incident_is_mapped_and_every_mapped_one_is_written() {
    let weights = Weights::built_in();
    let mut written = BTreeSet::new();
    let mut whole = incident();
    whole.incident.follows = Some("another".to_owned());
    whole.incident.after = Some(whole.incident.opened);
    whole.incident.escalated = Some(whole.incident.opened);
    whole.incident.cut = vec!["resources".to_owned()];
    let sentence = Some(whole.message.clone());
    let reason = whole.incident.reason.clone();
    whole.incident.told.as_mut().expect("it paged").sentence = sentence.clone();
    let due = Timestamp(NOW + time::Duration::days(30));
    whole.incident.news = Some(NewsFields { due, reason, sentence });
    // One about the pipeline says these beside.
    whole.incident.rule = Some(HealthRule::Lag);
    whole.incident.subject = Some("111122223333 eu-central-1".to_owned());
    let quiet = rest(&whole, &weights, NOW + time::Duration::hours(7)).expect("it falls quiet");
    let mut closed = rest(&quiet, &weights, NOW + time::Duration::days(2)).expect("it closes");
    assert_eq!(closed.incident.state, State::Closed);
    // One of a drill says how that went.
    let at = Some(closed.incident.opened);
    closed.incident.drill = Some(DrillFields {
        id: "20261129-120000-0a1b2c3d".to_owned(),
        uploaded: at,
        read: at,
        stored: at,
        opened: at,
        told: at,
        ended: at,
        worked: Some(true),
        not_checked: vec!["critical → channels.soc".to_owned()],
    });
    leaves(&serde_json::to_value(&closed).unwrap(), "", &mut written);
    let mapped: BTreeSet<String> =
        mapped(&[include_str!("../../mappings/template-incidents.json")]).into_keys().collect();
    assert_eq!(written, mapped);
}

#[test]
fn every_field_of_a_match_is_mapped_and_its_points_are_read_as_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let base = format!(
        "title: A model was described\nid: {RULE}\nlevel: informational\nlogsource: {{product: aws}}\n\
         detection:\n  s: {{eventName: DescribeModel}}\n  condition: s\n"
    );
    let often = format!(
        "title: Often\nid: 00000000-0000-4000-8000-000000000900\nlevel: high\ncorrelation:\n  type: event_count\n  \
         rules: [{RULE}]\n  group-by: [sagemaker.alert.identity]\n  timespan: 10m\n  condition: {{gte: 3}}\n"
    );
    std::fs::write(folder.path().join("base.yml"), base).unwrap();
    std::fs::write(folder.path().join("often.yml"), often).unwrap();
    let config = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let rules = RuleSet::load(&config).unwrap();
    let correlation = rules.correlations().get("00000000-0000-4000-8000-000000000900").unwrap();

    let value = |field: &str| if field == "source.ip" { json!(["203.0.113.5"]) } else { json!(["x"]) };
    let told: BTreeMap<&str, Value> = TOLD_FIELDS.iter().map(|field| (*field, value(field))).collect();
    let hit = |number: u32| {
        let mut fields = json!(told);
        fields["@timestamp"] = json!([format!("2026-11-29T12:0{number}:00.000Z")]);
        fields["rule.id"] = json!([RULE]);
        json!({"_id": format!("id-{number}"), "fields": fields, "sort": [number]})
    };
    let answer = json!({"hits": {"hits": [hit(0), hit(1), hit(2)]}});
    let (found, after) = points::read(&answer, &correlation.fields());
    assert_eq!((found.len(), after), (3, None));
    let found: Vec<&Point> = found.iter().collect();
    let key = GroupKey(vec!["x".to_owned()]);
    let matches = correlation.matches(&key, &found);
    assert_eq!(matches.len(), 1);
    let (_, document) = matches[0].document(correlation, &key, &found, NOW);
    let mut written = BTreeSet::new();
    leaves(&document, "", &mut written);
    let mapped = mapped(&[
        include_str!("../../mappings/component-events-mappings.json"),
        include_str!("../../mappings/template-correlated.json"),
    ]);
    let unmapped: Vec<_> = written.iter().filter(|field| !mapped.contains_key(*field)).collect();
    assert!(unmapped.is_empty() && written.len() > 20, "{unmapped:?} of {written:?}");
    assert!(Signal::read("i", "id", &document).is_some(), "a match is a signal: {document:#}");

    let asked = points::question(correlation, &key, (NOW, NOW), Some(&json!([1])));
    assert_eq!(
        asked["query"]["bool"]["should"][0]["bool"]["filter"],
        json!([{"terms": {"rule.id": [RULE]}}, no_drills(), {"term": {"sagemaker.alert.identity": "x"}}])
    );
    assert_eq!(asked["search_after"], json!([1]));
}

#[test]
fn a_group_can_match_unless_a_whole_answer_says_that_there_is_too_little_of_it() {
    let rules = RuleSet::load(&RulesConfig::default()).unwrap();
    let of_kind = |kind: &str| rules.correlations().iter().find(|it| it.kind() == kind).unwrap();
    let changed = |key: &[&str]| {
        let keys: BTreeMap<String, &str> =
            key.iter().enumerate().map(|(number, key)| (format!("k{number}"), *key)).collect();
        let times = json!({"value": 1.8e12});
        let bucket = json!({"key": keys, "doc_count": 1, "first": times, "last": times, "oldest": times, "newest": times});
        changed::read(&json!({"aggregations": {"groups": {"buckets": [bucket]}}})).0.remove(0)
    };
    let answer = |key: &changed::Changed, count: u64, measured: Value| {
        let keys: BTreeMap<String, &String> =
            key.key.iter().enumerate().map(|(number, key)| (format!("k{number}"), key)).collect();
        json!({"aggregations": {"groups": {"buckets": [{"key": keys, "doc_count": count, "measured": measured}]}}})
    };

    let count = of_kind("event_count");
    let groups = [changed(&["a", "b"]), changed(&["c", "d"])];
    let two = [answer(&groups[0], 4, json!({})), answer(&groups[0], 3, json!({}))];
    assert_eq!(bounds::read(count, &groups, &two), [Some(7), Some(0)], "the points of all sources");

    let values = of_kind("value_count");
    let groups = [changed(&["a"])];
    // Values are counted roughly.
    assert_eq!(bounds::read(values, &groups, &[answer(&groups[0], 90, json!({"value": 5}))]), [Some(10)]);

    let order = of_kind("temporal_ordered");
    let first = json!({"buckets": [{"key": order.base()[0].id, "doc_count": 9}]});
    assert_eq!(bounds::read(order, &groups, &[answer(&groups[0], 9, first.clone())]), [Some(1)]);
    let both = [answer(&groups[0], 9, first.clone()), answer(&groups[0], 9, first)];
    assert_eq!(bounds::read(order, &groups, &both), [Some(1)], "one rule is one, in however many sources");

    let mut full = answer(&groups[0], 1, json!({"value": 1}));
    let bucket = full["aggregations"]["groups"]["buckets"][0].clone();
    full["aggregations"]["groups"]["buckets"] = json!(vec![bucket; changed::PAGE]);
    assert_eq!(bounds::read(values, &groups, &[full]), [None], "there is more behind a full page");
    assert_eq!(bounds::read(values, &groups, &[]), [None]);
}
