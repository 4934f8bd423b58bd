//! Asks whether an index takes documents at all, with a write that is valid and is never stored.

use bytes::Bytes;

use super::bulk::join;
use crate::document::IndexName;
use crate::opensearch::bulk::{self, Action, CONFLICT, Done};
use crate::opensearch::{Answer, OpenSearch, OpenSearchError};

/// A document as `enrich` writes it, with the fields that every record has. It is long enough to be compressed where
/// that is on, as bulks are.
const EVENT: &str = include_str!("example-event.json");
/// One for the other indices, whose templates share this field.
const OTHER: &str = r#"{"@timestamp":"2026-11-03T03:13:48.000Z"}"#;

/// One for the indices of memory.
const REMEMBERED: &str = r#"{"key":"sagetrail-probe"}"#;

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
    let body = if index.is_for_events() {
        bulk::trial(index.as_str(), EVENT)
    } else if index.is_for_memory() {
        trial_of_join(index)
    } else {
        bulk::trial(index.as_str(), OTHER)
    };
    read(client.bulk(body).await)
}

/// Asks beside it for a join of nothing, which needs the script and stores nothing either.
fn trial_of_join(index: &IndexName) -> Bytes {
    let mut body = Vec::from(bulk::trial(index.as_str(), REMEMBERED));
    bulk::push(
        &mut body,
        Action::Update,
        index.as_str(),
        "sagetrail-probe",
        &join(&index.join_script(), b"{}"),
    );
    Bytes::from(body)
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
    let findings: Vec<Finding> = items.iter().map(finding).collect();
    let worst = findings.iter().find(|finding| **finding != Finding::Takes);
    worst.or(findings.first()).cloned().unwrap_or(Finding::Unknown)
}

fn finding(done: &Done<'_>) -> Finding {
    let item = done.item();
    let kind = item.kind();
    match (item.status, done) {
        (409, Done::Index(_)) if kind == CONFLICT => Finding::Takes,
        (200, Done::Update(_)) if item.result.as_deref() == Some("noop") => Finding::Takes,
        // Only a pipeline that drops the document gives an answer of success.
        (status @ (200..=299 | 400..=499), _) if status != 429 => {
            Finding::Refuses { status, kind: kind.to_owned() }
        }
        _ => Finding::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::names::Names;

    #[test]
    fn only_a_conflict_proves_that_an_index_takes_documents() {
        let item = |status: u16, kind: &str| {
            json!({"items": [{"index": {"_id": "x", "status": status, "error": {"type": kind}}}]}).to_string()
        };
        let refuses = |status, kind: &str| Finding::Refuses { status, kind: kind.to_owned() };
        let of_memory = |joined: &serde_json::Value| {
            let trial = json!({"index": {"_id": "x", "status": 409, "error": {"type": CONFLICT}}});
            json!({"items": [trial, joined]}).to_string()
        };
        let joined = |update: serde_json::Value| json!({ "update": update });
        let failed = json!({"type": "failed"});
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
            (200, of_memory(&joined(json!({"result": "noop", "status": 200}))), Finding::Takes),
            (200, of_memory(&joined(json!({"error": failed, "status": 400}))), refuses(400, "failed")),
            (200, of_memory(&joined(json!({"error": failed, "status": 429}))), Finding::Unknown),
            (200, of_memory(&json!({"index": {"result": "noop", "status": 200}})), refuses(200, "")),
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
