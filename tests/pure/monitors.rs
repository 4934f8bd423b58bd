//! The page about monitors.

use std::collections::BTreeMap;
use std::fmt::Write;

use sagetrail::config::MonitorsConfig;
use sagetrail::incident::Weights;
use sagetrail::labels::HealthRule;
use sagetrail::monitors::built_in;
use sagetrail::monitors::thresholds::documented;
use sagetrail::names::Names;
use strum::VariantArray;

/// `UPDATE_GOLDEN=1` writes the page anew.
#[test]
fn the_page_about_monitors_says_what_the_files_say() {
    let mut page = String::from(
        "# Monitors\n\nWhat pages a responder. The files are in `dashboards/monitors/`, the thresholds in `config/monitors.toml`; \
         this page is made\nfrom both by `UPDATE_GOLDEN=1 cargo test --test pure monitors`.\n\n\
         | monitor | severity | what it tells |\n|---|---|---|\n",
    );
    for monitor in built_in(&Names::default(), &MonitorsConfig::default(), &BTreeMap::new(), None).unwrap() {
        let severity = format!("{:?}", monitor.severity).to_lowercase();
        writeln!(page, "| `{}` | {severity} | {} |", monitor.id, monitor.description).unwrap();
    }
    page += "\n## Thresholds\n\nA site gives its own values under `[monitors]` `thresholds`.\n\n\
             | threshold | default | why |\n|---|---|---|\n";
    for (name, threshold) in documented() {
        writeln!(page, "| `{name}` | `{}` | {} |", threshold.default, threshold.reason).unwrap();
    }
    page += "\n## Health\n\nWhat is wrong with the pipeline itself is an [incident](incidents.md#the-pipelines-own-health), which the monitors \
             of its severity page.\nThe thresholds are settings under `[health]`; the severities and reasons stand in `config/incidents.toml`.\n\n\
             | rule | severity | what it tells | why |\n|---|---|---|---|\n";
    let weights = Weights::built_in();
    for rule in HealthRule::VARIANTS {
        let weight = weights.health(*rule);
        let (name, severity) = (<&str>::from(rule), weight.severity.name());
        writeln!(page, "| `{name}` | {severity} | {} | {} |", weight.title, weight.reason).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitors.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, page).unwrap();
    } else {
        assert!(page == std::fs::read_to_string(path).unwrap(), "docs/monitors.md is out of date");
    }
}
