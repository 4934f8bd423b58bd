//! Asks how many points of a group came in each half of a timespan of the days before, where a correlation compares
//! with them (pure).

use sagetrail_core::correlation::{Correlation, GroupKey, History};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::changed::at;
use super::points;
use crate::timestamp;

/// The search for the counts of a group from a time on, one for each half of a timespan; none where nothing is
/// compared.
pub(super) fn question(
    correlation: &Correlation,
    key: &GroupKey,
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> Option<Value> {
    correlation.rhythm()?;
    let interval = format!("{}s", correlation.counted_seconds());
    Some(json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"range": {"@timestamp": {
                "gte": timestamp::format(correlation.history_from(from)), "lte": timestamp::format(to)
            }}}],
            "should": points::sources(correlation, key), "minimum_should_match": 1
        }},
        "aggs": {"windows": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1}
        }}
    }))
}

pub(super) fn read(answer: &Value, correlation: &Correlation) -> History {
    let mut history = History::default();
    for bucket in answer["aggregations"]["windows"]["buckets"].as_array().into_iter().flatten() {
        let Some(start) = bucket["key"].as_f64().and_then(at) else { continue };
        history.insert(correlation, start, bucket["doc_count"].as_u64().unwrap_or_default());
    }
    history
}
