//! Runs `drill`, which puts a marked story through the whole pipeline.

use std::process::ExitCode;

use sagetrail::drill::{self, Chosen, Plan};
use tokio_util::sync::CancellationToken;

use super::{load, runtime, start_quiet_telemetry, stop_on_signals};
use crate::arguments::DrillArgs;
use crate::exit;

pub(crate) fn drill(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let DrillArgs { trail, account, region, names, timeout, .. } = args;
    let chosen = Chosen {
        trail: trail.clone(),
        account: account.clone(),
        region: region.clone(),
        names: names.clone(),
        timeout: *timeout,
    };
    let plan = Plan::of(&config, chosen)?;
    start_quiet_telemetry(&config)?;
    let report = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        anyhow::Ok(Box::pin(drill::run(&config, &plan, &stop)).await?)
    })?;
    args.format.print(&report)?;
    Ok(ExitCode::from(if report.worked { 0 } else { exit::BROKEN }))
}
