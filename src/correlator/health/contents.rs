//! Which eventID has two records that say something else.
//!
//! To compare all documents would ask for all of them. So those that were stored since the last look are gone through
//! in pages, and of each page it is asked whether others have their ids. Whoever forges a record ships it after the
//! true one, or before it; either way the second of the two is new at some look.

use sagetrail_core::incident::Trouble;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::asked::{Found, buckets, length, time_of};
use crate::config::HealthConfig;
use crate::correlator::asking::Asking;
use crate::enrich::plain;
use crate::opensearch::QueryError;
use crate::timestamp;

/// Documents in one page.
const PAGE: usize = 5_000;
/// Ids that are told of one page.
const MOST_IDS: usize = 50;
/// A document is found only so long after it was written: a bulk may be repeated.
const SETTLED: Duration = Duration::minutes(5);

/// Behind which document the next look begins.
#[derive(Debug, Default)]
pub(super) struct Mark(Option<Value>);

impl Mark {
    pub(super) async fn look(
        &mut self,
        asking: &Asking,
        config: &HealthConfig,
        now: OffsetDateTime,
    ) -> Result<Found, QueryError> {
        let events = asking.client.names().events();
        let mut found = Vec::new();
        // What there is no time for now is looked at by the next look.
        while !asking.is_over() {
            let answer = asking.search(&events, &question(config, now, self.0.as_ref())).await?;
            let (ids, last) = read_ids(&answer);
            if !ids.is_empty() {
                found.extend(read(&asking.search(&events, &question_of_others(&ids)).await?));
            }
            self.0 = last.or(self.0.take());
            if ids.len() < PAGE {
                break;
            }
        }
        Ok(Some(found))
    }
}

fn question(config: &HealthConfig, now: OffsetDateTime, after: Option<&Value>) -> Value {
    let age = now - length(config.event_age);
    let mut question = json!({
        "size": PAGE, "_source": false, "track_total_hits": false, "docvalue_fields": ["event.id"],
        "query": {"bool": {"filter": [
            {"range": {"event.ingested": {"gte": timestamp::format(age), "lte": timestamp::format(now - SETTLED)}}},
            {"range": {"@timestamp": {"gte": timestamp::format(age)}}},
            {"exists": {"field": "event.id"}}
        ]}},
        "sort": [
            {"event.ingested": {"order": "asc", "unmapped_type": "date"}},
            {"event.id": {"order": "asc", "unmapped_type": "keyword"}}
        ]
    });
    if let Some(after) = after {
        question["search_after"] = after.clone();
    }
    question
}

fn read_ids(answer: &Value) -> (Vec<&str>, Option<Value>) {
    let hits = answer["hits"]["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let ids = hits.iter().filter_map(|hit| hit["fields"]["event.id"][0].as_str()).collect();
    (ids, hits.last().map(|hit| hit["sort"].clone()))
}

/// The ordinals of all ids are not looked up for a few of them.
fn question_of_others(ids: &[&str]) -> Value {
    json!({
        "size": 0, "track_total_hits": false,
        "query": {"bool": {"filter": [{"terms": {"event.id": ids}}]}},
        "aggs": {"ids": {
            "terms": {"field": "event.id", "min_doc_count": 2, "size": MOST_IDS, "execution_hint": "map"},
            "aggs": {
                "first": {"min": {"field": "event.ingested"}}, "last": {"max": {"field": "event.ingested"}},
                "account": {"terms": {"field": "cloud.account.id", "size": 1}},
                "region": {"terms": {"field": "cloud.region", "size": 1}}
            }
        }}
    })
}

fn read(answer: &Value) -> Vec<Trouble> {
    let trouble = |bucket: &Value| {
        let (id, records) = (plain(bucket["key"].as_str()?).into_owned(), bucket["doc_count"].as_u64()?);
        let name = |of: &str| {
            let found = buckets(&bucket[of]).next().and_then(|bucket| bucket["key"].as_str());
            found.map(|name| plain(name).into_owned())
        };
        let account = name("account");
        let of = account.as_ref().map_or_else(String::new, |account| format!(" of account {account}"));
        Some(Trouble {
            said: format!("{records} records{of} have the eventID {id} and say something else"),
            subject: id,
            account,
            region: name("region"),
            since: time_of(&bucket["first"])?,
            last: time_of(&bucket["last"])?,
            records,
        })
    };
    buckets(&answer["aggregations"]["ids"]).filter_map(trouble).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_begins_behind_the_last_document_and_an_id_with_two_documents_is_told() {
        let hit = |id: &str, at: u64| json!({"fields": {"event.id": [id]}, "sort": [at, id]});
        let answer = json!({"hits": {"hits": [hit("a", 1), hit("b", 2)]}});
        assert_eq!(read_ids(&answer), (vec!["a", "b"], Some(json!([2, "b"]))));
        assert_eq!(read_ids(&json!({"hits": {"hits": []}})), (Vec::new(), None));

        let bucket = json!({"key": "b", "doc_count": 2, "first": {"value": 1.0}, "last": {"value": 2.0},
            "account": {"buckets": [{"key": "111122223333"}]}, "region": {"buckets": []}});
        let found = read(&json!({"aggregations": {"ids": {"buckets": [bucket]}}}));
        assert_eq!(
            found[0].said,
            "2 records of account 111122223333 have the eventID b and say something else"
        );
        assert_eq!((found[0].subject.as_str(), found[0].region.as_deref()), ("b", None));
    }
}
