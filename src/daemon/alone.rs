//! Runs the correlator alone, without a queue, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::control::{Control, join_all, within_closing_time};
use super::endpoint::{close_admin, serve};
use super::error::DaemonError;
use crate::admin::{Admin, Readiness};
use crate::backoff::full_jitter;
use crate::config::Config;
use crate::correlator::Correlator;
use crate::enrich::Enricher;
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearch};
use crate::reload::{self, RuleSource};
use crate::setup::{self, SetupError};

/// Pauses between attempts that wait for OpenSearch to come up.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Correlates until `stop` is cancelled, and serves the admin endpoint meanwhile.
pub async fn correlate(
    config: &Config,
    enricher: Enricher,
    source: RuleSource,
    control: Control,
) -> Result<(), DaemonError> {
    let Control { hangups, stop } = control;
    let metrics = Arc::new(Metrics::new());
    reload::announce(&enricher.rules, &metrics);
    let (current, enricher) = watch::channel(Arc::new(enricher));
    let opensearch = opensearch::connect(config, None).await?;
    let correlator = Correlator::new(opensearch.clone(), config, enricher, Arc::clone(&metrics))?;
    let mut reloading = JoinSet::new();
    reloading.spawn(reload::reload_at(hangups, source, current, opensearch.clone(), Arc::clone(&metrics)));

    let serving = CancellationToken::new();
    let readiness = Arc::new(Readiness::without_queue());
    let admin = Admin {
        metrics: Arc::clone(&metrics),
        opensearch: opensearch.clone(),
        readiness: Arc::clone(&readiness),
    };
    let admin_task = serve(config, admin, &serving).await?;
    let Some(installed) = stop.run_until_cancelled(install(&opensearch, &readiness)).await else {
        return close_admin(&serving, admin_task).await;
    };
    installed?;
    readiness.started();

    let mut correlating = JoinSet::new();
    correlating.spawn(correlator.run(stop.clone()));
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        _ = correlating.join_next() => Some("correlator"),
        _ = reloading.join_next() => Some("loading of rules and secrets"),
    };
    if let Some(part) = ended {
        error!(part, "a task exited unexpectedly, so the process stops");
        stop.cancel();
    }
    within_closing_time("correlator", join_all(&mut correlating)).await;
    if let Some(part) = ended {
        return Err(DaemonError::Ended(part));
    }
    close_admin(&serving, admin_task).await?;
    info!("stopped");
    Ok(())
}

/// Installs the templates, and waits for OpenSearch for as long as that takes.
async fn install(opensearch: &OpenSearch, readiness: &Readiness) -> Result<(), SetupError> {
    for failures in 0.. {
        match setup::install_templates(opensearch).await {
            Err(error) if error.may_pass() => {
                readiness.not_prepared(error.to_string());
                if failures == 0 {
                    warn!(%error, "waiting for OpenSearch");
                }
                sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, failures)).await;
            }
            result => return result,
        }
    }
    unreachable!("the loop has no end of its own")
}
