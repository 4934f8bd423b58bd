//! The command line: reads the arguments and the configuration, runs one command, and turns its result into an exit code.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sagetrail::config::{self, AuthKind, Config, ConfigError};
use sagetrail::daemon::{self, DaemonError};
use sagetrail::decode::Limits;
use sagetrail::enrich::Knowledge;
use sagetrail::enrich::catalogue::Catalogue;
use sagetrail::enrich::rules::{RuleSet, RulesError};
use sagetrail::offline::{self, OfflineError};
use sagetrail::sink::OpenSearch;
use sagetrail::source::aws;
use sagetrail::{setup, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit codes beside 0 (fine), 1 (failed at work) and 2 (bad usage), as in sysexits.
mod exit {
    /// `EX_DATAERR`: the data is damaged.
    pub(crate) const DATA: u8 = 65;
    /// `EX_NOINPUT`: a file cannot be read.
    pub(crate) const NO_INPUT: u8 = 66;
    /// `EX_CONFIG`: the configuration or a rule is wrong.
    pub(crate) const CONFIG: u8 = 78;
}

/// Ships SageMaker's CloudTrail records from S3 to OpenSearch, tagged with what they could mean to a defender.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM or SIGINT
    ///
    /// The first signal stops receiving and finishes what is in flight within `shutdown.grace`; a second one ends the
    /// process at once. Nothing is lost either way: what was not finished comes back from the queue.
    Run(ConfigFile),
    /// Install the index templates in OpenSearch; running it again changes nothing
    Setup(ConfigFile),
    /// Print the documents that would be indexed for local CloudTrail files, as NDJSON, without any server
    Enrich {
        #[command(flatten)]
        config: ConfigFile,
        /// CloudTrail files (gzip or plain JSON); `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Validate the configuration and the rules, without any server
    Check(ConfigFile),
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file; without one, defaults and variables like `SAGETRAIL__SINK__URL` apply
    #[arg(long = "config", value_name = "FILE", env = "SAGETRAIL_CONFIG")]
    path: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(file) => run(file),
        Command::Setup(file) => set_up(file),
        Command::Enrich { config, files } => enrich(config, files),
        Command::Check(file) => check(file),
    };
    result.unwrap_or_else(|error| {
        let mut message = io::stderr().lock();
        // There is nowhere left to complain to when this fails.
        let _ = writeln!(message, "sagetrail: {}", describe(&error));
        ExitCode::from(exit_code(&error))
    })
}

/// The error and its causes on one line, without the causes that it has already put into its own words.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>()
        || error.is::<RulesError>()
        || matches!(error.downcast_ref(), Some(DaemonError::NoQueue))
    {
        exit::CONFIG
    } else {
        1
    }
}

fn run(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let knowledge = knowledge(&config)?;
    telemetry::start(&config.log).context("log.filter")?;
    info!(version = env!("CARGO_PKG_VERSION"), rules = knowledge.rules.rules().len(), "starting");
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        daemon::run(&config, knowledge, stop).await?;
        Ok(ExitCode::SUCCESS)
    });
    // A decoder may still be busy with an object that nobody waits for any more.
    runtime.shutdown_background();
    result
}

fn set_up(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    telemetry::start(&config.log).context("log.filter")?;
    runtime()?.block_on(async {
        let aws = match config.sink.auth {
            AuthKind::Sigv4 => Some(aws::load(config.source.queue_url.as_ref()).await),
            AuthKind::None | AuthKind::Basic | AuthKind::Certificate => None,
        };
        let opensearch = OpenSearch::new(&config.sink, aws.as_ref())?;
        setup::install_templates(&opensearch).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn enrich(file: &ConfigFile, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let knowledge = knowledge(&config)?;
    let limits = Limits {
        uncompressed_bytes: config.source.max_uncompressed_bytes,
        record_bytes: config.source.max_record_bytes,
    };
    let mut code = 0;
    let mut output = BufWriter::new(io::stdout().lock());
    let result = offline::enrich_files(files, &limits, &knowledge, &mut output, |error| {
        code = match error {
            OfflineError::Read { .. } => exit::NO_INPUT,
            OfflineError::Damaged { .. } | OfflineError::Write(_) => exit::DATA,
        };
        eprintln!("sagetrail: {error}");
    });
    let written = result.and_then(|summary| output.flush().map_err(OfflineError::Write).map(|()| summary));
    match written {
        Ok(summary) => {
            eprintln!(
                "sagetrail: {} file(s), {} record(s): {} selected, {} malformed",
                summary.files, summary.records, summary.selected, summary.malformed
            );
            Ok(ExitCode::from(code))
        }
        // The reader of a pipe has seen enough, as `head` does.
        Err(OfflineError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::from(code))
        }
        Err(error) => Err(error.into()),
    }
}

fn check(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let knowledge = knowledge(&config)?;
    println!("configuration: fine");
    println!("rules: {} loaded", knowledge.rules.rules().len());
    for rule in knowledge.rules.silent() {
        println!(
            "silent: \"{}\" needs rules.placeholders.{}",
            rule.title,
            rule.missing.join(" and rules.placeholders.")
        );
    }
    if config.source.queue_url.is_none() {
        println!("source.queue_url: not set, which `run` needs");
    }
    Ok(ExitCode::SUCCESS)
}

fn load(file: &ConfigFile) -> Result<Config, ConfigError> {
    config::load(file.path.as_deref())
}

fn knowledge(config: &Config) -> Result<Knowledge, RulesError> {
    let rules = RuleSet::load(&config.rules)?;
    Ok(Knowledge { rules, catalogue: Catalogue::built_in(), scope: config.select.scope })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

/// Cancels at the first SIGTERM or SIGINT and ends the process at the second. The task lasts as long as the runtime.
fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                warn!("a second signal: ending at once; what is in flight comes back from the queue");
                std::process::exit(1);
            }
            stop.cancel();
        }
    }))
}
