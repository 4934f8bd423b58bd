//! Defines the options of the drill.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::shared::{ConfigFile, ReportFormat, json};

#[derive(Args)]
pub(crate) struct DrillArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// `s3://BUCKET/PREFIX`, where the prefix is what stands before `AWSLogs/`, in place of `drill.trail`
    #[arg(value_name = "TRAIL")]
    pub(crate) trail: Option<String>,
    /// The account whose calls the records tell of, in place of `drill.account`
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// The region in which those calls were made, in place of `drill.region`
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// How the names of resources and people in the records begin, in place of `drill.names`
    #[arg(long, value_name = "TEXT")]
    pub(crate) names: Option<String>,
    /// How many seconds each step may take; without it, from 30 to 300, as docs/drill.md says
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Print the report as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}

/// Nobody waits longer for one step.
const MOST_SECONDS: u64 = 3_600;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MOST_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("give whole seconds from 1 to {MOST_SECONDS}"))
}
