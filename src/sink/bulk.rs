//! The bulk: what one request of OpenSearch's bulk API says, and what its answer says of each document.
//!
//! The answer is not believed blindly: it must name every document that was sent, in the same order. A bulk whose
//! answer cannot be used is sent again, which is harmless because `create` with an id stores nothing twice.

use std::borrow::Cow;
use std::io::Write;

use bytes::Bytes;
use serde::Deserialize;

use crate::document::Document;

/// The parts of the answer that `classify` reads; the rest would be most of its bytes. `errors` is left out on purpose:
/// the status of each item is the truth, and a flag that contradicts it could only mislead.
pub(super) const ANSWER_FILTER: &str =
    "filter_path=items.*._id,items.*.status,items.*.error.type,items.*.error.reason";

/// Bytes of a line that asks for a document to be created, without the index and the id.
const ACTION_BYTES: usize = br#"{"create":{"_index":"","_id":""}}"#.len() + 2 * b"\n".len();

/// Characters of OpenSearch's reason that are kept; it may quote the whole document.
const REASON_CHARACTERS: usize = 1_024;

/// The bytes that a document adds to the body of a bulk.
pub(super) fn encoded_len(document: &Document) -> usize {
    ACTION_BYTES + document.index.as_str().len() + document.id.as_str().len() + document.source.len()
}

/// The body of a bulk: for each document a line that asks for it to be created, and a line that is the document.
pub fn encode<'a>(documents: impl Iterator<Item = &'a Document> + Clone) -> Bytes {
    let mut body = Vec::with_capacity(documents.clone().map(encoded_len).sum());
    for document in documents {
        let (index, id) = (document.index.as_str(), document.id.as_str());
        // Neither name needs escaping; their types see to that.
        writeln!(body, r#"{{"create":{{"_index":"{index}","_id":"{id}"}}}}"#)
            .expect("writing to memory does not fail");
        let line = body.len();
        body.extend_from_slice(&document.source);
        // Inside JSON strings a newline is escaped, so a raw one is only layout. Left in, what follows it would be read
        // as the next action.
        while let Some(newline) = memchr::memchr(b'\n', &body[line..]) {
            body[line + newline] = b' ';
        }
        body.push(b'\n');
    }
    Bytes::from(body)
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    Created,
    /// The index holds it already.
    Duplicate,
    /// The cluster's state is in the way, not the document.
    Retry {
        status: u16,
        kind: String,
    },
    /// It will not be taken however often it is sent.
    Refused(Refusal),
}

/// Why a document was refused, in OpenSearch's words. The reason may quote the document, so it never goes to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: String,
    pub reason: String,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer is not UTF-8")]
    NotUtf8,
    #[error("the answer is not that of a bulk ({category:?} error at line {line}, column {column})")]
    NotABulkAnswer { category: serde_json::error::Category, line: usize, column: usize },
    #[error("{sent} documents were sent and {answered} answered")]
    Count { sent: usize, answered: usize },
    #[error("item {position} of the answer is about another document than was sent")]
    OtherDocument { position: usize },
    #[error("item {position} of the answer has status {status}, which means nothing for a document")]
    Status { position: usize, status: u16 },
}

