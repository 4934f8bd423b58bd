//! The files for operators: they name only metrics and settings that exist, and each alert says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

const EXPOSITION: &str = include_str!("../golden/metrics.txt");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");
const GRAFANA: &str = include_str!("../../deploy/grafana/sagetrail.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

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

/// Which section of the runbook has an entry for each value of a series' label.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("sagetrail_object_failures_total", "reason", "SagetrailObjectFailed"),
    ("sagetrail_records_rejected_total", "reason", "SagetrailRecordsRejected"),
    ("sagetrail_messages_total", "outcome", "SagetrailMessagesFail"),
    ("sagetrail_bulk_requests_total", "outcome", "SagetrailOpenSearchTakesNothing"),
    ("sagetrail_waiting", "for", "SagetrailNotReady"),
    ("sagetrail_verification_gaps", "kind", "SagetrailVerificationGap"),
];

#[test]
fn the_runbook_explains_every_reason_for_which_something_fails_or_is_rejected() {
    for (series, label, section) in EXPLAINED {
        let (_, text) = OPERATIONS.split_once(&format!("\n## {section}\n")).expect(section);
        let text = text.split("\n## ").next().expect("there is a first part");
        let values = label_values(series, label);
        assert!(!values.is_empty(), "{series}");
        for value in values {
            assert!(text.contains(&format!("`{value}`")), "{section} says nothing of {label}=\"{value}\"");
        }
    }
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

/// Every file below a folder of the repository, but for links, which lead to other files of it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let kind = entry.file_type().expect("it has a type");
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

/// The settings of the documented configuration, as variables of the environment name them.
fn variables() -> BTreeSet<String> {
    let key = Regex::new(r"^(?:# )?([a-z0-9_]+) = ").unwrap();
    let mut section = String::new();
    let mut names = BTreeSet::new();
    for line in include_str!("../../config/sagetrail.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some(found) = key.captures(line) {
            names.insert(format!("SAGETRAIL__{section}__{}", &found[1]).to_uppercase());
        }
    }
    names
}

#[test]
fn every_setting_that_is_made_for_operators_exists() {
    let known = variables();
    let variable = Regex::new(r"SAGETRAIL__[A-Z0-9]+__[A-Z0-9_]+").unwrap();
    let mut named = 0;
    for folder in ["docker", "helm", "systemd", "terraform"] {
        for file in files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            for found in variable.find_iter(&text) {
                assert!(known.contains(found.as_str()), "{}: {}", file.display(), found.as_str());
                named += 1;
            }
        }
    }
    assert!(named > 30, "only {named} settings were found");
}

/// `python3 deploy/scaling/simulate.py` prints the table.
#[test]
fn the_page_about_scaling_has_the_simulated_day_as_it_is_simulated() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/scaling/simulate.py");
    let Ok(simulated) = std::process::Command::new("python3").arg("-B").arg(script).output() else {
        println!("skipped: there is no python3");
        return;
    };
    assert!(simulated.status.success(), "{}", String::from_utf8_lossy(&simulated.stderr));
    let page = include_str!("../../docs/scaling.md");
    let table =
        page.split_once("<!-- simulate.py -->\n").and_then(|(_, rest)| rest.split_once("<!-- end -->"));
    assert_eq!(table.unwrap().0, String::from_utf8(simulated.stdout).unwrap());
}

#[test]
fn the_chart_has_the_daemons_version() {
    let chart = include_str!("../../deploy/helm/sagetrail/Chart.yaml");
    for key in ["version", "appVersion"] {
        let line = format!("{key}: {}", env!("CARGO_PKG_VERSION"));
        assert!(chart.lines().any(|found| found == line), "Chart.yaml has no line {line:?}");
    }
}

#[test]
fn the_trial_runs_the_servers_that_the_tests_run() {
    let compose = include_str!("../../deploy/docker/compose.yaml");
    let version = |text: &str, pattern: &str| {
        Regex::new(pattern)
            .unwrap()
            .captures(text)
            .map_or_else(|| panic!("no {pattern}"), |found| found[1].to_owned())
    };
    let opensearch = version(
        include_str!("../../deploy/local/opensearch/pom.xml"),
        "<opensearch.version>([^<]+)</opensearch.version>",
    );
    let moto = version(include_str!("../../deploy/local/requirements.txt"), r"moto\[[^\]]*\]==(\S+)");
    assert!(compose.contains(&format!("opensearchproject/opensearch:{opensearch}\n")));
    assert!(compose.contains(&format!("opensearchproject/opensearch-dashboards:{opensearch}\n")));
    assert!(compose.contains(&format!("motoserver/moto:{moto}\n")));
}

