//! What a process has that works until it is told to stop, whatever its work is: rules that are loaded again, a client
//! of OpenSearch, and the admin endpoint.

use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::control::CLOSING_TIME;
use super::error::DaemonError;
use crate::admin::{self, Admin, AdminError, Readiness};
use crate::alertmanager::AlertmanagerError;
use crate::backoff::full_jitter;
use crate::config::Config;
use crate::correlator::Correlator;
use crate::enrich::Enricher;
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearch};
use crate::reload::{self, RuleSource};
use crate::setup::SetupError;

/// Pauses between attempts that wait for OpenSearch to come up.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A reachable server answers sooner. Behind a firewall that drops packets a request lasts until its timeout, up to a
/// minute, and the log should not be empty until then.
const SILENCE: Duration = Duration::from_secs(5);

pub(super) struct Process {
    pub metrics: Arc<Metrics>,
    pub opensearch: OpenSearch,
    /// The rules in use.
    pub enricher: watch::Receiver<Arc<Enricher>>,
    pub reloading: JoinSet<()>,
    pub readiness: Arc<Readiness>,
    pub endpoint: Endpoint,
}

/// The admin endpoint, and how it is told to end.
pub(super) struct Endpoint {
    pub task: JoinHandle<Result<(), AdminError>>,
    pub serving: CancellationToken,
}

impl Process {
    /// Takes the port of the admin endpoint, connects to OpenSearch, and loads the rules again at each hangup.
    ///
    /// It does not wait for OpenSearch to answer. Without `aws`, settings of AWS are loaded where requests are signed.
    pub async fn start(
        config: &Config,
        aws: Option<&SdkConfig>,
        enricher: Arc<Enricher>,
        (source, hangups): (RuleSource, Signal),
        readiness: Readiness,
    ) -> Result<Self, DaemonError> {
        let metrics = Arc::new(Metrics::new());
        reload::announce(&enricher.rules, &metrics);
        let (current, enricher) = watch::channel(enricher);
        let opensearch = opensearch::connect(config, aws).await?;
        let mut reloading = JoinSet::new();
        let reload = reload::reload_at(hangups, source, current, opensearch.clone(), Arc::clone(&metrics));
        reloading.spawn(reload);
        let readiness = Arc::new(readiness);
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            opensearch: opensearch.clone(),
            readiness: Arc::clone(&readiness),
        };
        let endpoint = Endpoint::open(config, admin).await?;
        Ok(Self { metrics, opensearch, enricher, reloading, readiness, endpoint })
    }

    /// A correlator that uses this process' client, rules and metrics; it works once it is run.
    pub fn correlator(&self, config: &Config) -> Result<Correlator, AlertmanagerError> {
        Correlator::new(self.opensearch.clone(), config, self.enricher.clone(), Arc::clone(&self.metrics))
    }

    /// Attempts what needs OpenSearch, and waits for that for as long as it takes.
    pub async fn once_opensearch_is_up<T, F: Future<Output = Result<T, SetupError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, SetupError> {
        let mut is_told = false;
        for failures in 0.. {
            let attempting = warn_if_slow(attempt(), || {
                if !mem::replace(&mut is_told, true) {
                    warn!(
                        host = self.opensearch.host(),
                        "waiting for OpenSearch, which has not answered yet; if this lasts, check that sink.url is right and can be reached from here"
                    );
                }
            });
            match attempting.await {
                Err(error) if error.may_pass() => {
                    self.readiness.not_prepared(error.to_string());
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
}

impl Endpoint {
    async fn open(config: &Config, admin: Admin) -> Result<Self, DaemonError> {
        let serving = CancellationToken::new();
        let listener = admin::listen(config.admin.listen).await?;
        info!(address = %admin::address(&listener, config.admin.listen), "the admin endpoint listens");
        let task = tokio::spawn(admin::serve(listener, admin, serving.clone()));
        Ok(Self { task, serving })
    }

    /// Stops serving, and waits up to the closing time for open requests. An error is that of the serving itself.
    pub async fn close(self) -> Result<(), DaemonError> {
        self.serving.cancel();
        match timeout(CLOSING_TIME, self.task).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_panicked)) => Err(DaemonError::Ended("admin endpoint")),
            // A client that keeps its connection open must not keep the daemon from ending.
            Err(_elapsed) => Ok(()),
        }
    }
}

/// Waits for an answer, and logs a warning when it takes long.
pub(super) async fn warn_if_slow<F: Future>(answer: F, tell: impl FnOnce()) -> F::Output {
    let mut answer = pin!(answer);
    if let Ok(answer) = timeout(SILENCE, &mut answer).await {
        return answer;
    }
    tell();
    answer.await
}
