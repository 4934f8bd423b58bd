//! What a submission is answered with: where its documents are, or why not all of them are stored.

use std::ops::AddAssign;

/// How many documents of one submission are in which index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Newly stored in the index they were meant for.
    pub created: u64,
    /// That index held them already.
    pub duplicate: u64,
    /// In the rejected index, now or since an earlier delivery.
    pub rejected: u64,
    /// Facts that are joined into memory. They are no records, so nothing else counts them.
    pub facts: u64,
    /// Facts that were refused, with a report in the rejected index.
    pub facts_rejected: u64,
}

impl AddAssign for Stored {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.facts += other.facts;
        self.facts_rejected += other.facts_rejected;
    }
}

/// Why not every document of a submission is stored. The others may be; sending all of them again is harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(
        "OpenSearch did not take a document in {attempts} attempts, the last with status {status} ({kind}); its message is delivered again"
    )]
    Unavailable { attempts: u32, status: u16, kind: String },
    #[error(
        "OpenSearch refused a document ({kind}), and refused its report for the rejected index too; see sagetrail-rejected's mapping and limits"
    )]
    Refused { kind: String },
    #[error(
        "OpenSearch or a proxy before it refused a document of {bytes} bytes as too large (413); raise http.max_content_length or the proxy's limit of bodies above that"
    )]
    TooLarge { bytes: usize },
    #[error("the sink stopped before OpenSearch answered for a document; its message is delivered again")]
    Closed,
}

/// The sink has stopped and takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sink has stopped")]
pub struct SinkClosed;
