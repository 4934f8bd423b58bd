//! Builds the daemon, starts its tasks, and watches all of them until it is told to stop.

mod alone;
mod control;
mod error;
mod process;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use crate::admin::Readiness;
use crate::aws;
use crate::config::Config;
use crate::correlator::Correlator;
use crate::enrich::Enricher;
use crate::memory::{self, Memory};
use crate::pipeline::Pipeline;
use crate::receiver::{Receiving, receive};
use crate::reload::RuleSource;
use crate::setup;
use crate::sink;
use crate::source::deleter;
use crate::source::depth;
use crate::source::queue::{Queue, QueueError};
use crate::source::store::Store;
use crate::verify;
pub use alone::correlate;
pub use control::Control;
use control::{join_all, within_closing_time};
pub use error::DaemonError;
use process::{Endpoint, Process, warn_if_slow};

/// Runs until `stop` is cancelled, and then finishes or gives back what is in flight within the grace time.
pub async fn run(
    config: &Config,
    enricher: Enricher,
    source: RuleSource,
    control: Control,
) -> Result<(), DaemonError> {
    let queue_url = config.source.queue_url.as_ref().ok_or(DaemonError::NoQueue)?;
    let aws = aws::load(Some(queue_url)).await;
    run_on(&aws, config, Arc::new(enricher), source, control).await
}

/// Runs as [`run`] does, with given AWS settings. Tests replace their transport, credentials and clock.
pub async fn run_on(
    aws: &SdkConfig,
    config: &Config,
    enricher: Arc<Enricher>,
    source: RuleSource,
    control: Control,
) -> Result<(), DaemonError> {
    let Control { hangups, stop } = control;
    let queue_url = config.source.queue_url.as_ref().ok_or(DaemonError::NoQueue)?;
    let process =
        Process::start(config, Some(aws), enricher, (source, hangups), Readiness::default()).await?;
    let correlator = config.correlate.enabled.then(|| process.correlator(config)).transpose()?;

    let Some(queue) = stop.run_until_cancelled(open_queue(aws, queue_url)).await.transpose()? else {
        return process.endpoint.close().await;
    };
    process.readiness.queue_opened();
    describe(&queue);
    let preparing = process.once_opensearch_is_up(|| async {
        setup::install_templates(&process.opensearch).await?;
        Memory::open(&config.memory, &process.opensearch, &process.metrics).await
    });
    let Some(memory) = stop.run_until_cancelled(preparing).await.transpose()? else {
        return process.endpoint.close().await;
    };
    let Process { metrics, opensearch, enricher, reloading, readiness, endpoint } = process;

    let mut watching = JoinSet::new();
    watching.spawn(verify::watch(opensearch.clone(), Arc::clone(&metrics)));
    let dead_letters = queue.dead_letter_queue();
    watching.spawn(depth::watch(queue.clone(), dead_letters, Arc::clone(&metrics)));
    watching.spawn(memory::watch_names(memory.clone(), opensearch.clone()));
    let correlating = JoinSet::from_iter([correlate_if_told(correlator, stop.clone())]);
    let (sink, sink_task) = sink::spawn(opensearch, &config.sink, Arc::clone(&metrics));
    let store = Store::new(aws, &config.source, Arc::clone(&metrics)).await;
    let (deleter, deleter_task) = deleter::start(queue.clone(), Arc::clone(&metrics));
    let release = CancellationToken::new();
    let receiving = Arc::new(Receiving {
        queue,
        pipeline: Pipeline::new(store, sink, memory, enricher, &config.source, Arc::clone(&metrics)),
        deleter,
        room: Arc::new(Semaphore::new(config.source.in_flight_messages.get())),
        wait: config.source.wait,
        readiness: Arc::clone(&readiness),
        metrics,
        stop: stop.clone(),
        release: release.clone(),
    });
    let mut receivers = JoinSet::new();
    for _ in 0..config.source.receivers.get() {
        receivers.spawn(receive(Arc::clone(&receiving)));
    }
    // The receivers hold the only ways into the sink and the deleter, so both end when the last receiver has.
    drop(receiving);
    readiness.started();
    info!(scope = ?config.select.scope, "receiving");

    let mut tasks = Tasks {
        receivers,
        reloading,
        watching,
        correlating,
        sink: pin!(sink_task.drain()),
        deleter: deleter_task,
        endpoint,
    };
    // The stop comes first, because it makes the receivers end too.
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        part = tasks.first_end() => Some(part),
    };
    let Tasks {
        mut receivers,
        mut correlating,
        reloading: _reloading,
        watching: _watching,
        sink,
        deleter,
        endpoint,
    } = tasks;
    if let Some(part) = ended {
        error!(part, "a task exited unexpectedly, so the daemon stops");
        stop.cancel();
    }

    finish(&mut receivers, config.shutdown.grace, &release).await;
    within_closing_time("correlator", join_all(&mut correlating)).await;
    correlating.abort_all();
    if ended != Some("sink") {
        within_closing_time("sink", sink).await;
    }
    if ended != Some("deleter") {
        within_closing_time("deleter", deleter).await;
    }
    if let Some(part) = ended {
        return Err(DaemonError::Ended(part));
    }
    endpoint.close().await?;
    info!("stopped");
    Ok(())
}

