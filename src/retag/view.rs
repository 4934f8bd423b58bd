//! Reads the stored events in pages, as they were at one moment.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::Date;

use crate::enrich::MEMORY_OF;
use crate::opensearch::{Method, OpenSearch, Page, Query, QueryError};
use crate::source::folder::TrailFilter;

/// Documents that are read and written at once. Scripts and parameters make some of them large.
const PAGE: usize = 200;
/// How long OpenSearch keeps the view between two pages, of which one may wait for its limit or for push-back.
const KEEP_ALIVE: &str = "10m";

/// How the events are asked.
pub(super) fn question(operation: &'static str) -> Query {
    Query { operation, grant: "read, write and indices:admin/mapping/put on the indices of events" }
}

/// A view of the events as they were when it was opened, read in pages.
pub(super) struct View {
    id: String,
    after: Option<Value>,
}

impl View {
    /// None when there are no events at all.
    pub(super) async fn open(client: &OpenSearch) -> Result<Option<Self>, QueryError> {
        let events = client.names().events();
        let path = format!("{events}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}");
        match question("point in time").ask(client, &path, &Value::Null).await {
            Ok(Opened { pit_id }) => Ok(Some(Self { id: pit_id, after: None })),
            Err(QueryError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        total: &mut u64,
    ) -> Result<Vec<Hit>, QueryError> {
        let mut body = json!({
            "size": PAGE, "query": query, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE},
            "seq_no_primary_term": true, "track_total_hits": self.after.is_none(),
            // Both together are unique, also for one event in two shards.
            "sort": [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            "_source": source()
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let Page::<Hit> { hits } = question("search").ask(client, "_search", &body).await?;
        if let Some(found) = hits.total {
            *total = found.value;
        }
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits.hits)
    }

    /// Reads the same documents as they are now. A change is visible to searches after the next refresh, so a document
    /// that is read too early conflicts again and is read once more.
    pub(super) async fn again(client: &OpenSearch, hits: &[Hit]) -> Result<Vec<Hit>, QueryError> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let body = json!({
            "size": 2 * PAGE, "query": {"ids": {"values": ids}}, "seq_no_primary_term": true, "_source": source(),
            "sort": [{"_doc": "asc"}]
        });
        let path = format!("{}-*/_search", client.names().events());
        let Page::<Hit> { hits: found } = question("search").ask(client, &path, &body).await?;
        let is_one = |it: &Hit| hits.iter().any(|hit| hit.index == it.index && hit.id == it.id);
        Ok(found.hits.into_iter().filter(is_one).collect())
    }

    /// A view that cannot be closed ends by itself.
    pub(super) async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::DELETE, "_search/point_in_time", Some(body)).await;
    }
}

/// What is read of a document. `aws` follows from its text and is the largest part of it.
fn source() -> Value {
    json!({"excludes": ["aws"]})
}

/// The query for documents that other rules have tagged or that memory did not complete, by the time of the event.
pub(super) fn query(filter: &TrailFilter, version: &str) -> Value {
    let mut clauses = Vec::new();
    let day = |day: Date| day.to_string();
    if filter.from.is_some() || filter.to.is_some() {
        let mut range = json!({});
        if let Some(from) = filter.from {
            range["gte"] = json!(day(from));
        }
        if let Some(next) = filter.to.and_then(Date::next_day) {
            range["lt"] = json!(day(next));
        }
        clauses.push(json!({"range": {"@timestamp": range}}));
    }
    for (field, values) in [("cloud.account.id", &filter.accounts), ("cloud.region", &filter.regions)] {
        if !values.is_empty() {
            clauses.push(json!({"terms": {field: values}}));
        }
    }
    clauses.push(json!({"bool": {"minimum_should_match": 1, "should": [
        {"bool": {"must_not": [{"term": {"sagemaker.rules.version": version}}]}},
        {"prefix": {"sagemaker.context": {"value": MEMORY_OF}}},
    ]}}));
    json!({"bool": {"filter": clauses}})
}

/// A stored document and the state in which it was read.
#[derive(Deserialize)]
pub(super) struct Hit {
    #[serde(rename = "_index")]
    pub(super) index: String,
    #[serde(rename = "_id")]
    pub(super) id: String,
    #[serde(rename = "_seq_no")]
    pub(super) seq_no: u64,
    #[serde(rename = "_primary_term")]
    pub(super) primary_term: u64,
    #[serde(rename = "_source")]
    pub(super) source: Value,
    sort: Value,
}

#[derive(Deserialize)]
struct Opened {
    pit_id: String,
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn only_what_other_rules_have_tagged_or_memory_did_not_complete_is_asked_for() {
        let filter = TrailFilter {
            accounts: vec!["111122223333".to_owned()],
            from: Some(date!(2026 - 01 - 01)),
            to: Some(date!(2026 - 01 - 31)),
            ..TrailFilter::default()
        };
        let expected = json!({"bool": {
            "filter": [
                {"range": {"@timestamp": {"gte": "2026-01-01", "lt": "2026-02-01"}}},
                {"terms": {"cloud.account.id": ["111122223333"]}},
                {"bool": {"minimum_should_match": 1, "should": [
                    {"bool": {"must_not": [{"term": {"sagemaker.rules.version": "v"}}]}},
                    {"prefix": {"sagemaker.context": {"value": "memory of "}}}
                ]}}
            ]
        }});
        assert_eq!(query(&filter, "v"), expected);
    }
}
