//! Builds the daemon, starts its tasks, and watches all of them until it is told to stop.

mod alone;
mod control;
mod endpoint;
mod error;

use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use crate::admin::{Admin, AdminError, Readiness};
use crate::aws;
use crate::backoff::full_jitter;
use crate::config::Config;
use crate::correlator::Correlator;
use crate::enrich::Enricher;
use crate::memory::{self, Memory};
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearch};
use crate::pipeline::Pipeline;
use crate::receiver::{Receiving, receive};
use crate::reload::{self, RuleSource};
use crate::setup::{self, SetupError};
use crate::sink;
use crate::source::deleter;
use crate::source::depth;
use crate::source::queue::{Queue, QueueError};
use crate::source::store::Store;
use crate::verify;
pub use alone::correlate;
pub use control::Control;
use control::{join_all, within_closing_time};
use endpoint::{close_admin, serve};
pub use error::DaemonError;

/// Pauses between attempts that wait for OpenSearch to come up.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A reachable server answers sooner. Behind a firewall that drops packets a request lasts until its timeout, up to a
/// minute, and the log should not be empty until then.
const SILENCE: Duration = Duration::from_secs(5);

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
    let metrics = Arc::new(Metrics::new());
    reload::announce(&enricher.rules, &metrics);
    let (current, enricher) = watch::channel(enricher);
    let opensearch = opensearch::connect(config, Some(aws)).await?;
    let correlator = || Correlator::new(opensearch.clone(), config, enricher.clone(), Arc::clone(&metrics));
    let correlator = config.correlate.enabled.then(correlator).transpose()?;
    let mut reloading = JoinSet::new();
    reloading.spawn(reload::reload_at(hangups, source, current, opensearch.clone(), Arc::clone(&metrics)));

    let readiness = Arc::new(Readiness::default());
    let serving = CancellationToken::new();
    let admin = Admin {
        metrics: Arc::clone(&metrics),
        opensearch: opensearch.clone(),
        readiness: Arc::clone(&readiness),
    };
    let admin_task = serve(config, admin, &serving).await?;

    let Some(queue) = stop.run_until_cancelled(open_queue(aws, queue_url)).await.transpose()? else {
        return close_admin(&serving, admin_task).await;
    };
    readiness.queue_opened();
    describe(&queue);
    let preparing = prepare(&opensearch, config, &metrics, &readiness);
    let Some(memory) = stop.run_until_cancelled(preparing).await.transpose()? else {
        return close_admin(&serving, admin_task).await;
    };

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
        admin: admin_task,
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
        admin,
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
    close_admin(&serving, admin).await?;
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
    admin: JoinHandle<Result<(), AdminError>>,
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
            _ = &mut self.admin => "admin endpoint",
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

/// Installs the templates and opens memory, and waits for OpenSearch for as long as that takes.
async fn prepare(
    opensearch: &OpenSearch,
    config: &Config,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
) -> Result<Memory, SetupError> {
    let mut is_told = false;
    for failures in 0.. {
        let install = async {
            setup::install_templates(opensearch).await?;
            Memory::open(&config.memory, opensearch, metrics).await
        };
        let installing = warn_if_slow(install, || {
            if !mem::replace(&mut is_told, true) {
                warn!(
                    host = opensearch.host(),
                    "waiting for OpenSearch, which has not answered yet; if this lasts, check that sink.url is right and can be reached from here"
                );
            }
        });
        match installing.await {
            Err(error) if error.may_pass() => {
                readiness.not_prepared(error.to_string());
                if !mem::replace(&mut is_told, true) {
                    warn!(%error, "waiting for OpenSearch");
                }
                sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, failures)).await;
            }
            result => return result,
        }
    }
    unreachable!("the loop has no end of its own")
}

/// Waits for an answer, and logs a warning when it takes long.
async fn warn_if_slow<F: Future>(answer: F, tell: impl FnOnce()) -> F::Output {
    let mut answer = pin!(answer);
    if let Ok(answer) = timeout(SILENCE, &mut answer).await {
        return answer;
    }
    tell();
    answer.await
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, Ready, pending, ready};

    use super::*;

    fn running() -> Tasks<Pending<()>> {
        let mut tasks = Tasks {
            receivers: JoinSet::new(),
            reloading: JoinSet::new(),
            watching: JoinSet::new(),
            correlating: JoinSet::new(),
            sink: pending(),
            deleter: tokio::spawn(pending()),
            admin: tokio::spawn(pending()),
        };
        tasks.receivers.spawn(pending());
        tasks.reloading.spawn(pending());
        tasks.watching.spawn(pending());
        tasks.correlating.spawn(pending());
        tasks
    }

    fn with_sink_ended() -> Tasks<Ready<()>> {
        let Tasks { receivers, reloading, watching, correlating, deleter, admin, .. } = running();
        Tasks { receivers, reloading, watching, correlating, sink: ready(()), deleter, admin }
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
        tasks.admin = tokio::spawn(async { Ok(()) });
        assert_eq!(tasks.first_end().await, "admin endpoint");
    }
}
