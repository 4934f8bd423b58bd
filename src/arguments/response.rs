//! Defines the options of the commands of responders.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, ValueEnum};
use time::OffsetDateTime;

use super::shared::{ReportFormat, RuleArgs, json, time_or_day};

#[derive(Args)]
pub(crate) struct InvestigateArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// The id of an incident, or at least the first eight characters of it; the ARN, access key or name of who called;
    /// or the ARN or name of a resource
    #[arg(value_name = "INCIDENT|PRINCIPAL|RESOURCE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) asked: String,
    /// Leave out records of before this time, a day or a time such as `2026-11-02` or `2026-11-02T09:00:00Z`. Without
    /// it an incident is told from an hour before its first signal, and a principal or resource from its oldest record
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Leave out records of after this time. Without it an incident is told until an hour after its last signal, and a
    /// principal or resource until its newest record
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) until: Option<OffsetDateTime>,
    /// The form in which the report is written
    #[arg(long, value_enum, default_value_t = InvestigationFormat::Markdown)]
    pub(crate) format: InvestigationFormat,
    /// The file to write in place of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Keep in this folder each record that the report cites, the file that it came in, the signed digests and public
    /// keys that prove it, and a program that checks them
    #[arg(long, value_name = "FOLDER")]
    pub(crate) evidence: Option<PathBuf>,
    /// With --evidence: a file of public keys as `aws cloudtrail list-public-keys` prints them, in place of asking
    /// CloudTrail
    #[arg(long, value_name = "FILE", requires = "evidence")]
    pub(crate) keys: Option<PathBuf>,
    /// Read these CloudTrail files and ask no server; `-` is standard input. What was before is known only from them,
    /// so give those of the weeks before as well
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
    /// The id of an incident, or at least the first eight characters of it; the ARN or access key of who called; or the
    /// ARN or name of a resource
    #[arg(value_name = "INCIDENT|PRINCIPAL|RESOURCE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) asked: String,
    /// Read these CloudTrail files and ask no server; `-` is standard input. What was before is known only from them,
    /// so give those of the weeks before as well
    #[arg(long = "from-files", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Undo what was made and changed from this time on, such as `2026-11-02T09:00:00Z`. What came before is left
    /// alone, and the script counts it. Without it the attack begins with the first signal of an incident; of a
    /// principal or resource with the first record in which a rule of at least level medium found more than posture,
    /// among those of the last seven days, or of all files. Of a principal or resource older records are not read
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Deny what sessions do that began before this time; by default those from before the script runs
    #[arg(long, value_name = "TIME", value_parser = time_or_day, required_if_eq("format", "json"))]
    pub(crate) at: Option<OffsetDateTime>,
    /// The form in which the steps are printed
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
    /// Each step with the input documents of its commands (`--cli-input-json`), for programs; needs --at
    Json,
}

#[derive(Args)]
pub(crate) struct GuardArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// The id of a policy to print, as the list has it, or `simulate`; without it, all are listed
    #[arg(value_name = "POLICY|simulate")]
    pub(crate) asked: Option<String>,
    /// With `simulate`: how many days of stored records before now are tried
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub(crate) days: u16,
    /// With `simulate`: try the records of these CloudTrail files and ask no server; `-` is standard input
    #[arg(long = "from-files", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// With `simulate`: print what it found as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}
