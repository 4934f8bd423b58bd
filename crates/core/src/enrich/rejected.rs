//! Writes the document of the rejected index for a record that cannot be stored as an event.

use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ecs;
use super::enricher::{Enricher, Origin};
use super::redact::redact_text;
use crate::document::{self, Document, DocumentId, IndexName};
use crate::labels::{Label, RejectReason};
use crate::names::Names;
use crate::timestamp;

/// For bytes that are no record.
pub fn malformed(raw: &[u8], problem: &str, origin: Origin<'_>, enricher: &Enricher) -> Document {
    let text = redact_text(&String::from_utf8_lossy(raw), &enricher.fingerprint_key);
    document(raw, RejectReason::Malformed, problem, text, origin, &enricher.names)
}

/// For a record at which this code panicked. Redaction may be what panicked, so nothing of it is used here: what is not
/// who, what and where is left out.
pub fn panicked(raw: &[u8], origin: Origin<'_>, names: &Names) -> Document {
    let text = std::panic::catch_unwind(|| outline(raw)).ok().flatten().unwrap_or_else(|| description(raw));
    document(raw, RejectReason::Panicked, PANICKED, text, origin, names)
}

const PANICKED: &str = "sagetrail panicked at this record, which is a fault of sagetrail; the log names the place in the \
    code, and the record itself is in the file that log.file.path names";

fn document(
    raw: &[u8],
    reason: RejectReason,
    problem: &str,
    text: String,
    origin: Origin<'_>,
    names: &Names,
) -> Document {
    #[derive(Serialize)]
    struct Rejected<'r> {
        #[serde(rename = "@timestamp")]
        timestamp: String,
        reason: &'static str,
        error: Problem<'r>,
        log: ecs::Log<'r>,
        text: String,
    }
    #[derive(Serialize)]
    struct Problem<'r> {
        message: &'r str,
    }
    let rejected = Rejected {
        timestamp: timestamp::format(origin.now),
        reason: reason.label(),
        error: Problem { message: problem },
        log: ecs::Log::of(origin.path),
        text,
    };
    let source = serde_json::to_vec(&rejected).expect("texts can be written as JSON");
    Document {
        id: DocumentId::of(None, raw),
        index: IndexName::rejected(names),
        source: Bytes::from(source),
        write: document::Write::Create,
    }
}

/// Members of a record that say who did what and where; they are kept as they are.
const KEPT: [&[&str]; 11] = [
    &["eventID"],
    &["eventTime"],
    &["eventSource"],
    &["eventName"],
    &["awsRegion"],
    &["sourceIPAddress"],
    &["recipientAccountId"],
    &["userIdentity", "type"],
    &["userIdentity", "arn"],
    &["userIdentity", "accountId"],
    &["userIdentity", "sessionContext", "sessionIssuer", "arn"],
];
const REMOVED: &str = "[removed]";

/// The record with the shape that it has and without its texts and numbers; none when it cannot be read.
fn outline(raw: &[u8]) -> Option<String> {
    let record: Value = serde_json::from_slice(raw).ok()?;
    let mut outline = emptied(&record);
    for path in KEPT {
        let pointer = format!("/{}", path.join("/"));
        if let (Some(kept), Some(place)) = (record.pointer(&pointer), outline.pointer_mut(&pointer))
            && kept.is_string()
        {
            kept.clone_into(place);
        }
    }
    Some(outline.to_string())
}

fn emptied(value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) => json!(REMOVED),
        Value::Array(elements) => elements.iter().map(emptied).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                // The API's own names are letters; that of a variable or of a tag is the caller's word.
                let is_plain = name.bytes().all(|byte| byte.is_ascii_alphabetic());
                (if is_plain { name.clone() } else { REMOVED.to_owned() }, emptied(value))
            })
            .collect(),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// What can be said of any bytes.
fn description(raw: &[u8]) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(raw) {
        let _ = write!(hash, "{byte:02x}");
    }
    format!("{} bytes with the SHA-256 {hash}", raw.len())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn text_of(raw: &[u8]) -> String {
        let origin = Origin { path: "file", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
        let source: Value = serde_json::from_slice(&panicked(raw, origin, &Names::default()).source).unwrap();
        assert_eq!((&source["reason"], &source["error"]["message"]), (&json!("panicked"), &json!(PANICKED)));
        source["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn of_a_record_that_panicked_who_what_and_where_are_kept_and_nothing_else_that_it_says() {
        let raw = json!({
            "eventID": "4da0b3c5", "eventName": "CreateTrainingJob", "awsRegion": ["eu-west-1"],
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
            "requestParameters": {"environment": {"hunter2": "x"}, "list": ["hunter2", 4711, true, null, ["hunter2"]]},
        });
        let text = text_of(raw.to_string().as_bytes());
        let expected = json!({
            "eventID": "4da0b3c5", "eventName": "CreateTrainingJob", "awsRegion": [REMOVED],
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/alice", "userName": REMOVED},
            "requestParameters": {"environment": {REMOVED: REMOVED}, "list": [REMOVED, REMOVED, true, null, [REMOVED]]},
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert!(!text.contains("hunter2") && !text.contains("4711"), "{text}");
    }

    #[test]
    fn of_what_cannot_be_read_hash_and_length_are_kept() {
        for raw in [b"{\"password\":\"hunter2\"".as_slice(), b"\xff", &b"[".repeat(1000)] {
            let text = text_of(raw);
            assert!(text.starts_with(&format!("{} bytes with the SHA-256 ", raw.len())), "{text}");
            assert!(!text.contains("hunter2"));
        }
    }
}
