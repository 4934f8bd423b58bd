//! Ships history through the daemon's own pipeline, from a bucket, from files or from standard input.
//!
//! Ids and indices depend only on the record, so what was shipped before is a duplicate. A checkpoint holds the last
//! key up to which every object has an outcome; a second run goes on behind it.

pub mod job;
mod error;
pub(crate) mod walk;
mod window;
mod checkpoint;
mod progress;
pub mod summary;

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use self::checkpoint::Checkpoint;
pub use self::checkpoint::CheckpointError;
pub use self::error::ReplayError;
pub use self::job::{Job, JobError, Place};
pub use self::progress::PARTS;
use self::progress::Progress;
pub use self::summary::{Count, Summary};
use self::walk::{Item, Walk, What};
use self::window::Window;
use crate::aws;
use crate::config::{AuthKind, Config};
use crate::enrich::{Arrival, Enricher};
use crate::memory::{self, Memory};
use crate::metrics::Metrics;
use crate::opensearch;
use crate::pipeline::{Pipeline, ProcessError, Shipped};
use crate::setup;
use crate::sink::{self, SinkTask};
use crate::source::store::Store;

/// Items that are listed ahead of those that are worked on: a page of a listing takes less time than these.
const LISTED_AHEAD: usize = 256;
/// A kill costs what was shipped in this time, which is then met as duplicates.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
/// Objects that may fail before the replay gives up: something is wrong with more than those objects.
const MOST_FAILURES: usize = 1_000;
/// What the sink may take to answer after the grace time.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How a job is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub checkpoint: Option<PathBuf>,
    /// In place of the configured limits.
    pub documents_per_second: Option<NonZeroU32>,
    pub bytes_per_second: Option<NonZeroU32>,
}

/// Counts what the job would read, and ships nothing.
pub async fn count(config: &Config, job: &Job) -> Result<Count, ReplayError> {
    let aws = settings(config, job.reads_buckets()).await;
    let (sender, mut items) = mpsc::channel(LISTED_AHEAD);
    let walking = AbortOnDropHandle::new(tokio::spawn(
        Walk { job: job.clone(), source: config.source.clone(), aws, after: None }.run(sender),
    ));
    let mut count = Count::default();
    while let Some(item) = items.recv().await {
        count.objects += 1;
        count.bytes += item.size.unwrap_or(0);
    }
    count.skipped = walking.await.map_err(|_| ReplayError::Panicked)??;
    Ok(count)
}

/// Ships the objects of the job until all are done or `stop` is cancelled.
pub async fn run(
    config: &Config,
    enricher: Enricher,
    job: &Job,
    options: &Options,
    stop: CancellationToken,
) -> Result<Summary, ReplayError> {
    job.check_allowed(&config.source)?;
    let mut checkpoint = Checkpoint::open(options.checkpoint.as_deref(), job, enricher.scope)?;
    let aws = settings(config, job.reads_buckets()).await;
    let enricher = Enricher { arrival: Arrival::Replayed, ..enricher };
    let (pipeline, sink_task) = build(config, enricher, &aws, options).await?;

    let (sender, items) = mpsc::channel(LISTED_AHEAD);
    let after = checkpoint.state.done.clone();
    let walking = AbortOnDropHandle::new(tokio::spawn(
        Walk { job: job.clone(), source: config.source.clone(), aws, after }.run(sender),
    ));
    let facts = (!pipeline.memory().is_off()).then_some(0);
    let shipping = Shipping {
        pipeline,
        most_object_bytes: config.source.max_object_bytes,
        most_at_once: config.replay.in_flight_objects.get(),
        grace: config.shutdown.grace,
        progress: Progress::new(),
        summary: Summary { resumed: checkpoint.was_found(), facts, ..Summary::default() },
        window: Window::default(),
        tasks: JoinSet::new(),
    };
    let shipped = shipping.run(items, &mut checkpoint, &stop).await;
    // The checkpoint is saved also when the rest failed.
    checkpoint.save()?;
    let mut summary = shipped?;
    if summary.interrupted {
        drop(walking);
    } else {
        summary.skipped += walking.await.map_err(|_| ReplayError::Panicked)??;
    }
    let _ = tokio::time::timeout(CLOSING_TIME, sink_task.drain()).await;
    if !summary.interrupted && summary.failed.is_empty() {
        checkpoint.remove()?;
    }
    Ok(summary)
}

