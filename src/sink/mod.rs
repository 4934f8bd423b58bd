//! Takes documents and answers with the proof that they are stored.
//!
//! Documents of all messages in flight travel together in bulks; each submission gets its own answer, as a value. A
//! document that is not proven to be stored is answered with an error, so its message stays in the queue.

mod answer;
mod batch;
mod batcher;
pub mod bulk;
mod delivery;
mod doubt;
mod entry;
mod fault;
mod health;
mod limit;
mod cluster_block;
mod adaptive_limit;
mod probe;
mod producers;
mod rejection;
mod memory_budget;
mod verdict;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

pub use self::answer::{SinkClosed, StoreError, Stored};
pub use self::entry::Submission;

use self::batcher::Batcher;
use self::entry::{AckTracker, Entry};
use self::memory_budget::MemoryBudget;
use self::producers::Producers;
use crate::config::SinkConfig;
use crate::document::Document;
use crate::metrics::Metrics;
use crate::opensearch::OpenSearch;

/// Submissions on their way to the batcher. Memory is bounded by the room for documents; this only has to be more
/// than the batcher can be behind while it spawns a bulk.
const HANDOVERS: usize = 64;

/// Starts the sink. It runs until every `Sink` and `Producer` is gone and everything is answered, or until the task is
/// dropped.
pub fn spawn(client: OpenSearch, config: &SinkConfig, metrics: Arc<Metrics>) -> (Sink, SinkTask) {
    let (handovers, received) = mpsc::channel(HANDOVERS);
    let wake = Arc::new(Notify::new());
    let budget =
        Arc::new(MemoryBudget::new(config.queue_bytes.get(), Arc::clone(&wake), Arc::clone(&metrics)));
    let producers = Arc::new(Producers { alive: AtomicUsize::new(0), wake });
    let batcher = Batcher::new(
        client,
        config,
        Arc::clone(&metrics),
        received,
        Arc::clone(&producers),
        Arc::clone(&budget),
    );
    let handle = AbortOnDropHandle::new(tokio::spawn(batcher.run()));
    (Sink { handovers, budget, producers }, SinkTask { handle, metrics })
}

/// The way in. One is enough for the whole pipeline; clones share everything.
#[derive(Clone)]
pub struct Sink {
    handovers: mpsc::Sender<Vec<Entry>>,
    budget: Arc<MemoryBudget>,
    producers: Arc<Producers>,
}

impl Sink {
    /// Registers one more producer of documents. While any producer lives, a batch may wait to become fuller; without
    /// producers it is sent at once.
    pub fn join(&self) -> Producer {
        self.producers.alive.fetch_add(1, Ordering::AcqRel);
        Producer { sink: self.clone() }
    }
}

/// Submits the documents of one message in flight. Drop it after the last document and before waiting for answers.
pub struct Producer {
    sink: Sink,
}

impl Producer {
    /// Submits documents, and waits for budget where there is none.
    pub async fn submit(&self, documents: Vec<Document>) -> Result<Submission, SinkClosed> {
        let (acks, submission) = AckTracker::open(documents.len());
        let mut handover = Vec::with_capacity(documents.len());
        for document in documents {
            let bytes = bulk::encoded_len(&document);
            let permit = if let Some(permit) = self.sink.budget.try_take(bytes)? {
                permit
            } else {
                // Documents that have budget must be on their way before this waits, or it would wait for itself.
                self.hand_over(mem::take(&mut handover)).await?;
                self.sink.budget.take(bytes).await?
            };
            handover.push(Entry::new(document, &acks, permit));
        }
        self.hand_over(handover).await?;
        Ok(submission)
    }

    async fn hand_over(&self, entries: Vec<Entry>) -> Result<(), SinkClosed> {
        if entries.is_empty() {
            return Ok(());
        }
        self.sink.handovers.send(entries).await.map_err(|_| SinkClosed)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if self.sink.producers.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.sink.producers.wake.notify_one();
        }
    }
}

/// The running sink. Dropping it stops the sink at once: what is unanswered is then answered with `Closed`.
#[must_use = "the sink stops when its task is dropped"]
pub struct SinkTask {
    handle: AbortOnDropHandle<()>,
    metrics: Arc<Metrics>,
}

impl SinkTask {
    /// Waits until every `Sink` and `Producer` is gone and everything that was handed over is answered. It may be given
    /// up at any time, which drops the task.
    pub async fn drain(self) {
        if let Err(failure) = self.handle.await
            && failure.is_panic()
        {
            self.metrics.task_panics.inc();
            error!(
                "the sink's task panicked; this is a bug, please report it; the queue delivers its messages again"
            );
        }
    }
}
