//! What a retag came to, and why one could not go on.

use std::fmt;

use serde::Serialize;

use crate::opensearch::{OpenSearchError, QueryError};
use crate::setup::SetupError;
use crate::templates::{PLAIN, fill};

/// The numbers of one retag.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The rules' version that documents have now.
    pub version: String,
    /// Documents that other rules had tagged, or that memory did not complete.
    pub outdated: u64,
    pub retagged: u64,
    /// Documents whose findings changed.
    pub changed: u64,
    /// Documents that have what memory could not say when they were shipped.
    pub completed: u64,
    /// Documents that keep findings, scripts or fields which their text no longer shows.
    pub carried: u64,
    /// Documents that were changed during each attempt; the next run takes them.
    pub conflicts: u64,
    /// Documents without a readable text.
    pub unreadable: u64,
    /// Documents that OpenSearch refused.
    pub refused: u64,
    pub interrupted: bool,
}

/// Why a retag could not go on. A second run takes what is left.
#[derive(Debug, thiserror::Error)]
pub enum RetagError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("bulk: OpenSearch did not take the documents in {attempts} attempts")]
    Unavailable { attempts: u32 },
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&fill(include_str!("summary.txt.j2"), PLAIN, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_beside_what_it_counts() {
        let summary = Summary { version: "v1".to_owned(), outdated: 1, refused: 2, ..Summary::default() };
        let text = summary.to_string();
        assert!(text.starts_with("rules      v1\noutdated   1 documents\nretagged   0, 0 of them"), "{text}");
        assert!(text.ends_with("\nleft       0 changed meanwhile, 0 unreadable, 2 refused\n"), "{text}");
    }
}
