//! Asks what the signals of some origins say together, and reads the answer into a tally (pure).
//!
//! The aggregations come to what adding up each signal would, so that an attack of a hundred thousand records costs one
//! small answer.

use std::collections::BTreeMap;

use sagetrail_core::incident::assets::WHOLE;
use sagetrail_core::incident::{Asset, Finding, Kept, MOST, MOST_TIES, Signal, Tally, Told};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::changed::at;
use crate::enrich::NO_KEY;
use crate::timestamp;

/// Rules of which a tally knows what they found: more than there are, because the rarest would be left out.
const MOST_RULES: usize = 1_000;
/// Sentences of the documents that told a finding first are read with these.
const TOLD: [&str; 7] = [
    "@timestamp",
    "message",
    "sagemaker.alert.principal",
    "sagemaker.alert.resource",
    "sagemaker.categories",
    "sagemaker.findings",
    "sagemaker.attempts",
];

/// The names that a tally keeps, with their fields.
const NAMES: [(&str, &str); 7] = [
    ("origins", "sagemaker.alert.origin"),
    ("principals", "sagemaker.alert.principal"),
    ("resources", "sagemaker.alert.resource"),
    ("ties", "sagemaker.alert.ties"),
    ("accounts", "cloud.account.id"),
    ("regions", "cloud.region"),
    ("addresses", "source.address"),
];

/// Which documents are signals.
pub(super) fn signals() -> Value {
    json!({"bool": {"minimum_should_match": 1, "should": [
        {"exists": {"field": "sagemaker.findings.id"}}, {"exists": {"field": "sagemaker.attempts.id"}}
    ]}})
}

/// The search for what the signals of these origins say from a time on.
pub(super) fn question(origins: &[String], from: OffsetDateTime, assets: &[Asset]) -> Value {
    let mut aggregations = json!({
        "first": {"min": {"field": "@timestamp"}},
        "last": {"max": {"field": "@timestamp"}},
        "failed": {"filter": {"term": {"event.outcome": "failure"}}},
        "categories": {"terms": {"field": "sagemaker.categories", "size": MOST}},
        "findings": matches("sagemaker.findings.id", assets),
        "attempts": matches("sagemaker.attempts.id", assets)
    });
    for (name, field) in NAMES {
        aggregations[name] = names(field, most(name));
    }
    json!({
        "size": 0,
        "track_total_hits": true,
        "query": {"bool": {"filter": [
            signals(),
            {"terms": {"sagemaker.alert.origin": origins}},
            {"exists": {"field": "sagemaker.alert.principal"}},
            {"range": {"@timestamp": {"gte": timestamp::format(from)}}}
        ]}},
        "aggs": aggregations
    })
}

/// Ties are compared and not shown, so more of them are kept: few decoys would hide one.
fn most(name: &str) -> usize {
    if name == "ties" { MOST_TIES } else { MOST }
}

/// One name more than is kept, the earliest first, so that it shows when there are more.
fn names(field: &str, most: usize) -> Value {
    json!({
        "terms": {"field": field, "size": most + 1, "order": [{"at": "asc"}, {"_key": "asc"}]},
        "aggs": {"at": {"min": {"field": "@timestamp"}}}
    })
}

fn matches(field: &str, assets: &[Asset]) -> Value {
    let mut matches = json!({
        "terms": {"field": field, "size": MOST_RULES},
        "aggs": {
            "last": {"max": {"field": "@timestamp"}},
            "resources": names("sagemaker.alert.resource", MOST),
            "told": {"top_hits": {"size": 1, "sort": [{"@timestamp": "asc"}, {"event.id": {"order": "asc", "unmapped_type": "keyword"}}], "_source": TOLD}}
        }
    });
    if !assets.is_empty() {
        let fits = |(place, asset): (usize, &Asset)| (place.to_string(), is_of(asset));
        let filters: Map<String, Value> = assets.iter().enumerate().map(fits).collect();
        matches["aggs"]["assets"] = json!({"filters": {"filters": filters, "other_bucket": true}});
    }
    matches
}

/// Which documents are about a resource of an entry.
fn is_of(asset: &Asset) -> Value {
    match (&asset.arn, &asset.tag) {
        (Some(arn), _) => {
            // Neither `?` nor `\\` is special in an entry.
            let arn = arn.replace('\\', "\\\\").replace('?', "\\?");
            json!({"wildcard": {"sagemaker.alert.resource": {"value": arn, "case_insensitive": true}}})
        }
        (None, tag) => json!({"bool": {"minimum_should_match": 1, "should": [
            {"term": {"sagemaker.resource.tags": tag}}, {"term": {"sagemaker.tags": tag}}
        ]}}),
    }
}

