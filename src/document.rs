//! The document: what the sink is handed for one record, ready for the bulk API.

use bytes::Bytes;
use time::OffsetDateTime;

/// One record as OpenSearch will store it. Everything in it is safe to send: secrets are redacted before this type.
#[derive(Debug, Clone)]
pub struct Document {
    /// `_id`: the same record has the same id wherever and whenever it is delivered.
    pub id: DocumentId,
    /// `_index`: chosen by the event's time alone, so that a redelivery meets its first copy.
    pub index: IndexName,
    /// `_source`: one JSON object on one line.
    pub source: Bytes,
    /// When the API was called, for the freshness histograms.
    pub event_time: Option<OffsetDateTime>,
}

/// The `_id` of a record: letters, digits, `-` and `_` alone, at most 512 bytes, so that it needs no escaping anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(String);

impl DocumentId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an index of ours. It is made here from numbers, never from a record's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName(String);

impl IndexName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