#[test]
fn every_way_to_run_it_lets_a_stop_take_its_time() {
    // shutdown.grace, and what giving back and closing may take beyond it.
    let stop = "45";
    for (file, text, line) in [
        ("sagetrail.service", include_str!("../../deploy/systemd/sagetrail.service"), "TimeoutStopSec="),
        (
            "values.yaml",
            include_str!("../../deploy/helm/sagetrail/values.yaml"),
            "terminationGracePeriodSeconds: ",
        ),
        ("service.tf", include_str!("../../deploy/terraform/service.tf"), "stopTimeout  = "),
        ("compose.yaml", include_str!("../../deploy/docker/compose.yaml"), "stop_grace_period: "),
    ] {
        let found = text.lines().find_map(|found| found.trim().strip_prefix(line));
        let found = found.unwrap_or_else(|| panic!("{file} has no {line:?}"));
        assert_eq!(found.trim_end_matches('s'), stop, "{file}");
    }
}

/// What `check --permissions` prints for a configuration that signs its requests.
fn printed_permissions() -> Value {
    let mut config = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    let text = "[source]\nqueue_url = 'https://sqs.eu-central-1.amazonaws.com/111122223333/sagetrail'\n\
                allowed_buckets = ['my-trail']\n[sink]\nurl = 'https://search.example.com'\nauth = 'sigv4'\n";
    std::io::Write::write_all(&mut config, text.as_bytes()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["check", "--permissions", "--config"])
        .arg(config.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything that a policy of IAM allows, by its actions. Policies write one thing alone or several in a list.
fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let written = statements.flat_map(|statement| match &statement["Action"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    });
    written.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn terraform_grants_each_command_what_is_printed_for_it() {
    let text = include_str!("../../deploy/terraform/commands.tf");
    let quoted = Regex::new(r#""([a-z0-9]+:[A-Za-z]+)""#).unwrap();
    let in_list =
        |list: &str| quoted.captures_iter(list).map(|found| found[1].to_owned()).collect::<Vec<_>>();
    let shared: BTreeMap<String, Vec<String>> = Regex::new(r"(?m)^  (\w+) += (\[.*\])$")
        .unwrap()
        .captures_iter(text)
        .map(|found| (found[1].to_owned(), in_list(&found[2])))
        .collect();
    let of_command = |block: &str| {
        let mut granted: BTreeSet<String> = in_list(block).into_iter().collect();
        for found in Regex::new(r"= local\.(\w+)").unwrap().captures_iter(block) {
            granted.extend(shared[&found[1]].iter().cloned());
        }
        granted
    };
    let granted: BTreeMap<String, BTreeSet<String>> = Regex::new(r"\n    (\w+) += \{([^}]*)\}")
        .unwrap()
        .captures_iter(text)
        .map(|found| (found[1].to_owned(), of_command(&found[2])))
        .collect();
    let printed = printed_permissions();
    let names =
        [("replay --retag", "retag"), ("guard simulate", "guard"), ("investigate --evidence", "evidence")];
    let printed: BTreeMap<String, BTreeSet<String>> = printed
        .as_object()
        .unwrap()
        .iter()
        .map(|(command, needed)| {
            let short =
                names.iter().find(|(long, _)| long == command).map_or(command.as_str(), |(_, short)| short);
            (short.to_owned(), actions(&needed["iam"]))
        })
        .collect();
    assert_eq!(granted, printed);
}

#[test]
fn every_deployment_runs_setup_so_that_what_somebody_changed_stops_nothing() {
    let command = Regex::new(r"(?m)^ *(?:args|command): \[(setup[^\]]*)\]$").unwrap();
    for (file, text) in [
        ("setup-job.yaml", include_str!("../../deploy/helm/sagetrail/templates/setup-job.yaml")),
        ("compose.yaml", include_str!("../../deploy/docker/compose.yaml")),
    ] {
        let found = command.captures(text).unwrap_or_else(|| panic!("{file} does not run setup"));
        let arguments: Vec<&str> = found[1].split(", ").collect();
        assert_eq!(arguments, ["setup", "--allow-incomplete"], "{file}");
        // The binary takes them: what it does not know it refuses before it helps.
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sagetrail"))
            .args(&arguments)
            .arg("--help")
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
