//! The sink against clusters: a fake one that fails on command, and a real one where its URL is in the environment.

mod auth;
mod cluster;
mod fake;
mod facts;
mod faults;
mod flush;
mod refusals;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sagetrail::config::SinkConfig;
use sagetrail::document::{Document, DocumentId, IndexName, Write};
use sagetrail::metrics::Metrics;
use sagetrail::names::Names;
use sagetrail::opensearch::OpenSearch;
use sagetrail::sink::{self, Sink, SinkTask, StoreError, Stored};
use time::OffsetDateTime;
use url::Url;

/// No test may hang; each wait for an answer ends here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A document of an ordinary event.
fn document(number: usize) -> Document {
    document_of(format!("{{\"n\":{number}}}"))
}

fn document_of(source: impl Into<String>) -> Document {
    let source = source.into();
    let time = OffsetDateTime::from_unix_timestamp(1_750_000_000).unwrap();
    Document {
        id: DocumentId::of(None, source.as_bytes()),
        index: IndexName::of_event(&Names::default(), Some(time)),
        source: Bytes::from(source),
        write: Write::Create,
    }
}

fn documents(numbers: std::ops::Range<usize>) -> Vec<Document> {
    numbers.map(document).collect()
}

/// A configuration under which nothing is sent because of its age, so that a test which passes does not owe it to that.
fn config(url: &str) -> SinkConfig {
    SinkConfig {
        url: Url::parse(url).unwrap(),
        bulk_max_age: Duration::from_hours(1),
        request_timeout: Duration::from_secs(5),
        ..SinkConfig::default()
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn attempts(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A running sink and the numbers it counts.
struct Running {
    sink: Sink,
    task: SinkTask,
    metrics: Arc<Metrics>,
}

impl Running {
    fn new(config: &SinkConfig) -> Self {
        let metrics = Arc::new(Metrics::new());
        let client = OpenSearch::new(config, None).unwrap();
        let (sink, task) = sink::spawn(client, config, Arc::clone(&metrics));
        Self { sink, task, metrics }
    }

    /// Hands documents over as one message would, and waits for their answer.
    async fn store(&self, documents: Vec<Document>) -> Result<Stored, StoreError> {
        let producer = self.sink.join();
        let submission = patiently(producer.submit(documents)).await.unwrap();
        drop(producer);
        patiently(submission.stored()).await
    }

    fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.expose();
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
        line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// Waits until something was sent again so often.
    async fn until_retried(&self, what: &str, least: f64) {
        let series = format!("sagetrail_retries_total{{what=\"{what}\"}}");
        patiently(async {
            while self.metric(&series) < least {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Ends the sink; nothing may be left in it.
    async fn end(self) {
        assert!(self.metric("sagetrail_sink_queue_bytes").abs() < f64::EPSILON, "room is given back");
        assert!(self.metric("sagetrail_task_panics_total").abs() < f64::EPSILON, "nothing panicked");
        drop(self.sink);
        patiently(self.task.drain()).await;
    }
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer in time")
}

fn created(created: u64) -> Stored {
    Stored { created, ..Stored::default() }
}

fn duplicate(duplicate: u64) -> Stored {
    Stored { duplicate, ..Stored::default() }
}

fn rejected(rejected: u64) -> Stored {
    Stored { rejected, ..Stored::default() }
}
