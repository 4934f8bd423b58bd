//! Defines every command with its options, as `--help` shows them.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sagetrail::replay::Place;
use sagetrail::source::folder::{Kind, TrailFilter};
use time::{Date, OffsetDateTime};

use crate::exit;
pub(crate) use drill::DrillArgs;
pub(crate) use response::{ContainArgs, GuardArgs, InvestigateArgs, InvestigationFormat, ScriptFormat};
pub(crate) use shared::{ConfigFile, ReportFormat, RuleArgs};
use shared::{day, json, time_or_day};

mod drill;
mod response;
mod shared;

/// Ships SageMaker's CloudTrail records from S3 to OpenSearch and tags them with Sigma rules.
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
    /// The first signal stops receiving and finishes the messages in flight within `shutdown.grace`. A second one ends
    /// the process at once. The queue delivers unfinished messages again, so nothing is lost. SIGHUP reloads the rules.
    Run(RuleArgs),
    /// Join findings to incidents until SIGTERM or SIGINT, without shipping anything
    ///
    /// `run` does so as well, unless `correlate.enabled` is false. Of all that run on one cluster, one works at a time
    /// and the others stand by. SIGHUP reloads the rules.
    Correlate(RuleArgs),
    /// Install templates, retention, dashboards, channels and monitors in OpenSearch, or update them
    ///
    /// Setup keeps and names objects that a person has changed. It removes objects that an earlier version or
    /// configuration installed and this one does not need. A second run changes nothing.
    Setup(SetupArgs),
    /// Ship records of the past: from a trail's bucket, files and folders, or standard input
    ///
    /// Records that were shipped before are duplicates and change nothing. `--from` and `--to` are days of CloudTrail's
    /// delivery, after which the folders of the bucket are named.
    Replay(ReplayArgs),
    /// Compare CloudTrail's signed digests with what was shipped, and report missing, deleted and altered files
    ///
    /// The trail needs log file validation. Late files are reported and are not gaps.
    Verify(VerifyArgs),
    /// Print the documents for local CloudTrail files as NDJSON, without any server
    Enrich {
        #[command(flatten)]
        rules: RuleArgs,
        /// CloudTrail files, gzip or plain JSON; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Tell what the rules would have found and which pages would have come, over records of the past
    ///
    /// It reads files, buckets and the stored events, puts the records into the order of their times, remembers what
    /// they tell and decides incidents as the daemon does; it writes nothing. This tries rules and their tuning before
    /// they page anybody.
    #[command(alias = "rehearse")]
    Backtest(BacktestArgs),
    /// Ask the daemon on this host whether it is ready; exit code 1 when it is not
    Health {
        #[command(flatten)]
        config: ConfigFile,
        /// Only ask whether the process runs, as a liveness probe does
        #[arg(long)]
        live: bool,
    },
    /// Validate the configuration and the rules, without asking a server
    Check(CheckArgs),
    /// Ask AWS, OpenSearch and Dashboards whether everything works and which records are not logged; changes nothing
    ///
    /// Each finding has its fix. The exit code is 1 when something is broken.
    Doctor(DoctorArgs),
    /// List the rules, with those that are inactive because a placeholder has no values
    Rules {
        #[command(flatten)]
        rules: RuleArgs,
        /// The form of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Print the values of placeholders that the stored history suggests, with their evidence; changes nothing
    ///
    /// Values that come again are suggested. Those that look like an attack are flagged with the reason and left out.
    /// The rules are evaluated again on the latest documents, with the suggestions and without.
    Learn(LearnArgs),
    /// Print what memory knows of a person, role, key or resource: where it comes from, and what stands on it
    ///
    /// The tree has the lineage of a session back to the person or to the link that is missing, what a resource stands
    /// on, and what stands on it: whatever is touched when it is lost. The exit code is 1 when nothing is known, or
    /// when a name is that of several things, which are listed.
    Whois(WhoisArgs),
    /// Write the report of an incident, a principal or a resource, each sentence with the records that carry it
    ///
    /// It answers the fifteen questions of the playbook in order, and says what is not known. It only reads, from
    /// OpenSearch or from files, at most 20,000 records. The exit code is 1 when no record belongs to what is asked.
    Investigate(InvestigateArgs),
    /// Print the script that contains an incident, a principal or a resource, with its undo; runs nothing
    ///
    /// Whoever acted is denied everything from then on, evidence is kept, what runs is stopped, what was opened is
    /// closed. Each step says what it breaks, who uses it, how it is undone and where to read on. The commands are
    /// those of the AWS CLI: read the script, then run it with Bash.
    Contain(ContainArgs),
    /// List the service control policies against posture findings, print one for this site, or try all on its history
    ///
    /// `guard` lists them with the posture rules that find what each denies, `guard POLICY` prints one with the
    /// networks and instance types of the configuration, ready to attach, and `guard simulate` tells who would have
    /// been denied what by each. It attaches nothing. The exit code of a simulation is 3 when somebody would have been
    /// denied.
    Guard(GuardArgs),
    /// Put a marked, harmless attack through the whole pipeline, and tell how long each link took or which one is
    /// broken
    ///
    /// It writes one file into the trail's bucket, waits for the page, and closes its incident again. Its records carry
    /// a mark that only the key of redaction makes, and nothing else counts them. The exit code is 3 when a step was
    /// not done in time.
    Drill(DrillArgs),
    /// Write the manual pages into a folder
    Manual {
        /// An existing folder
        folder: PathBuf,
    },
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Only print what would change, as a diff of each object; exit code 3 when something would
    #[arg(long, conflicts_with_all = ["uninstall", "export"])]
    pub(crate) diff: bool,
    /// Overwrite objects that a person has changed; with --uninstall, remove them and the templates too
    #[arg(long, conflicts_with = "export")]
    pub(crate) force: bool,
    /// Remove the installed objects, but no data, and not the templates, which a running daemon needs
    #[arg(long, conflicts_with = "export")]
    pub(crate) uninstall: bool,
    /// Write the objects as files into a folder, to import them by hand; asks no server
    #[arg(long, value_name = "FOLDER")]
    pub(crate) export: Option<PathBuf>,
    /// Exit with 0 instead of 4 when setup kept changed objects, or skipped some, such as for a missing plugin
    #[arg(long, conflicts_with_all = ["diff", "export"])]
    pub(crate) allow_incomplete: bool,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// The former spelling of the command `doctor`
    #[arg(long, hide = true)]
    pub(crate) online: bool,
    #[arg(long, hide = true, requires = "online")]
    json: bool,
    /// Only print, as JSON, the least permissions that each command needs in AWS and OpenSearch
    #[arg(long, conflicts_with = "json")]
    pub(crate) permissions: bool,
}

impl CheckArgs {
    /// Returns the arguments of `doctor` that the former spelling stands for.
    pub(crate) fn of_doctor(&self) -> DoctorArgs {
        DoctorArgs { rules: self.rules.clone(), json: self.json, permissions: self.permissions }
    }
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Only print what `check --permissions` prints, with the bucket that the queue's policy or the trails name
    #[arg(long, conflicts_with = "json")]
    pub(crate) permissions: bool,
}

#[derive(Args)]
pub(crate) struct BacktestArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, CloudTrail files, or folders with such files; `-` is standard input
    #[arg(required_unless_present = "index", value_name = "PLACE")]
    pub(crate) places: Vec<Place>,
    /// Read the stored events as well, from what they keep of their records
    #[arg(long)]
    pub(crate) index: bool,
    /// Report from this time on, such as `2026-11-02` or `2026-11-02T09:00:00Z`; what is older is the site's history.
    /// Of buckets and the index, 30 days before it are read
    #[arg(long, value_name = "TIME", value_parser = time_or_day)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Use this folder in place of `rules.folder`, and tell what it changes
    #[arg(long = "rules", value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct LearnArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// How many days before now are read
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub(crate) days: u16,
    /// Print everything as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct WhoisArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// An ARN, the id of an access key or principal, or the name of a person, role, resource, bucket or repository
    #[arg(value_name = "NAME")]
    pub(crate) asked: String,
    /// Print the tree as JSON
    #[arg(long = "json", action = ArgAction::SetTrue, value_parser = json())]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, CloudTrail files, or folders with such files; `-` is standard input
    #[arg(required_unless_present = "retag", value_name = "PLACE")]
    pub(crate) places: Vec<Place>,
    /// Tag stored documents again that other rules have tagged; reads their `event.original`, and no bucket
    #[arg(long, conflicts_with_all = ["places", "checkpoint", "dry_run", "bytes_per_second"])]
    pub(crate) retag: bool,
    #[command(flatten)]
    pub(crate) filter: WantedArgs,
    /// A file that keeps how far the run is; the next run with it goes on from there
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Only count the objects and bytes that would be read
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Documents to send per second at most, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) documents_per_second: Option<NonZeroU32>,
    /// Bytes to send per second at most, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    pub(crate) bytes_per_second: Option<NonZeroU32>,
    /// The form of the summary
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
    /// Minutes after which a delivery or a shipment counts as late
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    pub(crate) late_minutes: u32,
    /// Read every file again, also those that were shipped and have the same `ETag`
    #[arg(long)]
    pub(crate) read_all: bool,
    /// Ship missing files whose content is as it was signed
    #[arg(long)]
    pub(crate) repair: bool,
    /// The form of the report
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
    /// In place of both: this many whole days before today, for a timer
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
    pub(crate) fn filter(&self) -> TrailFilter {
        TrailFilter {
            kind: Kind::Records,
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            from: self.from,
            to: self.to,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// Columns for a terminal
    Table,
    /// Everything about each rule
    Json,
    /// A page like docs/rules.md
    Markdown,
    /// The placeholders, with what their values are made of and an example of each
    Placeholders,
    /// A layer for the ATT&CK Navigator
    Navigator,
}
