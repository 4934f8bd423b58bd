//! Runs `check`, which validates the configuration and the rules and, with `--online`, asks the servers.

use std::path::Path;
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
use crate::arguments::CheckArgs;
use crate::output::print;

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.rules.config)?;
    // Checks now what other commands would refuse later.
    telemetry::check(&config.log).map_err(|error| wrong_filter(&error.to_string()))?;
    setup::content::objects(&config)?;
    if args.permissions {
        return print(&format!("{:#}\n", permissions(&config, &buckets(&config, args)?)));
    }
    let Enricher { rules, .. } = args.rules.load(&config)?;
    let state = state_of(args.rules.config.path.as_deref(), &config, &rules);
    if !args.online {
        return print(&state);
    }
    let report = runtime()?.block_on(doctor::examine(&config));
    print(&if args.json { report.json() } else { state + &report.text() })?;
    Ok(ExitCode::from(u8::from(report.count(State::Broken) > 0)))
}

fn wrong_filter(error: &str) -> ConfigError {
    let problem = format!("must be a filter such as \"info\" or \"sagetrail::sink=debug,warn\": {error}");
    ConfigError::Value { key: "log.filter", problem }
}

/// The buckets that policies name. Without any, a warning says that the policies allow all.
fn buckets(config: &Config, args: &CheckArgs) -> anyhow::Result<Vec<String>> {
    let known = if args.online {
        runtime()?.block_on(doctor::known_buckets(config)).map_err(anyhow::Error::msg)?
    } else {
        config.source.allowed_buckets.clone()
    };
    if known.is_empty() {
        let remedy = if args.online { "" } else { ", or ask AWS for it with --online" };
        telemetry::complain(&format!(
            "sagetrail: the policies allow every bucket, because none is configured: name the trail's bucket in \
             source.allowed_buckets{remedy}"
        ));
    }
    Ok(known)
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
fn state_of(file: Option<&Path>, config: &Config, rules: &RuleSet) -> String {
    let mut lines = vec!["configuration: fine".to_owned(), format!("rules: {} loaded", rules.rules().len())];
    lines.extend(exposed(file, config));
    lines.extend(opensearch::refuse_serverless(&config.sink).err().map(|error| format!("setup: {error}")));
    lines.extend(rules.broken().iter().map(|broken| format!("broken: {broken}")));
    lines.extend(rules.inactive().iter().map(|inactive| {
        format!("inactive: \"{}\" needs {}", inactive.rule.title, inactive.missing.join(" and "))
    }));
    lines.extend(tuned(rules, OffsetDateTime::now_utc()));
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
    lines.join("\n")
}
