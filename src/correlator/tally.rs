//! Asks what the signals of some origins say together, and reads the answer into a tally (pure).
//!
//! The aggregations come to what adding up each signal would, so that an attack of a hundred thousand records costs one
//! small answer.

use std::collections::BTreeMap;

use sagetrail_core::incident::{Asset, Finding, Kept, MOST, MOST_ASKED, Signal, Tally, Told, assets};
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

/// Where rules that matched stand, with their fields.
const MATCHES: [(&str, &str); 2] =
    [("findings", "sagemaker.findings.id"), ("attempts", "sagemaker.attempts.id")];

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
    });
    for (of, field) in MATCHES {
        aggregations[of] = matches(field, assets);
    }
    for (name, field) in NAMES {
        aggregations[name] = names(field, most(name));
    }
    asking_of(origins, from, &aggregations)
}

/// The search for the entries that fit any resource of a rule that found something at more resources than are named.
/// What a pattern fits is looked for among all resources of the indices, which takes longer the more there are: so it
/// is asked only then.
pub(super) fn question_of_assets(
    answer: &Value,
    origins: &[String],
    from: OffsetDateTime,
    assets: &[Asset],
) -> Option<Value> {
    let is_cut = |bucket: &Value| buckets(&bucket["resources"]).count() > MOST;
    let any_is_cut = MATCHES.iter().any(|(of, _)| buckets(&answer["aggregations"][of]).any(is_cut));
    if !any_is_cut || assets.iter().all(|asset| asset.arn.is_none()) {
        return None;
    }
    let fits = |(place, asset): (usize, &Asset)| Some((place.to_string(), has_arn(asset.arn.as_ref()?)));
    let filters: Map<String, Value> = assets.iter().enumerate().filter_map(fits).collect();
    let mut aggregations = json!({});
    for (of, field) in MATCHES {
        aggregations[of] = json!({
            "terms": {"field": field, "size": MOST_RULES},
            "aggs": {"assets": {"filters": {"filters": filters}}}
        });
    }
    Some(asking_of(origins, from, &aggregations))
}

fn asking_of(origins: &[String], from: OffsetDateTime, aggregations: &Value) -> Value {
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

fn most(name: &str) -> usize {
    if ["origins", "principals", "ties"].contains(&name) { MOST_ASKED } else { MOST }
}

/// One name more than is kept, the earliest first, so that it shows when there are more.
fn names(field: &str, most: usize) -> Value {
    json!({
        "terms": {"field": field, "size": most + 1, "order": [{"at": "asc"}, {"_key": "asc"}]},
        "aggs": {"at": {"min": {"field": "@timestamp"}}}
    })
}

fn matches(field: &str, assets: &[Asset]) -> Value {
    let mut resources = names("sagemaker.alert.resource", MOST);
    let has = |(place, asset): (usize, &Asset)| Some((place.to_string(), has_tag(asset.tag.as_ref()?)));
    let tags: Map<String, Value> = assets.iter().enumerate().filter_map(has).collect();
    if !tags.is_empty() {
        resources["aggs"]["tags"] = json!({"filters": {"filters": tags, "other_bucket": true}});
    }
    json!({
        "terms": {"field": field, "size": MOST_RULES},
        "aggs": {
            "last": {"max": {"field": "@timestamp"}},
            "resources": resources,
            "told": {"top_hits": {"size": 1, "sort": [{"@timestamp": "asc"}, {"event.id": {"order": "asc", "unmapped_type": "keyword"}}], "_source": TOLD}}
        }
    })
}

fn has_tag(tag: &str) -> Value {
    json!({"bool": {"minimum_should_match": 1, "should": [
        {"term": {"sagemaker.resource.tags": tag}}, {"term": {"sagemaker.tags": tag}}
    ]}})
}

fn has_arn(pattern: &str) -> Value {
    // Neither `?` nor `\\` is special in an entry.
    let pattern = pattern.replace('\\', "\\\\").replace('?', "\\?");
    json!({"wildcard": {"sagemaker.alert.resource": {"value": pattern, "case_insensitive": true}}})
}

/// Reads the answer.
pub(super) fn read(answer: &Value, assets: &[Asset]) -> Tally {
    let aggregations = &answer["aggregations"];
    let kept = |name: &str| kept(&read_names(&aggregations[name]), most(name));
    let signals = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
    let mut findings: BTreeMap<String, Found> = BTreeMap::new();
    for (of, _) in MATCHES {
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

/// Reads which entries fit resources that were not named, and lets findings count by them.
pub(super) fn read_assets(answer: &Value, assets: &[Asset], tally: &mut Tally) {
    let aggregations = &answer["aggregations"];
    for bucket in MATCHES.iter().flat_map(|(of, _)| buckets(&aggregations[of])) {
        let Some(finding) = key(bucket).and_then(|rule| tally.findings.get_mut(&rule)) else { continue };
        for (place, asset) in assets.iter().enumerate() {
            if has_any(&bucket["assets"], &place.to_string()) {
                finding.asset = finding.asset.max(asset.percent);
            }
        }
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
        asset: read_asset(&bucket["resources"], assets).unwrap_or(assets::WHOLE),
        first: Told { time: in_millis(signal.time), ..Told::by(&signal) },
        last: time_of(&bucket["last"])?,
    };
    Some((rule, Found { finding, resources: read_names(&bucket["resources"]) }))
}

/// The most that an entry makes of a named resource that something was found at.
fn read_asset(resources: &Value, assets: &[Asset]) -> Option<u32> {
    let of_bucket = |bucket: &Value| {
        let resource = key(bucket)?;
        let percent = |tags: &[String]| assets::percent(assets, Some(&resource), tags);
        let tagged = assets.iter().enumerate().filter_map(|(place, asset)| {
            let tag = asset.tag.clone().filter(|_| has_any(&bucket["tags"], &place.to_string()))?;
            Some(percent(&[tag]))
        });
        let has_others = bucket["tags"].is_null() || has_any(&bucket["tags"], "_other_");
        tagged.chain(has_others.then(|| percent(&[]))).max()
    };
    buckets(resources).filter_map(of_bucket).max()
}

/// Whether documents are in a bucket of this name.
fn has_any(filters: &Value, name: &str) -> bool {
    filters["buckets"][name]["doc_count"].as_u64().is_some_and(|count| count > 0)
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