/// Builds the pipeline, and installs the templates before the first document.
pub async fn build(
    config: &Config,
    enricher: Enricher,
    aws: &SdkConfig,
    options: &Options,
) -> Result<(Arc<Pipeline>, SinkTask), ReplayError> {
    let metrics = Arc::new(Metrics::new());
    let opensearch = opensearch::connect(config, Some(aws)).await?;
    setup::install_templates(&opensearch).await?;
    let mut limits = config.sink.clone();
    limits.documents_per_second =
        options.documents_per_second.or(config.replay.documents_per_second).or(limits.documents_per_second);
    limits.bytes_per_second =
        options.bytes_per_second.or(config.replay.bytes_per_second).or(limits.bytes_per_second);
    let memory = Memory::open(&config.memory, &opensearch, &metrics).await?;
    if let Err(error) = memory::load_names(&memory, &opensearch).await {
        warn!(%error, "the names of known roles and buckets could not be read, so records of other services are shipped by their words alone");
    }
    let (sink, sink_task) = sink::spawn(opensearch, &limits, Arc::clone(&metrics));
    let store = Store::new(aws, &config.source, Arc::clone(&metrics)).await;
    let (_never_reloaded, enricher) = watch::channel(Arc::new(enricher));
    Ok((Arc::new(Pipeline::new(store, sink, memory, enricher, &config.source, metrics)), sink_task))
}

/// The settings of AWS, which are only looked for where a bucket is read or requests are signed.
pub(crate) async fn settings(config: &Config, reads_buckets: bool) -> SdkConfig {
    if reads_buckets || config.sink.auth == AuthKind::Sigv4 {
        aws::load(config.source.queue_url.as_ref()).await
    } else {
        SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build()
    }
}

/// The loop that takes what is listed and ships it.
struct Shipping {
    pipeline: Arc<Pipeline>,
    most_object_bytes: u64,
    most_at_once: usize,
    grace: Duration,
    progress: Progress,
    summary: Summary,
    window: Window,
    tasks: JoinSet<Ended>,
}

/// One item that is done.
struct Ended {
    item: Item,
    number: Option<u64>,
    result: Result<Option<Shipped>, ItemError>,
}

/// Why one item failed.
#[derive(Debug, thiserror::Error)]
enum ItemError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has {bytes} bytes or more, and source.max_object_bytes allows {limit}; raise that to read it", path.display())]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
}

