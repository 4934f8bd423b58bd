//! Whose records arrive late, also the freshest of them.

use sagetrail_core::incident::Trouble;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::asked::{self, Found, Pair, length, span, time_of};
use crate::config::HealthConfig;
use crate::correlator::asking::Asking;
use crate::enrich::plain;
use crate::opensearch::QueryError;
use crate::opensearch::events::no_drills;
use crate::timestamp;

/// Accounts and regions in one page, with up to a bucket for each minute.
const PAGE: usize = 500;

pub(super) async fn look(
    asking: &Asking,
    config: &HealthConfig,
    now: OffsetDateTime,
) -> Result<Found, QueryError> {
    let events = asking.client.names().events();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        if asking.is_over() {
            return Ok(None);
        }
        let answer = asking.search(&events, &question(config, now, after.as_ref())).await?;
        let (page, next) = read(&answer, config);
        found.extend(page);
        after = next;
        if after.is_none() {
            return Ok(Some(found));
        }
    }
}

/// How old records were is compared by the minute in which they were stored, as OpenSearch calculates nothing without a
/// script.
fn question(config: &HealthConfig, now: OffsetDateTime, after: Option<&Value>) -> Value {
    let mut composite = json!({"size": PAGE, "sources": [
        {"account": {"terms": {"field": "cloud.account.id"}}}, {"region": {"terms": {"field": "cloud.region"}}}
    ]});
    if let Some(after) = after {
        composite["after"] = after.clone();
    }
    let (stored, happened) = (now - length(config.lag_window), now - length(config.event_age));
    json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {"filter": [
            {"range": {"event.ingested": {"gte": timestamp::format(stored), "lte": timestamp::format(now)}}},
            {"range": {"@timestamp": {"gte": timestamp::format(happened)}}},
            no_drills()
        ]}},
        "aggs": {"pairs": {"composite": composite, "aggs": {"minutes": {
            "date_histogram": {"field": "event.ingested", "fixed_interval": "1m", "min_doc_count": 1},
            "aggs": {
                "first": {"min": {"field": "event.ingested"}}, "last": {"max": {"field": "event.ingested"}},
                "freshest": {"max": {"field": "@timestamp"}}
            }
        }}}}
    })
}

fn read(answer: &Value, config: &HealthConfig) -> (Vec<Trouble>, Option<Value>) {
    let pairs = &answer["aggregations"]["pairs"];
    let buckets: Vec<&Value> = asked::buckets(pairs).collect();
    let after = (buckets.len() >= PAGE).then(|| pairs["after_key"].clone()).filter(Value::is_object);
    (buckets.into_iter().filter_map(|bucket| judge(bucket, config)).collect(), after)
}

fn judge(bucket: &Value, config: &HealthConfig) -> Option<Trouble> {
    let key: &Map<String, Value> = bucket["key"].as_object()?;
    let name = |of: &str| Some(plain(key.get(of)?.as_str()?).into_owned());
    let records = bucket["doc_count"].as_u64()?;
    let (mut age, mut since, mut last): (Option<Duration>, _, _) = (None, None, None);
    for minute in asked::buckets(&bucket["minutes"]) {
        let (first, freshest) = (time_of(&minute["first"])?, time_of(&minute["freshest"])?);
        let youngest = first - freshest;
        age = Some(age.map_or(youngest, |age| age.min(youngest)));
        since = since.or(Some(first));
        last = time_of(&minute["last"]).max(last);
    }
    let (age, since, last) = (age?, since?, last?);
    if records < config.lag_records || age < length(config.lag) {
        return None;
    }
    let pair = Pair { account: name("account")?, region: name("region")? };
    let said = format!(
        "records of account {} in {} arrive at least {} late, all {records} of the last {}",
        pair.account,
        pair.region,
        span(age),
        span(length(config.lag_window)),
    );
    Some(pair.trouble((since, last), records, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_when_the_freshest_record_of_each_minute_is_late_it_lags() {
        let minute = |at: u64, age_minutes: u64| {
            let millis = |minute: u64| json!({"value": minute * 60_000});
            json!({"first": millis(at), "last": millis(at), "freshest": millis(at - age_minutes)})
        };
        let cases = [
            ("late", 10, vec![minute(100, 30), minute(105, 45)], Some("at least 30 minutes late, all 10 of")),
            ("one is fresh", 10, vec![minute(100, 45), minute(105, 29)], None),
            ("too few", 9, vec![minute(100, 45)], None),
            ("hours", 500, vec![minute(1_000, 150)], Some("at least 2 hours late")),
        ];
        for (case, records, minutes, expected) in cases {
            let bucket = json!({"key": {"account": "111122223333", "region": "eu-central-1"},
                "doc_count": records, "minutes": {"buckets": minutes}});
            let answer = json!({"aggregations": {"pairs": {"buckets": [bucket], "after_key": {}}}});
            let (found, after) = read(&answer, &HealthConfig::default());
            assert_eq!(after, None);
            let said = found.first().map(|trouble| trouble.said.as_str());
            assert_eq!(said.is_some(), expected.is_some(), "{case}: {said:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()), "{case}: {said:?}");
        }
    }
}
