//! Reads stored events in pages, as they were at one moment, for commands that only read.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Page, Query, QueryError};
use super::transport::Method;
use crate::enrich::drill;

const QUERY: Query = Query {
    operation: "reading events",
    grant: "indices:data/read/search* and indices:data/read/point_in_time/* on the indices of events",
};

/// Which events are no drill's. By the tag, which indices have had from the beginning on.
pub fn no_drills() -> Value {
    json!({"bool": {"must_not": [{"term": {"tags": drill::TAG}}]}})
}

/// Documents that are read at once. Scripts and parameters make some of them large.
const PAGE: usize = 500;
/// How long OpenSearch keeps the view between two pages.
const KEEP_ALIVE: &str = "5m";

/// A view of the events as they were when it was opened.
#[derive(Debug)]
pub struct Pages {
    id: String,
    after: Option<Value>,
}

#[derive(Deserialize)]
struct Opened {
    pit_id: String,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_source")]
    source: Value,
    sort: Value,
}

impl Pages {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch) -> Result<Option<Self>, QueryError> {
        let path = format!("{}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}", client.names().events());
        match QUERY.ask(client, &path, &Value::Null).await {
            Ok(Opened { pit_id }) => Ok(Some(Self { id: pit_id, after: None })),
            Err(QueryError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The sources of the next documents, the earliest first; none when all were read.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        fields: &[&str],
    ) -> Result<Vec<Value>, QueryError> {
        let mut body = json!({
            "size": PAGE, "query": query, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE}, "track_total_hits": false,
            // Both together are unique, also for one event in two shards.
            "sort": [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            "_source": {"includes": fields}
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let Page::<Hit> { hits } = QUERY.ask(client, "_search", &body).await?;
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits.hits.into_iter().map(|hit| hit.source).collect())
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::DELETE, "_search/point_in_time", Some(body)).await;
    }
}
