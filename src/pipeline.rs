//! Takes one message from the queue to OpenSearch.
//!
//! This is the only module that knows more than one stage. A message is done when `process` returned Ok: each of its
//! records is then stored, not selected, or rejected, and the ledger has an entry for each of its objects. Nothing has
//! to be undone when it is dropped half-way, because ids make a second delivery harmless.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, warn};

use self::chunk::Submitted;
use self::decoding::{Decoding, Part};
pub use self::error::ProcessError;
use self::held::Held;
use self::judging::{Judge, Step, Subject};
pub use self::shipped::Shipped;
use self::shipped::{PendingObject, ReadObject, all_stored};
use crate::config::{ContentHash, SourceConfig};
use crate::decode::{Decoded, Limits, Scratch};
use crate::document::Document;
use crate::enrich::Enricher;
use crate::labels::{FreshnessStage, ObjectSkip};
use crate::ledger::Contents;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::sink::{self, Producer, Sink};
use crate::source::allowed::Allowed;
use crate::source::key::{self, Readable};
use crate::source::notification::{self, NotifiedObject, ObjectRef, on_one_line};
use crate::source::store::{self, Store};

mod chunk;
mod decoding;
mod error;
mod held;
mod judging;
mod shipped;

/// Parts between the decoder's thread and the message's task: half a megabyte of them, so that both work at the same
/// time although parts come in bursts.
const PARTS: usize = 4;
/// How many folders of skipped objects are logged. In a bucket with more, such names tell an operator nothing.
const FOREIGN_PLACES: usize = 32;

/// Ships messages: holds what all of them share.
pub struct Pipeline {
    store: Store,
    allowed: Allowed,
    readable: Readable,
    /// Folders with skipped objects that were logged; each is logged once.
    foreign: Mutex<HashSet<String>>,
    sink: Sink,
    memory: Memory,
    enricher: watch::Receiver<Arc<Enricher>>,
    limits: Limits,
    content_hash: ContentHash,
    /// One for each processor: more decoders at once would only hold more memory.
    decoders: Arc<Semaphore>,
    /// The same for the judging of held records, which a decoder may wait for.
    judges: Arc<Semaphore>,
    /// The scratches that no decoder uses just now.
    scratches: Arc<Mutex<Vec<Scratch>>>,
    metrics: Arc<Metrics>,
}

