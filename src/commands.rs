//! Runs one command and returns its exit code; this file has what several commands begin with.

use anyhow::Context;
use sagetrail::config::{self, Config, ConfigError, LogConfig};
use sagetrail::enrich::Enricher;
use sagetrail::enrich::redact::FingerprintKey;
use sagetrail::enrich::rules::{BrokenRules, RuleSet};
use sagetrail::names::Names;
use sagetrail::networks;
use sagetrail::opensearch::{self, OpenSearch};
use sagetrail::telemetry::{self, complain};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::arguments::{ConfigFile, RuleArgs};

pub(crate) mod backtest;
pub(crate) mod daemon;
pub(crate) mod content;
pub(crate) mod history;
pub(crate) mod investigate;
pub(crate) mod learn;
pub(crate) mod whois;
pub(crate) mod contain;
pub(crate) mod guard;
pub(crate) mod drill;
pub(crate) mod offline;
pub(crate) mod check;

pub(crate) fn load(file: &ConfigFile) -> Result<Config, ConfigError> {
    config::load(file.path.as_deref())
}

impl RuleArgs {
    pub(crate) fn broken(&self) -> BrokenRules {
        if self.skip_broken_rules { BrokenRules::Skip } else { BrokenRules::Refuse }
    }

    /// Says on standard error which files about networks are not used.
    pub(crate) fn load(&self, config: &Config) -> anyhow::Result<Enricher> {
        let enricher = self.load_rules(config)?;
        let (networks, problems) = networks::load(&config.enrich, &enricher.networks);
        for problem in problems {
            complain(&format!("sagetrail: {problem}"));
        }
        Ok(Enricher { networks, ..enricher })
    }

    /// Leaves the files about networks to the caller.
    pub(crate) fn load_rules(&self, config: &Config) -> anyhow::Result<Enricher> {
        let key = FingerprintKey::load(&config.redaction)?;
        Ok(Enricher::load(
            &config.enrich.rules(config.rules.clone()),
            self.broken(),
            config.select.scope,
            key,
            Names::new(&config.sink.index_prefix),
        )?)
    }
}

pub(crate) fn complain_of_broken(rules: &RuleSet) {
    for broken in rules.broken() {
        complain(&format!("sagetrail: skipped {broken}"));
    }
}

/// Loads what a command needs that reads much, with quiet telemetry.
pub(crate) fn load_quietly(args: &RuleArgs, config: &Config) -> anyhow::Result<Enricher> {
    let enricher = load_for_files(args, config)?;
    start_quiet_telemetry(config)?;
    Ok(enricher)
}

/// Lines about each object would hide the progress of a command that reads many.
pub(crate) fn start_quiet_telemetry(config: &Config) -> anyhow::Result<()> {
    let mut log = config.log.clone();
    if log.filter == LogConfig::default().filter {
        "warn".clone_into(&mut log.filter);
    }
    telemetry::start(&log).context("log.filter")
}

/// Asks the configured cluster, with quiet telemetry.
pub(crate) fn ask<T, E: Into<anyhow::Error>>(
    config: &Config,
    ask: impl AsyncFnOnce(OpenSearch) -> Result<T, E>,
) -> anyhow::Result<T> {
    start_quiet_telemetry(config)?;
    runtime()?.block_on(async {
        let client = opensearch::connect(config, None).await?;
        Box::pin(ask(client)).await.map_err(Into::into)
    })
}

/// Loads what a command needs that reads files, and says which rules are left out.
pub(crate) fn load_for_files(args: &RuleArgs, config: &Config) -> anyhow::Result<Enricher> {
    let enricher = args.load(config)?;
    complain_of_broken(&enricher.rules);
    Ok(enricher)
}

/// The runtime of a daemon. Few threads may block, because each has memory of its own: those that decode or judge, one
/// of each for each processor, and two for the rest.
pub(crate) fn daemon_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .max_blocking_threads(2 * processors + 2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

/// Cancels at the first SIGTERM or SIGINT and ends the process at the second. The task lasts as long as the runtime.
pub(crate) fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                warn!(
                    "received a second signal, exiting at once; the queue delivers the messages in flight again"
                );
                std::process::exit(1);
            }
            stop.cancel();
        }
    }))
}
