//! Runs `backtest`, which reads records of the past and tells what they would have come to.

use std::process::ExitCode;
use std::sync::Arc;

use sagetrail::backtest::progress::Progress;
use sagetrail::backtest::{self, Flaw, Job};
use sagetrail::incident::Weights;

use super::{complain_of_broken, load, runtime, start_quiet_telemetry};
use crate::arguments::BacktestArgs;
use crate::exit;

pub(crate) fn backtest(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let mut enrichers = vec![Arc::new(args.rules.load(&config)?)];
    if let Some(folder) = &args.folder {
        let mut changed = config.clone();
        changed.rules.folder = Some(folder.clone());
        enrichers.push(Arc::new(args.rules.load(&changed)?));
    }
    for enricher in &enrichers {
        complain_of_broken(&enricher.rules);
    }
    start_quiet_telemetry(&config)?;
    let job = Job { places: args.places.clone(), index: args.index, since: args.since };
    let progress = Progress::new();
    let mut code = 0;
    let complain = |flaw: &Flaw| {
        progress.complain(&format!("sagetrail: {flaw}"));
        code = match flaw {
            Flaw::Unread(_) => exit::NO_INPUT,
            Flaw::Damaged { .. } => exit::DATA,
        };
    };
    let runtime = runtime()?;
    let records = runtime.block_on(Box::pin(backtest::read(&config, &job, &enrichers, &progress, complain)));
    runtime.shutdown_background();
    let records = records?;
    let weights = || Weights::with_assets(&config.incidents.assets);
    let mut report = backtest::judge(&records, &enrichers[0], weights(), args.since, &progress)?;
    if let Some(other) = enrichers.get(1) {
        let mut changed = backtest::judge(&records, other, weights(), args.since, &progress)?;
        changed.changes = Some(backtest::compare(&report, &changed));
        report = changed;
    }
    progress.end();
    let (read, judged) = (&report.records.read, &report.records.judged);
    progress.complain(&format!(
        "sagetrail: {} file(s), {} record(s), {} stored event(s): {} selected, {} malformed, {} met again",
        read.files, read.records, read.stored, judged.selected, judged.malformed, judged.duplicates
    ));
    args.format.print(&report)?;
    Ok(ExitCode::from(code))
}
