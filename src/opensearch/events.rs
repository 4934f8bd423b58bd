//! Reads stored events in pages, as they were at one moment, for commands that only read.

use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Query, QueryError};
use super::view::{StoredHit, View};
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

/// A view of the events as they were when it was opened.
#[derive(Debug)]
pub struct Pages {
    view: View,
    /// How many documents fit in all, once the first of them were read.
    pub total: u64,
}

impl Pages {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch) -> Result<Option<Self>, QueryError> {
        Ok(View::open(client, QUERY).await?.map(|view| Self { view, total: 0 }))
    }

    /// The next documents, the earliest first; none when all were read.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        fields: &[&str],
    ) -> Result<Vec<StoredHit>, QueryError> {
        let found = self.view.next(client, PAGE, query, &json!({"includes": fields})).await?;
        self.total = found.total.map_or(self.total, |total| total.value);
        Ok(found.hits)
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        self.view.close(client).await;
    }
}
