//! What verifications found, and whether they still run.

use sagetrail_core::incident::Trouble;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asked::{Found, MOST, Pair, buckets, by_account_and_region, clock, length, pairs, span, time_of};
use crate::config::HealthConfig;
use crate::correlator::asking::Asking;
use crate::enrich::plain;
use crate::opensearch::QueryError;
use crate::timestamp;

pub(super) async fn look_for_gaps(
    asking: &Asking,
    config: &HealthConfig,
    now: OffsetDateTime,
) -> Result<Found, QueryError> {
    let question = json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {"filter": [{"term": {"verification.outcome": "gap"}}, told_within(config, now)]}},
        "aggs": by_account_and_region(&json!({
            "gaps": {"sum": {"field": "verification.gaps"}},
            "first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}
        }))
    });
    let answer = asking.search(&asking.client.names().verified(), &question).await?;
    Ok(Some(read_gaps(&answer)))
}

fn read_gaps(answer: &Value) -> Vec<Trouble> {
    let trouble = |(pair, bucket): (Pair, &Value)| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "gaps are counted, and few"
        )]
        let gaps = bucket["gaps"]["value"].as_f64()? as u64;
        let said = format!(
            "{gaps} gap(s) in what CloudTrail delivered for account {} in {}: files or digests are missing or not what they were, on {} day(s)",
            pair.account, pair.region, bucket["doc_count"]
        );
        let times = (time_of(&bucket["first"])?, time_of(&bucket["last"])?);
        (gaps > 0).then(|| pair.trouble(times, gaps, said))
    };
    pairs(answer).into_iter().filter_map(trouble).collect()
}

pub(super) async fn look_for_silence(
    asking: &Asking,
    config: &HealthConfig,
    now: OffsetDateTime,
) -> Result<Found, QueryError> {
    let question = json!({
        "size": 0, "track_total_hits": false,
        "query": told_within(config, now),
        "aggs": {"places": {"terms": {"field": "verification.place", "size": MOST},
            "aggs": {"last": {"max": {"field": "@timestamp"}}}}}
    });
    let answer = asking.search(&asking.client.names().verification(), &question).await?;
    Ok(Some(read_silence(&answer, config, now)))
}

fn read_silence(answer: &Value, config: &HealthConfig, now: OffsetDateTime) -> Vec<Trouble> {
    let silence = length(config.verification_silence);
    let trouble = |bucket: &Value| {
        let place = plain(bucket["key"].as_str()?).into_owned();
        let (runs, last) = (bucket["doc_count"].as_u64()?, time_of(&bucket["last"])?);
        let is_silent = runs >= config.verification_runs && now - last >= silence;
        is_silent.then(|| Trouble {
            said: format!(
                "nobody has verified {place} since {}, for {}; it was verified {runs} times in the {} before",
                clock(last),
                span(silence),
                span(length(config.verification_history)),
            ),
            subject: place,
            account: None,
            region: None,
            since: last,
            last: last + silence,
            records: runs,
        })
    };
    buckets(&answer["aggregations"]["places"]).filter_map(trouble).collect()
}

fn told_within(config: &HealthConfig, now: OffsetDateTime) -> Value {
    let from = timestamp::format(now - length(config.verification_history));
    json!({"range": {"@timestamp": {"gte": from, "lte": timestamp::format(now)}}})
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

    #[test]
    fn a_place_that_was_verified_often_enough_and_then_long_enough_not_is_told() {
        let config = HealthConfig::default();
        let cases = [
            ("stopped", 3, Duration::days(3), true),
            ("on a weekend", 3, Duration::days(3) - Duration::seconds(1), false),
            ("by hand", 2, Duration::days(9), false),
        ];
        for (case, runs, ago, expected) in cases {
            let last = (NOW - ago).unix_timestamp() * 1_000;
            let bucket = json!({"key": "s3://trail/", "doc_count": runs, "last": {"value": last}});
            let answer = json!({"aggregations": {"places": {"buckets": [bucket]}}});
            assert_eq!(!read_silence(&answer, &config, NOW).is_empty(), expected, "{case}");
        }
    }

    #[test]
    fn gaps_are_told_for_each_account_and_region_that_has_some() {
        let region = |name: &str, gaps: f64| json!({"key": name, "doc_count": 2, "gaps": {"value": gaps}, "first": {"value": 1.0}, "last": {"value": 2.0}});
        let account =
            json!({"key": "111122223333", "regions": {"buckets": [region("a", 3.0), region("b", 0.0)]}});
        let found = read_gaps(&json!({"aggregations": {"accounts": {"buckets": [account]}}}));
        assert_eq!((found.len(), found[0].subject.as_str(), found[0].records), (1, "111122223333 a", 3));
        assert!(found[0].said.starts_with("3 gap(s)") && found[0].said.ends_with("on 2 day(s)"));
    }
}
