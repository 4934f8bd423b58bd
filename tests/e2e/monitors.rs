//! The monitors on a real OpenSearch: the quiet week raises nothing, the attack raises each, and every page is JSON.
//!
//! The plugin that runs monitors is not among the modules that can be put together here. So their searches run as they
//! are, with the trigger's condition, and their messages are rendered by OpenSearch's own mustache.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use sagetrail::config::{Channel, MonitorsConfig};
use sagetrail::monitors::{Monitor, built_in};
use sagetrail::names::Names;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::support::Stack;
use crate::support::alerts;
use crate::support::scene::Scene;
use crate::support::search::Search;
use crate::support::story;

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
    let rejected = json!({"@timestamp": "2026-11-20T11:50:00Z", "reason": "malformed"});
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
        ("rejected", "malformed"),
        ("two-contents", "00"),
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

#[tokio::test]
async fn a_hijack_is_a_stop_a_change_and_a_start_in_this_order_and_in_no_other() {
    let steps: Vec<(&str, &[&str], bool)> = vec![
        ("in-order", &["stop", "change", "start"], true),
        ("after-work", &["start", "stop", "change", "start"], true),
        ("hidden-by-a-second-one", &["stop", "change", "start", "stop", "change"], true),
        ("hidden-on-both-sides", &["change", "start", "stop", "change", "start", "stop", "change"], true),
        ("made-new", &["change", "start", "stop"], false),
        ("only-changed", &["stop", "change"], false),
        ("started-before", &["start", "stop", "change"], false),
        ("restarted", &["stop", "start", "stop", "start"], false),
        ("never-stopped", &["change", "start"], false),
    ];
    let document = |name: &str, place: usize, step: &str| {
        let at = NOW - Duration::hours(1) + Duration::minutes(i64::try_from(place).unwrap());
        let action = match step {
            "stop" => "StopNotebookInstance",
            "change" => "UpdateNotebookInstance",
            _ => "StartNotebookInstance",
        };
        let mut document = json!({"@timestamp": at.unix_timestamp() * 1_000,
            "event": {"ingested": at.unix_timestamp() * 1_000, "action": action, "outcome": "success"},
            "sagemaker": {"alert": {"resource": name}}});
        if step == "change" {
            document["sagemaker"]["lifecycle"] = json!({"name": ["evil"]});
        }
        document
    };
    let Some(scene) = Scene::set("monitors-hijack", &[]).await else { return };
    let documents: Vec<(String, Value)> = steps
        .iter()
        .flat_map(|(name, steps, _)| {
            let each = steps.iter().enumerate();
            each.map(move |(place, step)| (format!("{name}-{place}"), document(name, place, step)))
        })
        .collect();
    let index = "monitors-hijack-events";
    scene.add(index, documents.iter().map(|(id, document)| (id.clone(), document))).await;
    let alerts = scene.alerts(&monitors("")["lifecycle-hijack"], &[NOW]).await;
    let expected: BTreeSet<String> =
        steps.iter().filter(|(_, _, is_one)| *is_one).map(|(name, _, _)| (*name).to_owned()).collect();
    assert_eq!(alerts, expected);
    scene.remove().await;
}

#[tokio::test]
async fn two_contents_of_one_event_are_told_apart_from_two_events_whatever_their_ids_are_made_of() {
    let Some(scene) = Scene::set("monitors-contents", &[]).await else { return };
    let at = (NOW - Duration::hours(1)).unix_timestamp() * 1_000;
    let document = |id: &str| json!({"@timestamp": at, "event": {"ingested": at, "id": id}});
    // One of the pairs lies in the indices of two months.
    let ids = ["3f000001", "3f000002", "3f000002", "a1-once", "b2-pair", "x", "", "€€", "€€", "zz-1", "zz-2"];
    let documents: Vec<(String, Value)> =
        ids.iter().enumerate().map(|(place, id)| (place.to_string(), document(id))).collect();
    scene.add("monitors-contents-events", documents.iter().map(|(id, it)| (id.clone(), it))).await;
    let (_, month) = scene.search.request("GET", "monitors-contents-events/_mapping", None).await;
    let mappings = json!({"mappings": month["monitors-contents-events"]["mappings"]});
    scene.search.request("PUT", "monitors-contents-other", Some(mappings)).await;
    scene.add("monitors-contents-other", [("other".to_owned(), &document("b2-pair"))].into_iter()).await;
    let both = "monitors-contents-events,monitors-contents-other";
    let alerts = alerts::alerts(&scene.search, &monitors("")["two-contents"], both, &[NOW]).await;
    scene.search.request("DELETE", "monitors-contents-other", None).await;
    assert_eq!(alerts, ["3f", "b2", "other"].map(str::to_owned).into());
    scene.remove().await;
}

#[tokio::test]
async fn whatever_was_rejected_pages_with_its_reason() {
    let Some(scene) = Scene::set("monitors-rejected", &[]).await else { return };
    let at = (NOW - Duration::minutes(5)).unix_timestamp() * 1_000;
    let documents = [
        json!({"@timestamp": at, "reason": "malformed"}),
        json!({"@timestamp": at, "reason": "refused", "index": "sagetrail-events-2026.11"}),
    ];
    let numbered = documents.iter().enumerate().map(|(place, it)| (place.to_string(), it));
    scene.add("monitors-rejected-rejected", numbered).await;
    let alerts = scene.alerts(&monitors("")["rejected"], &[NOW]).await;
    assert_eq!(alerts, ["malformed", "refused"].map(str::to_owned).into());
    scene.remove().await;
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
    let mut source = story::documents(&[record], None).remove(0).source;
    source["sagemaker"]["runbook"] =
        json!(["https://docs.example.com/stop", "https://docs.example.com/revoke"]);
    source
}

