//! Runs `guard`, which shows the service control policies and tries them on what was recorded.

use std::process::ExitCode;

use anyhow::bail;
use sagetrail::guard;
use sagetrail::telemetry::complain;
use time::OffsetDateTime;

use super::offline::complain_of;
use super::{ask, load, load_for_files};
use crate::arguments::GuardArgs;
use crate::exit;
use crate::output::print;

pub(crate) fn guard(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    if !args.files.is_empty() && args.asked.as_deref() != Some("simulate") {
        bail!("--from-files goes with simulate: sagetrail guard simulate --from-files FILE");
    }
    match args.asked.as_deref() {
        None => print(&guard::list()),
        Some("simulate") => simulate(args),
        Some(policy) => show(args, policy),
    }
}

/// Prints a policy ready to attach, and on standard error which of its lists the site may want to look at.
fn show(args: &GuardArgs, policy: &str) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let filled = guard::find(policy)?.to_attach(&config.rules.placeholders)?;
    for list in filled.examples {
        complain(&format!("sagetrail: as shipped, look whether it is yours: {list}"));
    }
    print(&format!("{}\n", serde_json::to_string_pretty(&filled.document)?))
}

fn simulate(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let mut code = 0;
    let report = if args.files.is_empty() {
        let now = OffsetDateTime::now_utc();
        ask(&config, async |client| guard::simulate_index(&client, &config, args.days, now).await)?
    } else {
        let enricher = load_for_files(&args.rules, &config)?;
        guard::simulate_files(&args.files, &config, &enricher, |error| code = complain_of(error))?
    };
    let printed = args.format.print(&report)?;
    Ok(match code {
        0 if report.denies() => ExitCode::from(exit::DENIED),
        0 => printed,
        code => ExitCode::from(code),
    })
}
