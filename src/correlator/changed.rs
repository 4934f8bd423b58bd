//! What has come since the last complete round: groups of documents with anything new among them (pure).
//!
//! Documents are asked by the time at which they were stored, with an overlap: nodes and clocks differ, and a document
//! can be found only after a refresh. What is asked twice changes nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use sagetrail_core::incident::{Came, Times};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::opensearch::events::no_replays;
use crate::timestamp;

/// How far before the last complete round documents are asked for again.
const OVERLAP: Duration = Duration::minutes(15);
/// How far back a correlator looks that did not run for long.
const LONGEST: Duration = Duration::days(7);
/// How far back it looks when nobody knows when the last round was: writes can have been refused until then.
const UNKNOWN: Duration = Duration::hours(1);
/// Groups in one page.
pub(super) const PAGE: usize = 1_000;
/// Groups whose marks are kept. Without its mark a group is judged again, which changes nothing.
const MOST_MARKS: usize = 200_000;
/// Points that many are not read again and again.
const MANY: usize = 5_000;
/// How often a group of many points that matched already is judged: what comes only makes its match larger.
const AGAIN: std::time::Duration = std::time::Duration::from_mins(5);

/// The documents that a round is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// They were stored from here on.
    pub ingested: OffsetDateTime,
    /// They happened from here on, however they came.
    pub happened: OffsetDateTime,
    /// They happened from here on, unless they are a replay: a queue can have waited for days.
    pub late: OffsetDateTime,
}

impl Window {
    /// The documents since the last complete round.
    pub(super) fn new(last_round: Option<OffsetDateTime>, now: OffsetDateTime, times: &Times) -> Self {
        let since = last_round.unwrap_or(now - UNKNOWN).clamp(now - LONGEST, now);
        Self {
            ingested: since - OVERLAP,
            happened: since - times.window.value,
            late: since - times.late.value,
        }
    }

    pub(super) fn filter(&self) -> [Value; 2] {
        let happened =
            |from: OffsetDateTime| json!({"range": {"@timestamp": {"gte": timestamp::format(from)}}});
        [
            json!({"range": {"event.ingested": {"gte": timestamp::format(self.ingested)}}}),
            json!({"bool": {"minimum_should_match": 1, "should": [
                happened(self.happened), {"bool": {"filter": [happened(self.late), no_replays()]}}
            ]}}),
        ]
    }
}

/// A group with new documents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changed {
    pub key: Vec<String>,
    pub mark: Mark,
    /// When its new documents happened.
    pub first: OffsetDateTime,
    pub last: OffsetDateTime,
}

impl Changed {
    /// When its new documents happened and were stored.
    pub(super) fn came(&self) -> Came {
        Came { first: self.first, stored: at(self.mark.oldest).unwrap_or(self.first) }
    }
}

/// What differs when another document has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    count: u64,
    oldest: f64,
    newest: f64,
}

/// The search for one page of the groups that have these fields in common.
pub(super) fn question(fields: &[String], filter: &[Value], after: Option<&Value>) -> Value {
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": filter}},
        "aggs": {"groups": {
            "composite": composite(fields, after),
            "aggs": {
                "first": {"min": {"field": "@timestamp"}},
                "last": {"max": {"field": "@timestamp"}},
                "oldest": {"min": {"field": "event.ingested"}},
                "newest": {"max": {"field": "event.ingested"}}
            }
        }}
    })
}

/// One page of the groups that have these fields in common.
pub(super) fn composite(fields: &[String], after: Option<&Value>) -> Value {
    let source = |(number, field): (usize, &String)| {
        let mut source = Map::new();
        source.insert(format!("k{number}"), json!({"terms": {"field": field}}));
        Value::Object(source)
    };
    let sources: Vec<Value> = fields.iter().enumerate().map(source).collect();
    let mut composite = json!({"size": PAGE, "sources": sources});
    if let Some(after) = after {
        composite["after"] = after.clone();
    }
    composite
}

/// One page of groups, and where the next begins.
pub(super) fn read(answer: &Value) -> (Vec<Changed>, Option<Value>) {
    let groups = &answer["aggregations"]["groups"];
    let buckets = groups["buckets"].as_array().map_or(&[][..], Vec::as_slice);
    let changed = buckets.iter().filter_map(group).collect();
    let after = (buckets.len() >= PAGE).then(|| groups["after_key"].clone()).filter(|after| !after.is_null());
    (changed, after)
}

/// The values that the documents of a bucket have in common.
pub(super) fn key(bucket: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let keys = bucket["key"].as_object()?;
    // Ten fields or more would not stand in the order of their names.
    (0..keys.len()).map(|number| keys.get(&format!("k{number}")).map(text)).collect()
}

fn group(bucket: &Value) -> Option<Changed> {
    let key = key(bucket)?;
    let number = |name: &str| bucket[name]["value"].as_f64();
    Some(Changed {
        key,
        mark: Mark {
            count: bucket["doc_count"].as_u64()?,
            oldest: number("oldest")?,
            newest: number("newest")?,
        },
        first: at(number("first")?)?,
        last: at(number("last")?)?,
    })
}

/// The time of an aggregation's value, in milliseconds since 1970.
pub(super) fn at(millis: f64) -> Option<OffsetDateTime> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^52")]
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis as i64) * 1_000_000).ok()
}

