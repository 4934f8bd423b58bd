//! Which records were not stored, by the reason.

use sagetrail_core::incident::Trouble;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asked::{Found, buckets, length, span, time_of};
use crate::config::HealthConfig;
use crate::correlator::asking::Asking;
use crate::enrich::plain;
use crate::opensearch::QueryError;
use crate::timestamp;

/// There are a handful.
const MOST_REASONS: usize = 50;

pub(super) async fn look(
    asking: &Asking,
    config: &HealthConfig,
    now: OffsetDateTime,
) -> Result<Found, QueryError> {
    let from = timestamp::format(now - length(config.rejected_window));
    let question = json!({
        "size": 0, "track_total_hits": false,
        "query": {"range": {"@timestamp": {"gte": from, "lte": timestamp::format(now)}}},
        "aggs": {"reasons": {"terms": {"field": "reason", "size": MOST_REASONS}, "aggs": {
            "first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}
        }}}
    });
    let answer = asking.search(&asking.client.names().rejected(), &question).await?;
    Ok(Some(read(&answer, config)))
}

fn read(answer: &Value, config: &HealthConfig) -> Vec<Trouble> {
    let trouble = |bucket: &Value| {
        let (reason, records) = (plain(bucket["key"].as_str()?).into_owned(), bucket["doc_count"].as_u64()?);
        if records < config.rejected_records {
            return None;
        }
        let counted =
            if records == 1 { "1 record was".to_owned() } else { format!("{records} records were") };
        let within = span(length(config.rejected_window));
        Some(Trouble {
            said: format!("{counted} rejected within {within}, for the reason: {reason}"),
            subject: reason,
            account: None,
            region: None,
            since: time_of(&bucket["first"])?,
            last: time_of(&bucket["last"])?,
            records,
        })
    };
    buckets(&answer["aggregations"]["reasons"]).filter_map(trouble).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_with_enough_records_is_told() {
        let bucket = |reason: &str, count: u64| json!({"key": reason, "doc_count": count, "first": {"value": 1_000.0}, "last": {"value": 2_000.0}});
        let answer =
            json!({"aggregations": {"reasons": {"buckets": [bucket("malformed", 3), bucket("refused", 1)]}}});
        let said = |records: u64| {
            let config = HealthConfig { rejected_records: records, ..HealthConfig::default() };
            read(&answer, &config).into_iter().map(|trouble| trouble.said).collect::<Vec<_>>()
        };
        let malformed = "3 records were rejected within 15 minutes, for the reason: malformed";
        assert_eq!(said(1), [malformed, "1 record was rejected within 15 minutes, for the reason: refused"]);
        assert_eq!(said(2), [malformed]);
        assert_eq!(said(4), Vec::<String>::new());
    }
}
