//! The monitors on a real OpenSearch: what each raises and what not, and what its pages look like in each channel.
//!
//! The plugin that runs monitors is not among the modules that can be put together here. So their searches run as they
//! are, with the trigger's condition, and their messages are rendered by OpenSearch's own mustache.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

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
async fn an_incident_pages_by_its_severity_until_it_is_closed_and_no_record_pages_by_itself() {
    let records: Vec<Value> = [story::quiet_week(NOW), story::attack(NOW)].concat();
    let documents = story::documents(&records, None);
    let Some(scene) = Scene::set("monitors-attack", &documents).await else { return };
    let monitors = monitors("");
    let times = times(NOW - Duration::hours(4), NOW + Duration::minutes(20), Duration::minutes(5));
    for (name, monitor) in &monitors {
        let alerts = scene.alerts(monitor, &times).await;
        assert!(alerts.is_empty(), "{name}: a record is told by an incident alone: {alerts:?}");
    }
    let incidents = [
        ("opened", "open", "high", Some("paging-high")),
        ("escalated", "escalated", "critical", Some("paging-critical")),
        ("critical-at-once", "open", "critical", Some("paging-critical")),
        ("quiet", "quiet", "critical", Some("paging-critical")),
        ("closed", "closed", "high", None),
    ];
    let documents: Vec<(String, Value)> = incidents
        .iter()
        .map(|(id, state, severity, _)| {
            let at = "2026-11-01T10:00:00.000Z";
            let own = json!({"id": id, "page": format!("{id}/1"), "state": state, "severity": severity, "opened": at});
            ((*id).to_owned(), json!({"@timestamp": at, "event": {"start": at}, "incident": own}))
        })
        .collect();
    scene.add("monitors-attack-incidents", documents.iter().map(|(id, it)| (id.clone(), it))).await;
    for name in ["paging-high", "paging-critical"] {
        let expected: BTreeSet<String> = incidents
            .iter()
            .filter(|(_, _, _, monitor)| *monitor == Some(name))
            .map(|(id, ..)| format!("{id}/1"))
            .collect();
        assert_eq!(scene.alerts(&monitors[name], &[NOW]).await, expected, "{name}");
    }
    scene.remove().await;
}

#[tokio::test]
async fn a_correlator_that_stops_is_told_and_one_that_never_was_is_not() {
    let Some(scene) = Scene::set("monitors-heartbeat", &[]).await else { return };
    let heartbeat = &monitors("")["heartbeat"];
    assert_eq!(scene.alerts(heartbeat, &[NOW]).await, BTreeSet::new(), "nobody has correlated yet");
    let lease = json!({"holder": "host-a/1", "term": 3, "beat": "2026-11-20T11:59:50Z",
        "round": "2026-11-20T11:58:30Z"});
    scene.add("monitors-heartbeat-correlator", [("lease".to_owned(), &lease)].into_iter()).await;
    assert_eq!(scene.alerts(heartbeat, &[NOW]).await, BTreeSet::new(), "a round may take a while");
    let told = BTreeSet::from(["host-a/1".to_owned()]);
    assert_eq!(scene.alerts(heartbeat, &[NOW + Duration::minutes(1)]).await, told);
    assert_eq!(scene.alerts(heartbeat, &[NOW + Duration::days(30)]).await, told, "until it works again");
    // One that was stopped has given the lease back, and an alert without a key says nothing and brings no document.
    let path = "monitors-heartbeat-correlator/_update/lease?refresh=true";
    let given_back = json!({"doc": {"holder": ""}});
    assert_eq!(scene.search.request("POST", path, Some(given_back)).await.0, 200);
    let nobody = BTreeSet::from(["nobody, since the last one was stopped".to_owned()]);
    assert_eq!(scene.alerts(heartbeat, &[NOW + Duration::minutes(1)]).await, nobody);
    let round = json!({"doc": {"holder": "host-b/7", "round": "2026-11-20T12:01:00Z"}});
    assert_eq!(scene.search.request("POST", path, Some(round)).await.0, 200);
    assert_eq!(scene.alerts(heartbeat, &[NOW + Duration::minutes(2)]).await, BTreeSet::new());
    scene.remove().await;
}

