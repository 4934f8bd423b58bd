//! The same command against a cluster with all plugins, and a page that really arrives.
//!
//! `SAGETRAIL_TEST_OPENSEARCH_FULL` is the address of such a cluster, without a security plugin, whose content of
//! sagetrail may be removed. It has to reach this host under the name in `SAGETRAIL_TEST_HOST` (127.0.0.1 by default)
//! and to allow that address in `plugins.alerting.destination.host.deny_list` and the notifications' settings.
//! `SAGETRAIL_TEST_DASHBOARDS_FULL` is the address of a Dashboards of it.

use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::search::Search;

/// A monitor runs each minute; the third run is late.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_cluster_with_all_plugins_takes_it_all_and_a_critical_incident_reaches_a_webhook() {
    let Ok(opensearch) = std::env::var("SAGETRAIL_TEST_OPENSEARCH_FULL") else {
        println!("skipped: SAGETRAIL_TEST_OPENSEARCH_FULL names no cluster with all plugins");
        return;
    };
    let host = std::env::var("SAGETRAIL_TEST_HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let (pages, mut arrived) = mpsc::channel::<Value>(16);
    let router = Router::new().route("/page", post(receive)).with_state(pages);
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    }));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sagetrail.toml");
    let dashboards = std::env::var("SAGETRAIL_TEST_DASHBOARDS_FULL")
        .map_or_else(|_| String::new(), |url| format!("[dashboards]\nurl = '{url}'\n"));
    let text = format!(
        "[sink]\nurl = '{opensearch}'\n{dashboards}[channels]\nhook = {{ kind = 'webhook', url = 'http://{host}:{port}/page' }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let setup = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.arg("setup").arg("--config").arg(&config).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        println!("{said}");
        (output.status.code().unwrap(), said)
    };
    setup(&["--uninstall", "--force"]).await;
    assert_eq!(setup(&[]).await.0, 0);
    let (code, said) = setup(&[]).await;
    assert_eq!(code, 0);
    assert!(!said.contains(": updated") && !said.contains(": created"), "{said}");
    assert_eq!(setup(&["--diff"]).await.0, 0);

    let now = OffsetDateTime::now_utc();
    let at = now.format(&Rfc3339).unwrap();
    let id = format!("{:032x}", now.unix_timestamp());
    let incident = json!({
        "@timestamp": at, "event": {"start": at, "end": at}, "message": "a \"critical\" incident,\nin two lines",
        "incident": {"id": id, "page": format!("{id}/1"), "state": "open", "severity": "critical", "opened": at,
            "signals": 1, "outcome": {"success": 1, "failure": 0}, "worst": ["Critical: one"], "next": ["Stop it."],
            "account": "111122223333", "region": "eu-central-1"}});
    let index = "sagetrail-incidents";
    let search = Search::new(&opensearch);
    let (status, answer) =
        search.request("PUT", &format!("{index}/_doc/{id}?refresh=true"), Some(incident)).await;
    assert_eq!(status, 201, "{answer}");
    let page = tokio::time::timeout(PATIENCE, arrived.recv()).await.expect("the page arrives").unwrap();
    assert_eq!(page["severity"], "critical", "{page}");
    assert_eq!(page["page"], format!("{id}/1"), "{page}");
    assert!(page["text"].as_str().unwrap().contains("a \"critical\" incident,\nin two lines"), "{page}");

    assert_eq!(setup(&["--uninstall", "--force"]).await.0, 0);
    let (_, count) = search.request("GET", &format!("{index}/_count"), None).await;
    assert!(count["count"].as_u64().unwrap() >= 1, "the data is still there");
}

async fn receive(State(pages): State<mpsc::Sender<Value>>, body: String) {
    let page = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    pages.send(page).await.unwrap();
}
