//! Why a verification has no report.

use super::keys::KeysError;
use crate::enrich::redact::KeyError;
use crate::opensearch::{OpenSearchError, QueryError};
use crate::replay::{JobError, ReplayError};
use crate::setup::SetupError;
use crate::source::bucket::ListError;
use crate::source::store::StoreError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("a task of the verification panicked; this is a bug, please report it")]
    Panicked,
    #[error(
        "{index}: the findings could not be stored, OpenSearch answered {status}; grant the role create_index and write on this index"
    )]
    NotRecorded { index: String, status: u16 },
}
