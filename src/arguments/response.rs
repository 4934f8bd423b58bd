//! Defines the options of the commands of responders.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use time::OffsetDateTime;

use super::shared::{ReportFormat, RuleArgs, json, time_or_day};

#[derive(Args)]
pub(crate) struct InvestigateArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// The id of an incident or its beginning; an ARN, access key or name of who called; or the ARN or name of a
    /// resource
    #[arg(value_name = "INCIDENT|PRINCIPAL|RESOURCE")]
    pub(crate) asked: String,
    /// From this time on, such as `2026-11-02` or `2026-11-02T09:00:00Z`; for an incident an hour before its first
    /// signal
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Until this time; for an incident an hour after its last signal
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) until: Option<OffsetDateTime>,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = InvestigationFormat::Markdown)]
    pub(crate) format: InvestigationFormat,
    /// The file to write in place of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A folder for each cited record, its file, the signed digest that names it, its chain and key, and a checker of
    /// them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) evidence: Option<PathBuf>,
    /// Public keys as `aws cloudtrail list-public-keys` prints them, in place of asking CloudTrail
    #[arg(long, value_name = "FILE", requires = "evidence")]
    pub(crate) keys: Option<PathBuf>,
    /// Read these CloudTrail files and ask no server; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) from_files: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum InvestigationFormat {
    /// One page without references outside of it
    Html,
    /// For a ticket
    Markdown,
    /// For machines
    Json,
    /// A line of JSON for each step, as Timesketch imports it
    Timesketch,
    /// The same as CSV, in which no cell is a formula
    TimesketchCsv,
}

#[derive(Args)]
pub(crate) struct ContainArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// The id of an incident or the beginning of it, the ARN of a principal or its access key, or the ARN or name of a
    /// resource
    #[arg(value_name = "INCIDENT|PRINCIPAL|RESOURCE")]
    pub(crate) asked: String,
    /// Read CloudTrail files in place of OpenSearch; `-` is standard input
    #[arg(long = "from-files", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Records of a principal or resource from this time on, by default of the last seven days, or all of the files
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Deny sessions that began before this time; by default before the script runs
    #[arg(long, value_name = "TIME", value_parser = time_or_day, required_if_eq("format", "json"))]
    pub(crate) at: Option<OffsetDateTime>,
    /// The form of what is printed
    #[arg(long, value_enum, default_value_t = ScriptFormat::Shell)]
    pub(crate) format: ScriptFormat,
    /// Print the script that brings back what was, the last step first
    #[arg(long, conflicts_with = "format")]
    pub(crate) undo: bool,
    /// Write into this file, which only its owner may read
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptFormat {
    /// A script for Bash
    Shell,
    /// Each step with the input documents of its commands (`--cli-input-json`); wants --at
    Json,
}

#[derive(Args)]
pub(crate) struct GuardArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// A policy to print, or `simulate`; without it, all are listed
    #[arg(value_name = "POLICY|simulate")]
    pub(crate) asked: Option<String>,
    /// How many days before now are tried
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub(crate) days: u16,
    /// Try the records of CloudTrail files in place of OpenSearch; `-` is standard input
    #[arg(long = "from-files", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Print what was tried as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}
