//! Reads stored events in pages, as they were at one moment, for commands that only read.

use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Query, QueryError};
use super::view::View;

const QUERY: Query = Query {
    operation: "reading events",
    grant: "indices:data/read/search* and indices:data/read/point_in_time/* on the indices of events",
};

/// Documents that are read at once. Scripts and parameters make some of them large.
const PAGE: usize = 500;

/// A view of the events as they were when it was opened.
#[derive(Debug)]
pub struct Pages(View);

impl Pages {
    /// None when there are no events at all.
    pub async fn open(client: &OpenSearch) -> Result<Option<Self>, QueryError> {
        Ok(View::open(client, QUERY).await?.map(Self))
    }

    /// The sources of the next documents, the earliest first; none when all were read.
    pub async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        fields: &[&str],
    ) -> Result<Vec<Value>, QueryError> {
        let found = self.0.next(client, PAGE, query, &json!({"includes": fields})).await?;
        Ok(found.hits.into_iter().map(|hit| hit.source).collect())
    }

    /// A view that cannot be closed ends by itself.
    pub async fn close(self, client: &OpenSearch) {
        self.0.close(client).await;
    }
}
