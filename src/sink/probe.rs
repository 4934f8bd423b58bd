//! Asks whether an index takes documents at all, with a write that is valid and is never stored.

use crate::document::IndexName;
use crate::opensearch::bulk::{self, CONFLICT};
use crate::opensearch::{Answer, OpenSearch, OpenSearchError};

/// A document as `enrich` writes it, with the fields that every record has. It is long enough to be compressed where
/// that is on, as bulks are.
const EVENT: &str = include_str!("example-event.json");
/// One for the other indices, whose templates share this field.
const OTHER: &str = r#"{"@timestamp":"2026-11-03T03:13:48.000Z"}"#;

/// What became of the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The index takes documents.
    Takes,
    /// It refuses this one as well, or drops it.
    Refuses { status: u16, kind: String },
    /// The request as a whole was refused as well.
    RequestRefused { status: u16 },
    /// Nothing is known: no answer, or one that says nothing of the document.
    Unknown,
}

/// Asks an index.
pub(super) async fn ask(client: &OpenSearch, index: &IndexName) -> Finding {
    read(client.bulk(bulk::trial(index.as_str(), if index.is_for_events() { EVENT } else { OTHER })).await)
}

/// Asks with a request so short that it is never compressed.
pub(super) async fn ask_briefly(client: &OpenSearch, index: &IndexName) -> Finding {
    read(client.bulk(bulk::trial(index.as_str(), OTHER)).await)
}

fn read(answer: Result<Answer, OpenSearchError>) -> Finding {
    let Ok(Answer { status, body }) = answer else { return Finding::Unknown };
    match status {
        200..=299 => {}
        400 | 403 | 406 | 415 => return Finding::RequestRefused { status },
        _ => return Finding::Unknown,
    }
    let items = bulk::read(&body).unwrap_or_default();
    let [done] = &items[..] else { return Finding::Unknown };
    let item = done.item();
    let kind = item.kind();
    match item.status {
        409 if kind == CONFLICT => Finding::Takes,
        // Only a pipeline that drops the document gives this answer.
        status @ (200..=299 | 400..=499) if status != 429 => {
            Finding::Refuses { status, kind: kind.to_owned() }
        }
        _ => Finding::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::names::Names;

    #[test]
    fn only_a_conflict_proves_that_an_index_takes_documents() {
        let item = |status: u16, kind: &str| {
            json!({"items": [{"index": {"_id": "x", "status": status, "error": {"type": kind}}}]}).to_string()
        };
        let refuses = |status, kind: &str| Finding::Refuses { status, kind: kind.to_owned() };
        let noop = json!({"items": [{"index": {"_id": "x", "status": 200, "result": "noop"}}]}).to_string();
        for (status, body, finding) in [
            (200, item(409, CONFLICT), Finding::Takes),
            (200, item(409, "another"), refuses(409, "another")),
            (200, noop, refuses(200, "")),
            (200, item(400, "mapper_parsing_exception"), refuses(400, "mapper_parsing_exception")),
            (200, item(403, "cluster_block_exception"), refuses(403, "cluster_block_exception")),
            (200, item(429, "rejected_execution_exception"), Finding::Unknown),
            (200, item(503, "x"), Finding::Unknown),
            (200, "<html>".to_owned(), Finding::Unknown),
            (200, r#"{"items":[]}"#.to_owned(), Finding::Unknown),
            (400, String::new(), Finding::RequestRefused { status: 400 }),
            (403, String::new(), Finding::RequestRefused { status: 403 }),
            (503, String::new(), Finding::Unknown),
        ] {
            let answer = Answer { status, body: Bytes::from(body.clone()) };
            assert_eq!(read(Ok(answer)), finding, "{status} {body}");
        }
    }

    #[test]
    fn a_probe_can_store_nothing_and_is_two_lines() {
        let body = bulk::trial(IndexName::of_event(&Names::default(), None).as_str(), EVENT);
        let lines: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().collect();
        let [action, source] = lines[..] else { panic!("{lines:?}") };
        let action: serde_json::Value = serde_json::from_str(action).unwrap();
        assert!(action["index"]["if_seq_no"].as_u64() > Some(u64::from(u32::MAX)), "{action}");
        assert!(serde_json::from_str::<serde_json::Value>(source).unwrap()["@timestamp"].is_string());
        assert!(source.len() > 1 << 10, "as long as what is compressed");
    }
}
