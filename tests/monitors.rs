//! The monitors on a real OpenSearch: the quiet week raises nothing, the attack raises each, and every page is JSON.
//!
//! The plugin that runs monitors is not among the modules that can be put together here. So their searches run as they
//! are, with the trigger's condition, and their messages are rendered by OpenSearch's own mustache.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sagetrail::config::{Channel, MonitorsConfig};
use sagetrail::monitors::thresholds::documented;
use sagetrail::monitors::{Monitor, built_in};
use sagetrail::names::Names;
use serde_json::{Value, json};
use support::Stack;
use support::alerts;
use support::scene::Scene;
use support::search::Search;
use support::story;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use url::Url;

/// The end of each story.
const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

impl Scene {
    /// What a monitor raises when it runs at each of these times: the bucket keys of its alerts.
    async fn alerts(&self, monitor: &Monitor, times: &[OffsetDateTime]) -> BTreeSet<String> {
        let index = alerts::index(monitor).replace("sagetrail", self.name);
        alerts::alerts(&self.search, monitor, &index, times).await
    }
}

fn monitors(thresholds: &str) -> BTreeMap<String, Monitor> {
    let config: MonitorsConfig = toml::from_str(thresholds).unwrap();
    let monitors = built_in(&Names::default(), &config, &BTreeMap::new(), None).unwrap();
    let short = |id: &str| id.strip_prefix("sagetrail-monitor-").unwrap().to_owned();
    monitors.into_iter().map(|monitor| (short(&monitor.id), monitor)).collect()
}

/// Every step from one time to another.
fn times(from: OffsetDateTime, to: OffsetDateTime, step: Duration) -> Vec<OffsetDateTime> {
    std::iter::successors(Some(from), |time| Some(*time + step)).take_while(|time| *time <= to).collect()
}

#[tokio::test]
async fn a_quiet_week_raises_nothing() {
    let documents = story::documents(&story::quiet_week(NOW), None);
    let Some(scene) = Scene::set("monitors-quiet", &documents).await else { return };
    let times = times(NOW - Duration::days(7), NOW, Duration::minutes(15));
    for (name, monitor) in monitors("") {
        let alerts = scene.alerts(&monitor, &times).await;
        assert!(alerts.is_empty(), "{name} was raised: {alerts:?}");
    }
    scene.remove().await;
}

