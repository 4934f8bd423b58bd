//! Runs `check`, which validates the configuration and the rules, and `doctor`, which asks the servers as well.

use std::process::ExitCode;

use sagetrail::config::placeholder::{Form, form};
use sagetrail::config::{Config, ConfigError, exposed};
use sagetrail::doctor;
use sagetrail::doctor::finding::State;
use sagetrail::doctor::permissions::permissions;
use sagetrail::enrich::Enricher;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::{opensearch, setup, telemetry};

use time::OffsetDateTime;

use super::{load, runtime};
use crate::arguments::{CheckArgs, DoctorArgs, RuleArgs};
use crate::output::print;

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = validated(&args.rules)?;
    if args.permissions {
        let remedy = ", or use `doctor --permissions`, which asks AWS for it";
        return print_permissions(&config, &config.source.allowed_buckets, remedy);
    }
    print(&state(&args.rules, &config)?)
}

pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = validated(&args.rules)?;
    if args.permissions {
        let buckets = runtime()?.block_on(doctor::known_buckets(&config)).map_err(anyhow::Error::msg)?;
        return print_permissions(&config, &buckets, "");
    }
    let state = state(&args.rules, &config)?;
    let report = runtime()?.block_on(doctor::examine(&config));
    print(&if args.json { report.json() } else { state + &report.text() })?;
    Ok(ExitCode::from(u8::from(report.count(State::Broken) > 0)))
}

/// Loads the configuration and checks now what other commands would refuse later.
fn validated(args: &RuleArgs) -> anyhow::Result<Config> {
    let config = load(&args.config)?;
    telemetry::check(&config.log).map_err(|error| wrong_filter(&error.to_string()))?;
    setup::content::objects(&config)?;
    Ok(config)
}

fn wrong_filter(error: &str) -> ConfigError {
    let problem = format!("must be a filter such as \"info\" or \"sagetrail::sink=debug,warn\": {error}");
    ConfigError::Value { key: "log.filter", problem }
}

/// Without any bucket, a warning says that the policies allow all.
fn print_permissions(config: &Config, buckets: &[String], other_remedy: &str) -> anyhow::Result<ExitCode> {
    if buckets.is_empty() {
        telemetry::complain(&format!(
            "sagetrail: the policies allow every bucket, because none is configured: name the trail's bucket in \
             source.allowed_buckets{other_remedy}"
        ));
    }
    print(&format!("{:#}\n", permissions(config, buckets)))
}

/// What the site has changed about the rules, and what of it has no effect.
fn tuned(rules: &RuleSet, at: OffsetDateTime) -> Vec<String> {
    let tuning = rules.tuning();
    let mut lines: Vec<String> = tuning
        .expired(at)
        .into_iter()
        .map(|(id, change)| {
            format!("ended: rules.override.{id} applied until {}; renew or remove it", change.until)
        })
        .collect();
    let filters = tuning.filters().iter().filter(|filter| !filter.missing.is_empty());
    lines.extend(filters.map(|filter| {
        format!("inactive: the filter \"{}\" needs {}", filter.title, filter.missing.join(" and "))
    }));
    let count = rules.tuned(at);
    if count > 0 {
        lines.push(format!("tuned: {count} rules by filters and overrides; `sagetrail rules` says which"));
    }
    lines
}

/// Describes the configuration and the rules, without asking a server.
fn state(args: &RuleArgs, config: &Config) -> anyhow::Result<String> {
    let Enricher { rules, .. } = args.load(config)?;
    let mut lines = vec!["configuration: fine".to_owned(), format!("rules: {} loaded", rules.rules().len())];
    lines.extend(exposed(args.config.path.as_deref(), config));
    lines.extend(opensearch::refuse_serverless(&config.sink).err().map(|error| format!("setup: {error}")));
    lines.extend(rules.broken().iter().map(|broken| format!("broken: {broken}")));
    lines.extend(rules.inactive().iter().map(|inactive| {
        format!("inactive: \"{}\" needs {}", inactive.rule.title, inactive.missing.join(" and "))
    }));
    lines.extend(tuned(&rules, OffsetDateTime::now_utc()));
    let mut missing: Vec<&str> =
        rules.inactive().iter().flat_map(|inactive| &inactive.missing).map(String::as_str).collect();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        let remedy = "to activate these rules, give their placeholders values in the configuration file:";
        lines.extend([remedy.to_owned(), "[rules]".to_owned()]);
    }
    lines.extend(missing.iter().map(|name| {
        let Form { is, example, .. } = form(name);
        format!("placeholders.{name} = [\"{example}\"] # {is}")
    }));
    if config.source.queue_url.is_none() {
        lines.push("source.queue_url: not set, which `run` needs".to_owned());
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}
