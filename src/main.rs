//! The command line: reads the arguments and the configuration, runs one command, and turns its result into an exit code.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sagetrail::config::{self, AuthKind, Config, ConfigError, LogConfig};
use sagetrail::daemon::{self, DaemonError, Orders};
use sagetrail::decode::Limits;
use sagetrail::doctor;
use sagetrail::doctor::finding::State;
use sagetrail::doctor::permissions::permissions;
use sagetrail::enrich::Knowledge;
use sagetrail::enrich::redact::{FingerprintKey, KeyError};
use sagetrail::enrich::rules::{BrokenRules, RuleSet, RulesError};
use sagetrail::health::{self, Question};
use sagetrail::listing;
use sagetrail::monitors::MonitorsError;
use sagetrail::offline::{self, OfflineError};
use sagetrail::reload::RuleSource;
use sagetrail::replay::{self, Job, Place};
use sagetrail::retag;
use sagetrail::setup;
use sagetrail::setup::dashboards::Dashboards;
use sagetrail::setup::install::{self, Difference, Edits, Outcome};
use sagetrail::setup::rehearsal::{self, Rehearsed};
use sagetrail::setup::remote::Remote;
use sagetrail::sink::OpenSearch;
use sagetrail::source::aws;
use sagetrail::source::folder::{Kind, Wanted};
use sagetrail::telemetry;
use sagetrail::verify::{self, Plan};
use serde::Serialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit codes beside 0 (fine), 1 (failed at work) and 2 (bad usage), as in sysexits.
mod exit {
    /// `setup --diff` found something to change.
    pub(crate) const DIFFERENT: u8 = 3;
    /// `verify` found something that is not proven to be there and right.
    pub(crate) const GAP: u8 = 3;
    /// `setup` left something as it was.
    pub(crate) const INCOMPLETE: u8 = 4;
    /// A signal ended the command: 128 and the number of SIGINT, as shells say it.
    pub(crate) const INTERRUPTED: u8 = 130;
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
struct SetupArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Only print what would change, as a difference for each object
    #[arg(long, conflicts_with_all = ["uninstall", "export"])]
    diff: bool,
    /// Do not keep what a person has changed; with --uninstall, neither the templates
    #[arg(long, conflicts_with = "export")]
    force: bool,
    /// Remove what was installed, but no data, and no templates, which a daemon that runs needs
    #[arg(long, conflicts_with = "export")]
    uninstall: bool,
    /// Write the content into a folder, for those who import it by hand, without any server
    #[arg(long, value_name = "FOLDER")]
    export: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    rules: RuleArgs,
    /// Also ask AWS and OpenSearch whether everything works and what is not seen; nothing is changed
    #[arg(long)]
    online: bool,
    /// Print what `--online` found as JSON
    #[arg(long, requires = "online")]
    json: bool,
    /// Print the least permissions that this configuration needs in AWS and OpenSearch, as JSON, and nothing else
    #[arg(long, conflicts_with = "online")]
    permissions: bool,
}

