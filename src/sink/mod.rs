//! Takes documents and answers with the proof that they are stored.
//!
//! Documents of all messages in flight travel together in bulks; each submission gets its own answer, as a value. A
//! document that is not proven to be stored is answered with an error, so its message stays in the queue.

mod batch;
mod batcher;
pub mod bulk;
mod delivery;
mod doubt;
mod entry;
mod fault;
mod health;
mod limit;
mod obstacle;
mod pace;
mod probe;
mod rejection;
mod room;
mod verdict;

use std::mem;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

pub use self::entry::Submission;

use self::batcher::Batcher;
use self::entry::{Entry, Tally};
use self::room::Room;
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
    let bell = Arc::new(Notify::new());
    let room = Arc::new(Room::new(config.queue_bytes.get(), Arc::clone(&bell), Arc::clone(&metrics)));
    let producers = Arc::new(Producers { alive: AtomicUsize::new(0), bell });
    let batcher = Batcher::new(
        client,
        config,
        Arc::clone(&metrics),
        received,
        Arc::clone(&producers),
        Arc::clone(&room),
    );
    let handle = AbortOnDropHandle::new(tokio::spawn(batcher.run()));
    (Sink { handovers, room, producers }, SinkTask { handle, metrics })
}

/// The way in. One is enough for the whole pipeline; clones share everything.
#[derive(Clone)]
pub struct Sink {
    handovers: mpsc::Sender<Vec<Entry>>,
    room: Arc<Room>,
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
        let (tally, submission) = Tally::open(documents.len());
        let mut handover = Vec::with_capacity(documents.len());
        for document in documents {
            let bytes = bulk::encoded_len(&document);
            let space = if let Some(space) = self.sink.room.try_take(bytes)? {
                space
            } else {
                // Documents that have budget must be on their way before this waits, or it would wait for itself.
                self.hand_over(mem::take(&mut handover)).await?;
                self.sink.room.take(bytes).await?
            };
            handover.push(Entry::new(document, &tally, space));
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
            self.sink.producers.bell.notify_one();
        }
    }
}

/// How many producers are alive, and the signal that wakes the batcher.
struct Producers {
    alive: AtomicUsize,
    bell: Arc<Notify>,
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
            self.metrics.task_panicked();
            error!(
                "the sink's task panicked; this is a bug, please report it; the queue delivers its messages again"
            );
        }
    }
}

/// How many documents of one submission are in which index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Newly stored in the index they were meant for.
    pub created: u64,
    /// That index held them already.
    pub duplicate: u64,
    /// In the rejected index, now or since an earlier delivery.
    pub rejected: u64,
}

impl AddAssign for Stored {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
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
