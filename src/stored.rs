//! Reads the stored events in pages, in the order of their times, as they were at one moment.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::enrich::StoredEvent;
use crate::opensearch::{self, OpenSearch, Page, Query, QueryError, StoredHit};
use crate::timestamp;

/// Documents that are read at once. Scripts and parameters make some of them large.
pub const PAGE: usize = 200;

/// A view of the events as they were when it was opened, read in pages.
pub struct View(opensearch::View);

impl View {
    /// None when there are no events at all. Whoever reads them has to be granted this.
    pub async fn open(client: &OpenSearch, grant: &'static str) -> Result<Option<Self>, QueryError> {
        let question = Query { operation: "search", grant };
        Ok(opensearch::View::open(client, question).await?.map(Self))
    }

    /// The next page; an empty one is behind the last. `total` becomes what there is in all.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        total: &mut u64,
    ) -> Result<Vec<StoredHit>, QueryError> {
        let found = self.0.next(client, PAGE, query, &source()).await?;
        if let Some(found) = found.total {
            *total = found.value;
        }
        Ok(found.hits)
    }

    /// Reads the same documents as they are now. A change is visible to searches after the next refresh, so a document
    /// that is read too early conflicts again and is read once more.
    pub async fn again(
        client: &OpenSearch,
        hits: &[StoredHit],
        grant: &'static str,
    ) -> Result<Vec<StoredHit>, QueryError> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        let body = json!({
            "size": 2 * PAGE, "query": {"ids": {"values": ids}}, "seq_no_primary_term": true, "_source": source(),
            "sort": [{"_doc": "asc"}]
        });
        let path = format!("{}-*/_search", client.names().events());
        let question = Query { operation: "search", grant };
        let Page::<StoredHit> { hits: found } = question.ask(client, &path, &body).await?;
        let is_one = |it: &StoredHit| hits.iter().any(|hit| hit.index == it.index && hit.id == it.id);
        Ok(found.hits.into_iter().filter(is_one).collect())
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        self.0.close(client).await;
    }
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
