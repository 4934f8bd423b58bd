//! Incidents on their way from a correlator to a real Alertmanager.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

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