/// Reads the answer to a bulk of these ids: the outcome of each document, in their order.
pub fn classify<'a>(
    answer: &[u8],
    sent: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<ItemOutcome>, AnswerError> {
    // Members that nobody reads would pass otherwise, and an answer that was damaged anywhere proves nothing.
    let answer = std::str::from_utf8(answer).map_err(|_| AnswerError::NotUtf8)?;
    let Answer { items } = serde_json::from_str(answer).map_err(|error| AnswerError::NotABulkAnswer {
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
        .map(|(position, (Item { create }, id))| {
            if create.id != id {
                return Err(AnswerError::OtherDocument { position });
            }
            outcome(create.status, create.error)
                .ok_or(AnswerError::Status { position, status: create.status })
        })
        .collect()
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

fn outcome(status: u16, error: Option<ItemError>) -> Option<ItemOutcome> {
    let error = error.unwrap_or_default();
    match status {
        200..=299 => Some(ItemOutcome::Created),
        409 => Some(ItemOutcome::Duplicate),
        401 | 403 | 404 | 408 | 429 | 500..=599 => Some(retry(status, error)),
        400 if error.is_about_the_cluster() => Some(retry(status, error)),
        400..=499 => Some(ItemOutcome::Refused(refusal(status, error))),
        _ => None,
    }
}

fn retry(status: u16, error: ItemError) -> ItemOutcome {
    ItemOutcome::Retry { status, kind: refusal(status, error).kind }
}

fn refusal(status: u16, error: ItemError) -> Refusal {
    Refusal {
        kind: error.kind.unwrap_or_else(|| format!("status_{status}")),
        reason: error.reason.unwrap_or_default().chars().take(REASON_CHARACTERS).collect(),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    create: Create<'a>,
}

#[derive(Deserialize)]
struct Create<'a> {
    #[serde(rename = "_id", borrow)]
    id: Cow<'a, str>,
    status: u16,
    error: Option<ItemError>,
}

#[derive(Default, Deserialize)]
struct ItemError {
    #[serde(rename = "type")]
    kind: Option<String>,
    reason: Option<String>,
}

impl ItemError {
    /// Some states of the cluster are told with a 400 as if the document were wrong: a closed index, and the limit of
    /// shards when a new month's index cannot be made.
    fn is_about_the_cluster(&self) -> bool {
        match self.kind.as_deref() {
            Some("index_closed_exception") => true,
            Some("validation_exception") => {
                self.reason.as_deref().is_some_and(|reason| reason.contains("maximum shards open"))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{DocumentId, IndexName};
    use crate::names::Names;

    fn document(source: &'static str) -> Document {
        Document {
            id: DocumentId::of(Some("e"), source.as_bytes()),
            index: IndexName::of_event(&Names::default(), None),
            source: Bytes::from_static(source.as_bytes()),
        }
    }

    #[test]
    fn a_body_has_two_lines_for_each_document_and_the_length_that_was_foretold() {
        let documents = [document("{\"n\":1}"), document("{\"n\":\"é\"}")];
        let body = encode(documents.iter());
        let (first, second) = (documents[0].id.as_str(), documents[1].id.as_str());
        let expected = format!(
            "{{\"create\":{{\"_index\":\"sagetrail-events-undated\",\"_id\":\"{first}\"}}}}\n{{\"n\":1}}\n\
             {{\"create\":{{\"_index\":\"sagetrail-events-undated\",\"_id\":\"{second}\"}}}}\n{{\"n\":\"é\"}}\n"
        );
        assert_eq!(body, expected);
        assert_eq!(body.len(), documents.iter().map(encoded_len).sum::<usize>());
    }

    #[test]
    fn a_newline_in_a_document_cannot_begin_another_action() {
        let source = "{\n\"n\":\n1}\n";
        let body = encode([document(source)].iter());
        let lines: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().collect();
        assert_eq!(lines.len(), 2);
        let (kept, meant): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(lines[1]).unwrap(), serde_json::from_str(source).unwrap());
        assert_eq!(kept, meant);
    }

    fn refused(kind: &str, reason: &str) -> ItemOutcome {
        ItemOutcome::Refused(Refusal { kind: kind.to_owned(), reason: reason.to_owned() })
    }

    fn retried(status: u16, kind: &str) -> ItemOutcome {
        ItemOutcome::Retry { status, kind: kind.to_owned() }
    }

    /// The types and reasons are those of a real OpenSearch 2.19.
    #[test]
    fn each_status_means_what_it_means_for_a_document() {
        const SHARDS: &str = "Validation Failed: 1: this action would add [2] total shards, but this cluster currently \
                              has [2]/[1] maximum shards open;";
        let table = [
            (201, "", "", ItemOutcome::Created),
            (200, "", "", ItemOutcome::Created),
            (409, "version_conflict_engine_exception", "exists", ItemOutcome::Duplicate),
            (429, "rejected_execution_exception", "", retried(429, "rejected_execution_exception")),
            (429, "cluster_block_exception", "disk usage", retried(429, "cluster_block_exception")),
            (403, "cluster_block_exception", "read-only", retried(403, "cluster_block_exception")),
            (403, "security_exception", "no permissions", retried(403, "security_exception")),
            (401, "", "", retried(401, "status_401")),
            (404, "index_not_found_exception", "", retried(404, "index_not_found_exception")),
            (500, "", "", retried(500, "status_500")),
            (503, "unavailable_shards_exception", "", retried(503, "unavailable_shards_exception")),
            (400, "index_closed_exception", "closed", retried(400, "index_closed_exception")),
            (400, "validation_exception", SHARDS, retried(400, "validation_exception")),
            (400, "validation_exception", "no", refused("validation_exception", "no")),
            (400, "mapper_parsing_exception", "no", refused("mapper_parsing_exception", "no")),
            (400, "strict_dynamic_mapping_exception", "", refused("strict_dynamic_mapping_exception", "")),
            (400, "", "", refused("status_400", "")),
            (413, "", "", refused("status_413", "")),
        ];
        for (status, kind, reason, expected) in table {
            let mut create = json!({"_id": "a", "status": status});
            if !kind.is_empty() {
                create["error"] = json!({"type": kind, "reason": reason});
            }
            let answer = json!({"items": [{"create": create}]}).to_string();
            assert_eq!(classify(answer.as_bytes(), ["a"].into_iter()), Ok(vec![expected]), "{status} {kind}");
        }
    }

    #[test]
    fn the_flag_over_all_items_is_not_believed() {
        let answer = br#"{"took":1,"errors":false,"items":[{"create":{"_id":"a","status":429}}]}"#;
        assert_eq!(classify(answer, ["a"].into_iter()), Ok(vec![retried(429, "status_429")]));
    }

    #[test]
    fn outcomes_keep_the_order_in_which_documents_were_sent() {
        let answer =
            br#"{"items":[{"create":{"_id":"a","status":409}},{"create":{"_id":"b\u0021","status":201}}]}"#;
        let outcomes = classify(answer, ["a", "b!"].into_iter());
        assert_eq!(outcomes, Ok(vec![ItemOutcome::Duplicate, ItemOutcome::Created]));
    }

    #[test]
    fn an_answer_that_is_cut_or_lies_is_an_error() {
        let table: [(&[u8], &str); 11] = [
            (b"", "empty"),
            (
                b"{\"x\":\"\xff\",\"items\":[{\"create\":{\"_id\":\"a\",\"status\":201}},{\"create\":{\"_id\":\"b\",\"status\":201}}]}",
                "damaged where nobody reads",
            ),
            (br#"{"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b","sta"#, "cut"),
            (br#"{"items":[{"create":{"_id":"a","status":201}}]}"#, "too few"),
            (br#"{"items":[]}"#, "none"),
            (br#"{"took":3,"errors":false}"#, "no items"),
            (
                br#"{"items":[{"create":{"_id":"b","status":201}},{"create":{"_id":"a","status":201}}]}"#,
                "order",
            ),
            (
                br#"{"items":[{"index":{"_id":"a","status":201}},{"index":{"_id":"b","status":201}}]}"#,
                "action",
            ),
            (br#"{"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b"}}]}"#, "no status"),
            (
                br#"{"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b","status":302}}]}"#,
                "status",
            ),
            (b"<html>ok</html>", "a proxy's page"),
        ];
        for (answer, what) in table {
            assert!(classify(answer, ["a", "b"].into_iter()).is_err(), "{what}");
        }
    }

    #[test]
    fn a_reason_is_capped_between_characters() {
        let error = ItemError { kind: None, reason: Some("é".repeat(5_000)) };
        assert_eq!(refusal(400, error).reason.chars().count(), REASON_CHARACTERS);
    }

    #[test]
    fn a_whole_refusal_is_read_from_any_body() {
        let whole =
            br#"{"error":{"type":"illegal_argument_exception","reason":"no","root_cause":[]},"status":400}"#;
        let table: [(&[u8], &str); 3] = [
            (whole, "illegal_argument_exception"),
            (b"Too big", "status_400"),
            (br#"{"error":"x"}"#, "status_400"),
        ];
        for (body, kind) in table {
            assert_eq!(whole_refusal(400, body).kind, kind);
        }
    }
}