async fn open_queue(aws: &SdkConfig, queue_url: &Url) -> Result<Queue, QueueError> {
    // Boxed, because the request's future is large.
    let opening = Box::pin(Queue::open(aws::queue_client(aws, queue_url), queue_url));
    let opening = warn_if_slow(opening, || {
        warn!(
            queue = %queue_url,
            "waiting for the queue, which has not answered yet; if this lasts, check that SQS and the source of the AWS credentials can be reached from here"
        );
    });
    opening.await
}

/// The tasks that run until the daemon stops them. One that exits before that has failed.
struct Tasks<S> {
    receivers: JoinSet<()>,
    reloading: JoinSet<()>,
    watching: JoinSet<()>,
    correlating: JoinSet<()>,
    sink: S,
    deleter: JoinHandle<()>,
    endpoint: Endpoint,
}

impl<S: Future<Output = ()> + Unpin> Tasks<S> {
    /// Waits for the first task that exits, and returns its name. It is safe to cancel.
    async fn first_end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.receivers.join_next() => "receiver",
            _ = self.reloading.join_next() => "loading of rules and secrets",
            _ = self.watching.join_next() => "watch over verifications or queues",
            _ = self.correlating.join_next() => "correlator",
            () = &mut self.sink => "sink",
            _ = &mut self.deleter => "deleter",
            _ = &mut self.endpoint.task => "admin endpoint",
        }
    }
}

/// Waits for the messages in flight within the grace time, and then has the rest given back.
async fn finish(receivers: &mut JoinSet<()>, grace: Duration, release: &CancellationToken) {
    info!(?grace, "stopping: the daemon receives nothing more and finishes the messages in flight");
    if timeout(grace, join_all(receivers)).await.is_err() {
        warn!("shutdown.grace is over: the daemon gives the messages in flight back to the queue");
        release.cancel();
        within_closing_time("receivers", join_all(receivers)).await;
    }
    receivers.abort_all();
}

/// Correlates until the stop, or waits for that where others correlate.
async fn correlate_if_told(correlator: Option<Correlator>, stop: CancellationToken) {
    match correlator {
        Some(correlator) => correlator.run(stop).await,
        None => {
            info!(
                "correlate.enabled is false, so findings become incidents only where `sagetrail correlate` runs"
            );
            stop.cancelled().await;
        }
    }
}

/// Logs the attributes of the queue, and warns when it has no redrive policy: a message that can never be processed
/// would come back unnoticed until it expires.
fn describe(queue: &Queue) {
    let visibility_timeout = queue.visibility_timeout();
    match queue.redrive() {
        Some(redrive) => info!(
            queue = queue.url(),
            ?visibility_timeout,
            backlog = queue.backlog(),
            max_receive_count = redrive.max_receive_count,
            dead_letter_queue = redrive.dead_letter_queue_arn,
            "the queue is open"
        ),
        None => warn!(
            queue = queue.url(),
            ?visibility_timeout,
            backlog = queue.backlog(),
            "the queue has no redrive policy, so a message that always fails comes back until it expires; give the queue a dead-letter queue"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, Ready, pending, ready};

    use super::*;
    use crate::admin::AdminError;

    fn endpoint(task: JoinHandle<Result<(), AdminError>>) -> Endpoint {
        Endpoint { task, serving: CancellationToken::new() }
    }

    fn running() -> Tasks<Pending<()>> {
        let mut tasks = Tasks {
            receivers: JoinSet::new(),
            reloading: JoinSet::new(),
            watching: JoinSet::new(),
            correlating: JoinSet::new(),
            sink: pending(),
            deleter: tokio::spawn(pending()),
            endpoint: endpoint(tokio::spawn(pending())),
        };
        tasks.receivers.spawn(pending());
        tasks.reloading.spawn(pending());
        tasks.watching.spawn(pending());
        tasks.correlating.spawn(pending());
        tasks
    }

    fn with_sink_ended() -> Tasks<Ready<()>> {
        let Tasks { receivers, reloading, watching, correlating, deleter, endpoint, .. } = running();
        Tasks { receivers, reloading, watching, correlating, sink: ready(()), deleter, endpoint }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_or_panics_is_named_and_while_all_run_none_is() {
        let a_day = Duration::from_hours(24);
        assert!(timeout(a_day, running().first_end()).await.is_err());
        assert_eq!(with_sink_ended().first_end().await, "sink");

        let mut tasks = running();
        tasks.receivers.spawn(async { panic!("on purpose") });
        assert_eq!(tasks.first_end().await, "receiver");
        let mut tasks = running();
        tasks.reloading.spawn(async {});
        assert_eq!(tasks.first_end().await, "loading of rules and secrets");
        let mut tasks = running();
        tasks.watching.spawn(async {});
        assert_eq!(tasks.first_end().await, "watch over verifications or queues");
        let mut tasks = running();
        tasks.correlating.spawn(async {});
        assert_eq!(tasks.first_end().await, "correlator");
        let mut tasks = running();
        tasks.deleter.abort();
        assert_eq!(tasks.first_end().await, "deleter");
        let mut tasks = running();
        tasks.endpoint = endpoint(tokio::spawn(async { Ok(()) }));
        assert_eq!(tasks.first_end().await, "admin endpoint");
    }
}