/// What was judged already, so that nobody asks again for what has not changed. Nothing depends on it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// By a hash of the group, which takes less memory than its names.
    judged: HashMap<u64, Judged>,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Judged {
    mark: Mark,
    points: usize,
    at: Instant,
}

impl Marks {
    /// Whether a group has changed since it was judged. `of` tells one sort of groups from another.
    pub(super) fn is_news(&self, of: &str, changed: &Changed) -> bool {
        self.before(of, changed).is_none_or(|judged| judged.mark != changed.mark)
    }

    /// Whether a group that matched is large, and was judged a moment ago.
    pub(super) fn may_wait(&self, of: &str, changed: &Changed) -> bool {
        self.before(of, changed).is_some_and(|judged| judged.points > MANY && judged.at.elapsed() < AGAIN)
    }

    /// Remembers that a group was judged, for which so many points were read.
    pub(super) fn judged(&mut self, of: &str, changed: &Changed, points: usize) {
        if self.judged.len() >= MOST_MARKS {
            self.judged.clear();
        }
        let judged = Judged { mark: changed.mark, points, at: Instant::now() };
        self.judged.insert(self.hash(of, changed), judged);
    }

    fn before(&self, of: &str, changed: &Changed) -> Option<&Judged> {
        self.judged.get(&self.hash(of, changed))
    }

    fn hash(&self, of: &str, changed: &Changed) -> u64 {
        self.hasher.hash_one((of, &changed.key))
    }
}

#[cfg(test)]
mod tests {
    use sagetrail_core::incident::Weights;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_window_reaches_back_to_the_last_complete_round_and_no_clock_makes_it_miss_or_ask_everything() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let weights = Weights::built_in();
        let cases = [
            (None, datetime!(2026-11-29 10:45 UTC), datetime!(2026-11-28 11:00 UTC)),
            (
                Some(now - Duration::seconds(15)),
                datetime!(2026-11-29 11:44:45 UTC),
                datetime!(2026-11-28 11:59:45 UTC),
            ),
            // It did not run over night.
            (
                Some(now - Duration::hours(8)),
                datetime!(2026-11-29 03:45 UTC),
                datetime!(2026-11-28 04:00 UTC),
            ),
            // It did not run for a month.
            (
                Some(now - Duration::days(30)),
                datetime!(2026-11-22 11:45 UTC),
                datetime!(2026-11-21 12:00 UTC),
            ),
            // The clock of whoever ran before is ahead.
            (
                Some(now + Duration::minutes(5)),
                datetime!(2026-11-29 11:45 UTC),
                datetime!(2026-11-28 12:00 UTC),
            ),
        ];
        for (last_round, ingested, happened) in cases {
            let window = Window::new(last_round, now, &weights.times);
            assert_eq!((window.ingested, window.happened), (ingested, happened), "{last_round:?}");
            assert_eq!(window.happened - window.late, Duration::days(6), "{last_round:?}");
        }
    }

    fn bucket(key: &Value, count: u64, newest: f64) -> Value {
        json!({"key": key, "doc_count": count, "first": {"value": 0.0}, "last": {"value": 1_500.0},
            "oldest": {"value": 7.0}, "newest": {"value": newest}})
    }

    #[test]
    fn a_page_of_groups_is_read_in_the_order_of_their_fields_and_a_full_one_is_followed_by_another() {
        let one = bucket(&json!({"k1": true, "k0": "a"}), 2, 9.0);
        let answer = json!({"aggregations": {"groups": {"after_key": {"k0": "a"}, "buckets": [one]}}});
        let (changed, after) = read(&answer);
        assert_eq!((changed[0].key.as_slice(), after), (&["a".to_owned(), "true".to_owned()][..], None));
        assert_eq!(changed[0].last, OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_500));
        let full = json!({"aggregations": {"groups": {"after_key": {"k0": "z"}, "buckets": vec![bucket(&json!({"k0": "a"}), 1, 1.0); PAGE]}}});
        assert_eq!(read(&full).1, Some(json!({"k0": "z"})));
        // Without any index there is nothing.
        assert_eq!(read(&json!({"hits": {}})), (Vec::new(), None));
    }

    #[test]
    fn a_group_is_news_until_it_was_judged_and_again_when_a_document_came_or_went() {
        let group = |count, newest| {
            read(&json!({"aggregations": {"groups": {"buckets": [bucket(&json!({"k0": "a"}), count, newest)]}}})).0.remove(0)
        };
        let mut marks = Marks::default();
        assert!(marks.is_news("x", &group(2, 9.0)));
        marks.judged("x", &group(2, 9.0), 2);
        assert!(!marks.is_news("x", &group(2, 9.0)) && marks.is_news("y", &group(2, 9.0)));
        assert!(marks.is_news("x", &group(3, 9.0)) && marks.is_news("x", &group(2, 9.5)));
    }

    #[test]
    fn the_question_names_each_field_and_goes_on_after_the_last_page() {
        let asked =
            question(&["a".to_owned(), "b".to_owned()], &[json!({"x": 1})], Some(&json!({"k0": "z"})));
        let composite = &asked["aggs"]["groups"]["composite"];
        assert_eq!(
            composite["sources"],
            json!([{"k0": {"terms": {"field": "a"}}}, {"k1": {"terms": {"field": "b"}}}])
        );
        assert_eq!(
            (&composite["after"], &asked["query"]["bool"]["filter"]),
            (&json!({"k0": "z"}), &json!([{"x": 1}]))
        );
    }
}