/// A name that tries to break out of JSON, mustache, a URL, the state and the query in it, and a chat.
const HOSTILE: &str = "o'brien!' \"quoted\\\" )),x:'<!channel> <https://example.com|here> & a=1#b 100%41 {{x}} `é`\nin two lines";

/// The document of an incident whose every text is as hostile as what the correlator writes can be: it takes markup out
/// of sentences.
fn hostile_incident() -> Value {
    let hostile = HOSTILE.replace('<', "‹").replace('>', "›");
    json!({
        "@timestamp": "2026-11-20T11:58:00.000Z",
        "message": format!("Critical: {hostile} took the credentials of notebook \"train\"."),
        "event": {"start": "2026-11-20T11:00:00.000Z", "end": "2026-11-20T11:58:00.000Z"},
        "incident": {"id": "0123456789abcdef0123456789abcdef", "page": "0123456789abcdef0123456789abcdef/2", "state": "open", "severity": "critical",
            "signals": 12, "outcome": {"success": 9, "failure": 3},
            "account": "111122223333", "region": "eu-central-1",
            "worst": [format!("Critical: {hostile}"), "High: two", "High: three"],
            "next": [format!("Revoke the sessions of {hostile}."), "Stop the notebook train."]},
        "cloud": {"account": {"id": "111122223333"}, "region": "eu-central-1"},
        "holder": "host-a/1", "round": "2026-11-20T11:55:00.000Z",
    })
}

/// The states of an alert in which a message is sent, and the list that it stands in then.
const STATES: &[(&str, &str, &str)] = &[
    ("NEW", "new", "newAlerts"),
    ("DEDUPED", "again", "dedupedAlerts"),
    ("COMPLETED", "over", "completedAlerts"),
    // A run that failed has no alert, and the plugin sends each action all the same.
    ("NEW", "failed", ""),
];

/// `UPDATE_GOLDEN=1` writes the messages anew: each as each kind of channel gets it when the alert is new, when it goes
/// on and when it is over.
#[tokio::test]
async fn every_page_is_json_and_leads_to_the_name_that_it_shows_whatever_the_record_contains() {
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    let channels: BTreeMap<String, Channel> = toml::from_str(
        "chat = { kind = 'slack', url = 'https://hooks.example.com' }\n\
         hook = { kind = 'webhook', url = 'https://soar.example.com' }\n\
         mail = { kind = 'email', sender_id = 'smtp', recipients = ['soc@example.com'] }\n\
         night = { kind = 'pagerduty', routing_key = 'key' }",
    )
    .unwrap();
    let dashboards = Url::parse("https://dashboards.example.com").unwrap();
    let document = hostile_incident();
    for monitor in
        built_in(&Names::default(), &MonitorsConfig::default(), &channels, Some(&dashboards)).unwrap()
    {
        let keys = bucket_keys(&monitor, &document);
        let (mut golden, mut links) = (String::new(), 0);
        for action in monitor.body["triggers"][0]["bucket_level_trigger"]["actions"].as_array().unwrap() {
            let source = action["message_template"]["source"].as_str().unwrap();
            let policy = &action["action_execution_policy"]["action_execution_scope"]["per_alert"];
            let sent = policy["actionable_alerts"].as_array().unwrap();
            for (_, state, list) in STATES.iter().filter(|(name, ..)| sent.contains(&json!(name))) {
                let alert = json!({
                    "id": "alert-1", "bucket_keys": keys, "state": "ACTIVE", "severity": "1",
                    "start_time": 1_795_176_000_000_u64});
                let params = context(&monitor, source, &document, list, alert);
                let is_for_people = action["message_template"]["options"]["content_type"] == "text/plain";
                let page = if is_for_people {
                    let subject = action["subject_template"]["source"].as_str().unwrap();
                    let subject = as_text(&search, subject, &params).await;
                    format!("Subject: {subject}\n{}\n", as_text(&search, source, &params).await)
                } else {
                    let page = as_json(&search, source, &params).await;
                    format!("{}\n", serde_json::to_string_pretty(&page).unwrap())
                };
                let has_key = page.contains(&keys);
                assert!(["completedAlerts", ""].contains(list) || has_key, "{}: {page}", monitor.id);
                assert!(!page.contains(['<', '>']), "{}: {page}", monitor.id);
                let of_people = page.lines().filter_map(|line| line.strip_prefix("Look: "));
                let of_programs = page.lines().filter_map(|line| {
                    line.trim().strip_prefix("\"link\": \"")?.trim_end_matches(',').strip_suffix('"')
                });
                for link in of_people.chain(of_programs).filter(|link| !link.is_empty()) {
                    links += 1;
                    if let Some((field, value)) = filter(link) {
                        let pointer = format!("/{}", field.replace('.', "/"));
                        assert_eq!(document.pointer(&pointer), Some(&json!(value)), "{}: {link}", monitor.id);
                    }
                }
                let channel = action["destination_id"].as_str().unwrap();
                writeln!(golden, "=== {channel}, {state}\n{page}").unwrap();
            }
        }
        assert!(links >= 2, "{}: {links}", monitor.id);
        let path = format!("{}/tests/golden/monitors/{}.txt", env!("CARGO_MANIFEST_DIR"), monitor.id);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, golden).unwrap();
        } else {
            assert_eq!(golden, std::fs::read_to_string(&path).unwrap(), "{path}");
        }
    }
}

