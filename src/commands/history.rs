//! Runs `replay` and `verify`, which work on what is in the bucket or the index already.

use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use sagetrail::config::Config;
use sagetrail::replay::{self, Job, Place};
use sagetrail::retag;
use sagetrail::telemetry::complain;
use sagetrail::verify::{self, Plan, Reread};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{load, load_quietly, runtime, start_quiet_telemetry, stop_on_signals};
use crate::arguments::{Cli, ReplayArgs, VerifyArgs};
use crate::exit;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    if args.retag {
        return retag(args, config);
    }
    let job = Job::new(args.places.clone(), args.filter.filter())?;
    let runtime = runtime()?;
    if args.dry_run {
        let count = runtime.block_on(replay::count(&config, &job))?;
        args.format.print(&count)?;
        return Ok(ExitCode::SUCCESS);
    }
    let enricher = load_quietly(&args.rules, &config)?;
    let options = replay::Options {
        checkpoint: args.checkpoint.clone(),
        documents_per_second: args.documents_per_second,
        bytes_per_second: args.bytes_per_second,
    };
    let summary = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        anyhow::Ok(Box::pin(replay::run(&config, enricher, &job, &options, stop)).await?)
    });
    runtime.shutdown_background();
    let summary = summary?;
    args.format.print(&summary)?;
    if summary.interrupted {
        let advice = match &args.checkpoint {
            Some(file) => format!("run the same command again to go on from {}", file.display()),
            None => "to go on from here next time, give --checkpoint FILE".to_owned(),
        };
        complain(&format!("sagetrail: interrupted; {advice}"));
        return Ok(ExitCode::from(exit::INTERRUPTED));
    }
    Ok(ExitCode::from(u8::from(!summary.failed.is_empty())))
}

pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
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
    let (from, to) = args.period.bounds(OffsetDateTime::now_utc().date());
    let plan = Plan {
        bucket,
        prefix,
        accounts: args.accounts.clone(),
        regions: args.regions.clone(),
        from,
        to,
        late: time::Duration::minutes(args.late_minutes.into()),
        keys: args.keys.clone(),
        reread: if args.read_all { Reread::Everything } else { Reread::WhatIsUnproven },
    };
    let report = runtime()?.block_on(Box::pin(verify::run(&config, plan, repair)))?;
    args.format.print(&report)?;
    Ok(ExitCode::from(if report.gaps() == 0 { 0 } else { exit::GAP }))
}

fn retag(args: &ReplayArgs, mut config: Config) -> anyhow::Result<ExitCode> {
    let enricher = load_quietly(&args.rules, &config)?;
    config.replay.documents_per_second = args.documents_per_second.or(config.replay.documents_per_second);
    let summary = runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let _listening = stop_on_signals(stop.clone())?;
        anyhow::Ok(retag::run(&config, &enricher, &args.filter.filter(), &stop).await?)
    })?;
    args.format.print(&summary)?;
    if summary.interrupted {
        complain("sagetrail: interrupted; run the same command again for the rest");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    }
    let left = summary.conflicts + summary.unreadable + summary.refused;
    Ok(ExitCode::from(u8::from(left > 0)))
}
