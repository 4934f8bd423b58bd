//! Incidents on their way from a correlator to a real Alertmanager.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::site::{PATIENCE, Site, now, rounds};
use super::{ANN, BOB, signal};
use crate::alertmanager::Alertmanager;
use crate::support::{Stack, eventually};

const WAITING: &str = r#"sagetrail_alertmanager_incidents_waiting{channel="am"}"#;

/// The end of the alert of an incident, as an Alertmanager holds it.
async fn end(server: &Alertmanager, incident: &Value) -> String {
    let answer = reqwest::get(format!("http://127.0.0.1:{}/api/v2/alerts", server.port)).await;
    let text = answer.expect("it answers").text().await.expect("it answers whole");
    let alerts: Vec<Value> = serde_json::from_str(&text).expect("alerts are JSON");
    let alert = alerts.iter().find(|alert| alert["labels"]["incident"] == *incident);
    let alert = alert.unwrap_or_else(|| panic!("{incident} is not there: {text}"));
    alert["endsAt"].as_str().expect("it has an end").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_reaches_an_alertmanager_that_was_down_is_refreshed_there_and_ends_when_it_is_closed() {
    let Some(stack) = Stack::running() else { return };
    let Some(mut server) = Alertmanager::start().await else { return };
    server.kill().await;
    let site = Site::new(stack, "incident-handed").await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let channel = [("channels.am.kind", "alertmanager"), ("channels.am.url", url.as_str())];
    let correlator = site.correlator_with(&channel).await;

    // Without an Alertmanager incidents are judged as ever.
    site.store(&[signal(ANN, 1, "critical").document(1)]).await;
    let mut opened = site.until("one is open", |found| found.len() == 1).await.remove(0).source;
    let id = opened["incident"]["id"].clone();
    eventually(PATIENCE, async || match correlator.count(WAITING).await {
        1 => Ok(()),
        waiting => Err(format!("{waiting} wait\n{}", correlator.log())),
    })
    .await;
    rounds(&correlator, 1).await;

    server.run().await;
    let (told, fired) = server.notification().await;
    assert_eq!((told.as_str(), &fired["labels"]["incident"]), ("firing critical", &id), "{fired}");
    assert_eq!(fired["annotations"]["summary"], opened["message"]);
    let first = end(&server, &id).await;
    rounds(&correlator, 2).await;
    let second = end(&server, &id).await;
    assert!(second > first, "it is refreshed: {first} and then {second}");
    assert_eq!(correlator.count(WAITING).await, 0);

    let stored = Instant::now();
    site.store(&[signal(BOB, 1, "critical").document(2)]).await;
    let (told, another) = server.notification().await;
    let took = stored.elapsed();
    println!("a document is an alert after {took:?}");
    assert_eq!(told, "firing critical");
    assert_ne!(another["labels"]["incident"], id, "nobody is told again of the first one");
    assert!(took < Duration::from_mins(1));

    opened["incident"]["state"] = json!("closed");
    opened["incident"]["closed"] = json!(sagetrail::timestamp::format(now()));
    let path = format!("{}-incidents/_doc/{}?refresh=true", site.prefix, id.as_str().expect("a text"));
    let (status, answer) = site.search.request("PUT", &path, Some(opened)).await;
    assert_eq!(status, 200, "{answer}");
    let (told, resolved) = server.notification().await;
    assert_eq!((told.as_str(), &resolved["labels"]["incident"]), ("resolved critical", &id), "{resolved}");

    let log = correlator.log();
    for line in ["an Alertmanager did not take incidents", "the Alertmanager takes incidents again"] {
        assert_eq!(log.matches(line).count(), 1, "{line} is said once:\n{log}");
    }
    correlator.stop().await;
}

/// The severity of each alert that was handed over, by its incident.
type Handed = Arc<Mutex<BTreeMap<String, String>>>;

async fn take(State(handed): State<Handed>, body: String) {
    let alerts: Vec<Value> = serde_json::from_str(&body).expect("alerts are JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut handed = handed.lock().expect("nobody panicked");
    handed.extend(alerts.iter().map(|alert| {
        let labels = &alert["labels"];
        (text(&labels["incident"]), text(&labels["severity"]))
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_incidents_than_are_handed_over_at_once_the_worst_that_stand_are_and_the_rest_is_counted() {
    const LEFT_OUT: &str = "sagetrail_alertmanager_incidents_left_out";
    let Some(stack) = Stack::running() else { return };
    let handed = Handed::default();
    let router = Router::new().route("/api/v2/alerts", post(take)).with_state(Arc::clone(&handed));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let _server =
        AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    let site = Site::new(stack, "incident-many").await;
    let channel = [("channels.am.kind", "alertmanager"), ("channels.am.url", url.as_str())];
    let correlator = site.correlator_with(&channel).await;

    let mut lines = String::new();
    let ago = |minutes| sagetrail::timestamp::format(now() - Duration::from_mins(minutes));
    let mut add = |id: &str, severity: &str, number: u8, own: Value| {
        let mut incident = json!({"message": "Something happened.", "event": {"severity": number},
            "incident": {"id": id, "severity": severity, "state": "open"}});
        incident["incident"]
            .as_object_mut()
            .expect("an object")
            .extend(own.as_object().expect("an object").clone());
        let head = json!({"create": {"_index": "incident-many-incidents", "_id": id}});
        writeln!(lines, "{head}\n{incident}").expect("memory can be written");
    };
    add("oldest-critical", "critical", 4, json!({"opened": ago(600)}));
    add("oldest-high", "high", 3, json!({"opened": ago(599)}));
    for number in 0..999 {
        add(&format!("high-{number}"), "high", 3, json!({"opened": ago(5)}));
    }
    add("closed", "critical", 4, json!({"opened": ago(30), "state": "closed", "closed": ago(10)}));
    add("closed-long-ago", "critical", 4, json!({"opened": ago(300), "state": "closed", "closed": ago(200)}));
    let answer = site.search.send("_bulk?refresh=true", lines).await;
    assert_eq!(answer["errors"], false, "{answer}");

    eventually(PATIENCE, async || match correlator.count(LEFT_OUT).await {
        2 => Ok(()),
        count => Err(format!("{count} are left out\n{}", correlator.log())),
    })
    .await;
    rounds(&correlator, 1).await;
    let handed = handed.lock().expect("nobody panicked").clone();
    assert_eq!(handed.len(), 1_000);
    assert_eq!(handed.get("oldest-critical").map(String::as_str), Some("critical"));
    for left_out in ["oldest-high", "closed", "closed-long-ago"] {
        assert!(!handed.contains_key(left_out), "{left_out}");
    }
    let log = correlator.log();
    assert_eq!(log.matches("Alertmanagers are not handed all incidents").count(), 1, "{log}");
    correlator.stop().await;
}
