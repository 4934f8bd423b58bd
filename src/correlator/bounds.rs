//! Asks how much there is around the new points of groups, so that points are read of those alone that could match
//! (pure).

use std::collections::{BTreeSet, HashMap};

use sagetrail_core::correlation::{Correlation, Measure, Source};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::changed::{self, Changed};
use crate::opensearch::events::no_drills;
use crate::timestamp;

/// From how many on different values are counted roughly. What is compared with it is doubled.
const PRECISION: u32 = 200;

/// The searches that measure some groups of a correlation, one for each of its sources; none where nothing can be
/// measured.
pub(super) fn questions(correlation: &Correlation, groups: &[Changed]) -> Vec<Value> {
    let (Some(first), Some(last)) =
        (groups.iter().map(|group| group.first).min(), groups.iter().map(|group| group.last).max())
    else {
        return Vec::new();
    };
    let around = correlation.around(first, last);
    let measured = match correlation.measure() {
        Measure::Unknown => return Vec::new(),
        Measure::Points => json!({}),
        Measure::Values(field) => {
            json!({"measured": {"cardinality": {"field": field, "precision_threshold": PRECISION}}})
        }
        Measure::Bases => {
            let rules: BTreeSet<&str> = correlation.base().iter().map(|base| base.id.as_str()).collect();
            json!({"measured": {"terms": {"field": "rule.id", "include": rules, "size": rules.len()}}})
        }
    };
    correlation.sources().iter().map(|source| question(source, groups, around, &measured)).collect()
}

fn question(
    source: &Source,
    groups: &[Changed],
    (from, to): (OffsetDateTime, OffsetDateTime),
    measured: &Value,
) -> Value {
    let mut filter = vec![
        json!({"terms": {"rule.id": source.rules}}),
        no_drills(),
        json!({"range": {"@timestamp": {"gte": timestamp::format(from), "lte": timestamp::format(to)}}}),
    ];
    for (number, field) in source.fields.iter().enumerate() {
        let values: BTreeSet<&String> = groups.iter().filter_map(|group| group.key.get(number)).collect();
        let mut terms = Map::new();
        terms.insert(field.clone(), json!(values));
        filter.push(json!({ "terms": terms }));
    }
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": filter}},
        "aggs": {"groups": {"composite": changed::composite(&source.fields, None), "aggs": measured}}
    })
}

/// What each of the groups can count at most, by the answers to the searches for them; none where that is not known.
pub(super) fn read(correlation: &Correlation, groups: &[Changed], answers: &[Value]) -> Vec<Option<u64>> {
    let is_whole = !answers.is_empty() && answers.iter().all(|answer| buckets(answer).len() < changed::PAGE);
    let mut measured: HashMap<Vec<String>, Measured> = HashMap::new();
    for bucket in answers.iter().flat_map(buckets) {
        if let Some(key) = changed::key(bucket) {
            measured.entry(key).or_default().add(bucket);
        }
    }
    let most = |group: &Changed| match measured.get(&group.key) {
        Some(measured) => Some(measured.most(correlation)),
        // Of whom there is nothing, unless there was no room for all.
        None => is_whole.then_some(0),
    };
    // A group can have more in the next page of a source.
    groups.iter().map(|group| most(group).filter(|_| is_whole)).collect()
}

/// What was counted of a group.
#[derive(Debug, Default)]
struct Measured {
    points: u64,
    values: u64,
    rules: BTreeSet<String>,
}

impl Measured {
    fn add(&mut self, bucket: &Value) {
        self.points += bucket["doc_count"].as_u64().unwrap_or_default();
        self.values += bucket["measured"]["value"].as_u64().unwrap_or_default();
        let rules = bucket["measured"]["buckets"].as_array().into_iter().flatten();
        self.rules.extend(rules.filter_map(|rule| rule["key"].as_str().map(str::to_owned)));
    }

    fn most(&self, correlation: &Correlation) -> u64 {
        match correlation.measure() {
            Measure::Points | Measure::Unknown => self.points,
            Measure::Values(_) => self.values * 2,
            Measure::Bases => {
                let bases = correlation.base().iter().filter(|base| self.rules.contains(&base.id));
                bases.count() as u64
            }
        }
    }
}

fn buckets(answer: &Value) -> &[Value] {
    answer["aggregations"]["groups"]["buckets"].as_array().map_or(&[][..], Vec::as_slice)
}
