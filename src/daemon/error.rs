//! Why a daemon ends by itself.

use crate::admin::AdminError;
use crate::alertmanager::AlertmanagerError;
use crate::opensearch::OpenSearchError;
use crate::setup::SetupError;
use crate::source::queue::QueueError;

/// Why the daemon exited without a signal.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("source.queue_url is not set; give the URL of the SQS queue that S3 notifies")]
    NoQueue,
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("task {0} exited unexpectedly; the log before this line may say why")]
    Ended(&'static str),
}
