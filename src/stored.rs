//! Reads the stored events in pages, in the order of their times, as they were at one moment.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::enrich::StoredEvent;
use crate::opensearch::{Method, OpenSearch, Page, Query, QueryError};
use crate::timestamp;

/// Documents that are read at once. Scripts and parameters make some of them large.
pub const PAGE: usize = 200;
/// How long OpenSearch keeps the view between two pages, of which one may wait for its limit or for push-back.
const KEEP_ALIVE: &str = "10m";

/// A view of the events as they were when it was opened, read in pages.
pub struct View {
    id: String,
    after: Option<Value>,
    /// What whoever reads them has to be granted.
    grant: &'static str,
}

/// A stored document and the state in which it was read.
#[derive(Deserialize)]
pub struct Hit {
    #[serde(rename = "_index")]
    pub index: String,
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(rename = "_seq_no")]
    pub seq_no: u64,
    #[serde(rename = "_primary_term")]
    pub primary_term: u64,
    #[serde(rename = "_source")]
    pub source: Value,
    sort: Value,
}

#[derive(Deserialize)]
struct Opened {
    pit_id: String,
}

impl View {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch, grant: &'static str) -> Result<Option<Self>, QueryError> {
        let events = client.names().events();
        let path = format!("{events}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}");
        let question = Query { operation: "point in time", grant };
        match question.ask(client, &path, &Value::Null).await {
            Ok(Opened { pit_id }) => Ok(Some(Self { id: pit_id, after: None, grant })),
            // Of a pattern that fits no index there is no view, for which OpenSearch has several statuses.
            Err(error @ QueryError::Refused { status: 400 | 404, .. }) => {
                if shards(client, grant).await? == 0 { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// The next page; an empty one is behind the last. `total` becomes what there is in all.
    pub async fn next(
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
        let question = Query { operation: "search", grant: self.grant };
        let Page::<Hit> { hits } = question.ask(client, "_search", &body).await?;
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
    pub async fn again(
        client: &OpenSearch,
        hits: &[Hit],
        grant: &'static str,
    ) -> Result<Vec<Hit>, QueryError> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let body = json!({
            "size": 2 * PAGE, "query": {"ids": {"values": ids}}, "seq_no_primary_term": true, "_source": source(),
            "sort": [{"_doc": "asc"}]
        });
        let path = format!("{}-*/_search", client.names().events());
        let question = Query { operation: "search", grant };
        let Page::<Hit> { hits: found } = question.ask(client, &path, &body).await?;
        let is_one = |it: &Hit| hits.iter().any(|hit| hit.index == it.index && hit.id == it.id);
        Ok(found.hits.into_iter().filter(is_one).collect())
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::DELETE, "_search/point_in_time", Some(body)).await;
    }
}

/// How many shards the events have.
async fn shards(client: &OpenSearch, grant: &'static str) -> Result<u64, QueryError> {
    let path = format!("{}-*/_search?size=0", client.names().events());
    let answer: Value = Query { operation: "search", grant }.ask(client, &path, &json!({})).await?;
    Ok(answer["_shards"]["total"].as_u64().unwrap_or_default())
}

/// What is read of a document. `aws` follows from its text and is the largest part of it.
fn source() -> Value {
    json!({"excludes": ["aws"]})
}

/// What a document keeps when it is written anew. None without a readable text.
pub fn kept(source: &Value, now: OffsetDateTime) -> Option<StoredEvent<'_>> {
    let text = |path: &str| source.pointer(path).and_then(Value::as_str);
    let time = |path: &str| text(path).and_then(timestamp::parse);
    Some(StoredEvent {
        original: text("/event/original")?,
        path: text("/log/file/path").unwrap_or_default(),
        timestamp: time("/@timestamp")?,
        created: time("/event/created"),
        ingested: time("/event/ingested")?,
        retagged: now,
        document: source,
    })
}
