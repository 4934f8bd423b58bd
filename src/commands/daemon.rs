//! Runs `run`, the daemon, `correlate`, and `health`, which asks a running daemon.

use std::process::ExitCode;

use anyhow::Context;
use sagetrail::config::Config;
use sagetrail::daemon::{self, Control, DaemonError};
use sagetrail::enrich::Enricher;
use sagetrail::health::{self, Probe};
use sagetrail::reload::{self, RuleSource};
use sagetrail::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{daemon_runtime, load, runtime, stop_on_signals};
use crate::arguments::{ConfigFile, RuleArgs};

pub(crate) fn run(rules: &RuleArgs) -> anyhow::Result<ExitCode> {
    until_stopped(rules, async |config, enricher, source, control| {
        if config.redaction.key.is_none() && config.redaction.key_file.is_none() {
            info!("redaction.key_file is not set, so fingerprints of secrets agree within this process only");
        }
        daemon::run(config, enricher, source, control).await
    })
}

pub(crate) fn correlate(rules: &RuleArgs) -> anyhow::Result<ExitCode> {
    until_stopped(rules, async |config, enricher, source, control| {
        daemon::correlate(config, enricher, source, control).await
    })
}

/// Runs until a signal says to stop.
fn until_stopped(
    rules: &RuleArgs,
    run: impl AsyncFnOnce(&Config, Enricher, RuleSource, Control) -> Result<(), DaemonError>,
) -> anyhow::Result<ExitCode> {
    let config = load(&rules.config)?;
    let enricher = rules.load_rules(&config)?;
    let source = RuleSource {
        config_file: rules.config.path.clone(),
        broken: rules.broken(),
        enrich: config.enrich.clone(),
    };
    telemetry::start(&config.log).context("log.filter")?;
    let networks = reload::load_networks(&config.enrich, &enricher.networks);
    let enricher = Enricher { networks, ..enricher };
    info!(version = env!("CARGO_PKG_VERSION"), rules = enricher.rules.rules().len(), "starting");
    let runtime = daemon_runtime()?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        let hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        run(&config, enricher, source, Control { hangups, stop }).await?;
        Ok(ExitCode::SUCCESS)
    });
    // A decoder may still be busy with an object whose message was given back.
    runtime.shutdown_background();
    result
}

pub(crate) fn ask_health(file: &ConfigFile, probe: Probe) -> anyhow::Result<ExitCode> {
    let listen = load(file)?.admin.listen;
    runtime()?.block_on(health::check(listen, probe))?;
    Ok(ExitCode::SUCCESS)
}
