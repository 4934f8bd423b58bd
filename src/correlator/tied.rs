//! Finds whose signals came before those of an incident that they are tied to (pure).

use std::collections::BTreeSet;

use sagetrail_core::incident::Incident;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::tally;
use crate::enrich::selves;
use crate::timestamp;

/// Origins that are looked at for one incident; whether each belongs to it is decided by what it did.
const MOST_ORIGINS: usize = 100;

/// The search for the origins of signals that an incident may be tied to. Any number of keys is one clause, so that
/// somebody who changes many things does not make it one that OpenSearch refuses or takes long for.
pub(super) fn question(incident: &Incident, from: OffsetDateTime) -> Value {
    let fields = &incident.incident;
    let mut keys = selves(fields.origins.iter().chain(&fields.principals).map(String::as_str));
    keys.extend(fields.ties.iter().cloned());
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {
            "filter": [tally::signals(), {"range": {"@timestamp": {"gte": timestamp::format(from)}}}],
            "minimum_should_match": 1,
            "should": [
                {"terms": {"sagemaker.alert.ties": keys}},
                {"terms": {"sagemaker.alert.selves": fields.ties}}
            ]
        }},
        "aggs": {"origins": {"terms": {"field": "sagemaker.alert.origin", "size": MOST_ORIGINS}}}
    })
}

/// The origins that are not the incident's own.
pub(super) fn read(answer: &Value, incident: &Incident) -> BTreeSet<String> {
    let buckets = answer["aggregations"]["origins"]["buckets"].as_array().into_iter().flatten();
    let origins = buckets.filter_map(|bucket| bucket["key"].as_str().map(str::to_owned));
    origins.filter(|origin| !incident.incident.origins.contains(origin)).collect()
}
