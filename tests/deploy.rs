//! The files for operators: they name only metrics that exist, and each alert says what to do.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

const EXPOSITION: &str = include_str!("golden/metrics.txt");
const ALERTS: &str = include_str!("../deploy/prometheus/alerts.yml");
const GRAFANA: &str = include_str!("../deploy/grafana/sagetrail.json");
const OPERATIONS: &str = include_str!("../docs/operations.md");

/// The series in the exposition, those of histograms by all their names.
fn exposed() -> BTreeSet<&'static str> {
    let name_end = |line: &'static str| line.split(['{', ' ']).next().expect("a line has a name");
    EXPOSITION.lines().filter(|line| !line.starts_with('#')).map(name_end).collect()
}

fn named_in(text: &str) -> BTreeSet<&str> {
    Regex::new(r"sagetrail_[a-z_]+").unwrap().find_iter(text).map(|found| found.as_str()).collect()
}

/// The values that a label of a series has in the exposition.
fn label_values(series: &str, label: &str) -> BTreeSet<&'static str> {
    let pattern = Regex::new(&format!(r#"(?m)^{series}\{{(?:.*,)?{label}="([^"]*)""#)).unwrap();
    pattern
        .captures_iter(EXPOSITION)
        .map(|found| found.get(1).expect("the group always takes part").as_str())
        .collect()
}

#[test]
fn alerts_and_the_grafana_dashboard_name_only_metrics_that_exist() {
    let exposed = exposed();
    for (file, text) in [("alerts.yml", ALERTS), ("sagetrail.json", GRAFANA)] {
        let named = named_in(text);
        assert!(named.len() > 10, "{file}: only {} metrics were found in it", named.len());
        let unknown: Vec<_> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn alerts_ask_for_label_values_that_exist() {
    let pattern = Regex::new(r#"(sagetrail_[a-z_]+)\{([a-z]+)=~?"([^"]+)"\}"#).unwrap();
    let mut asked = 0;
    for found in pattern.captures_iter(ALERTS) {
        let known = label_values(&found[1], &found[2]);
        for value in found[3].split('|') {
            assert!(known.contains(value), "{}: {} is none of {known:?}", &found[0], value);
            asked += 1;
        }
    }
    assert!(asked > 5, "only {asked} label values were found");
}

#[test]
fn every_alert_links_to_a_section_that_says_what_to_do() {
    let names: Vec<&str> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!names.is_empty());
    for name in &names {
        assert!(
            ALERTS.contains(&format!("docs/operations.md#{}\n", name.to_lowercase())),
            "{name} has no link"
        );
    }
    let sections: Vec<&str> = OPERATIONS.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(names, sections);
}

#[test]
fn no_panel_of_the_grafana_dashboard_lies_on_another() {
    let dashboard: Value = serde_json::from_str(GRAFANA).unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{} is wider than the page", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies on another panel", panel["title"]);
            }
        }
    }
}
