//! Why a replay could not begin or go on.

use std::io;
use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use super::job::JobError;
use crate::opensearch::OpenSearchError;
use crate::setup::SetupError;
use crate::source::bucket::ListError;

/// Why a replay could not begin or go on. Single objects that fail are in the summary.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(
        "{failures} objects failed, the last with: {last}; something is wrong with more than single objects"
    )]
    TooManyFailures { failures: usize, last: String },
    #[error("the task that lists the objects panicked; this is a bug, please report it")]
    Panicked,
}
