//! Defines every command with its options, as `--help` shows them.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sagetrail::replay::Place;
use sagetrail::source::folder::{Kind, Wanted};
use serde::Serialize;
use time::Date;
use time::macros::format_description;

use crate::commands::{exit, print};

/// Ships SageMaker's CloudTrail records from S3 to OpenSearch, tagged with what they could mean to a defender.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = exit::help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the daemon until SIGTERM or SIGINT
    ///
    /// The first signal stops receiving and finishes what is in flight within `shutdown.grace`; a second one ends the
    /// process at once. Nothing is lost either way: what was not finished comes back from the queue. SIGHUP loads the
    /// rules again.
    Run(RuleArgs),
    /// Install templates, retention, dashboards, channels and monitors; running it again changes nothing
    ///
    /// What a person has changed is kept and named, and what an earlier version or configuration installed and this one
    /// does not want is removed. Exit codes: 0, everything is as it should be; 1, something was refused; 3, `--diff`
    /// found something; 4, objects were kept because somebody changed them, or skipped because a plugin is missing or
    /// Dashboards does not answer.
    Setup(SetupArgs),
    /// Ship history through the same pipeline: a trail's bucket, files and folders, or standard input
    ///
    /// What was shipped before is met as a duplicate and changes nothing. The period is that of CloudTrail's delivery, by
    /// the folders of the bucket. Exit code 1 says that objects failed, 130 that the run was interrupted.
    Replay(ReplayArgs),
    /// Run the search of each monitor once, now, and print the pages that it would send; nothing is sent
    ///
    /// For trying thresholds before they page anybody. It needs the events in OpenSearch and no plugin.
    Rehearse(ConfigFile),
    /// Prove with CloudTrail's digests that everything that was delivered was shipped, as it was signed
    ///
    /// Needs log file validation on the trail. Exit code 3 says that there are gaps; late files are none.
    Verify(VerifyArgs),
    /// Print the documents that would be indexed for local CloudTrail files, as NDJSON, without any server
    Enrich {
        #[command(flatten)]
        rules: RuleArgs,
        /// CloudTrail files (gzip or plain JSON); `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Ask the daemon that runs on this host whether it can do its work; exit code 1 when not
    Health {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask only whether the process runs, for whoever would restart it
        #[arg(long)]
        live: bool,
    },
    /// Validate the configuration and the rules; with `--online` also ask AWS and OpenSearch
    Check(CheckArgs),
    /// List the rules, silent ones included
    Rules {
        #[command(flatten)]
        rules: RuleArgs,
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Write the manual pages into a folder
    Manual { folder: PathBuf },
    /// Print the completions of a shell
    Completions { shell: Shell },
}

#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Only print what would change, as a difference for each object
    #[arg(long, conflicts_with_all = ["uninstall", "export"])]
    pub(crate) diff: bool,
    /// Do not keep what a person has changed; with --uninstall, neither the templates
    #[arg(long, conflicts_with = "export")]
    pub(crate) force: bool,
    /// Remove what was installed, but no data, and no templates, which a daemon that runs needs
    #[arg(long, conflicts_with = "export")]
    pub(crate) uninstall: bool,
    /// Write the content into a folder, for those who import it by hand, without any server
    #[arg(long, value_name = "FOLDER")]
    pub(crate) export: Option<PathBuf>,
    /// End with 0 instead of 4 where something was kept that somebody changed, or skipped, such as for a missing plugin
    #[arg(long, conflicts_with_all = ["diff", "export"])]
    pub(crate) allow_incomplete: bool,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// Also ask AWS and OpenSearch whether everything works and what is not seen; nothing is changed
    #[arg(long)]
    pub(crate) online: bool,
    /// Print what `--online` found as JSON
    #[arg(long, requires = "online")]
    pub(crate) json: bool,
    /// Print the least permissions that each command needs in AWS and OpenSearch, as JSON, and nothing else; with `--online`
    /// the queue's policy or the trails are asked for the bucket
    #[arg(long, conflicts_with = "json")]
    pub(crate) permissions: bool,
}