impl Shipping {
    async fn run(
        mut self,
        mut items: mpsc::Receiver<Item>,
        checkpoint: &mut Checkpoint,
        stop: &CancellationToken,
    ) -> Result<Summary, ReplayError> {
        let began = Instant::now();
        let mut ticks = interval(CHECKPOINT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // They stay in the checkpoint until a later run ships them.
        for name in checkpoint.state.failed.clone() {
            self.room(checkpoint).await?;
            self.start(Item::again(&name));
        }
        let mut listed_all = false;
        while !(listed_all && self.tasks.is_empty()) {
            let has_room = self.tasks.len() < self.most_at_once;
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.summary.interrupted = true;
                    break;
                }
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.settle(ended, checkpoint)?;
                }
                _ = ticks.tick() => {
                    checkpoint.save()?;
                    self.progress.show(&self.summary, began.elapsed());
                }
                item = items.recv(), if has_room && !listed_all => match item {
                    Some(item) => self.start(item),
                    None => listed_all = true,
                },
            }
        }
        let until = Instant::now() + self.grace;
        while let Ok(Some(ended)) = timeout_at(until, self.tasks.join_next()).await {
            self.settle(ended, checkpoint)?;
        }
        // Objects in flight are not done in the checkpoint, so the next run ships them again.
        self.tasks.abort_all();
        self.summary.took = began.elapsed();
        self.progress.end();
        Ok(self.summary)
    }

    /// Waits until one more object may begin.
    async fn room(&mut self, checkpoint: &mut Checkpoint) -> Result<(), ReplayError> {
        while self.tasks.len() >= self.most_at_once
            && let Some(ended) = self.tasks.join_next().await
        {
            self.settle(ended, checkpoint)?;
        }
        Ok(())
    }

    fn start(&mut self, item: Item) {
        let number = item.position.clone().map(|position| self.window.begin(position));
        let pipeline = Arc::clone(&self.pipeline);
        let limit = self.most_object_bytes;
        self.tasks.spawn(async move {
            let result = ship(&pipeline, &item.what, limit).await;
            Ended { item, number, result }
        });
    }

    fn settle(
        &mut self,
        ended: Result<Ended, tokio::task::JoinError>,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), ReplayError> {
        let Ended { item, number, result } = ended.map_err(|_| ReplayError::Panicked)?;
        let object = item.what.to_string();
        if result.is_ok() {
            checkpoint.note_success(&object);
        }
        match result {
            Ok(Some(shipped)) => self.summary.add(&shipped),
            Ok(None) => self.summary.skipped += 1,
            Err(error) => {
                let reason = error.to_string();
                self.progress.complain(&reason);
                checkpoint.note_failure(&object);
                self.summary.failed.push(summary::Failure { object, reason: reason.clone() });
                if self.summary.failed.len() >= MOST_FAILURES {
                    return Err(ReplayError::TooManyFailures { failures: MOST_FAILURES, last: reason });
                }
            }
        }
        if let Some(done) = number.and_then(|number| self.window.end(number)) {
            checkpoint.state.done = Some(done);
        }
        if let Some(part) = item.part {
            self.progress.reach(part, &self.summary);
        }
        Ok(())
    }
}

/// Ships one object by its S3 URI.
pub async fn ship_named(pipeline: &Pipeline, uri: &str) -> Result<(), ProcessError> {
    if let What::Object(object) = Item::again(uri).what {
        pipeline.ship_object(&object).await?;
    }
    Ok(())
}

async fn ship(pipeline: &Pipeline, what: &What, limit: u64) -> Result<Option<Shipped>, ItemError> {
    match what {
        What::Object(object) => Ok(pipeline.ship_object(object).await?),
        What::File(path) => {
            let size = fs::metadata(path).map(|metadata| metadata.len());
            let size = size.map_err(|source| ItemError::Read { path: path.clone(), source })?;
            if size > limit {
                return Err(ItemError::TooLarge { path: path.clone(), bytes: size, limit });
            }
            let held = pipeline.store().reserve(size, read_file(path)).await;
            let held = held.map_err(|source| ItemError::Read { path: path.clone(), source })?;
            Ok(Some(pipeline.ship_file(&path.display().to_string(), held).await?))
        }
        What::StandardInput => {
            let path = PathBuf::from(job::STANDARD_INPUT);
            let held = pipeline.store().reserve(limit, read_standard_input(limit)).await;
            let held = held.map_err(|source| ItemError::Read { path: path.clone(), source })?;
            if held.stored_bytes > limit {
                return Err(ItemError::TooLarge { path, bytes: held.stored_bytes, limit });
            }
            Ok(Some(pipeline.ship_file(job::STANDARD_INPUT, held).await?))
        }
    }
}

pub(crate) async fn read_file(path: &Path) -> io::Result<(Bytes, Option<OffsetDateTime>)> {
    let path = path.to_owned();
    blocking(move || {
        let modified = fs::metadata(&path)?.modified().ok().map(OffsetDateTime::from);
        Ok((fs::read(&path)?.into(), modified))
    })
    .await
}

/// Reads one byte more than is allowed, which shows that there is more.
async fn read_standard_input(limit: u64) -> io::Result<(Bytes, Option<OffsetDateTime>)> {
    blocking(move || {
        let mut bytes = Vec::new();
        io::stdin().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.into(), None))
    })
    .await
}

/// Reads off the async threads.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
