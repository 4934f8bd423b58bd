//! Reads stored events in pages, as they were at one moment, for commands that only read.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Found, Hit, Query, QueryError};
use super::transport::Method;

const QUERY: Query = Query {
    operation: "reading events",
    grant: "indices:data/read/search* and indices:data/read/point_in_time/* on the indices of events",
};

/// Documents that are read at once. Scripts and parameters make some of them large.
const PAGE: usize = 500;
/// How long OpenSearch keeps the view between two pages.
const KEEP_ALIVE: &str = "5m";

/// A view of the events as they were when it was opened.
#[derive(Debug)]
pub struct Pages {
    id: String,
    after: Option<Value>,
    /// How many documents fit in all, once the first of them were read.
    pub total: u64,
}

#[derive(Deserialize)]
struct Opened {
    pit_id: String,
}

impl Pages {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch) -> Result<Option<Self>, QueryError> {
        let path = format!("{}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}", client.names().events());
        match QUERY.ask(client, &path, &Value::Null).await {
            Ok(Opened { pit_id }) => Ok(Some(Self { id: pit_id, after: None, total: 0 })),
            Err(QueryError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next documents, the earliest first; none when all were read.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        fields: &[&str],
    ) -> Result<Vec<Hit<Value>>, QueryError> {
        let mut body = json!({
            "size": PAGE, "query": query, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE},
            "track_total_hits": self.after.is_none(),
            // Both together are unique, also for one event in two shards.
            "sort": [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            "_source": {"includes": fields}
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let Found::<Value> { hits } = QUERY.ask(client, "_search", &body).await?;
        self.total = hits.total.map_or(self.total, |total| total.value);
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits.hits)
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::DELETE, "_search/point_in_time", Some(body)).await;
    }
}
