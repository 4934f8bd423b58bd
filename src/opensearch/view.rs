//! Views of the stored events as they were at one moment, which are read in pages.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Hits, Page, Query, QueryError};
use super::transport::Method;

/// How long OpenSearch keeps the view between two pages, of which one may wait for its limit or for push-back.
const KEEP_ALIVE: &str = "10m";

/// A view of the events as they were when it was opened.
#[derive(Debug)]
pub struct View {
    id: String,
    after: Option<Value>,
    question: Query,
}

/// A stored document and the state in which it was read.
#[derive(Debug, Deserialize)]
pub struct StoredHit {
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

impl View {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch, question: Query) -> Result<Option<Self>, QueryError> {
        #[derive(Deserialize)]
        struct Opened {
            pit_id: String,
        }
        let events = client.names().events();
        let path = format!("{events}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}");
        match question.ask(client, &path, &Value::Null).await {
            Ok(Opened { pit_id }) => Ok(Some(Self { id: pit_id, after: None, question })),
            // Of a pattern that fits no index there is no view, for which OpenSearch has several statuses.
            Err(error @ QueryError::Refused { status: 400 | 404, .. }) => {
                if shards(client, question).await? == 0 { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// The next documents, the earliest first; none when all were read. With the first ones comes how many there are in
    /// all.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        size: usize,
        query: &Value,
        source: &Value,
    ) -> Result<Hits<StoredHit>, QueryError> {
        let mut body = json!({
            "size": size, "query": query, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE},
            "seq_no_primary_term": true, "track_total_hits": self.after.is_none(),
            // Both together are unique, also for one event in two shards.
            "sort": [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            "_source": source
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let Page { hits } = self.question.ask::<Page<StoredHit>>(client, "_search", &body).await?;
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits)
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::DELETE, "_search/point_in_time", Some(body)).await;
    }
}

/// How many shards the events have.
async fn shards(client: &OpenSearch, question: Query) -> Result<u64, QueryError> {
    let path = format!("{}-*/_search?size=0", client.names().events());
    let answer: Value = question.ask(client, &path, &json!({})).await?;
    Ok(answer["_shards"]["total"].as_u64().unwrap_or_default())
}
