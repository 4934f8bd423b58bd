//! Reads stored events in pages, as they were at one moment, for commands that only read.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::client::OpenSearch;
use super::query::{Query, QueryError};
use super::view::{StoredHit, View};
use crate::enrich::{Arrival, drill};

const QUERY: Query = Query {
    operation: "reading events",
    grant: "indices:data/read/search* and indices:data/read/point_in_time/* on the indices of events",
};

/// Which events are no drill's. By the tag, which indices have had from the beginning on.
pub fn no_drills() -> Value {
    json!({"bool": {"must_not": [{"term": {"tags": drill::TAG}}]}})
}

/// Which events came as CloudTrail delivered them, and not out of history by a replay.
pub fn no_replays() -> Value {
    json!({"bool": {"must_not": [{"term": {"tags": Arrival::REPLAYED}}]}})
}

/// Documents that are read at once. Scripts and parameters make some of them large.
const PAGE: usize = 500;

/// Reads the events that fit, a page after the other and the earliest first, until none is left or `take` breaks off.
/// Answers with how many fit in all.
pub async fn read(
    client: &OpenSearch,
    query: &Value,
    fields: &[&str],
    mut take: impl FnMut(Vec<StoredHit>) -> ControlFlow<()>,
) -> Result<u64, QueryError> {
    let Some(mut view) = View::open(client, QUERY).await? else { return Ok(0) };
    let mut total = 0;
    let read = loop {
        match view.next(client, PAGE, query, &json!({"includes": fields})).await {
            Ok(found) => {
                total = found.total.map_or(total, |total| total.value);
                if found.hits.is_empty() || take(found.hits).is_break() {
                    break Ok(total);
                }
            }
            Err(error) => break Err(error),
        }
    };
    view.close(client).await;
    read
}
