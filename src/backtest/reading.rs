//! Reads the records of a job from files, buckets and the index, in any order.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::job::{BacktestError, Flaw, Job, Read, Records};
use super::progress::Progress;
use crate::config::Config;
use crate::decode::{Decoded, Limits};
use crate::enrich::Enricher;
use crate::metrics::Metrics;
use crate::offline::sorted::{Entry, Form, Order, Sorting};
use crate::offline::{candidates, nanoseconds};
use crate::opensearch;
use crate::opensearch::events::no_drills;
use crate::replay::walk::{Item, Walk, What};
use crate::replay::{self, PARTS, Place, ReplayError};
use crate::source::allowed::Allowed;
use crate::source::bucket::ListError;
use crate::source::folder::TrailFilter;
use crate::source::key;
use crate::source::store::Store;
use crate::stored::View;
use crate::timestamp;

/// What is read of buckets and the index before the time that is reported: within two weeks it shows which rules match
/// at the site anyway, and the weeks before tell memory who does what.
const HISTORY: Duration = Duration::days(30);
/// Items that are listed ahead of those that are read.
const LISTED_AHEAD: usize = 256;
/// Bytes of records that a reader hands over at once, and how many such chunks wait.
const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;
/// What reading the index needs.
const GRANT: &str =
    "indices:data/read/search* and indices:data/read/point_in_time/create on the indices of events";

/// Reads everything, and keeps what one of the sets of rules could select. What is wrong with one file is handed to
/// `complain`, and the others are read.
pub async fn read(
    config: &Config,
    job: &Job,
    enrichers: &[Arc<Enricher>],
    progress: &Progress,
    complain: impl FnMut(&Flaw),
) -> Result<Records, BacktestError> {
    let places = replay::Job { places: job.places.clone(), filter: TrailFilter::default() };
    places.check_allowed(&config.source)?;
    let aws = replay::settings(config, places.reads_buckets()).await;
    let reader = Arc::new(Reader {
        store: Store::new(&aws, &config.source, Arc::new(Metrics::new())).await,
        allowed: Allowed::new(&config.source),
        enrichers: enrichers.to_vec(),
        limits: config.source.limits(),
    });
    let sources = job.places.len() + usize::from(job.index);
    let mut reading = Reading {
        reader,
        most_at_once: config.replay.in_flight_objects.get(),
        sorting: Sorting::default(),
        read: Read::default(),
        items: 0,
        progress,
        complain,
    };
    for (number, place) in job.places.iter().enumerate() {
        let share = Share { number, of: sources };
        let walk = |filter| Walk {
            job: replay::Job { places: vec![place.clone()], filter },
            source: config.source.clone(),
            aws: aws.clone(),
            after: None,
        };
        let from = oldest(job).map(OffsetDateTime::date);
        let is_bucket = matches!(place, Place::Bucket { .. });
        let filter = TrailFilter { from: from.filter(|_| is_bucket), ..TrailFilter::default() };
        let is_narrow = filter.is_narrow();
        match reading.read_place(walk(filter), share).await {
            // A folder that `source.also_read` allows has no days that could be left out.
            Err(BacktestError::Replay(ReplayError::List(ListError::NoTrail { .. }))) if is_narrow => {
                reading.read_place(walk(TrailFilter::default()), share).await
            }
            Err(BacktestError::Replay(ReplayError::Read { path, source })) => {
                let flaw = Flaw::Unread(format!("cannot read {}: {source}", path.display()));
                reading.leave_out(path.display().to_string(), &flaw);
                Ok(())
            }
            read => read,
        }?;
    }
    if job.index {
        let client = opensearch::connect(config, Some(&aws)).await?;
        reading.read_index(&client, oldest(job)).await?;
    }
    Ok(Records { sorted: reading.sorting.finish(), read: reading.read })
}

fn oldest(job: &Job) -> Option<OffsetDateTime> {
    job.since.map(|since| since.saturating_sub(HISTORY))
}

/// What tasks read with.
struct Reader {
    store: Store,
    allowed: Allowed,
    enrichers: Vec<Arc<Enricher>>,
    limits: Limits,
}

/// Which of the sources is read.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    of: usize,
}

/// Where everything that is read comes together.
struct Reading<'p, C> {
    reader: Arc<Reader>,
    most_at_once: usize,
    sorting: Sorting,
    read: Read,
    /// Files and objects so far.
    items: u32,
    progress: &'p Progress,
    complain: C,
}

/// A file or object that was read.
struct Ended {
    name: String,
    part: Option<u64>,
    outcome: Result<Decoded, String>,
}

