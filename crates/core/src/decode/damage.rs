//! Describes what is wrong with an object, and the limits beyond which it is refused.

use super::form::{Foreign, Names};
use crate::labels::ObjectFailure;

/// What an object may cost before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes after decompression: a small gzip can unfold into gigabytes.
    pub uncompressed_bytes: u64,
    /// Bytes of one record. CloudTrail's own limit is 256 KB for an event.
    pub record_bytes: usize,
}

/// Why an object could not be decoded whole. Records that came before the damage were handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the gzip data ends too early, after {at} uncompressed bytes")]
    TruncatedGzip { at: u64 },
    #[error("the gzip data is corrupt after {at} uncompressed bytes: {problem}")]
    CorruptGzip { at: u64, problem: &'static str },
    #[error(
        "something follows the gzip data, which ends after {at} uncompressed bytes, and is neither gzip nor NUL padding"
    )]
    AppendedToGzip { at: u64 },
    #[error("the text in UTF-16 ends inside a character")]
    HalfUtf16,
    #[error("it unfolds to more than {limit} bytes (source.max_uncompressed_bytes)")]
    UncompressedTooLarge { limit: u64 },
    #[error("it is empty, so it is not a CloudTrail file")]
    Empty,
    #[error("it is {}, and not a CloudTrail file: {}", _0.what, _0.advice)]
    Foreign(Foreign),
    #[error(
        "after {index} record(s) comes an object that is no CloudTrail record and wraps none: it has {names}; \
         wrap records into {{\"Records\": […]}}, or give one a line"
    )]
    NoRecord { index: u64, names: Names },
    #[error("element {index} of `Records` or another list is not a record")]
    NotAnObject { index: u64 },
    #[error("record {index} is larger than {limit} bytes (source.max_record_bytes)")]
    RecordTooLarge { index: u64, limit: usize },
    #[error("malformed JSON at byte {at}: {problem}")]
    MalformedJson { at: u64, problem: &'static str },
}

impl Damage {
    /// The metric's label for this damage.
    pub fn failure(&self) -> ObjectFailure {
        match self {
            Self::TruncatedGzip { .. } => ObjectFailure::TruncatedGzip,
            Self::CorruptGzip { .. } | Self::AppendedToGzip { .. } => ObjectFailure::CorruptGzip,
            Self::UncompressedTooLarge { .. } => ObjectFailure::UncompressedTooLarge,
            Self::Empty | Self::Foreign(_) | Self::NoRecord { .. } => ObjectFailure::NoRecords,
            Self::NotAnObject { .. } => ObjectFailure::NotAnObject,
            Self::RecordTooLarge { .. } => ObjectFailure::RecordTooLarge,
            Self::MalformedJson { .. } | Self::HalfUtf16 => ObjectFailure::MalformedJson,
        }
    }
}