impl Pipeline {
    /// Joins the stages, and lets as many decoders and as many judges of held records work as there are processors.
    pub fn new(
        store: Store,
        sink: Sink,
        memory: Memory,
        enricher: watch::Receiver<Arc<Enricher>>,
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
            readable: Readable::new(&config.also_read).expect("the configuration was checked"),
            foreign: Mutex::default(),
            sink,
            memory,
            enricher,
            limits,
            content_hash: config.content_hash,
            decoders: Arc::new(Semaphore::new(processors)),
            judges: Arc::new(Semaphore::new(processors)),
            scratches: Arc::default(),
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
        self.metrics.notifications.count(notification.form);
        // A reload meanwhile is for the messages after this one.
        let enricher = Arc::clone(&self.enricher.borrow());

        let mut underway = Vec::new();
        for object in &notification.objects {
            match object {
                NotifiedObject::Created(object) => {
                    underway.push(self.hand_over(object, &enricher, received_at, &producer).await);
                }
                NotifiedObject::Skipped { reason, bucket, key } => {
                    debug!(bucket, key, ?reason, "an object is skipped");
                    self.metrics.objects_skipped.count(*reason);
                }
            }
        }
        // From here on the message only waits, so a batch need not wait for it.
        drop(producer);
        let mut failure = None;
        let mut entries = Vec::new();
        for object in underway {
            match object.stored(&enricher.names).await {
                Ok(shipped) => entries.extend(shipped.and_then(|shipped| shipped.entry)),
                Err(error) if failure.is_none() => failure = Some(error),
                // A message reports only its first failure, so the others are logged here.
                Err(error) => warn!(%error, "another object of the message failed too"),
            }
        }
        if let Err(error) = self.write_ledger(entries).await {
            failure.get_or_insert(error);
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

    /// Ships one object that no message asked for. None is an object whose key says that it holds no records.
    pub async fn ship_object(&self, object: &ObjectRef) -> Result<Option<Shipped>, ProcessError> {
        let enricher = Arc::clone(&self.enricher.borrow());
        let producer = self.announce();
        let underway = self.hand_over(object, &enricher, OffsetDateTime::now_utc(), &producer).await;
        drop(producer);
        let mut shipped = underway.stored(&enricher.names).await?;
        let entry = shipped.as_mut().and_then(|shipped| shipped.entry.take());
        self.write_ledger(entry.into_iter().collect()).await?;
        Ok(shipped)
    }

    /// Ships bytes that do not come from S3. The ledger gets no entry for them.
    pub async fn ship_file(&self, path: &str, file: store::Object) -> Result<Shipped, ProcessError> {
        let enricher = Arc::clone(&self.enricher.borrow());
        let producer = self.announce();
        let mut submissions = Vec::new();
        let origin = FileOrigin { path: path.to_owned(), written_at: file.last_modified };
        let read = self.read(origin, file, &enricher, &producer, &mut submissions).await;
        drop(producer);
        let documents = all_stored(submissions).await;
        let contents = read?;
        let documents = documents
            .map_err(|source| ProcessError::NotStored { object: on_one_line(path).into_owned(), source })?;
        Ok(Shipped { contents, documents, entry: None })
    }

    /// The store, for callers that read files within the same budget.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The memory that its messages ask and tell, so that a caller can see whether it is on.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Reads one object and hands its documents to the sink.
    async fn hand_over(
        &self,
        object: &ObjectRef,
        enricher: &Arc<Enricher>,
        received_at: OffsetDateTime,
        producer: &Producer,
    ) -> PendingObject {
        let mut submissions = Vec::new();
        let read = self.read_object(object, enricher, received_at, producer, &mut submissions).await;
        if let Err(error) = &read
            && let Some(reason) = error.object_failure()
        {
            self.metrics.object_failures.count(reason);
        }
        PendingObject { object: object.to_string(), read, submissions }
    }

    async fn read_object(
        &self,
        object: &ObjectRef,
        enricher: &Arc<Enricher>,
        received_at: OffsetDateTime,
        producer: &Producer,
        submissions: &mut Vec<Submitted>,
    ) -> Result<Option<ReadObject>, ProcessError> {
        let trail_key = match self.readable.classify(&object.key) {
            Ok(trail_key) => trail_key,
            Err(reason) => {
                debug!(%object, ?reason, "an object is skipped");
                self.metrics.objects_skipped.count(reason);
                if reason == ObjectSkip::Foreign {
                    self.tell_of_foreign(&object.key);
                }
                return Ok(None);
            }
        };
        self.allowed.check(object, trail_key.as_ref())?;
        let stored = self.store.get(object).await?;
        let written_at =
            stored.last_modified.or(object.put_at).or(trail_key.as_ref().map(|key| key.delivered_at));
        if let Some(written_at) = written_at {
            self.metrics.freshness(FreshnessStage::ObjectToReceived, received_at - written_at);
        }
        let (etag, version) = (stored.etag.clone(), stored.version.clone());
        let last_modified = stored.last_modified;
        let origin = FileOrigin { path: format!("s3://{}/{}", object.bucket, object.key), written_at };
        let contents = self.read(origin, stored, enricher, producer, submissions).await?;
        Ok(Some(ReadObject { object: object.clone(), trail_key, etag, version, last_modified, contents }))
    }

    /// Logs once for each folder that its objects are skipped.
    fn tell_of_foreign(&self, key: &str) {
        let place = key::neighbourhood(key);
        let mut told = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < FOREIGN_PLACES && told.insert(place.clone()) {
            warn!(
                place = %on_one_line(&place),
                "objects whose names are not CloudTrail's are skipped; if they hold its records, name them in \
                 source.also_read, else let the bucket not announce them"
            );
        }
    }

    /// Decodes bytes and hands their documents to the sink.
    async fn read(
        &self,
        origin: FileOrigin,
        stored: store::Object,
        enricher: &Arc<Enricher>,
        producer: &Producer,
        submissions: &mut Vec<Submitted>,
    ) -> Result<Contents, ProcessError> {
        let FileOrigin { path, written_at } = origin;
        let stored_bytes = stored.stored_bytes;
        let (parts, mut received) = mpsc::channel(PARTS);
        let subject = Subject {
            path: path.clone(),
            written_at,
            now: OffsetDateTime::now_utc(),
            enricher: Arc::clone(enricher),
            memory: self.memory.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let behind = Arc::new(AtomicUsize::new(0));
        let job = Decoding {
            subject: subject.clone(),
            limits: self.limits,
            content_hash: self.content_hash,
            parts,
            behind: Arc::clone(&behind),
        };
        let slot = Arc::clone(&self.decoders).acquire_owned().await.expect("the semaphore is never closed");
        let scratches = Arc::clone(&self.scratches);
        let decoding = tokio::task::spawn_blocking(move || {
            let idle = || scratches.lock().unwrap_or_else(PoisonError::into_inner);
            let mut scratch = idle().pop().unwrap_or_default();
            let decoded = job.run(&stored.bytes, &mut scratch);
            idle().push(scratch);
            // Both move into this thread, which may outlive the message, so its bytes count until it ends.
            drop(stored);
            drop(slot);
            decoded
        });
        let mut later = None;
        while let Some(part) = received.recv().await {
            match part {
                Part::Judged(chunk) => {
                    let submitted = chunk.submit(producer, &enricher.names).await;
                    submissions.push(submitted.map_err(|_| closed(&path))?);
                }
                Part::Held(held) => {
                    let judge = later.take().unwrap_or_else(|| Judge::new(subject.clone()));
                    later = Some(self.judge_held(judge, held, &path, producer, submissions).await?);
                    behind.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
        let Ok((decoded, selected)) = decoding.await else { return Err(self.panicked(&path)) };
        let selected = selected + later.map_or(0, |judge| judge.selected);
        self.metrics.records_decoded(decoded.records, selected, decoded.raw_bytes);
        let Decoded { records, raw_bytes, sha256, damage } = decoded;
        if let Some(damage) = damage {
            return Err(ProcessError::Damaged { object: on_one_line(&path).into_owned(), damage });
        }
        self.metrics.object_read(stored_bytes);
        debug!(path, stored_bytes, "an object was read");
        Ok(Contents { stored_bytes, raw_bytes, sha256, records, selected })
    }

    /// Recalls what is known of records that wait for it, and hands over their documents.
    async fn judge_held(
        &self,
        mut judge: Judge,
        mut held: Held,
        path: &str,
        producer: &Producer,
        submissions: &mut Vec<Submitted>,
    ) -> Result<Judge, ProcessError> {
        let names = judge.names();
        let mut attempt = self.memory.attempt();
        loop {
            let slot = Arc::clone(&self.judges).acquire_owned().await.expect("the semaphore is never closed");
            let judging = tokio::task::spawn_blocking(move || {
                let step = judge.judge_held(&mut held);
                drop(slot);
                (judge, held, step)
            });
            let step;
            (judge, held, step) = judging.await.map_err(|_| self.panicked(path))?;
            let (chunk, is_last) = match step {
                Step::ToRecall(wanted) => {
                    self.memory.recall(wanted, &mut attempt, judge.known()).await;
                    continue;
                }
                Step::Full(chunk) => (chunk, false),
                Step::End(chunk) => (chunk, true),
            };
            let submitted = chunk.submit(producer, &names).await;
            submissions.push(submitted.map_err(|_| closed(path))?);
            if is_last {
                return Ok(judge);
            }
        }
    }

    fn panicked(&self, path: &str) -> ProcessError {
        self.metrics.task_panics.inc();
        ProcessError::Panicked { object: on_one_line(path).into_owned() }
    }

    /// Writes the ledger entries of shipped objects. A message whose entries are not stored stays in the queue, so the
    /// ledger has every object of a deleted message.
    async fn write_ledger(&self, entries: Vec<Document>) -> Result<(), ProcessError> {
        if entries.is_empty() {
            return Ok(());
        }
        let producer = self.announce();
        let closed = |_| ProcessError::NotEntered(sink::StoreError::Closed);
        let submission = producer.submit(entries).await.map_err(closed)?;
        drop(producer);
        submission.stored().await.map_err(ProcessError::NotEntered)?;
        Ok(())
    }
}

fn closed(path: &str) -> ProcessError {
    ProcessError::NotStored { object: on_one_line(path).into_owned(), source: sink::StoreError::Closed }
}

/// The origin of a file's bytes, for its documents.
struct FileOrigin {
    path: String,
    written_at: Option<OffsetDateTime>,
}
