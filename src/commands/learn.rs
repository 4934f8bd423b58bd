//! Runs `learn`, which reads what is stored and suggests the values of placeholders.

use std::process::ExitCode;

use sagetrail::config::Config;
use sagetrail::enrich::Enricher;
use sagetrail::learn;
use time::OffsetDateTime;

use super::{load, load_quietly, runtime};
use crate::arguments::LearnArgs;

pub(crate) fn learn(args: &LearnArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    let enricher = load_quietly(&args.rules, &config)?;
    let load = |config: &Config| {
        let (key, names) = (enricher.fingerprint_key.clone(), enricher.names.clone());
        let rules = config.enrich.rules(config.rules.clone());
        let loaded = Enricher::load(&rules, args.rules.broken(), config.select.scope, key, names)?;
        Ok(Enricher { networks: enricher.networks.clone(), ..loaded })
    };
    let now = OffsetDateTime::now_utc();
    let report = runtime()?.block_on(Box::pin(learn::run(&config, &enricher, load, args.days, now)))?;
    args.format.print(&report)
}
