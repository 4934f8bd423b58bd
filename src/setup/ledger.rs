//! The ledger: what was installed, remembered in an index of its own, so that a person's edit can be told from our own
//! older content and so that exactly that can be removed again.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::SetupError;
use super::object::{Kind, Object};
use super::plan::Entry;
use crate::sink::{Answer, Method, OpenSearch};

const INDEX: &str = "sagetrail-setup";
/// More than all content has.
const MOST_ENTRIES: usize = 5_000;

/// Every entry, by kind and id.
pub type Ledger = HashMap<(Kind, String), Entry>;

pub async fn read(opensearch: &OpenSearch) -> Result<Ledger, SetupError> {
    #[derive(Deserialize)]
    struct Page {
        hits: Hits,
    }
    #[derive(Deserialize)]
    struct Hits {
        hits: Vec<Hit>,
    }
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_source")]
        entry: Entry,
    }
    let path = format!("{INDEX}/_search?size={MOST_ENTRIES}");
    let answer = opensearch.request(Method::Get, &path, None).await?;
    if answer.status == 404 {
        return Ok(Ledger::new());
    }
    let page: Page = serde_json::from_slice(&answer.body).map_err(|_| refused(&answer))?;
    Ok(page.hits.hits.into_iter().map(|hit| ((hit.entry.kind, hit.entry.id.clone()), hit.entry)).collect())
}

/// Makes the index, whose members are kept and not searched.
pub async fn prepare(opensearch: &OpenSearch) -> Result<(), SetupError> {
    let body = json!({
        "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
        "mappings": {"dynamic": false, "_meta": {"managed_by": "sagetrail"}}
    });
    let answer = opensearch.request(Method::Put, INDEX, Some(Bytes::from(body.to_string()))).await?;
    let exists = answer.status == 400
        && answer
            .body
            .windows(b"resource_already_exists".len())
            .any(|part| part == b"resource_already_exists");
    if answer.status == 200 || exists { Ok(()) } else { Err(refused(&answer)) }
}

pub async fn remember(opensearch: &OpenSearch, entry: &Entry) -> Result<(), SetupError> {
    let path = format!("{}?refresh=true", document(entry.kind, &entry.id));
    let body = serde_json::to_vec(entry).expect("an entry is plain data");
    let answer = opensearch.request(Method::Put, &path, Some(Bytes::from(body))).await?;
    if matches!(answer.status, 200 | 201) { Ok(()) } else { Err(refused(&answer)) }
}

pub async fn forget(opensearch: &OpenSearch, object: &Object) -> Result<(), SetupError> {
    let path = format!("{}?refresh=true", document(object.kind, &object.id));
    let answer = opensearch.request(Method::Delete, &path, None).await?;
    if matches!(answer.status, 200 | 404) { Ok(()) } else { Err(refused(&answer)) }
}

/// Removes the ledger itself, when nothing is left in it.
pub async fn remove(opensearch: &OpenSearch) -> Result<(), SetupError> {
    let answer = opensearch.request(Method::Delete, INDEX, None).await?;
    if matches!(answer.status, 200 | 404) { Ok(()) } else { Err(refused(&answer)) }
}

fn document(kind: Kind, id: &str) -> String {
    format!("{INDEX}/_doc/{}:{id}", kind.name())
}

fn refused(answer: &Answer) -> SetupError {
    SetupError::Object {
        object: format!("the index {INDEX}"),
        status: answer.status,
        body: String::from_utf8_lossy(&answer.body).chars().take(500).collect(),
    }
}
