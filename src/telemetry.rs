//! Sets up logging: the format, the filter, and standard error as the target.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use crate::config::{LogConfig, LogFormat};

/// What the AWS SDK warns of and we tell ourselves: that the metadata of an instance name no region, which is asked for
/// even where the queue's URL names it, and that a source of credentials failed, which is the cause in the error of the
/// request that needed them. Off EC2 each start would begin with pages of both.
const TOLD_OTHERWISE: [&str; 2] =
    ["aws_config::imds::region=error", "aws_config::meta::credentials::chain=error"];

/// Starts logging on standard error, so that standard output stays the commands' own. `RUST_LOG` overrides the filter.
pub fn start(config: &LogConfig) -> Result<(), ParseError> {
    let chosen = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = filter(chosen.as_deref().unwrap_or(&config.filter))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Errors of the writer would go to standard error, which cannot be written then, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Makes panics print their place without their message, which may quote a record. With `RUST_BACKTRACE` set they also
/// print a backtrace.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name");
        let backtrace = Backtrace::capture();
        let way = if backtrace.status() == BacktraceStatus::Captured {
            format!("\n{backtrace}")
        } else {
            String::new()
        };
        complain(&format!("sagetrail: panicked at {place} in the thread {thread}{way}"));
    }));
}

/// Prints a line on standard error. The work goes on when the reader has closed it.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Refuses a filter that logging could not start with.
pub fn check(config: &LogConfig) -> Result<(), ParseError> {
    filter(&config.filter).map(|_| ())
}

/// Builds the filter. One that asks for more than `info` applies as it is; others keep defaults for noisy libraries.
fn filter(chosen: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(chosen)?;
    if filter.max_level_hint().is_some_and(|most| most > LevelFilter::INFO) {
        return Ok(filter);
    }
    // The configured filter comes last, so that it overrides the defaults.
    EnvFilter::try_new(format!("{},{chosen}", TOLD_OTHERWISE.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_where_it_happened_and_nothing_of_what_it_was_about() {
        if std::env::var_os(INSIDE).is_some() {
            keep_panics_quiet();
            let record = "hunter2".to_owned();
            panic!("in the record {record}");
        }
        // A hook is the whole process's, so another one panics.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "a_panic_says_where"])
            .env(INSIDE, "1")
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("sagetrail: panicked at src/telemetry.rs:"), "{said}");
        let all = said.into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!all.contains("hunter2"), "{all}");
    }

    /// Tells the process that panics that it is to.
    const INSIDE: &str = "SAGETRAIL_TEST_INSIDE_PANIC";

    #[test]
    fn the_sdk_is_quieter_by_default_and_says_all_when_asked_to() {
        let quiet = "aws_config::imds::region=error";
        for (chosen, is_quiet) in [
            ("info", true),
            ("warn", true),
            ("sagetrail::sink=warn,info", true),
            ("debug", false),
            ("info,aws_config=debug", false),
            ("info,aws_config::imds::region=warn", false),
        ] {
            let filter = filter(chosen).unwrap().to_string();
            assert_eq!(filter.contains(quiet), is_quiet, "{chosen}: {filter}");
        }
        assert!(filter("a=b=c").is_err());
    }
}
