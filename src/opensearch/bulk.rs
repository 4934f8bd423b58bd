//! Writes many documents with one request, a bulk, and reads its answer.

use std::borrow::Cow;
use std::io::Write;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

/// The parts of the answer that are read; the rest would be most of its bytes. `errors` is left out on purpose: the
/// status of each item is the truth, and a flag that contradicts it could only mislead.
pub(super) const ANSWER_FILTER: &str = "filter_path=items.*._id,items.*.status,items.*.result,items.*.error.type,items.*.error.reason,\
     items.update._seq_no,items.update.error.caused_by.type,items.update.error.caused_by.reason";

/// The error of a write whose condition does not hold, and of nothing else.
pub const CONFLICT: &str = "version_conflict_engine_exception";

/// The reason of an update whose script did not end; the cause says why.
pub const SCRIPT_FAILED: &str = "failed to execute script";

/// How often OpenSearch itself repeats an update that another one came before.
const RETRIES_OF_UPDATE: u32 = 5;

/// The largest that a sequence number can be.
const NEVER: u64 = (1 << 53) - 1;

/// What is to be done with one document.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Store it, unless its id is taken.
    Create,
    /// Store it in place of whatever is there.
    Index,
    /// Store it in place of this version, and of no other.
    Replace {
        seq_no: u64,
        primary_term: u64,
    },
    Delete,
    /// Let a script change it, which is a source of its own.
    Update,
}

/// Appends one document to the body of a bulk. The source is JSON, and empty for a deletion.
pub fn push(body: &mut Vec<u8>, action: Action, index: &str, id: &str, source: &[u8]) {
    let done = match action {
        // Most bulks hold nothing else. Neither name needs escaping there; their types see to that.
        Action::Create => writeln!(body, r#"{{"create":{{"_index":"{index}","_id":"{id}"}}}}"#),
        Action::Update => writeln!(
            body,
            r#"{{"update":{{"_index":"{index}","_id":"{id}","retry_on_conflict":{RETRIES_OF_UPDATE}}}}}"#
        ),
        Action::Index => writeln!(body, "{}", json!({"index": {"_index": index, "_id": id}})),
        Action::Replace { seq_no, primary_term } => {
            let condition =
                json!({"_index": index, "_id": id, "if_seq_no": seq_no, "if_primary_term": primary_term});
            writeln!(body, "{}", json!({ "index": condition }))
        }
        Action::Delete => {
            return body.extend(format!("{}\n", json!({"delete": {"_index": index, "_id": id}})).bytes());
        }
    };
    done.expect("writing to memory does not fail");
    let line = body.len();
    body.extend_from_slice(source);
    // Inside JSON strings a newline is escaped, so a raw one is only layout. Left in, what follows it would be read as
    // the next action.
    while let Some(newline) = memchr::memchr(b'\n', &body[line..]) {
        body[line + newline] = b' ';
    }
    body.push(b'\n');
}

/// The body of a write that goes the whole way, through pipelines and the mapping, and can never happen: its condition
/// names a version that no document has. So a conflict is the proof that the index takes documents.
pub fn trial(index: &str, source: &str) -> Bytes {
    let mut body = Vec::with_capacity(source.len() + 256);
    let never = Action::Replace { seq_no: NEVER, primary_term: 1 };
    push(&mut body, never, index, "sagetrail-probe", source.as_bytes());
    Bytes::from(body)
}

/// What the answer says of one document.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    /// Null where a pipeline failed on an update.
    #[serde(rename = "_id", borrow)]
    pub id: Option<Cow<'a, str>>,
    pub status: u16,
    #[serde(borrow)]
    pub result: Option<Cow<'a, str>>,
    /// The number of the document's last change; absent where there is no document.
    #[serde(rename = "_seq_no")]
    pub seq_no: Option<i64>,
    pub error: Option<ItemError>,
}

/// Why a document was not written. The reason may quote it, so it never goes to a log.
#[derive(Debug, Default, Deserialize)]
pub struct ItemError {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub reason: Option<String>,
    pub caused_by: Option<Cause>,
}

/// What is behind an error.
#[derive(Debug, Default, Deserialize)]
pub struct Cause {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub reason: Option<String>,
}

impl Item<'_> {
    /// The type of the error, empty where there is none.
    pub fn kind(&self) -> &str {
        self.error.as_ref().and_then(|error| error.kind.as_deref()).unwrap_or_default()
    }
}

/// An item and the action that it answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done<'a> {
    #[serde(borrow)]
    Create(Item<'a>),
    #[serde(borrow)]
    Index(Item<'a>),
    #[serde(borrow)]
    Delete(Item<'a>),
    #[serde(borrow)]
    Update(Item<'a>),
}

impl<'a> Done<'a> {
    /// What became of the document, whatever the action was.
    pub fn item(&self) -> &Item<'a> {
        let (Self::Create(item) | Self::Index(item) | Self::Delete(item) | Self::Update(item)) = self;
        item
    }
}

/// Reads the answer to a bulk: one item for each document, in their order.
pub fn read(answer: &[u8]) -> Result<Vec<Done<'_>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        items: Vec<Done<'a>>,
    }
    serde_json::from_slice(answer).map(|Answer { items }| items)
}
