//! The pipeline: one message on its way from the queue to OpenSearch.
//!
//! This is the only place that knows more than one stage. A message is done when `process` returned Ok: each of its
//! records is then stored, deliberately not selected, or set aside in the rejected index. Nothing has to be undone when
//! it is dropped half-way, because ids make a second delivery harmless.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, info, warn};

use crate::config::SourceConfig;
use crate::decode::{self, Damage, Limits, decode};
use crate::document::Document;
use crate::enrich::{Enriched, Knowledge, Origin, enrich};
use crate::metrics::{FreshnessStage, Metrics, ObjectFailure, RejectReason};
use crate::sink::{self, Producer, Sink, Submission};
use crate::source::allowed::{Allowed, NotAllowed};
use crate::source::key;
use crate::source::notification::{self, NotificationError, NotifiedObject, ObjectRef};
use crate::source::store::{self, Store};

/// Bytes of documents that are handed to the sink together: small enough to bound what a decoder holds, large enough
/// that handing over costs nothing.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks between the decoder's thread and the message's task. One is enough to let both work.
const CHUNKS: usize = 1;

/// Everything that a message needs on its way.
pub struct Pipeline {
    store: Store,
    allowed: Allowed,
    sink: Sink,
    knowledge: watch::Receiver<Arc<Knowledge>>,
    limits: Limits,
    /// One for each processor: more decoders at once would only hold more memory.
    decoders: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("the message is no notification that is known: {0}")]
    NotUnderstood(#[from] NotificationError),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("{object} is damaged: {damage}")]
    Damaged { object: String, damage: Damage },
    #[error("the documents of the message are not all stored: {0}")]
    Sink(#[from] sink::StoreError),
    #[error("decoding {object} panicked, which is a bug")]
    Panicked { object: String },
}

impl ProcessError {
    /// The metric's label, where the failure is one of an object.
    fn object_failure(&self) -> Option<ObjectFailure> {
        match self {
            Self::NotAllowed(_) => Some(ObjectFailure::NotAllowed),
            Self::Store(error) => Some(error.failure()),
            Self::Damaged { damage, .. } => Some(damage.failure()),
            Self::NotUnderstood(_) | Self::Sink(_) | Self::Panicked { .. } => None,
        }
    }
}

impl Pipeline {
    pub fn new(
        store: Store,
        sink: Sink,
        knowledge: watch::Receiver<Arc<Knowledge>>,
        config: &SourceConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        let limits = Limits {
            uncompressed_bytes: config.max_uncompressed_bytes,
            record_bytes: config.max_record_bytes,
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let allowed = Allowed::new(config);
        Self {
            store,
            allowed,
            sink,
            knowledge,
            limits,
            decoders: Arc::new(Semaphore::new(processors)),
            metrics,
        }
    }

    /// Announces a message to the sink, which then waits a moment for its documents before it sends what it has.
    pub fn announce(&self) -> Producer {
        self.sink.join()
    }

    /// Ships every object that the message names. One object's failure does not keep the others from being shipped; the
    /// message as a whole then failed, and the first failure is returned.
    pub async fn process(&self, body: &str, producer: Producer) -> Result<(), ProcessError> {
        let received_at = OffsetDateTime::now_utc();
        let notification = notification::parse(body)?;
        self.metrics.notification_understood(notification.form);
        // A reload meanwhile is for the messages after this one.
        let knowledge = Arc::clone(&self.knowledge.borrow());

        let mut failure = None;
        let mut submissions = Vec::new();
        for object in &notification.objects {
            match object {
                NotifiedObject::Created(object) => {
                    let shipped =
                        self.ship(object, &knowledge, received_at, &producer, &mut submissions).await;
                    if let Err(error) = shipped {
                        if let Some(reason) = error.object_failure() {
                            self.metrics.object_failed(reason);
                        }
                        warn!(%error, "an object could not be shipped whole; its message stays in the queue");
                        failure.get_or_insert(error);
                    }
                }
                NotifiedObject::Skipped { reason, bucket, key } => {
                    debug!(bucket, key, ?reason, "an object is deliberately not read");
                    self.metrics.object_skipped(*reason);
                }
            }
        }
        // From here on the message only waits, so a batch need not wait for it.
        drop(producer);
        for submission in submissions {
            if let Err(error) = submission.stored().await {
                failure.get_or_insert(error.into());
            }
        }
        match failure {
            Some(error) => Err(error),
            None => {
                self.metrics
                    .freshness(FreshnessStage::ReceivedToIndexed, OffsetDateTime::now_utc() - received_at);
                Ok(())
            }
        }
    }

    /// Reads one object and hands its documents to the sink.
    async fn ship(
        &self,
        object: &ObjectRef,
        knowledge: &Arc<Knowledge>,
        received_at: OffsetDateTime,
        producer: &Producer,
        submissions: &mut Vec<Submission>,
    ) -> Result<(), ProcessError> {
        let path = format!("s3://{}/{}", object.bucket, object.key);
        let trail_key = match key::classify(&object.key) {
            Ok(trail_key) => trail_key,
            Err(reason) => {
                debug!(path, ?reason, "an object is deliberately not read");
                self.metrics.object_skipped(reason);
                return Ok(());
            }
        };
        self.allowed.check(object, &trail_key)?;
        let stored = self.store.get(object).await?;
        let written_at = stored.last_modified.or(object.put_at).or(Some(trail_key.delivered_at));
        if let Some(written_at) = written_at {
            self.metrics.freshness(FreshnessStage::ObjectToReceived, received_at - written_at);
        }
        let stored_bytes = stored.stored_bytes;

        let (chunks, mut received) = mpsc::channel(CHUNKS);
        let job = DecodeJob {
            path: path.clone(),
            written_at,
            limits: self.limits,
            knowledge: Arc::clone(knowledge),
            metrics: Arc::clone(&self.metrics),
            chunks,
        };
        let slot = Arc::clone(&self.decoders).acquire_owned().await.expect("the semaphore is never closed");
        let decoding = tokio::task::spawn_blocking(move || {
            let damage = job.run(&stored.bytes);
            // Both go with this thread, which may outlive the message: what it holds stays counted until it ends.
            drop(stored);
            drop(slot);
            damage
        });
        while let Some(chunk) = received.recv().await {
            submissions.push(producer.submit(chunk).await.map_err(|_| sink::StoreError::Closed)?);
        }
        match decoding.await {
            Ok(None) => {
                self.metrics.object_read(stored_bytes);
                info!(path, stored_bytes, "an object was read");
                Ok(())
            }
            Ok(Some(damage)) => Err(ProcessError::Damaged { object: object.to_string(), damage }),
            Err(_panicked) => {
                self.metrics.task_panicked();
                Err(ProcessError::Panicked { object: object.to_string() })
            }
        }
    }
}

/// The decoding of one object, on a thread where it may block.
struct DecodeJob {
    path: String,
    written_at: Option<OffsetDateTime>,
    limits: Limits,
    knowledge: Arc<Knowledge>,
    metrics: Arc<Metrics>,
    chunks: mpsc::Sender<Vec<Document>>,
}

impl DecodeJob {
    /// Sends the documents of the object in chunks, and returns what was wrong with it. It breaks off when nobody
    /// receives them any more.
    fn run(self, object: &Bytes) -> Option<Damage> {
        let origin = Origin { path: &self.path, written_at: self.written_at, now: OffsetDateTime::now_utc() };
        let mut chunk = Chunk::default();
        let mut selected = 0;
        let decoded = decode(object, &self.limits, |raw| {
            match enrich(raw, origin, &self.knowledge) {
                Enriched::NotSelected => return ControlFlow::Continue(()),
                Enriched::Selected { document, event_time, categories, unknown_operation } => {
                    selected += 1;
                    if unknown_operation {
                        self.metrics.unknown_operation_met();
                    }
                    self.observe(event_time, &categories);
                    chunk.push(document);
                }
                Enriched::Malformed(document) => {
                    selected += 1;
                    self.metrics.record_rejected(RejectReason::Malformed);
                    chunk.push(document);
                }
            }
            if chunk.bytes < CHUNK_BYTES {
                return ControlFlow::Continue(());
            }
            match self.chunks.blocking_send(chunk.take()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        if !chunk.documents.is_empty() {
            // When nobody receives it any more, the message is being given back.
            let _ = self.chunks.blocking_send(chunk.take());
        }
        let decode::Decoded { records, raw_bytes, damage } = decoded;
        self.metrics.records_decoded(records, selected, raw_bytes);
        damage
    }

    fn observe(&self, event_time: Option<OffsetDateTime>, categories: &[&str]) {
        for category in categories {
            self.metrics.record_categorised(category);
        }
        if let (Some(event_time), Some(written_at)) = (event_time, self.written_at) {
            self.metrics.freshness(FreshnessStage::EventToObject, written_at - event_time);
        }
    }
}

/// Documents that wait for enough company to be handed over.
#[derive(Default)]
struct Chunk {
    documents: Vec<Document>,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, document: Document) {
        self.bytes += document.source.len();
        self.documents.push(document);
    }

    fn take(&mut self) -> Vec<Document> {
        self.bytes = 0;
        std::mem::take(&mut self.documents)
    }
}
