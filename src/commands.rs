//! Runs one command and returns its exit code; this file has what several commands begin with.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use sagetrail::config::{self, Config, ConfigError, LogConfig};
use sagetrail::enrich::Enricher;
use sagetrail::enrich::redact::FingerprintKey;
use sagetrail::enrich::rules::{BrokenRules, RuleSet};
use sagetrail::names::Names;
use sagetrail::networks;
use sagetrail::telemetry::{self, complain};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::arguments::{ConfigFile, RuleArgs};

pub(crate) mod daemon;
pub(crate) mod content;
pub(crate) mod history;
pub(crate) mod learn;
pub(crate) mod offline;
pub(crate) mod check;

/// The exit codes. From 64 on they are those of sysexits.
pub(crate) mod exit {
    /// The work failed.
    pub(crate) const FAILED: u8 = 1;
    /// `setup --diff` found something to change.
    pub(crate) const DIFFERENT: u8 = 3;
    /// `verify` found gaps.
    pub(crate) const GAP: u8 = 3;
    /// `setup` left objects as they were.
    pub(crate) const INCOMPLETE: u8 = 4;
    /// `EX_DATAERR`: the data is damaged.
    pub(crate) const DATA: u8 = 65;
    /// `EX_NOINPUT`: a file cannot be read.
    pub(crate) const NO_INPUT: u8 = 66;
    /// `EX_CONFIG`: the configuration or a rule is wrong.
    pub(crate) const CONFIG: u8 = 78;
    /// A signal ended the command: 128 and the number of SIGINT, as shells do it.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// What each code means to a user. `docs/commands.md` is made from it.
    const MEANINGS: &[(u8, &str)] = &[
        (0, "Success"),
        (FAILED, "The work failed: a server refused, objects failed, or a check found something broken"),
        (2, "The command line is wrong"),
        (GAP, "`verify` found gaps, or `setup --diff` found something to change"),
        (
            INCOMPLETE,
            "`setup` kept an object that somebody changed, or skipped one; `--allow-incomplete` makes it 0",
        ),
        (DATA, "`enrich` met a damaged file"),
        (NO_INPUT, "`enrich` could not read a file"),
        (CONFIG, "The configuration or a rule is wrong"),
        (INTERRUPTED, "A signal interrupted `replay`"),
    ];

    /// The section of `--help` that lists the codes.
    pub(crate) fn help() -> String {
        let lines = MEANINGS.iter().map(|(code, meaning)| format!("\n  {code:<3}  {meaning}"));
        format!("Exit codes:{}", lines.collect::<String>())
    }
}

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

/// Lines about each object would hide the progress of a command that reads many.
pub(crate) fn start_quiet_telemetry(config: &Config) -> anyhow::Result<()> {
    let mut log = config.log.clone();
    if log.filter == LogConfig::default().filter {
        "warn".clone_into(&mut log.filter);
    }
    telemetry::start(&log).context("log.filter")
}

pub(crate) fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader of a pipe has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints a line on standard output. The work goes on when the reader has closed it.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
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
