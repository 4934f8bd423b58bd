//! Asks how many points of a group came in each timespan of the days before, where a correlation compares with them (pure).

use sagetrail_core::correlation::{Correlation, Counted, GroupKey, History};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::changed::at;
use super::points;
use crate::timestamp;

/// The search for the counts of a group from a time on, one for each timespan; none where nothing is compared.
pub(super) fn question(
    correlation: &Correlation,
    key: &GroupKey,
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> Option<Value> {
    let rhythm = correlation.rhythm()?;
    let interval = format!("{}s", correlation.timespan().whole_seconds());
    let left_out = match rhythm.until_known_without() {
        Some((field, value)) => points::term(field, value),
        None => json!({"match_none": {}}),
    };
    Some(json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"range": {"@timestamp": {
                "gte": timestamp::format(correlation.history_from(from)), "lte": timestamp::format(to)
            }}}],
            "should": points::sources(correlation, key), "minimum_should_match": 1
        }},
        "aggs": {"windows": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1},
            "aggs": {"left_out": {"filter": left_out}}
        }}
    }))
}

pub(super) fn read(answer: &Value, correlation: &Correlation) -> History {
    let mut history = History::default();
    for bucket in answer["aggregations"]["windows"]["buckets"].as_array().into_iter().flatten() {
        let Some(start) = bucket["key"].as_f64().and_then(at) else { continue };
        let count = |value: &Value| value["doc_count"].as_u64().unwrap_or_default();
        let counted = Counted { all: count(bucket), left_out: count(&bucket["left_out"]) };
        history.insert(correlation, start, counted);
    }
    history
}
