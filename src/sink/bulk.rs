//! Bulks of the pipeline's documents: their bodies, and what an answer says of each document.
//!
//! The answer must name every document that was sent, in the same order. A bulk whose answer cannot be used is sent
//! again, which is harmless because `create` with an id stores nothing twice, and what a fact tells is joined but once.

use bytes::Bytes;
use serde::Deserialize;

use super::cluster_block::ClusterBlock;
use super::fault::{self, About};
use crate::document::{Document, Write};
use crate::opensearch::bulk::{self, Action, CONFLICT, Cause, Done, Item, ItemError, SCRIPT_FAILED};

/// Bytes of a line that asks for a document to be created, without the index and the id.
const CREATE_BYTES: usize = br#"{"create":{"_index":"","_id":""}}"#.len() + 2 * b"\n".len();
/// Bytes of the two lines that ask for a fact to be joined, without the names and the fact.
const JOIN_BYTES: usize = br#"{"update":{"_index":"","_id":"","retry_on_conflict":5}}"#.len()
    + 2 * b"\n".len()
    + JOIN[0].len()
    + JOIN[1].len()
    + JOIN[2].len();

/// What asks for a join, around the name of the script and the fact. A document that is not there begins empty.
const JOIN: [&str; 3] =
    [r#"{"scripted_upsert":true,"upsert":{},"script":{"id":""#, r#"","params":{"state":"#, "}}}"];

/// What an item that a pipeline dropped is called in errors.
const DROPPED: &str = "dropped_by_a_pipeline";

/// Characters of OpenSearch's reason that are kept; it may quote the whole document.
const REASON_CHARACTERS: usize = 1_024;

/// The bytes that a document adds to the body of a bulk.
pub(super) fn encoded_len(document: &Document) -> usize {
    let names = document.index.as_str().len() + document.id.as_str().len();
    let layout = match document.write {
        Write::Create => CREATE_BYTES,
        Write::Join => JOIN_BYTES + document.index.join_script().len(),
    };
    layout + names + document.source.len()
}

/// The body of a bulk: for each document a line that asks for it to be created or joined, and a line that is the
/// document or fact.
pub fn encode<'a>(documents: impl Iterator<Item = &'a Document> + Clone) -> Bytes {
    let mut body = Vec::with_capacity(documents.clone().map(encoded_len).sum());
    for Document { index, id, source, write } in documents {
        match write {
            Write::Create => bulk::push(&mut body, Action::Create, index.as_str(), id.as_str(), source),
            Write::Join => {
                let join = join(&index.join_script(), source);
                bulk::push(&mut body, Action::Update, index.as_str(), id.as_str(), &join);
            }
        }
    }
    Bytes::from(body)
}

/// What asks for a state to be joined by a script.
pub(crate) fn join(script: &str, state: &[u8]) -> Vec<u8> {
    let [before, between, after] = JOIN.map(str::as_bytes);
    [before, script.as_bytes(), between, state, after].concat()
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    Created,
    /// The index holds it already, or knows the fact.
    Duplicate,
    /// The state of the cluster prevents it, not the document.
    Retry {
        status: u16,
        kind: String,
        /// What a person has to change first, where that is known.
        block: Option<ClusterBlock>,
    },
    /// The document is the cause, as long as its index takes others.
    Refused(Refusal),
    /// An unknown refusal: it may be about the document, or about the cluster.
    Doubtful(Refusal),
}

/// Why a document was refused, in OpenSearch's words. The reason may quote the document, so it never goes to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub kind: String,
    pub reason: String,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer is not UTF-8")]
    NotUtf8,
    #[error("the answer is not one of the bulk API ({category:?} error at line {line}, column {column})")]
    NotABulkAnswer { category: serde_json::error::Category, line: usize, column: usize },
    #[error("{sent} documents were sent, and the answer has {answered} items")]
    Count { sent: usize, answered: usize },
    #[error("item {position} of the answer is not about the document that was sent there")]
    OtherDocument { position: usize },
    #[error("item {position} of the answer has the unexpected status {status}")]
    Status { position: usize, status: u16 },
    #[error(
        "item {position} of the answer has status {status}, but does not say that the document was stored"
    )]
    Result { position: usize, status: u16 },
}

