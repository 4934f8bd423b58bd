//! What holds for any notification and for any answer of OpenSearch, in the manner of `properties.rs`.

use sagetrail::document::{Document, Write};
use sagetrail::sink::bulk;
use sagetrail::source::key;
use sagetrail::source::notification::{self, NotifiedObject};
use serde_json::Value;

use super::properties::assert_one_line;

/// A message is a notification or an error; neither breaks a log line, and an error stays short.
pub fn notification(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    match notification::parse(body) {
        Ok(notification) => {
            for object in notification.objects {
                match object {
                    NotifiedObject::Created(object) => {
                        assert!(!object.bucket.is_empty() && !object.key.is_empty());
                        assert_one_line(&object.to_string());
                        let _ = key::classify(&object.key);
                    }
                    NotifiedObject::Skipped { bucket, key, .. } => {
                        assert!(!bucket.is_empty() && !key.is_empty());
                    }
                }
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert_one_line(&text);
            assert!(text.len() < 600, "{text}");
        }
    }
}

/// An answer is believed only where it names each document that was sent and says that it is stored.
pub fn answer(data: &[u8]) {
    const SENT: [&str; 3] = ["a", "b-1", "c"];
    let Ok(outcomes) = bulk::classify(data, SENT.map(|id| (id, Write::Create)).into_iter()) else { return };
    assert_eq!(outcomes.len(), SENT.len());
    // Members that nobody reads may hold what no value can: half of a surrogate pair, or a number beyond all.
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    let items = member(&answer, "items", 0);
    for (position, (outcome, id)) in outcomes.iter().zip(SENT).enumerate() {
        let create = member(&items[position], "create", 0);
        assert_eq!(member(create, "_id", 0), id);
        let status = member(create, "status", 1).as_u64().expect("a status is a number");
        match outcome {
            bulk::ItemOutcome::Created => assert!((200..300).contains(&status)),
            bulk::ItemOutcome::Duplicate => assert_eq!(status, 409),
            // What a pipeline dropped has the status of a success.
            bulk::ItemOutcome::Retry { .. } => {
                assert!(status >= 400 || member(create, "result", 2) == "noop");
            }
            bulk::ItemOutcome::Refused(_) | bulk::ItemOutcome::Doubtful(_) => assert!(status >= 400),
        }
    }
}

/// The body of a bulk has one action and one object, whatever the document holds.
pub fn assert_is_one_item(document: &Document) {
    let body = bulk::encode([document].into_iter());
    let lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').collect();
    let [action, source, b""] = lines[..] else { panic!("{} lines", lines.len()) };
    let (index, id) = (document.index.as_str(), document.id.as_str());
    let expected = format!(r#"{{"create":{{"_index":"{index}","_id":"{id}"}}}}"#);
    assert_eq!(action, expected.as_bytes());
    assert_eq!(source, &document.source[..]);
}

/// Serde takes a struct also from an array of its members.
fn member<'v>(value: &'v Value, name: &str, position: usize) -> &'v Value {
    value.get(name).or_else(|| value.get(position)).unwrap_or(&Value::Null)
}
