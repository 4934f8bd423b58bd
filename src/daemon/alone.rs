//! Runs the correlator alone, without a queue, until it is told to stop.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{error, info};

use super::control::{Control, join_all, within_closing_time};
use super::error::DaemonError;
use super::process::Process;
use crate::admin::Readiness;
use crate::config::Config;
use crate::enrich::Enricher;
use crate::reload::RuleSource;
use crate::setup;

/// Correlates until `stop` is cancelled, and serves the admin endpoint meanwhile.
pub async fn correlate(
    config: &Config,
    enricher: Enricher,
    source: RuleSource,
    control: Control,
) -> Result<(), DaemonError> {
    let Control { hangups, stop } = control;
    let readiness = Readiness::without_queue();
    let process = Process::start(config, None, Arc::new(enricher), (source, hangups), readiness).await?;
    let correlator = process.correlator(config)?;
    let installing = process.once_opensearch_is_up(|| setup::install_templates(&process.opensearch));
    let Some(installed) = stop.run_until_cancelled(installing).await else {
        return process.endpoint.close().await;
    };
    installed?;
    process.readiness.started();

    let Process { mut reloading, endpoint, .. } = process;
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
    endpoint.close().await?;
    info!("stopped");
    Ok(())
}