#[derive(Args)]
struct ReplayArgs {
    #[command(flatten)]
    rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, CloudTrail files, or folders with such files; `-` is standard input
    #[arg(required_unless_present = "retag", value_name = "PLACE")]
    places: Vec<Place>,
    /// Enrich the documents in OpenSearch anew that other rules have tagged, from the text that they keep
    #[arg(long, conflicts_with_all = ["places", "checkpoint", "dry_run", "bytes_per_second"])]
    retag: bool,
    #[command(flatten)]
    wanted: WantedArgs,
    /// A file that remembers what is done; a second run with it goes on from there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Only count the objects and bytes that would be read
    #[arg(long)]
    dry_run: bool,
    /// Documents that may be sent in a second, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    documents_per_second: Option<NonZeroU32>,
    /// Bytes that may be sent in a second, in place of the configured limit
    #[arg(long, value_name = "NUMBER")]
    bytes_per_second: Option<NonZeroU32>,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

#[derive(Args)]
struct VerifyArgs {
    #[command(flatten)]
    rules: RuleArgs,
    /// `s3://BUCKET/PREFIX`, where the prefix is what stands before `AWSLogs/` or a folder below it
    #[arg(value_name = "TRAIL")]
    place: Place,
    /// The first day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    from: Date,
    /// The last day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    to: Date,
    /// Only this account; may be given more than once
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<String>,
    /// Only this region; may be given more than once
    #[arg(long = "region", value_name = "NAME")]
    regions: Vec<String>,
    /// Public keys as `aws cloudtrail list-public-keys` prints them, in place of asking CloudTrail
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Minutes until a delivery or a shipping counts as late
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    late_minutes: u32,
    /// Ship the missing files that are as they were signed
    #[arg(long)]
    repair: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

/// Which part of a trail is meant.
#[derive(Args)]
struct WantedArgs {
    /// The first day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    from: Option<Date>,
    /// The last day of delivery, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    to: Option<Date>,
    /// Only the files of this account; may be given more than once
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<String>,
    /// Only the files of this region; may be given more than once
    #[arg(long = "region", value_name = "NAME")]
    regions: Vec<String>,
}

impl WantedArgs {
    fn wanted(&self) -> Wanted {
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
enum ReportFormat {
    /// For people
    Table,
    /// For machines
    Json,
}

impl ReportFormat {
    fn print(self, report: &(impl Display + Serialize)) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => report.to_string(),
            Self::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
        };
        io::stdout().lock().write_all(text.as_bytes()).context("cannot write")
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
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
struct RuleArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Use the other rules when some are broken, instead of refusing all
    #[arg(long)]
    skip_broken_rules: bool,
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
        Command::Run(rules) => run(rules),
        Command::Setup(setup) => set_up(setup),
        Command::Replay(args) => replay(args),
        Command::Rehearse(file) => rehearse(file),
        Command::Verify(args) => verify(args),
        Command::Enrich { rules, files } => enrich(rules, files),
        Command::Health { config, live } => {
            ask_health(config, if *live { Question::Live } else { Question::Ready })
        }
        Command::Check(args) => check(args),
        Command::Manual { folder } => write_manual(folder),
        Command::Completions { shell } => Ok(write_completions(*shell)),
        Command::Rules { rules, format } => list(rules, *format),
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
        || error.is::<KeyError>()
        || error.is::<MonitorsError>()
        || matches!(error.downcast_ref(), Some(DaemonError::NoQueue))
    {
        exit::CONFIG
    } else {
        1
    }
}

fn run(rules: &RuleArgs) -> anyhow::Result<ExitCode> {
    let config = load(&rules.config)?;
    let knowledge = rules.load(&config)?;
    let source = RuleSource { config_file: rules.config.path.clone(), broken: rules.broken() };
    telemetry::start(&config.log).context("log.filter")?;
    info!(version = env!("CARGO_PKG_VERSION"), rules = knowledge.rules.rules().len(), "starting");
    if config.redaction.key.is_none() && config.redaction.key_file.is_none() {
        info!("redaction.key_file is not set: fingerprints of secrets agree within this process only");
    }
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        let hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        daemon::run(&config, knowledge, source, Orders { hangups, stop }).await?;
        Ok(ExitCode::SUCCESS)
    });
    // A decoder may still be busy with an object that nobody waits for any more.
    runtime.shutdown_background();
    result
}

fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    if args.retag {
        return retag(args, config);
    }
    let job = Job::new(args.places.clone(), args.wanted.wanted())?;
    let runtime = runtime()?;
    if args.dry_run {
        let count = runtime.block_on(replay::count(&config, &job))?;
        args.format.print(&count)?;
        return Ok(ExitCode::SUCCESS);
    }
    let knowledge = args.rules.load(&config)?;
    complain_of_broken(&knowledge.rules);
    start_quiet_telemetry(&config)?;
    let options = replay::Options {
        checkpoint: args.checkpoint.clone(),
        documents_per_second: args.documents_per_second,
        bytes_per_second: args.bytes_per_second,
    };
    let summary = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        anyhow::Ok(replay::run(&config, knowledge, &job, &options, stop).await?)
    });
    runtime.shutdown_background();
    let summary = summary?;
    args.format.print(&summary)?;
    if summary.interrupted {
        let advice = match &args.checkpoint {
            Some(file) => format!("the same command goes on from {}", file.display()),
            None => "with --checkpoint FILE a second run would go on from here".to_owned(),
        };
        eprintln!("sagetrail: interrupted; {advice}");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    }
    Ok(ExitCode::from(u8::from(!summary.failed.is_empty())))
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let Place::Bucket { bucket, prefix } = args.place.clone() else {
        Cli::command()
            .error(
                ErrorKind::ValueValidation,
                format!("{}: give the trail as s3://BUCKET/PREFIX", args.place),
            )
            .exit()
    };
    start_quiet_telemetry(&config)?;
    let repair = if args.repair { Some(args.rules.load(&config)?) } else { None };
    let plan = Plan {
        bucket,
        prefix,
        accounts: args.accounts.clone(),
        regions: args.regions.clone(),
        from: args.from,
        to: args.to,
        late: time::Duration::minutes(args.late_minutes.into()),
        keys: args.keys.clone(),
    };
    let report = runtime()?.block_on(Box::pin(verify::run(&config, plan, repair)))?;
    args.format.print(&report)?;
    Ok(ExitCode::from(if report.gaps() == 0 { 0 } else { exit::GAP }))
}

