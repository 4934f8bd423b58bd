//! Who sent records and sends none any more.
//!
//! What came in an hour does not change once the hour is over, so each is asked once, and the present one each time.
//! Records that were old when they came are no sign of life: somebody replays them.

use std::collections::BTreeMap;

use sagetrail_core::incident::Trouble;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::asked::{Found, Pair, by_account_and_region, clock, length, pairs, span, time_of};
use crate::config::HealthConfig;
use crate::correlator::asking::Asking;
use crate::opensearch::QueryError;
use crate::opensearch::events::no_drills;
use crate::timestamp;

/// An hour is asked again for as long after its end: clocks differ, and documents are found after a refresh.
const LATE: Duration = Duration::minutes(5);
/// Hours in one request.
const AT_ONCE: usize = 24;
const HOUR: i64 = 3_600;

/// What came in the hours of the past, by their number since 1970.
#[derive(Debug, Default)]
pub(super) struct History {
    hours: BTreeMap<i64, Hour>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Hour {
    /// Whether nothing more can come.
    is_over: bool,
    pairs: BTreeMap<Pair, Came>,
}

/// How many records came, and when the last one did.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Came {
    records: u64,
    last: OffsetDateTime,
}

impl History {
    /// None until the whole history is known.
    pub(super) async fn look(
        &mut self,
        asking: &Asking,
        config: &HealthConfig,
        now: OffsetDateTime,
    ) -> Result<Found, QueryError> {
        let events = asking.client.names().events();
        let open = self.open(config, now);
        for hours in open.chunks(AT_ONCE) {
            if asking.is_over() {
                return Ok(None);
            }
            let questions: Vec<Value> = hours.iter().map(|hour| question(*hour, config)).collect();
            let answers = asking.search_several(&events, &questions).await?;
            for (hour, answer) in hours.iter().zip(&answers) {
                let is_over = start(hour + 1) + LATE <= now;
                self.hours.insert(*hour, Hour { is_over, pairs: read(answer) });
            }
        }
        Ok(Some(self.judge(config, now)))
    }

    /// The hours that have to be asked, the latest first.
    fn open(&mut self, config: &HealthConfig, now: OffsetDateTime) -> Vec<i64> {
        let present = now.unix_timestamp().div_euclid(HOUR);
        let oldest = (now - length(config.silence_history)).unix_timestamp().div_euclid(HOUR);
        self.hours = self.hours.split_off(&oldest);
        let is_open = |hour: &i64| !self.hours.get(hour).is_some_and(|known| known.is_over);
        (oldest..=present).rev().filter(is_open).collect()
    }

    fn judge(&self, config: &HealthConfig, now: OffsetDateTime) -> Vec<Trouble> {
        let mut all: BTreeMap<&Pair, Came> = BTreeMap::new();
        for (pair, came) in self.hours.values().flat_map(|hour| &hour.pairs) {
            let known = all.entry(pair).or_insert(Came { records: 0, ..*came });
            known.records += came.records;
            known.last = known.last.max(came.last);
        }
        let silence = length(config.silence);
        let is_silent = |came: &Came| now - came.last >= silence && came.records >= config.silence_records;
        let silent = all.into_iter().filter(|(_, came)| is_silent(came));
        silent
            .map(|(pair, came)| {
                let said = format!(
                    "account {} in {} has sent no record since {}, for {}; it sent {} in the {} before",
                    pair.account,
                    pair.region,
                    clock(came.last),
                    span(silence),
                    came.records,
                    span(length(config.silence_history)),
                );
                pair.trouble((came.last, came.last + silence), came.records, said)
            })
            .collect()
    }
}

fn question(hour: i64, config: &HealthConfig) -> Value {
    let (from, to) = (start(hour), start(hour + 1));
    json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {"filter": [
            {"range": {"event.ingested": {"gte": timestamp::format(from), "lt": timestamp::format(to)}}},
            {"range": {"@timestamp": {"gte": timestamp::format(from - length(config.event_age))}}},
            no_drills()
        ]}},
        "aggs": by_account_and_region(&json!({"last": {"max": {"field": "event.ingested"}}}))
    })
}

fn read(answer: &Value) -> BTreeMap<Pair, Came> {
    let came = |bucket: &Value| {
        Some(Came { records: bucket["doc_count"].as_u64()?, last: time_of(&bucket["last"])? })
    };
    pairs(answer).into_iter().filter_map(|(pair, bucket)| Some((pair, came(bucket)?))).collect()
}

fn start(hour: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(hour * HOUR).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:30 UTC);

    #[test]
    fn each_hour_is_asked_until_it_is_over_and_then_no_more() {
        let config = HealthConfig::default();
        let mut history = History::default();
        let open = history.open(&config, NOW);
        assert_eq!((open.len(), start(open[0])), (7 * 24 + 1, datetime!(2026-11-29 12:00 UTC)));
        for hour in open {
            let is_over = start(hour + 1) + LATE <= NOW;
            history.hours.insert(hour, Hour { is_over, pairs: BTreeMap::new() });
        }
        assert_eq!(history.open(&config, NOW).len(), 1);
        assert_eq!(history.open(&config, datetime!(2026-11-29 13:04 UTC)).len(), 2, "late ones may come");
        assert_eq!(history.open(&config, NOW + Duration::days(30)).len(), 7 * 24 + 1);
        assert!(history.hours.is_empty(), "what is older is forgotten");
    }

    #[test]
    fn whoever_sent_enough_and_sends_nothing_for_long_enough_is_silent() {
        let config = HealthConfig::default();
        let cases = [
            ("just long enough", 200, Duration::hours(24), true),
            ("not long enough", 200, Duration::hours(24) - Duration::seconds(1), false),
            ("too little before", 199, Duration::hours(30), false),
        ];
        for (case, records, ago, expected) in cases {
            let pair = Pair { account: "111122223333".to_owned(), region: "eu-central-1".to_owned() };
            let came = |records, ago| Hour {
                is_over: true,
                pairs: BTreeMap::from([(pair.clone(), Came { records, last: NOW - ago })]),
            };
            let history =
                History { hours: BTreeMap::from([(1, came(records - 1, ago * 2)), (2, came(1, ago))]) };
            let found = history.judge(&config, NOW);
            assert_eq!(!found.is_empty(), expected, "{case}");
            for trouble in found {
                assert_eq!((trouble.since, trouble.records), (NOW - ago, 200), "{case}");
                assert!(trouble.said.starts_with(
                    "account 111122223333 in eu-central-1 has sent no record since 2026-11-28 12:30 UTC, for 24 hours; it sent 200 in the 7 days before"
                ), "{}", trouble.said);
            }
        }
    }
}
