//! The producers of documents, as far as the batcher knows them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::Notify;

/// How many producers are alive, and the signal that wakes the batcher.
pub(super) struct Producers {
    pub(super) alive: AtomicUsize,
    pub(super) wake: Arc<Notify>,
}
