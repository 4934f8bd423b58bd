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
fn records_are_judged_in_the_order_of_their_times_and_each_once_wherever_they_come_from() {
    let (quiet, story) = (fixture("quiet-day.json.gz"), fixture("attack-story.json.gz"));
    let told = report(&[&quiet, &story]);
    let other = report(&[&story, &quiet, &story]);
    assert_eq!((&told["pages"], &told["rules"]), (&other["pages"], &other["rules"]));
    assert_eq!(other["records"]["duplicates"], 39, "{:#}", other["records"]);
    let folder = tempfile::tempdir().unwrap();
    for file in [&story, &quiet] {
        std::fs::copy(file, folder.path().join(Path::new(file).file_name().unwrap())).unwrap();
    }
    assert_eq!(report(&[folder.path().to_str().unwrap()])["pages"], told["pages"]);
}

#[test]
fn a_record_that_says_no_time_or_is_none_ends_no_incident() {
    let story = fixture("attack-story.json.gz");
    let told = report(&[&story]);
    let mut file: Value = serde_json::from_slice(
        &std::fs::read(Path::new(&story).parent().unwrap().join("src/attack-story.json")).unwrap(),
    )
    .unwrap();
    let records = file["Records"].as_array_mut().unwrap();
    let timeless = serde_json::json!({"eventSource": "sagemaker.amazonaws.com", "eventName": "ListModels",
        "awsRegion": "eu-central-1", "eventID": "00000000-0000-4000-8000-000000000001"});
    records.insert(5, timeless);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("story.json");
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let with = report(&[path.to_str().unwrap()]);
    let ids = |report: &Value| -> Vec<(String, String)> {
        let pages = report["pages"].as_array().unwrap().iter();
        pages.map(|page| (page["time"].to_string(), page["incident"].to_string())).collect()
    };
    assert_eq!(ids(&with), ids(&told));
    assert_eq!(with["records"]["records"], 40);
}

#[test]
fn what_the_site_has_muted_is_counted_by_rule_and_week_and_what_a_folder_mutes_is_compared() {
    const SEEN: &str = "6f3b1c52-6d0d-4a0c-9c0f-0d5f3a3f7b10";
    let folder = tempfile::tempdir().unwrap();
    let rule = format!(
        "title: A Notebook Is Looked At\nid: {SEEN}\nlogsource:\n  product: aws\n  service: cloudtrail\ndetection:\n  \
        s:\n    eventSource: sagemaker.amazonaws.com\n    eventName|startswith: Describe\n  condition: s\nlevel: critical\n"
    );
    let filter = format!(
        "title: The Pipeline Looks\ndescription: It looks at what it makes\nlogsource:\n  product: aws\n  service: cloudtrail\n\
        filter:\n  rules:\n    - {SEEN}\n  selection:\n    userIdentity.arn|contains: MLDeploymentPipeline\n  \
        condition: not selection\n"
    );
    let (plain, tuned) = (folder.path().join("plain"), folder.path().join("tuned"));
    for rules in [&plain, &tuned] {
        std::fs::create_dir(rules).unwrap();
        std::fs::write(rules.join("looked.yml"), &rule).unwrap();
    }
    std::fs::write(tuned.join("filter.yml"), filter).unwrap();
    let quiet = fixture("quiet-day.json.gz");
    let found = |report: &Value, member: &str| -> Value {
        report["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == SEEN).unwrap()[member].clone()
    };

    let config = folder.path().join("sagetrail.toml");
    std::fs::write(&config, format!("[rules]\nfolder = {plain:?}\n")).unwrap();
    let config = config.to_str().unwrap();
    let told = report(&[&quiet, "--config", config, "--rules", tuned.to_str().unwrap()]);
    let change = &told["changes"]["rules"][0];
    let numbers = ["before", "after", "muted_before", "muted_after"].map(|member| change[member].clone());
    assert_eq!(numbers, [3, 2, 0, 1].map(Value::from), "{change:#}");
    assert_eq!(found(&told, "muted_by"), serde_json::json!({"filter": 1}));
    assert_eq!(found(&told, "muted_weeks"), serde_json::json!({"2026-10-12": 1}));

    let disabled = format!(
        "[rules]\nfolder = {plain:?}\n[rules.override.\"{SEEN}\"]\ndisable = true\nreason = \"agreed\"\nuntil = \"2099-01-01\"\n"
    );
    let file = folder.path().join("disabled.toml");
    std::fs::write(&file, disabled).unwrap();
    let disabled = report(&[&quiet, "--config", file.to_str().unwrap()]);
    assert_eq!(["matches", "muted"].map(|member| found(&disabled, member)), [0, 3].map(Value::from));
    assert_eq!(found(&disabled, "muted_by"), serde_json::json!({"override": 3}));
    assert_eq!(count(&disabled, "pages"), 0);
    let text = backtest(&[&quiet, "--config", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("3 match(es) muted") && text.contains("0 (3)"), "{text}");
}

#[test]
fn what_could_not_be_read_is_left_out_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.json");
    std::fs::write(&damaged, br#"{"Records":["#).unwrap();
    let damaged = damaged.to_str().unwrap();
    let text = |arguments: &[&str]| String::from_utf8_lossy(&backtest(arguments).stdout).into_owned();
    let alone = text(&[damaged]);
    assert!(alone.contains("No record could be read, so no pages can be told"), "{alone}");
    assert!(!alone.contains("page(s)") && alone.contains("damaged.json is damaged"), "{alone}");
    let story = fixture("attack-story.json.gz");
    let beside = text(&[damaged, "/no/such/file", &story]);
    assert!(beside.contains("In the 39 record(s) that could be read: 2 page(s), "), "{beside}");
    assert!(beside.contains("Of 3 file(s), 1 could not be read and 1 only in part:"), "{beside}");
    let whole = text(&[&story]);
    assert!(whole.contains("\n2 page(s), ") && !whole.contains("could"), "{whole}");
}

#[test]
fn every_mistake_has_its_exit_code_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.json");
    std::fs::write(&damaged, br#"{"Records":[{"a":1},"#).unwrap();
    let damaged = damaged.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&[], 2, "<PLACE>..."),
        (&[damaged, "--since", "yesterday"], 2, "give a day as 2026-03-01"),
        (&["/no/such/file"], 66, "/no/such/file"),
        (&[damaged], 65, "damaged.json is damaged"),
        (&["s3:///prefix"], 2, "there is no bucket in it"),
    ];
    for (arguments, code, said) in cases {
        let output = backtest(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}