#[tokio::test]
async fn the_attack_raises_every_monitor_for_whom_and_what_it_should() {
    let records: Vec<Value> = [story::quiet_week(NOW), story::attack(NOW)].concat();
    let documents = story::documents(&records, None);
    let Some(scene) = Scene::set("monitors-attack", &documents).await else { return };
    let rejected = json!({"@timestamp": "2026-11-20T11:50:00Z", "reason": "malformed", "index": "sagetrail-events-2026.11"});
    scene.add("monitors-attack-rejected", [("1".to_owned(), &rejected)].into_iter()).await;
    let times = times(NOW - Duration::hours(4), NOW + Duration::minutes(20), Duration::minutes(5));
    let admin = "role/MLOps-SageMakerAdministrator";
    let expected = [
        ("paging-critical", "arn:aws:sts::111122223333:assumed-role/"),
        ("paging-high", "arn:aws:sts::111122223333:assumed-role/"),
        ("compute-burst", admin),
        ("destruction-burst", admin),
        ("discovery-sweep", "AmazonSageMaker-ExecutionRole-20261001T101500"),
        ("denied-calls", "AmazonSageMaker-ExecutionRole-20261001T101500"),
        ("presigned-urls", admin),
        ("call-flood", ":endpoint/"),
        ("first-seen-role", admin),
        ("lifecycle-hijack", "notebook-instance/"),
        ("log-tampering", "arn:aws:sts::111122223333:assumed-role/MLOps-SageMakerAdministrator"),
        ("rejected", "malformed,sagetrail-events-2026.11"),
        ("two-contents", "00000000-0000-4000-a000-"),
    ];
    let monitors = monitors("");
    let mut missing = Vec::new();
    for (name, key) in expected {
        let alerts = scene.alerts(&monitors[name], &times).await;
        if !alerts.iter().any(|alert| alert.contains(key)) {
            missing.push(format!("{name}: {key} is not in {alerts:#?}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    // These tell of the pipeline, which worked during the attack.
    let of_the_pipeline = ["silence", "lag", "verification-gap", "verification-silence"];
    for name in of_the_pipeline {
        assert_eq!(scene.alerts(&monitors[name], &times).await, BTreeSet::new(), "{name}");
    }
    let told = expected.len() + of_the_pipeline.len();
    assert_eq!(told, monitors.len(), "each monitor has its part in the story");
    scene.remove().await;
}

#[tokio::test]
async fn an_account_that_stops_sending_and_a_pipeline_that_lags_are_told() {
    let attack = story::attack(NOW);
    let mut documents = story::documents(&story::quiet_week(NOW), None);
    documents.extend(story::documents(&attack, Some(NOW + Duration::hours(2))));
    let Some(scene) = Scene::set("monitors-pipeline", &documents).await else { return };
    let monitors = monitors("thresholds = { silence_records = 50 }");
    let account = BTreeSet::from(["111122223333,eu-central-1".to_owned()]);
    let while_it_sends = [NOW + Duration::hours(3)];
    assert_eq!(scene.alerts(&monitors["silence"], &while_it_sends).await, BTreeSet::new());
    assert_eq!(scene.alerts(&monitors["silence"], &[NOW + Duration::hours(27)]).await, account);
    assert_eq!(scene.alerts(&monitors["lag"], &[NOW + Duration::minutes(125)]).await, account);
    assert_eq!(scene.alerts(&monitors["lag"], &while_it_sends).await, BTreeSet::new());
    scene.remove().await;
}

#[tokio::test]
async fn a_gap_is_told_until_its_day_is_whole_and_so_is_a_timer_that_stopped_verifying() {
    let Some(scene) = Scene::set("monitors-verified", &[]).await else { return };
    let monitors = monitors("");
    let verified = |account: &str, day: i64, gaps: u64| {
        let at = NOW + Duration::days(day);
        let outcome = if gaps == 0 { "whole" } else { "gap" };
        json!({"@timestamp": at.unix_timestamp() * 1_000,
            "cloud": {"account": {"id": account}, "region": "eu-central-1"},
            "verification": {"place": "s3://trail/", "outcome": outcome, "gaps": gaps}})
    };
    let days =
        [verified("111122223333", 0, 0), verified("111122223333", 1, 2), verified("444455556666", 2, 0)];
    let numbered = |documents: &'static str| move |(number, day)| (format!("{documents}{number}"), day);
    scene.add("monitors-verified-verified", days.iter().enumerate().map(numbered("day"))).await;
    scene.add("monitors-verified-verification", days.iter().enumerate().map(numbered("run"))).await;

    let gap = &monitors["verification-gap"];
    let told = BTreeSet::from(["111122223333,eu-central-1".to_owned()]);
    assert_eq!(scene.alerts(gap, &[NOW + Duration::hours(1)]).await, BTreeSet::new());
    assert_eq!(scene.alerts(gap, &[NOW + Duration::hours(25)]).await, told);
    assert_eq!(scene.alerts(gap, &[NOW + Duration::days(32)]).await, BTreeSet::new(), "not for ever");
    let closed = json!({"doc": verified("111122223333", 1, 0)});
    let path = "monitors-verified-verified/_update/day1?refresh=true";
    assert_eq!(scene.search.request("POST", path, Some(closed)).await.0, 200);
    assert_eq!(scene.alerts(gap, &[NOW + Duration::hours(25)]).await, BTreeSet::new());

    let silence = &monitors["verification-silence"];
    let stopped = BTreeSet::from(["s3://trail/".to_owned()]);
    assert_eq!(scene.alerts(silence, &[NOW + Duration::days(4)]).await, BTreeSet::new());
    assert_eq!(scene.alerts(silence, &[NOW + Duration::days(6)]).await, stopped);
    let twice = &self::monitors("thresholds = { verification_runs = 4 }")["verification-silence"];
    assert_eq!(scene.alerts(twice, &[NOW + Duration::days(6)]).await, BTreeSet::new(), "by hand");
    scene.remove().await;
}

#[tokio::test]
async fn a_record_that_comes_late_pages_and_a_replay_of_old_ones_does_not() {
    let late = story::documents(&story::attack(NOW - Duration::hours(20)), Some(NOW));
    let Some(scene) = Scene::set("monitors-late", &late).await else { return };
    let paging = &monitors("")["paging-critical"];
    assert!(!scene.alerts(paging, &[NOW + Duration::minutes(1)]).await.is_empty());
    assert!(scene.alerts(paging, &[NOW + Duration::minutes(20)]).await.is_empty(), "it pages once");
    scene.remove().await;

    let replayed = story::documents(&story::attack(NOW - Duration::days(30)), Some(NOW));
    let Some(scene) = Scene::set("monitors-replay", &replayed).await else { return };
    for (name, monitor) in monitors("") {
        let alerts = scene.alerts(&monitor, &[NOW + Duration::minutes(1)]).await;
        assert!(alerts.is_empty() || name == "silence", "{name} was raised by a replay: {alerts:?}");
    }
    scene.remove().await;
}

/// `UPDATE_GOLDEN=1` writes the page anew.
#[test]
fn the_page_about_monitors_says_what_the_files_say() {
    let mut page = String::from(
        "# Monitors\n\nWhat pages a responder. The files are in `dashboards/monitors/`, the thresholds in `config/monitors.toml`; \
         this page is made\nfrom both by `UPDATE_GOLDEN=1 cargo test --test monitors`.\n\n\
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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitors.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, page).unwrap();
    } else {
        assert!(page == std::fs::read_to_string(path).unwrap(), "docs/monitors.md is out of date");
    }
}

/// A name that tries to break out of JSON, mustache, a URL, the state and the query in it, and a chat.
const HOSTILE: &str = "o'brien!' \"quoted\\\" )),x:'<!channel> <https://example.com|here> & a=1#b 100%41 {{x}} `é`\nin two lines";

/// The document of a record whose every name is hostile.
fn hostile_document() -> Value {
    let mut record = story::attack(NOW).remove(0);
    for member in ["awsRegion", "sourceIPAddress", "recipientAccountId", "eventID", "userAgent"] {
        record[member] = json!(HOSTILE);
    }
    record["eventName"] = json!("CreateNotebookInstance");
    record["userIdentity"] = json!({"type": "IAMUser", "userName": HOSTILE, "accountId": HOSTILE});
    record["requestParameters"] = json!({"notebookInstanceName": HOSTILE, "roleArn": HOSTILE});
    record["responseElements"] = Value::Null;
    story::documents(&[record], None).remove(0).source
}

/// `UPDATE_GOLDEN=1` writes the messages anew.
#[tokio::test]
async fn every_page_is_json_and_leads_to_the_name_that_it_shows_whatever_the_record_contains() {
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    let channels: BTreeMap<String, Channel> = toml::from_str(
        "hook = { kind = 'webhook', url = 'https://soar.example.com' }\n\
         night = { kind = 'pagerduty', routing_key = 'key' }",
    )
    .unwrap();
    let dashboards = Url::parse("https://dashboards.example.com").unwrap();
    let document = hostile_document();
    for monitor in
        built_in(&Names::default(), &MonitorsConfig::default(), &channels, Some(&dashboards)).unwrap()
    {
        let keys = bucket_keys(&monitor, &document);
        let alert = json!({
            "id": "alert-1", "bucket_keys": keys, "state": "ACTIVE", "severity": "1", "start_time": 1_795_176_000_000_u64,
            "sample_documents": [{"_id": "id-1", "_source": document}]});
        let actions = monitor.body["triggers"][0]["bucket_level_trigger"]["actions"].as_array().unwrap();
        assert_eq!(actions.len(), 2);
        for action in actions {
            let template = json!({
                "source": action["message_template"]["source"],
                "params": {"ctx": {"monitor": {"name": monitor.body["name"]}, "newAlerts": [alert]}}});
            let (status, answer) = search.request("POST", "_render/template", Some(template)).await;
            assert_eq!(status, 200, "{}: {answer}", monitor.id);
            let rendered = &answer["template_output"];
            let text = match action["destination_id"].as_str() {
                Some("sagetrail-channel-hook") => rendered["text"].as_str().unwrap(),
                _ => {
                    assert_eq!(rendered["dedup_key"], "alert-1", "{}", monitor.id);
                    assert!(rendered["payload"]["summary"].as_str().unwrap().ends_with(&keys), "{answer}");
                    continue;
                }
            };
            assert!(text.contains(&keys), "{}: {text}", monitor.id);
            assert!(!text.contains(['<', '>']), "{}: {text}", monitor.id);
            for link in text.lines().filter_map(|line| line.strip_prefix("Look: ")) {
                if let Some((field, value)) = filter(link) {
                    let pointer = format!("/{}", field.replace('.', "/"));
                    assert_eq!(document.pointer(&pointer), Some(&json!(value)), "{}: {link}", monitor.id);
                }
            }
            let golden = format!("{}/tests/golden/monitors/{}.txt", env!("CARGO_MANIFEST_DIR"), monitor.id);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(golden, format!("{text}\n")).unwrap();
            } else {
                assert_eq!(format!("{text}\n"), std::fs::read_to_string(&golden).unwrap(), "{golden}");
            }
        }
    }
}

/// The keys of the bucket that a document falls into, as the plugin writes them; those that it lacks are made up.
fn bucket_keys(monitor: &Monitor, document: &Value) -> String {
    let by_key = &monitor.body["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
    let sources = by_key["composite"]["sources"].as_array().unwrap().iter();
    let keys = sources.map(|source| {
        let field = source.as_object().unwrap().values().next().unwrap()["terms"]["field"].as_str().unwrap();
        let value = document.pointer(&format!("/{}", field.replace('.', "/")));
        match (field, value) {
            // A document with such a role is left out by the monitor's own query.
            ("sagemaker.execution_role.arn", _) | (_, None) => "key".to_owned(),
            (_, Some(Value::Array(values))) => values[0].as_str().unwrap().to_owned(),
            (_, Some(value)) => value.as_str().unwrap().to_owned(),
        }
    });
    keys.collect::<Vec<_>>().join(",")
}

/// Reads a link as Dashboards does: the parameters of the fragment, the text in the state (where `!` escapes), and the
/// field and the quoted value of the query (where `\` escapes).
fn filter(link: &str) -> Option<(String, String)> {
    let url = Url::parse(link).unwrap();
    let (_, parameters) = url.fragment().unwrap().split_once('?').unwrap();
    let parameters: BTreeMap<_, _> = url::form_urlencoded::parse(parameters.as_bytes()).collect();
    assert!(parameters.keys().all(|name| ["_a", "_g"].contains(&name.as_ref())), "{link}");
    let state = parameters.get("_a")?;
    let text = state.strip_prefix("(query:(language:kuery,query:'").unwrap().strip_suffix("'))").unwrap();
    assert!(!text.contains(['\'', '!']), "the text in the state ends early: {text}");
    let (field, value) = text.split_once(": \"").unwrap();
    let value = value.strip_suffix('"').unwrap();
    assert!(!value.contains(['"', '\\']), "the value in the query ends early: {value}");
    Some((field.to_owned(), value.to_owned()))
}
