//! Why a message stays in the queue.

use crate::decode::Damage;
use crate::labels::ObjectFailure;
use crate::sink;
use crate::source::allowed::NotAllowed;
use crate::source::notification::NotificationError;
use crate::source::store;

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("unrecognised notification: {0}")]
    NotUnderstood(#[from] NotificationError),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("{object} is damaged: {damage}")]
    Damaged { object: String, damage: Damage },
    #[error("{object}: not all of its documents are stored: {source}")]
    NotStored { object: String, source: sink::StoreError },
    #[error("the ledger entries of the message's objects are not stored: {0}")]
    NotEntered(sink::StoreError),
    #[error("decoding {object} panicked; this is a bug, please report it")]
    Panicked { object: String },
}

impl ProcessError {
    /// The metric's label, where the failure is one of an object.
    pub(super) fn object_failure(&self) -> Option<ObjectFailure> {
        match self {
            Self::NotAllowed(_) => Some(ObjectFailure::NotAllowed),
            Self::Store(error) => Some(error.failure()),
            Self::Damaged { damage, .. } => Some(damage.failure()),
            Self::NotUnderstood(_) | Self::NotStored { .. } | Self::NotEntered(_) | Self::Panicked { .. } => {
                None
            }
        }
    }
}
