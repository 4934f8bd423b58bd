//! Defines the options that several commands take.

use std::path::PathBuf;

use clap::Args;
use sagetrail::timestamp;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

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

pub(super) fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "give a day as YYYY-MM-DD, such as 2026-03-01".to_owned())
}

pub(super) fn time_or_day(text: &str) -> Result<OffsetDateTime, String> {
    let time = timestamp::parse(text).or_else(|| Some(day(text).ok()?.midnight().assume_utc()));
    time.ok_or_else(|| "give a day as 2026-03-01, or a time as 2026-03-01T09:00:00Z".to_owned())
}