/// Reads the answer to a bulk of these ids: the outcome of each document, in their order.
pub fn classify<'a>(
    answer: &[u8],
    sent: impl ExactSizeIterator<Item = (&'a str, Write)>,
) -> Result<Vec<ItemOutcome>, AnswerError> {
    // Unread members would pass unchecked otherwise, and an answer that is damaged anywhere proves nothing.
    let answer = std::str::from_utf8(answer).map_err(|_| AnswerError::NotUtf8)?;
    let items = bulk::read(answer.as_bytes()).map_err(|error| AnswerError::NotABulkAnswer {
        category: error.classify(),
        line: error.line(),
        column: error.column(),
    })?;
    if items.len() != sent.len() {
        return Err(AnswerError::Count { sent: sent.len(), answered: items.len() });
    }
    items
        .into_iter()
        .zip(sent)
        .enumerate()
        .map(|(position, (done, (id, write)))| match (done, write) {
            (Done::Create(item), Write::Create) | (Done::Update(item), Write::Join)
                if item.id.as_deref() == Some(id) =>
            {
                outcome(position, write, item)
            }
            // A pipeline that ends an update answers so, and without its id.
            (Done::Index(item), Write::Join)
                if item.error.is_some() || item.result.as_deref() == Some("noop") =>
            {
                outcome(position, Write::Create, item)
            }
            _ => Err(AnswerError::OtherDocument { position }),
        })
        .collect()
}

/// What an answer is read against.
pub(super) fn sent(document: &Document) -> (&str, Write) {
    (document.id.as_str(), document.write)
}

/// Why OpenSearch refused a whole request, from its body.
pub(super) fn whole_refusal(status: u16, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Whole {
        error: ItemError,
    }
    let error = serde_json::from_slice::<Whole>(body).map(|whole| whole.error).unwrap_or_default();
    refusal(status, error)
}

fn outcome(position: usize, write: Write, item: Item<'_>) -> Result<ItemOutcome, AnswerError> {
    let status = item.status;
    let error = item.error.unwrap_or_default();
    let kind = error.kind.as_deref().unwrap_or_default();
    Ok(match status {
        200..=299 => match (item.result.as_deref(), write) {
            (Some("created" | "updated"), _) => ItemOutcome::Created,
            // A document that is not there knows nothing.
            (Some("noop"), Write::Join) if item.seq_no.is_some() => ItemOutcome::Duplicate,
            (Some("noop"), Write::Create) => {
                ItemOutcome::Retry { status, kind: DROPPED.to_owned(), block: Some(ClusterBlock::Dropped) }
            }
            _ => return Err(AnswerError::Result { position, status }),
        },
        409 if kind == CONFLICT && write == Write::Create => ItemOutcome::Duplicate,
        401 | 403 | 404 | 408 | 409 | 429 | 500..=599 => {
            let block = ClusterBlock::of(status, kind);
            ItemOutcome::Retry { status, kind: refusal(status, error).kind, block }
        }
        400..=499 => match about(&error) {
            About::Document => ItemOutcome::Refused(refusal(status, error)),
            About::Unknown => ItemOutcome::Doubtful(refusal(status, error)),
            About::Cluster(block) => {
                ItemOutcome::Retry { status, kind: refusal(status, error).kind, block: Some(block) }
            }
        },
        _ => return Err(AnswerError::Status { position, status }),
    })
}

/// What an error is about; that of a script hides behind one that says nothing.
fn about(error: &ItemError) -> About {
    let said = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    match &error.caused_by {
        Some(Cause { kind, reason }) if said(&error.reason) == SCRIPT_FAILED => {
            fault::about_script(&said(kind), &said(reason))
        }
        _ => fault::about(&said(&error.kind), &said(&error.reason)),
    }
}

fn refusal(status: u16, error: ItemError) -> Refusal {
    let is_of_script = error.reason.as_deref() == Some(SCRIPT_FAILED);
    let (kind, reason) = match error.caused_by.filter(|_| is_of_script) {
        Some(Cause { kind, reason }) => (kind, reason),
        None => (error.kind, error.reason),
    };
    Refusal {
        status,
        kind: kind.unwrap_or_else(|| format!("status_{status}")),
        reason: reason.unwrap_or_default().chars().take(REASON_CHARACTERS).collect(),
    }
}

#[cfg(test)]
mod tests;
