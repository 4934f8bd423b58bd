//! Reads the command line, runs one command, and turns its result into an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use sagetrail::config::ConfigError;
use sagetrail::daemon::DaemonError;
use sagetrail::drill::DrillError;
use sagetrail::enrich::redact::KeyError;
use sagetrail::enrich::rules::RulesError;
use sagetrail::health::Probe;
use sagetrail::monitors::MonitorsError;
use sagetrail::telemetry;
use tikv_jemallocator::Jemalloc;

use arguments::{Cli, Command};
use commands::{
    backtest, check, contain, content, daemon, drill, guard, history, investigate, learn, offline, whois,
};

mod arguments;
mod commands;
mod exit;
mod output;

/// A record is hundreds of short texts, and each decoder frees what another one allocated.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    telemetry::keep_panics_quiet();
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(rules) => daemon::run(rules),
        Command::Correlate(rules) => daemon::correlate(rules),
        Command::Setup(setup) => content::set_up(setup),
        Command::Replay(args) => history::replay(args),
        Command::Verify(args) => history::verify(args),
        Command::Enrich { rules, files } => offline::enrich(rules, files),
        Command::Backtest(args) => backtest::backtest(args),
        Command::Health { config, live } => {
            daemon::ask_health(config, if *live { Probe::Live } else { Probe::Ready })
        }
        Command::Check(args) if args.online => check::doctor(&args.of_doctor()),
        Command::Check(args) => check::check(args),
        Command::Doctor(args) => check::doctor(args),
        Command::Learn(args) => learn::learn(args),
        Command::Whois(args) => whois::whois(args),
        Command::Contain(args) => contain::contain(args),
        Command::Guard(args) => guard::guard(args),
        Command::Drill(args) => drill::drill(args),
        Command::Investigate(args) => investigate::investigate(args),
        Command::Manual { folder } => offline::write_manual(folder),
        Command::Completions { shell } => offline::write_completions(*shell),
        Command::Rules { rules, format } => offline::list(rules, *format),
    };
    result.unwrap_or_else(|error| {
        let mut message = io::stderr().lock();
        // An error of standard error itself cannot be reported.
        let _ = writeln!(message, "sagetrail: {}", describe(&error));
        ExitCode::from(exit_code(&error))
    })
}

/// The error and its causes on one line, without the causes that it has already put into its own words.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>()
        || error.is::<RulesError>()
        || error.is::<KeyError>()
        || error.is::<MonitorsError>()
        || matches!(error.downcast_ref(), Some(DaemonError::NoQueue))
        || matches!(error.downcast_ref(), Some(DrillError::Config(_) | DrillError::Key(_)))
    {
        exit::CONFIG
    } else {
        exit::FAILED
    }
}