/// `UPDATE_GOLDEN=1` writes the messages anew.
#[tokio::test]
async fn every_page_is_json_and_leads_to_the_name_that_it_shows_whatever_the_record_contains() {
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    let channels: BTreeMap<String, Channel> = toml::from_str(
        "chat = { kind = 'slack', url = 'https://hooks.example.com' }\n\
         hook = { kind = 'webhook', url = 'https://soar.example.com' }\n\
         night = { kind = 'pagerduty', routing_key = 'key' }",
    )
    .unwrap();
    let dashboards = Url::parse("https://dashboards.example.com").unwrap();
    let document = hostile_document();
    for monitor in
        built_in(&Names::default(), &MonitorsConfig::default(), &channels, Some(&dashboards)).unwrap()
    {
        let keys = bucket_keys(&monitor, &document);
        let actions = monitor.body["triggers"][0]["bucket_level_trigger"]["actions"].as_array().unwrap();
        assert_eq!(actions.len(), 3);
        let mut in_chat = String::new();
        for action in actions {
            let source = action["message_template"]["source"].as_str().unwrap();
            let alert = json!({
                "id": "alert-1", "bucket_keys": keys, "state": "ACTIVE", "severity": "1",
                "start_time": 1_795_176_000_000_u64, "sample_documents": samples(&monitor, source, &document)});
            let params = json!({"ctx": {"monitor": {"name": monitor.body["name"]}, "newAlerts": [alert]}});
            let text = match action["destination_id"].as_str() {
                Some("sagetrail-channel-chat") => {
                    assert_eq!(action["message_template"]["options"]["content_type"], "text/plain");
                    in_chat = as_text(&search, source, &params).await;
                    continue;
                }
                Some("sagetrail-channel-hook") => as_json(&search, source, &params).await["text"].clone(),
                _ => {
                    let event = as_json(&search, source, &params).await;
                    assert_eq!(event["dedup_key"], "alert-1", "{}", monitor.id);
                    assert!(event["payload"]["summary"].as_str().unwrap().ends_with(&keys), "{event}");
                    continue;
                }
            };
            let text = text.as_str().unwrap();
            // In JSON no line end is one that mustache sees.
            assert_eq!(in_chat, text, "{}: a line end was lost", monitor.id);
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

/// The documents that the plugin brings for a message: none for a search with aggregations of its own, and of each only
/// the fields that stand by their whole names in a tag between those of the block.
fn samples(monitor: &Monitor, message: &str, document: &Value) -> Value {
    let by_key = &monitor.body["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
    let block = Regex::new(r"(?s)\{\{#sample_documents\}\}(.*?)\{\{/sample_documents\}\}").unwrap();
    let Some(block) = block.captures(message).filter(|_| by_key["aggregations"].is_null()) else {
        return json!([]);
    };
    let mut source = json!({});
    for tag in Regex::new(r"\{\{([^{}]+)}}").unwrap().captures_iter(&block[1]) {
        let Some(path) = tag[1].trim().strip_prefix("_source.") else { continue };
        let Some(value) = document.pointer(&format!("/{}", path.replace('.', "/"))) else { continue };
        let place = path.split('.').fold(&mut source, |place, name| &mut place[name]);
        *place = value.clone();
    }
    json!([{"_id": "id-1", "_source": source}])
}

/// What OpenSearch's own mustache makes of a message for a program.
async fn as_json(search: &Search, source: &str, params: &Value) -> Value {
    let template = json!({"source": source, "params": params});
    let (status, answer) = search.request("POST", "_render/template", Some(template)).await;
    assert_eq!(status, 200, "{answer}");
    answer["template_output"].clone()
}

/// And of one for a person. Only a stored template may say that it is plain text, and the answer is no JSON then.
async fn as_text(search: &Search, source: &str, params: &Value) -> String {
    let script =
        json!({"script": {"lang": "mustache", "source": source, "options": {"content_type": "text/plain"}}});
    let (status, answer) = search.request("PUT", "_scripts/monitors-message", Some(script)).await;
    assert_eq!(status, 200, "{answer}");
    let by_id = json!({"id": "monitors-message", "params": params});
    let (status, answer) = search.request("POST", "_render/template", Some(by_id)).await;
    let text = answer.as_str().and_then(|answer| answer.strip_prefix("{\"template_output\":"));
    let text = text.and_then(|text| text.strip_suffix('}'));
    text.unwrap_or_else(|| panic!("{status}: {answer}")).to_owned()
}

/// The keys of the bucket that a document falls into, as the plugin writes them; those that it lacks are made up.
fn bucket_keys(monitor: &Monitor, document: &Value) -> String {
    let by_key = &monitor.body["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
    let sources = by_key["composite"]["sources"].as_array().unwrap().iter();
    let keys = sources.map(|source| {
        let source = source.as_object().unwrap().values().next().unwrap();
        let field = source["terms"]["field"].as_str().unwrap_or("of a script");
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