impl<C: FnMut(&Flaw)> Reading<'_, C> {
    /// Reads what is listed at one place, several items at once.
    async fn read_place(&mut self, walk: Walk, share: Share) -> Result<(), BacktestError> {
        let (sender, mut items) = mpsc::channel(LISTED_AHEAD);
        let walking = AbortOnDropHandle::new(tokio::spawn(walk.run(sender)));
        let (chunks, mut read) = mpsc::channel::<Vec<Entry>>(CHUNKS);
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        let mut listed_all = false;
        while !(listed_all && tasks.is_empty()) {
            let has_room = tasks.len() < self.most_at_once;
            tokio::select! {
                biased;
                Some(entries) = read.recv() => self.keep(entries)?,
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    self.settle(ended.map_err(|_| BacktestError::Panicked)?, share);
                }
                item = items.recv(), if has_room && !listed_all => match item {
                    Some(item) => {
                        self.items += 1;
                        tasks.spawn(Arc::clone(&self.reader).read(item, self.items, chunks.clone()));
                    }
                    None => listed_all = true,
                },
            }
        }
        drop(chunks);
        while let Some(entries) = read.recv().await {
            self.keep(entries)?;
        }
        walking.await.map_err(|_| BacktestError::Panicked)??;
        Ok(())
    }

    fn keep(&mut self, entries: Vec<Entry>) -> Result<(), BacktestError> {
        entries.into_iter().try_for_each(|entry| self.sorting.push(entry)).map_err(BacktestError::Sort)
    }

    fn settle(&mut self, ended: Ended, share: Share) {
        let Ended { name, part, outcome } = ended;
        match outcome {
            Ok(Decoded { records, damage, .. }) => {
                self.read.files += 1;
                self.read.records += records;
                if let Some(damage) = damage {
                    self.leave_out(name.clone(), &Flaw::Damaged { name, damage });
                }
            }
            Err(problem) => self.leave_out(name, &Flaw::Unread(problem)),
        }
        self.show(part.unwrap_or_default(), share);
    }

    fn leave_out(&mut self, name: String, flaw: &Flaw) {
        (self.complain)(flaw);
        self.read.leave_out(name, flaw);
    }

    fn show(&self, part: u64, Share { number, of }: Share) {
        let before = PARTS * number as u64;
        self.progress.reading(
            (before + part) / of.max(1) as u64,
            self.read.files,
            self.read.records + self.read.stored,
        );
    }

    /// Reads the stored events since a time.
    async fn read_index(
        &mut self,
        client: &opensearch::OpenSearch,
        since: Option<OffsetDateTime>,
    ) -> Result<(), BacktestError> {
        let Some(mut view) = View::open(client, GRANT).await? else { return Ok(()) };
        let query = match since {
            Some(since) => json!({"range": {"@timestamp": {"gte": timestamp::format(since)}}}),
            None => json!({"match_all": {}}),
        };
        let query = json!({"bool": {"filter": [query, no_drills()]}});
        let mut total = 0;
        let outcome = loop {
            let hits = match view.next(client, &query, &mut total).await {
                Ok(hits) if hits.is_empty() => break Ok(()),
                Ok(hits) => hits,
                Err(error) => break Err(error.into()),
            };
            for hit in hits {
                self.read.stored += 1;
                let time = hit.source["@timestamp"].as_str().and_then(timestamp::parse);
                let time = time.map(nanoseconds);
                let number = self.read.stored;
                let order = Order { time, form: Form::Stored, number, content: 0, file: 0 };
                let document = json!({"index": hit.index, "id": hit.id, "source": hit.source});
                self.keep(vec![Entry { order, bytes: document.to_string().into() }])?;
            }
            let part = PARTS * self.read.stored / total.max(self.read.stored);
            self.show(part, Share { number: 1, of: 1 });
        };
        view.close(client).await;
        outcome
    }
}

impl Reader {
    async fn read(self: Arc<Self>, item: Item, file: u32, chunks: mpsc::Sender<Vec<Entry>>) -> Ended {
        let (name, part) = (item.what.to_string(), item.part);
        let outcome = Arc::clone(&self).read_item(item, file, chunks).await;
        Ended { name, part, outcome }
    }

    async fn read_item(
        self: Arc<Self>,
        item: Item,
        file: u32,
        chunks: mpsc::Sender<Vec<Entry>>,
    ) -> Result<Decoded, String> {
        let name = item.what.to_string();
        let cannot_read = |error: std::io::Error| format!("cannot read {name}: {error}");
        let held = match &item.what {
            What::Object(object) => {
                let trail_key = key::classify(&object.key).ok();
                self.allowed.check(object, trail_key.as_ref()).map_err(|refused| refused.to_string())?;
                self.store.get(object).await.map_err(|error| error.to_string())?
            }
            What::File(path) => {
                let size = fs::metadata(path).map_err(cannot_read)?.len();
                self.store.reserve(size, replay::read_file(path)).await.map_err(cannot_read)?
            }
            What::StandardInput => self.store.reserve(0, read_standard_input()).await.map_err(cannot_read)?,
        };
        let decoding = tokio::task::spawn_blocking(move || {
            let decoded = self.decode(&held.bytes, file, &chunks);
            drop(held);
            decoded
        });
        decoding.await.map_err(|_| format!("{name}: its decoder panicked; this is a bug, please report it"))
    }

    fn decode(&self, bytes: &Bytes, file: u32, chunks: &mpsc::Sender<Vec<Entry>>) -> Decoded {
        let (mut chunk, mut size) = (Vec::new(), 0);
        let decoded = candidates(bytes, &self.limits, &self.enrichers, file, |entry| {
            size += entry.bytes.len();
            chunk.push(entry);
            if size >= CHUNK {
                size = 0;
                if chunks.blocking_send(std::mem::take(&mut chunk)).is_err() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        // Nobody takes it any more where the command is about to fail.
        let _ = chunks.blocking_send(chunk);
        decoded
    }
}

async fn read_standard_input() -> std::io::Result<(Bytes, Option<OffsetDateTime>)> {
    let read = || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
        Ok((bytes.into(), None))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// What is kept of a stored document until it is judged.
pub(super) fn stored(bytes: &[u8]) -> Option<(String, String, Value)> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let text = |member: &str| document[member].as_str().map(str::to_owned);
    Some((text("index")?, text("id")?, document["source"].take()))
}
