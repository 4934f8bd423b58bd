//! Defines the options that several commands take.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{BoolValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use sagetrail::timestamp;
use serde::Serialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::output::print;

#[derive(Args, Clone)]
pub(crate) struct RuleArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Skip broken rules and use the others, instead of refusing to start
    #[arg(long)]
    pub(crate) skip_broken_rules: bool,
}

#[derive(Args, Clone)]
pub(crate) struct ConfigFile {
    /// The configuration file; without one, defaults apply. Variables such as `SAGETRAIL__SINK__URL` override it
    #[arg(long = "config", value_name = "FILE", env = "SAGETRAIL_CONFIG")]
    pub(crate) path: Option<PathBuf>,
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

/// Reads a switch that asks for JSON in place of text.
pub(super) fn json() -> impl TypedValueParser<Value = ReportFormat> {
    BoolValueParser::new().map(|json| if json { ReportFormat::Json } else { ReportFormat::Table })
}

pub(super) fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "give a day as YYYY-MM-DD, such as 2026-03-01".to_owned())
}

pub(super) fn time_or_day(text: &str) -> Result<OffsetDateTime, String> {
    let time = timestamp::parse(text).or_else(|| Some(day(text).ok()?.midnight().assume_utc()));
    time.ok_or_else(|| "give a day as 2026-03-01, or a time as 2026-03-01T09:00:00Z".to_owned())
}
