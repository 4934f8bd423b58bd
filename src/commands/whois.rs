//! Runs `whois`, which reads what memory holds of one thing.

use std::process::ExitCode;

use sagetrail::whois as tree;

use super::{ask, load};
use crate::arguments::WhoisArgs;

pub(crate) fn whois(args: &WhoisArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let report = ask(&config, async |client| tree::run(&client, args.asked.trim()).await)?;
    args.format.print(&report)
}
