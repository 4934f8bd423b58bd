//! Runs `guard`, which shows the service control policies and tries them on what was recorded.

use std::process::ExitCode;

use sagetrail::telemetry::complain;
use sagetrail::{guard, opensearch};
use time::OffsetDateTime;

use super::offline::complain_of;
use super::{complain_of_broken, load, runtime, start_quiet_telemetry};
use crate::arguments::{GuardArgs, ReportFormat};
use crate::exit;
use crate::output::print;

pub(crate) fn guard(args: &GuardArgs) -> anyhow::Result<ExitCode> {
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
        start_quiet_telemetry(&config)?;
        runtime()?.block_on(async {
            let client = opensearch::connect(&config, None).await?;
            let now = OffsetDateTime::now_utc();
            anyhow::Ok(Box::pin(guard::simulate_index(&client, &config, args.days, now)).await?)
        })?
    } else {
        let enricher = args.rules.load(&config)?;
        complain_of_broken(&enricher.rules);
        guard::simulate_files(&args.files, &config, &enricher, |error| code = complain_of(error))?
    };
    let format = if args.json { ReportFormat::Json } else { ReportFormat::Table };
    let printed = format.print(&report)?;
    Ok(match code {
        0 if report.denies() => ExitCode::from(exit::DENIED),
        0 => printed,
        code => ExitCode::from(code),
    })
}