/// Reads the answer.
pub(super) fn read(answer: &Value, assets: &[Asset]) -> Tally {
    let aggregations = &answer["aggregations"];
    let kept = |name: &str| kept(&read_names(&aggregations[name]), most(name));
    let signals = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
    let mut findings: BTreeMap<String, Found> = BTreeMap::new();
    for of in ["findings", "attempts"] {
        for bucket in buckets(&aggregations[of]) {
            let Some((rule, found)) = read_match(bucket, assets) else { continue };
            match findings.get_mut(&rule) {
                Some(known) => known.join(found),
                None => drop(findings.insert(rule, found)),
            }
        }
    }
    let findings = findings.into_iter().map(|(rule, found)| (rule, found.finding())).collect();
    Tally {
        origins: kept("origins"),
        principals: kept("principals"),
        resources: kept("resources"),
        ties: kept("ties"),
        accounts: kept("accounts"),
        regions: kept("regions"),
        addresses: kept("addresses"),
        categories: buckets(&aggregations["categories"]).filter_map(key).collect(),
        findings,
        signals,
        succeeded: signals.saturating_sub(aggregations["failed"]["doc_count"].as_u64().unwrap_or_default()),
        first: time_of(&aggregations["first"]),
        last: time_of(&aggregations["last"]),
    }
}

/// Names with when each was seen first.
type Names = Vec<(String, OffsetDateTime)>;

fn read_names(names: &Value) -> Names {
    let name = |bucket: &Value| key(bucket).zip(time_of(&bucket["at"]));
    buckets(names).filter_map(name).filter(|(name, _)| name != NO_KEY).collect()
}

fn kept(names: &Names, most: usize) -> Kept {
    let mut kept = Kept::default();
    for (name, at) in names {
        kept.add_to(most, name, *at);
    }
    kept
}

/// What one rule found, with the resources where it did.
struct Found {
    finding: Finding,
    resources: Names,
}

impl Found {
    /// A rule can be a finding of one record and an attempt of another.
    fn join(&mut self, other: Self) {
        let Self { finding: known, resources } = self;
        let found = other.finding;
        known.severity = known.severity.max(found.severity);
        known.count += found.count;
        known.last = known.last.max(found.last);
        known.asset = known.asset.max(found.asset);
        if found.first < known.first {
            known.first = found.first;
        }
        resources.extend(other.resources);
    }

    fn finding(self) -> Finding {
        Finding { resources: kept(&self.resources, MOST), ..self.finding }
    }
}

/// What one rule found, as the document that told it first has it.
fn read_match(bucket: &Value, assets: &[Asset]) -> Option<(String, Found)> {
    let rule = key(bucket)?;
    let hit = &bucket["told"]["hits"]["hits"][0];
    let (id, index) = (hit["_id"].as_str()?, hit["_index"].as_str()?);
    let signal = Signal::read(index, id, &with_keys(&hit["_source"]))?;
    let found = signal.findings.iter().find(|finding| finding.id == rule)?;
    let finding = Finding {
        title: found.title.clone(),
        severity: found.severity(),
        reference: found.reference.clone(),
        count: bucket["doc_count"].as_u64()?,
        resources: Kept::default(),
        asset: read_asset(&bucket["assets"], assets),
        first: Told {
            time: in_millis(signal.time),
            id: signal.id.clone(),
            index: signal.index.clone(),
            message: signal.message.clone(),
            principal: signal.principal.clone(),
            resource: signal.resource.clone(),
            categories: signal.categories.clone(),
        },
        last: time_of(&bucket["last"])?,
    };
    Some((rule, Found { finding, resources: read_names(&bucket["resources"]) }))
}

/// The most that an entry makes of a resource that something was found at.
fn read_asset(found: &Value, assets: &[Asset]) -> u32 {
    let has_any = |name: &str| found["buckets"][name]["doc_count"].as_u64().is_some_and(|count| count > 0);
    let fitting = assets.iter().enumerate().filter(|(place, _)| has_any(&place.to_string()));
    let others = has_any("_other_").then_some(WHOLE);
    fitting.map(|(_, asset)| asset.percent).chain(others).max().unwrap_or(WHOLE)
}

/// A signal names its origin, which every document of the answer has.
fn with_keys(source: &Value) -> Value {
    let mut source = source.clone();
    source["sagemaker"]["alert"]["origin"] = json!(NO_KEY);
    source
}

/// The time as documents of incidents write it, so that what is read of them compares as the same.
fn in_millis(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

fn buckets(aggregation: &Value) -> impl Iterator<Item = &Value> {
    aggregation["buckets"].as_array().into_iter().flatten()
}

fn key(bucket: &Value) -> Option<String> {
    bucket["key"].as_str().map(str::to_owned)
}

fn time_of(value: &Value) -> Option<OffsetDateTime> {
    at(value["value"].as_f64()?)
}