/// What a message of one alert is filled with. The plugin brings documents with new alerts alone, and the hits of the
/// search always.
fn context(monitor: &Monitor, source: &str, document: &Value, list: &str, mut alert: Value) -> Value {
    if list == "newAlerts" {
        alert["sample_documents"] = samples(monitor, source, document);
    }
    let search = &monitor.body["inputs"][0]["search"]["query"];
    let nothing = json!({"monitor": {"name": monitor.body["name"]}, "results": [],
        "newAlerts": [], "dedupedAlerts": [], "completedAlerts": []});
    if list.is_empty() {
        return json!({ "ctx": nothing });
    }
    let hits = match search["size"].as_u64() {
        Some(0) | None => json!([]),
        Some(_) => {
            assert_eq!(search["_source"]["includes"], json!(["message"]));
            json!([{"_id": document["incident"]["id"], "_source": {"message": document["message"]}}])
        }
    };
    let mut context = nothing;
    context["results"] = json!([{"hits": {"hits": hits}}]);
    context[list] = json!([alert]);
    json!({ "ctx": context })
}

/// The documents that the plugin brings for a message: none for a search with aggregations of its own, and of each only
/// the fields that stand by their whole names in a tag between those of the block.
fn samples(monitor: &Monitor, message: &str, document: &Value) -> Value {
    let by_key = &monitor.body["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
    if !by_key["aggregations"].is_null() {
        return json!([]);
    }
    let block = Regex::new(r"(?s)\{\{#sample_documents\}\}(.*?)\{\{/sample_documents\}\}").unwrap();
    let tag = Regex::new(r"\{\{([^{}]+)}}").unwrap();
    let mut source = json!({});
    for found in
        block.captures_iter(message).flat_map(|block| tag.captures_iter(block.get(1).unwrap().as_str()))
    {
        let Some(path) = found[1].trim().strip_prefix("_source.") else { continue };
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
        // The one script reads the holder of the lease.
        let field = source["terms"]["field"].as_str().unwrap_or("holder");
        let value = document.pointer(&format!("/{}", field.replace('.', "/")));
        value.map_or_else(|| "key".to_owned(), |value| value.as_str().unwrap().to_owned())
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
