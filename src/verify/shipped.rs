//! Asks the ledger in OpenSearch about the files that digests name.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use time::{Date, OffsetDateTime};

use super::digest::LogFile;
use crate::document::IndexName;
use crate::ledger;
use crate::names::Names;
use crate::opensearch::{OpenSearch, Page, Query, QueryError};
use crate::source::key;
use crate::timestamp;

/// Files that are asked for at once.
pub const BATCH: usize = 500;

/// An entry, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// None when the daemon was configured to hash nothing.
    pub sha256: Option<String>,
    pub etag: Option<String>,
    pub created: Option<OffsetDateTime>,
    pub ingested: Option<OffsetDateTime>,
}

impl Entry {
    /// Whether what was shipped has this hash, by the ledger alone.
    pub fn proves(&self, sha256: &str) -> bool {
        self.sha256.as_deref() == Some(sha256)
    }
}

/// How the ledger is asked.
const fn query(operation: &'static str) -> Query {
    Query { operation, grant: "read on the indices of the ledger" }
}

/// The entries of files by their keys: the one with the content that was signed, or else one with other content.
pub async fn entries(client: &OpenSearch, files: &[&LogFile]) -> Result<HashMap<String, Entry>, QueryError> {
    let mut found = HashMap::new();
    if files.is_empty() {
        return Ok(found);
    }
    // A get by id finds an entry at once; a search finds it only after a refresh of the index.
    let documents: Vec<Value> = files.iter().filter_map(|file| filter(client.names(), file)).collect();
    let question = query("_mget");
    let Answers { docs } = question.ask_patiently(client, "_mget", &json!({"docs": documents})).await?;
    if docs.iter().filter_map(|document| document.error.as_ref()).any(|error| error.kind != ABSENT) {
        return Err(question.refused(403));
    }
    keep(&mut found, docs);
    let others: Vec<&str> =
        files.iter().map(|file| file.s3_object.as_str()).filter(|key| !found.contains_key(*key)).collect();
    if others.is_empty() {
        return Ok(found);
    }
    let path = format!("{}*/_search?ignore_unavailable=true", client.names().objects());
    let body = json!({
        "size": 2 * BATCH, "_source": SOURCE, "query": {"terms": {"object.key": others}}
    });
    let Page { hits } = query("_search").ask_patiently(client, &path, &body).await?;
    keep(&mut found, hits.hits);
    Ok(found)
}

/// The keys below a day's folder that the ledger has, each once, in order.
pub async fn keys(
    client: &OpenSearch,
    bucket: &str,
    folder: &str,
    day: Date,
) -> Result<Vec<String>, QueryError> {
    let path = format!("{}*/_search?ignore_unavailable=true", client.names().objects());
    let next = day.next_day().unwrap_or(day);
    let filter = json!([
        {"term": {"object.bucket": bucket}}, {"prefix": {"object.key": folder}},
        {"range": {"@timestamp": {"gte": day.to_string(), "lt": next.to_string()}}}
    ]);
    let mut keys: Vec<String> = Vec::new();
    loop {
        let mut query = json!({
            "size": 2 * BATCH, "_source": ["object.key"], "query": {"bool": {"filter": filter}},
            "sort": [{"object.key": "asc"}]
        });
        if let Some(last) = keys.last() {
            query["search_after"] = json!([last]);
        }
        let answer = search(client, &path, &query).await?;
        let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = hits.iter().filter_map(|hit| hit["_source"]["object"]["key"].as_str());
        keys.extend(found.map(str::to_owned));
        keys.dedup();
        if hits.len() < 2 * BATCH {
            return Ok(keys);
        }
    }
}

/// Searches, and refuses partial answers.
pub async fn search(client: &OpenSearch, path: &str, body: &Value) -> Result<Value, QueryError> {
    let answer: Value = query("_search").ask_patiently(client, path, body).await?;
    match answer["_shards"]["failed"].as_u64() {
        Some(0) => Ok(answer),
        failed => {
            let problem = format!("{} shards did not answer", failed.unwrap_or_default());
            Err(query("_search").unexpected(problem))
        }
    }
}

const SOURCE: &[&str] = &["object.key", "object.etag", "object.sha256", "event"];

fn filter(names: &Names, file: &LogFile) -> Option<Value> {
    let delivered_at = key::classify(&file.s3_object).ok()?.delivered_at;
    let id = ledger::id(&file.s3_bucket, &file.s3_object, &file.hash_value);
    Some(json!({
        "_index": IndexName::of_object(names, delivered_at).as_str(), "_id": id.as_str(), "_source": SOURCE
    }))
}

fn keep(found: &mut HashMap<String, Entry>, documents: Vec<Document>) {
    for source in documents.into_iter().filter_map(|document| document.source) {
        let time = |text: Option<String>| text.and_then(|text| timestamp::parse(&text));
        let entry = Entry {
            sha256: source.object.sha256,
            etag: source.object.etag,
            created: time(source.event.created),
            ingested: time(source.event.ingested),
        };
        found.entry(source.object.key).or_insert(entry);
    }
}

#[derive(Deserialize)]
struct Answers {
    docs: Vec<Document>,
}

/// None has no source: it is not there, or its index is not.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_source")]
    source: Option<Source>,
    /// Why it could not be looked for, which is no proof that it is not there.
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
}

/// The error of a document whose index is not there, so that neither is the document.
const ABSENT: &str = "index_not_found_exception";

#[derive(Deserialize)]
struct Source {
    object: Object,
    event: Event,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    etag: Option<String>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    created: Option<String>,
    ingested: Option<String>,
}
