//! What rules and incidents would have paged over files of the past.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn backtest(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.arg("backtest").args(arguments).env_remove("SAGETRAIL_CONFIG").stdin(Stdio::null());
    command.output().expect("the binary runs")
}

fn report(arguments: &[&str]) -> Value {
    let output = backtest(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fixture(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    path.display().to_string()
}

fn count(report: &Value, member: &str) -> usize {
    report[member].as_array().unwrap().len()
}

#[test]
fn an_attack_is_one_incident_with_two_pages_and_a_quiet_day_pages_nobody() {
    let (quiet, story) = (fixture("quiet-day.json.gz"), fixture("attack-story.json.gz"));
    assert_eq!(count(&report(&[&quiet]), "pages"), 0);
    let told = report(&[&quiet, &story]);
    assert_eq!((count(&told, "incidents"), count(&told, "pages")), (1, 2), "{:#}", told["pages"]);
    for page in told["pages"].as_array().unwrap() {
        assert_eq!(
            (&page["severity"], &page["incident"]),
            (&"critical".into(), &told["incidents"][0]["incident"]["id"])
        );
        assert!(page["sentence"].as_str().unwrap().starts_with("Critical: "), "{page}");
    }
    let text = backtest(&[&quiet, &story]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("2 page(s), 1 incident(s), ") && text.contains("critical       "), "{text}");
}

#[test]
fn what_is_older_than_the_time_is_history_and_is_not_reported() {
    let story = fixture("attack-story.json.gz");
    let whole = report(&[&story]);
    let times: Vec<&str> =
        whole["pages"].as_array().unwrap().iter().map(|page| page["time"].as_str().unwrap()).collect();
    let later = report(&[&story, "--since", times[1]]);
    assert_eq!((count(&later, "pages"), count(&later, "incidents")), (1, 1));
    let never = report(&[&story, "--since", "2027-01-01"]);
    assert_eq!(["pages", "incidents", "rules"].map(|member| count(&never, member)), [0, 0, 0]);
}

#[test]
fn another_folder_of_rules_is_compared_with_the_present_ones() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "title: A Notebook Is Looked At\nid: 6f3b1c52-6d0d-4a0c-9c0f-0d5f3a3f7b10\nlogsource:\n  product: aws\n  \
        service: cloudtrail\ndetection:\n  s:\n    eventSource: sagemaker.amazonaws.com\n    \
        eventName|startswith: Describe\n  condition: s\nlevel: critical\n";
    std::fs::write(folder.path().join("looked.yml"), rule).unwrap();
    let quiet = fixture("quiet-day.json.gz");
    let told = report(&[&quiet, "--rules", folder.path().to_str().unwrap()]);
    let changed = told["changes"]["rules"].as_array().unwrap();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!((&changed[0]["title"], &changed[0]["before"]), (&"A Notebook Is Looked At".into(), &0.into()));
    assert!(changed[0]["after"].as_u64() > Some(0) && count(&told["changes"], "pages_added") > 0);
    assert_eq!(count(&told["changes"], "pages_removed"), 0);
}

#[test]
fn every_mistake_has_its_exit_code_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.json");
    std::fs::write(&damaged, br#"{"Records":[{"a":1},"#).unwrap();
    let damaged = damaged.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&[], 2, "<FILE>..."),
        (&[damaged, "--since", "yesterday"], 2, "give a day as 2026-03-01"),
        (&["/no/such/file"], 66, "/no/such/file"),
        (&[damaged], 65, "damaged.json is damaged"),
        (&["-", "--rules", "/tmp"], 1, "standard input cannot be read twice"),
    ];
    for (arguments, code, said) in cases {
        let output = backtest(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}
