//! Bulks of the pipeline's documents: their bodies, and what an answer says of each document.
//!
//! The answer must name every document that was sent, in the same order. A bulk whose answer cannot be used is sent
//! again, which is harmless because `create` with an id stores nothing twice.

use bytes::Bytes;
use serde::Deserialize;

use super::cluster_block::ClusterBlock;
use super::fault::{self, About};
use crate::document::Document;
use crate::opensearch::bulk::{self, Action, CONFLICT, Done, Item, ItemError};

/// Bytes of a line that asks for a document to be created, without the index and the id.
const ACTION_BYTES: usize = br#"{"create":{"_index":"","_id":""}}"#.len() + 2 * b"\n".len();

/// What an item that a pipeline dropped is called in errors.
const DROPPED: &str = "dropped_by_a_pipeline";

/// Characters of OpenSearch's reason that are kept; it may quote the whole document.
const REASON_CHARACTERS: usize = 1_024;

/// The bytes that a document adds to the body of a bulk.
pub(super) fn encoded_len(document: &Document) -> usize {
    ACTION_BYTES + document.index.as_str().len() + document.id.as_str().len() + document.source.len()
}

/// The body of a bulk: for each document a line that asks for it to be created, and a line that is the document.
pub fn encode<'a>(documents: impl Iterator<Item = &'a Document> + Clone) -> Bytes {
    let mut body = Vec::with_capacity(documents.clone().map(encoded_len).sum());
    for Document { index, id, source, .. } in documents {
        bulk::push(&mut body, Action::Create, index.as_str(), id.as_str(), source);
    }
    Bytes::from(body)
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    Created,
    /// The index holds it already.
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
    sent: impl ExactSizeIterator<Item = &'a str>,
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
        .map(|(position, (done, id))| match done {
            Done::Create(item) if item.id == id => outcome(position, item),
            _ => Err(AnswerError::OtherDocument { position }),
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

fn outcome(position: usize, item: Item<'_>) -> Result<ItemOutcome, AnswerError> {
    let status = item.status;
    let error = item.error.unwrap_or_default();
    let kind = error.kind.as_deref().unwrap_or_default();
    Ok(match status {
        200..=299 => match item.result.as_deref() {
            Some("created" | "updated") => ItemOutcome::Created,
            Some("noop") => {
                ItemOutcome::Retry { status, kind: DROPPED.to_owned(), block: Some(ClusterBlock::Dropped) }
            }
            _ => return Err(AnswerError::Result { position, status }),
        },
        409 if kind == CONFLICT => ItemOutcome::Duplicate,
        401 | 403 | 404 | 408 | 409 | 429 | 500..=599 => {
            let block = ClusterBlock::of(status, kind);
            ItemOutcome::Retry { status, kind: refusal(status, error).kind, block }
        }
        400..=499 => match fault::about(kind, error.reason.as_deref().unwrap_or_default()) {
            About::Document => ItemOutcome::Refused(refusal(status, error)),
            About::Unknown => ItemOutcome::Doubtful(refusal(status, error)),
            About::Cluster(block) => {
                ItemOutcome::Retry { status, kind: refusal(status, error).kind, block: Some(block) }
            }
        },
        _ => return Err(AnswerError::Status { position, status }),
    })
}

fn refusal(status: u16, error: ItemError) -> Refusal {
    Refusal {
        status,
        kind: error.kind.unwrap_or_else(|| format!("status_{status}")),
        reason: error.reason.unwrap_or_default().chars().take(REASON_CHARACTERS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{DocumentId, IndexName, Write};
    use crate::names::Names;

    fn document(source: &'static str) -> Document {
        Document {
            id: DocumentId::of(Some("e"), source.as_bytes()),
            index: IndexName::of_event(&Names::default(), None),
            source: Bytes::from_static(source.as_bytes()),
            write: Write::Create,
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
        ItemOutcome::Refused(Refusal { status: 400, kind: kind.to_owned(), reason: reason.to_owned() })
    }

    fn doubtful(status: u16, kind: &str, reason: &str) -> ItemOutcome {
        ItemOutcome::Doubtful(Refusal { status, kind: kind.to_owned(), reason: reason.to_owned() })
    }

    fn retried(status: u16, kind: &str, block: Option<ClusterBlock>) -> ItemOutcome {
        ItemOutcome::Retry { status, kind: kind.to_owned(), block }
    }

    /// The types and reasons are those of a real OpenSearch 2.19.
    #[test]
    fn each_status_means_what_it_means_for_a_document() {
        const SHARDS: &str = "Validation Failed: 1: this action would add [2] total shards, but this cluster currently \
                              has [2]/[1] maximum shards open;";
        use ClusterBlock::{Absent, AliasTaken, Blocked, Closed, Denied, IndexRefused, TooManyShards};
        let table = [
            (201, "", "", ItemOutcome::Created),
            (200, "", "", ItemOutcome::Created),
            (409, CONFLICT, "exists", ItemOutcome::Duplicate),
            (409, "another", "", retried(409, "another", None)),
            (429, "rejected_execution_exception", "", retried(429, "rejected_execution_exception", None)),
            (429, "cluster_block_exception", "disk", retried(429, "cluster_block_exception", Some(Blocked))),
            (403, "cluster_block_exception", "r/o", retried(403, "cluster_block_exception", Some(Blocked))),
            (403, "security_exception", "no", retried(403, "security_exception", Some(Denied))),
            (401, "", "", retried(401, "status_401", Some(Denied))),
            (404, "index_not_found_exception", "", retried(404, "index_not_found_exception", Some(Absent))),
            (500, "", "", retried(500, "status_500", None)),
            (503, "unavailable_shards_exception", "", retried(503, "unavailable_shards_exception", None)),
            (400, "index_closed_exception", "closed", retried(400, "index_closed_exception", Some(Closed))),
            (400, "validation_exception", SHARDS, retried(400, "validation_exception", Some(TooManyShards))),
            (400, "validation_exception", "no", retried(400, "validation_exception", Some(IndexRefused))),
            (
                400,
                "invalid_alias_name_exception",
                "an index exists with the same name as the alias",
                retried(400, "invalid_alias_name_exception", Some(AliasTaken)),
            ),
            (400, "mapper_parsing_exception", "no", refused("mapper_parsing_exception", "no")),
            (400, "strict_dynamic_mapping_exception", "", refused("strict_dynamic_mapping_exception", "")),
            (400, "", "", doubtful(400, "status_400", "")),
            (400, "new_exception", "x", doubtful(400, "new_exception", "x")),
            (413, "", "", doubtful(413, "status_413", "")),
        ];
        for (status, kind, reason, expected) in table {
            let mut create = json!({"_id": "a", "status": status});
            if !kind.is_empty() {
                create["error"] = json!({"type": kind, "reason": reason});
            }
            if status < 300 {
                create["result"] = json!("created");
            }
            let answer = json!({"items": [{"create": create}]}).to_string();
            assert_eq!(classify(answer.as_bytes(), ["a"].into_iter()), Ok(vec![expected]), "{status} {kind}");
        }
    }

    #[test]
    fn the_flag_over_all_items_is_not_believed() {
        let answer = br#"{"took":1,"errors":false,"items":[{"create":{"_id":"a","status":429}}]}"#;
        assert_eq!(classify(answer, ["a"].into_iter()), Ok(vec![retried(429, "status_429", None)]));
    }

    #[test]
    fn outcomes_keep_the_order_in_which_documents_were_sent() {
        let answer =
            br#"{"items":[{"create":{"_id":"a","status":409,"error":{"type":"version_conflict_engine_exception"}}},{"create":{"_id":"b\u0021","status":201,"result":"created"}}]}"#;
        let outcomes = classify(answer, ["a", "b!"].into_iter());
        assert_eq!(outcomes, Ok(vec![ItemOutcome::Duplicate, ItemOutcome::Created]));
    }

    /// As a real OpenSearch 2.19 answers for an index whose pipeline has a drop processor.
    #[test]
    fn a_document_that_a_pipeline_dropped_is_not_stored() {
        let answer = br#"{"items":[{"create":{"_id":"a","result":"noop","status":200}}]}"#;
        let dropped = retried(200, DROPPED, Some(ClusterBlock::Dropped));
        assert_eq!(classify(answer, ["a"].into_iter()), Ok(vec![dropped]));
    }

    #[test]
    fn an_answer_that_is_cut_or_lies_is_an_error() {
        let table: [(&[u8], &str); 13] = [
            (b"", "empty"),
            (
                b"{\"x\":\"\xff\",\"items\":[{\"create\":{\"_id\":\"a\",\"status\":201,\"result\":\"created\"}},{\"create\":{\"_id\":\"b\",\"status\":201,\"result\":\"created\"}}]}",
                "damaged where nobody reads",
            ),
            (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","sta"#, "cut"),
            (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}}]}"#, "too few"),
            (br#"{"items":[]}"#, "none"),
            (br#"{"took":3,"errors":false}"#, "no items"),
            (
                br#"{"items":[{"create":{"_id":"b","status":201,"result":"created"}},{"create":{"_id":"a","status":201,"result":"created"}}]}"#,
                "order",
            ),
            (
                br#"{"items":[{"index":{"_id":"a","status":201,"result":"created"}},{"index":{"_id":"b","status":201,"result":"created"}}]}"#,
                "action",
            ),
            (br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b"}}]}"#, "no status"),
            (
                br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":302}}]}"#,
                "status",
            ),
            (
                br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":200}}]}"#,
                "no result",
            ),
            (
                br#"{"items":[{"create":{"_id":"a","status":201,"result":"created"}},{"create":{"_id":"b","status":200,"result":"deleted"}}]}"#,
                "another result",
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
