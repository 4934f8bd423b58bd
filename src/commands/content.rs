//! Runs `setup`, which installs dashboards and monitors.

use std::process::ExitCode;

use anyhow::Context;
use sagetrail::config::Config;
use sagetrail::opensearch::{self, OpenSearch};
use sagetrail::setup;
use sagetrail::setup::dashboards::Dashboards;
use sagetrail::setup::outcome::Outcome;
use sagetrail::setup::plan::Edits;
use sagetrail::setup::preview::{self, Difference};
use sagetrail::setup::remote::Remote;
use sagetrail::setup::{install, removal};
use sagetrail::telemetry;

use super::{load, runtime};
use crate::arguments::SetupArgs;
use crate::exit;
use crate::output::say;

pub(crate) fn set_up(args: &SetupArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let objects = setup::content::objects(&config)?;
    if let Some(folder) = &args.export {
        setup::export::export(&objects, folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        say(&format!("{} objects were written into {}", objects.len(), folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::start(&config.log).context("log.filter")?;
    let edits = if args.force { Edits::Overwrite } else { Edits::Keep };
    runtime()?.block_on(async {
        let remote = connect(&config).await?;
        if args.diff {
            let differences = preview::difference(&remote, &objects, edits).await?;
            for difference in &differences {
                say(&format!("{}: would be {}\n{}", difference.object, difference.outcome, difference.text));
            }
            say(&format!("{} of {} objects would change", differences.len(), objects.len()));
            return Ok(ExitCode::from(code_of_differences(&differences)));
        }
        let mut outcomes = Vec::new();
        let tell = |object: &str, outcome: &Outcome| {
            if *outcome != Outcome::Unchanged {
                say(&format!("{object}: {outcome}"));
            }
            outcomes.push(outcome.clone());
        };
        if args.uninstall {
            removal::uninstall(&remote, edits, tell).await?;
            let removed = outcomes.iter().filter(|outcome| **outcome == Outcome::Removed).count();
            say(&format!("{removed} objects were removed; indices and their documents stay"));
        } else {
            install::install(&remote, &objects, edits, tell).await?;
            let unchanged = outcomes.iter().filter(|outcome| **outcome == Outcome::Unchanged).count();
            say(&format!("{} objects, {unchanged} of them unchanged", objects.len()));
        }
        let code = code_of(&outcomes);
        let allowed = args.allow_incomplete && code == exit::INCOMPLETE;
        Ok(ExitCode::from(if allowed { 0 } else { code }))
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

async fn connect(config: &Config) -> anyhow::Result<Remote> {
    Ok(Remote::connect(cluster(config).await?, Dashboards::new(&config.dashboards)?).await?)
}

/// A cluster that can hold the content.
async fn cluster(config: &Config) -> anyhow::Result<OpenSearch> {
    let opensearch = opensearch::connect(config, None).await?;
    setup::check_cluster(&opensearch).await?;
    Ok(opensearch)
}