#[derive(Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, CloudTrail files, or folders with such files; `-` is standard input
    #[arg(required_unless_present = "retag", value_name = "PLACE")]
    pub(crate) places: Vec<Place>,
    /// Enrich the documents in OpenSearch anew that other rules have tagged, from the text that they keep
    #[arg(long, conflicts_with_all = ["places", "checkpoint", "dry_run", "bytes_per_second"])]
    pub(crate) retag: bool,
    #[command(flatten)]
    pub(crate) wanted: WantedArgs,
    /// A file that remembers what is done; a second run with it goes on from there
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Only count the objects and bytes that would be read
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Documents that may be sent in a second, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) documents_per_second: Option<NonZeroU32>,
    /// Bytes that may be sent in a second, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) bytes_per_second: Option<NonZeroU32>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, where the prefix is what stands before `AWSLogs/` or a folder below it
    #[arg(value_name = "TRAIL")]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) period: PeriodArgs,
    /// Only this account; may be given more than once
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<String>,
    /// Only this region; may be given more than once
    #[arg(long = "region", value_name = "NAME")]
    pub(crate) regions: Vec<String>,
    /// Public keys as `aws cloudtrail list-public-keys` prints them, in place of asking CloudTrail
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Minutes until a delivery or a shipping counts as late
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    pub(crate) late_minutes: u32,
    /// Read every file again, also those that were shipped and not touched since
    #[arg(long)]
    pub(crate) read_all: bool,
    /// Ship the missing files that are as they were signed
    #[arg(long)]
    pub(crate) repair: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// Which days are meant.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct PeriodArgs {
    /// The first day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "to")]
    from: Option<Date>,
    /// The last day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "from")]
    to: Option<Date>,
    /// In place of both: the last whole days before today, for a timer
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
}

impl PeriodArgs {
    /// The first and the last day.
    pub(crate) fn bounds(&self, today: Date) -> (Date, Date) {
        match (self.from, self.to, self.days) {
            (Some(from), Some(to), _) => (from, to),
            (_, _, days) => {
                let days = i64::from(days.unwrap_or(1));
                (today - time::Duration::days(days), today - time::Duration::days(1))
            }
        }
    }
}

/// Which part of a trail is meant.
#[derive(Args)]
pub(crate) struct WantedArgs {
    /// The first day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) from: Option<Date>,
    /// The last day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) to: Option<Date>,
    /// Only the files of this account; may be given more than once
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<String>,
    /// Only the files of this region; may be given more than once
    #[arg(long = "region", value_name = "NAME")]
    pub(crate) regions: Vec<String>,
}

impl WantedArgs {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            kind: Kind::Records,
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            from: self.from,
            to: self.to,
        }
    }
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "give a day as YYYY-MM-DD, such as 2026-03-01".to_owned())
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Table,
    /// For machines
    Json,
}

impl ReportFormat {
    pub(crate) fn print(self, report: &(impl Display + Serialize)) -> anyhow::Result<ExitCode> {
        let text = match self {
            Self::Table => report.to_string(),
            Self::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
        };
        print(&text)
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// Columns for a terminal
    Table,
    /// Everything about each rule
    Json,
    /// A document, as docs/rules.md
    Markdown,
    /// A layer for the ATT&CK Navigator
    Navigator,
}

#[derive(Args)]
pub(crate) struct RuleArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Use the other rules when some are broken, instead of refusing all
    #[arg(long)]
    pub(crate) skip_broken_rules: bool,
}

#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without one, defaults and variables like `SAGETRAIL__SINK__URL` apply
    #[arg(long = "config", value_name = "FILE", env = "SAGETRAIL_CONFIG")]
    pub(crate) path: Option<PathBuf>,
}