fn retag(args: &ReplayArgs, mut config: Config) -> anyhow::Result<ExitCode> {
    let knowledge = args.rules.load(&config)?;
    complain_of_broken(&knowledge.rules);
    start_quiet_telemetry(&config)?;
    config.replay.documents_per_second = args.documents_per_second.or(config.replay.documents_per_second);
    let summary = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        anyhow::Ok(retag::run(&config, &knowledge, &args.wanted.wanted(), &stop).await?)
    })?;
    args.format.print(&summary)?;
    if summary.interrupted {
        eprintln!("sagetrail: interrupted; the same command takes what is left");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    }
    let left = summary.conflicts + summary.unreadable + summary.refused;
    Ok(ExitCode::from(u8::from(left > 0)))
}

/// Lines about each object would hide the progress of a command that reads many.
fn start_quiet_telemetry(config: &Config) -> anyhow::Result<()> {
    let mut log = config.log.clone();
    if log.filter == LogConfig::default().filter {
        "warn".clone_into(&mut log.filter);
    }
    telemetry::start(&log).context("log.filter")
}

fn set_up(args: &SetupArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let objects = setup::content::objects(&config)?;
    if let Some(folder) = &args.export {
        setup::export::export(&objects, folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        println!("{} objects were written into {}", objects.len(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::start(&config.log).context("log.filter")?;
    let edits = if args.force { Edits::Overwrite } else { Edits::Keep };
    runtime()?.block_on(async {
        let remote = connect(&config).await?;
        if args.diff {
            let differences = install::difference(&remote, &objects, edits).await?;
            for difference in &differences {
                println!("{}: would be {}\n{}", difference.object, difference.outcome, difference.text);
            }
            println!("{} of {} objects would not be as they are", differences.len(), objects.len());
            return Ok(ExitCode::from(code_of_differences(&differences)));
        }
        let mut outcomes = Vec::new();
        let tell = |object: &str, outcome: &Outcome| {
            if *outcome != Outcome::Unchanged {
                println!("{object}: {outcome}");
            }
            outcomes.push(outcome.clone());
        };
        if args.uninstall {
            install::uninstall(&remote, edits, tell).await?;
            let removed = outcomes.iter().filter(|outcome| **outcome == Outcome::Removed).count();
            println!("{removed} objects were removed; indices and their documents stay");
        } else {
            install::install(&remote, &objects, edits, tell).await?;
            let unchanged = outcomes.iter().filter(|outcome| **outcome == Outcome::Unchanged).count();
            println!("{} objects, {unchanged} of them unchanged", objects.len());
        }
        Ok(ExitCode::from(code_of(&outcomes)))
    })
}

fn code_of(outcomes: &[Outcome]) -> u8 {
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed { .. })) {
        1
    } else if outcomes.iter().any(Outcome::is_incomplete) {
        exit::INCOMPLETE
    } else {
        0
    }
}

fn code_of_differences(differences: &[Difference]) -> u8 {
    let mut outcomes = differences.iter().map(|difference| &difference.outcome);
    if outcomes.any(|outcome| !matches!(outcome, Outcome::Skipped { .. })) {
        exit::DIFFERENT
    } else if differences.iter().any(|difference| difference.outcome.is_incomplete()) {
        exit::INCOMPLETE
    } else {
        0
    }
}

fn rehearse(file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    telemetry::start(&config.log).context("log.filter")?;
    let rehearsed = runtime()?.block_on(async {
        let opensearch = cluster(&config).await?;
        anyhow::Ok(rehearsal::rehearse(&opensearch, &config, OffsetDateTime::now_utc()).await?)
    })?;
    for Rehearsed { monitor, pages } in &rehearsed {
        println!("{}: {} pages", monitor.id, pages.len());
        for page in pages {
            println!("\n    {}\n", page.trim_end().replace('\n', "\n    "));
        }
    }
    let pages: usize = rehearsed.iter().map(|rehearsed| rehearsed.pages.len()).sum();
    println!("{} monitors would send {pages} pages", rehearsed.len());
    Ok(ExitCode::SUCCESS)
}

async fn connect(config: &Config) -> anyhow::Result<Remote> {
    Ok(Remote::connect(cluster(config).await?, Dashboards::new(&config.dashboards)?).await?)
}

/// A cluster that can hold the content.
async fn cluster(config: &Config) -> anyhow::Result<OpenSearch> {
    setup::refuse_serverless(&config.sink)?;
    let aws = match config.sink.auth {
        AuthKind::Sigv4 => Some(aws::load(config.source.queue_url.as_ref()).await),
        AuthKind::None | AuthKind::Basic | AuthKind::Certificate => None,
    };
    let opensearch = OpenSearch::new(&config.sink, aws.as_ref())?;
    setup::check_cluster(&opensearch).await?;
    Ok(opensearch)
}

fn enrich(rules: &RuleArgs, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let config = load(&rules.config)?;
    let knowledge = rules.load(&config)?;
    complain_of_broken(&knowledge.rules);
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

fn ask_health(file: &ConfigFile, question: Question) -> anyhow::Result<ExitCode> {
    health::probe(load(file)?.admin.listen, question)?;
    Ok(ExitCode::SUCCESS)
}

fn write_manual(folder: &Path) -> anyhow::Result<ExitCode> {
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write the manual pages into {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write_completions(shell: Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Cli::command(), "sagetrail", &mut io::stdout().lock());
    ExitCode::SUCCESS
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    if args.permissions {
        return print(&format!("{:#}\n", permissions(&config)));
    }
    let Knowledge { rules, .. } = args.rules.load(&config)?;
    if !args.online {
        return print(&state_of(&config, &rules));
    }
    let report = runtime()?.block_on(doctor::examine(&config));
    print(&if args.json { report.json() } else { state_of(&config, &rules) + &report.text() })?;
    Ok(ExitCode::from(u8::from(report.count(State::Broken) > 0)))
}

/// What can be said of the configuration and the rules without any server.
fn state_of(config: &Config, rules: &RuleSet) -> String {
    let mut lines = vec!["configuration: fine".to_owned(), format!("rules: {} loaded", rules.rules().len())];
    lines.extend(rules.broken().iter().map(|broken| format!("broken: {broken}")));
    lines.extend(
        rules.silent().iter().map(|silent| {
            format!("silent: \"{}\" needs {}", silent.rule.title, silent.missing.join(" and "))
        }),
    );
    let mut missing: Vec<&str> =
        rules.silent().iter().flat_map(|silent| &silent.missing).map(String::as_str).collect();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        let remedy = "to let silent rules speak, give their placeholders values in the configuration file:";
        lines.extend([remedy.to_owned(), "[rules]".to_owned()]);
    }
    lines.extend(missing.iter().map(|placeholder| format!("placeholders.{placeholder} = [\"…\"]")));
    if config.source.queue_url.is_none() {
        lines.push("source.queue_url: not set, which `run` needs".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn list(rules: &RuleArgs, format: Format) -> anyhow::Result<ExitCode> {
    let Knowledge { rules, .. } = rules.load(&load(&rules.config)?)?;
    complain_of_broken(&rules);
    let text = match format {
        Format::Table => {
            let width = terminal_size::terminal_size().map(|(width, _)| width.0);
            listing::table::table(&rules, width.unwrap_or(listing::table::DEFAULT_WIDTH))
        }
        Format::Json => listing::json(&rules),
        Format::Markdown => listing::markdown::markdown(&rules),
        Format::Navigator => listing::navigator::navigator(&rules),
    };
    print(&text)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader of a pipe has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn complain_of_broken(rules: &RuleSet) {
    for broken in rules.broken() {
        eprintln!("sagetrail: skipped {broken}");
    }
}

impl RuleArgs {
    fn broken(&self) -> BrokenRules {
        if self.skip_broken_rules { BrokenRules::Skip } else { BrokenRules::Refuse }
    }

    fn load(&self, config: &Config) -> anyhow::Result<Knowledge> {
        let key = FingerprintKey::load(&config.redaction)?;
        Ok(Knowledge::load(&config.rules, self.broken(), config.select.scope, key)?)
    }
}

fn load(file: &ConfigFile) -> Result<Config, ConfigError> {
    config::load(file.path.as_deref())
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
                warn!("a second signal: ending at once; what is in flight is not lost, and comes again");
                std::process::exit(1);
            }
            stop.cancel();
        }
    }))
}
