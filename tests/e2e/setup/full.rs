//! The same command against a cluster with all plugins, and a page that really arrives.
//!
//! `SAGETRAIL_TEST_OPENSEARCH_FULL` is the address of such a cluster, without a security plugin, whose content of
//! sagetrail may be removed. It has to reach this host under the name in `SAGETRAIL_TEST_HOST` (127.0.0.1 by default)
//! and to allow that address in `plugins.alerting.destination.host.deny_list` and the notifications' settings.
//! `SAGETRAIL_TEST_DASHBOARDS_FULL` is the address of a Dashboards of it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::support::eventually;
use crate::support::search::Search;

/// A monitor runs each minute; the fourth run is late.
const PATIENCE: Duration = Duration::from_mins(4);
const TEXT: &str = "Critical: a \"critical\" incident,\nin two lines";
const INCIDENTS: &str = "sagetrail-incidents";

#[tokio::test]
async fn a_cluster_with_all_plugins_takes_it_all_and_pages_until_somebody_acknowledges() {
    let Some(mut site) = Site::set().await else { return };
    site.setup(&["--uninstall", "--force"]).await;
    assert_eq!(site.setup(&[]).await.0, 0);
    let (code, said) = site.setup(&[]).await;
    assert_eq!(code, 0);
    assert!(!said.contains(": updated") && !said.contains(": created"), "{said}");
    assert_eq!(site.setup(&["--diff"]).await.0, 0);

    // A correlator that gave its lease back is told, beside what follows.
    let lease = json!({"holder": "", "term": 1, "round": ago(Duration::from_mins(10))});
    site.put("sagetrail-correlator/_doc/lease", lease).await;
    let id = format!("{:032x}", OffsetDateTime::now_utc().unix_timestamp());
    site.incident(&id, 1, "open").await;
    let page = site.page(&format!("{id}/1"), "new").await;
    assert_eq!((&page["severity"], &page["incident"]), (&json!("critical"), &json!(id)), "{page}");
    assert_eq!(page["sentence"], TEXT, "{page}");
    let text = page["text"].as_str().unwrap();
    assert!(text.starts_with(TEXT) && text.contains("Worst: Critical: one;\nNext: Stop it.\n"), "{page}");
    let again = site.page(&format!("{id}/1"), "not acknowledged").await;
    assert!(again["text"].as_str().unwrap().contains(&format!("Open now:\n- {TEXT} ({id})\n")), "{again}");

    site.incident(&id, 2, "escalated").await;
    site.page(&format!("{id}/2"), "new").await;
    site.acknowledge(&format!("{id}/2")).await;
    site.none_for(Duration::from_secs(150), &format!("{id}/2")).await;
    let stopped = site.pages.iter().find(|page| page["title"] == "Nothing correlates any more");
    let stopped = stopped.expect("it is told").to_string();
    assert!(stopped.contains("the lease is held by nobody, since the last one was stopped"), "{stopped}");

    site.narrow_the_heartbeat().await;
    let (code, said) = site.setup(&["--diff"]).await;
    assert!(code == 3 && said.contains("\"lte\": \"{{period_end}}||-1d\""), "{said}");
    let (_, said) = site.setup(&["--force"]).await;
    assert!(said.contains("sagetrail-monitor-heartbeat: overwritten"), "{said}");
    assert_eq!(site.setup(&["--diff"]).await.0, 0);

    assert_eq!(site.setup(&["--uninstall", "--force"]).await.0, 0);
    let (_, count) = site.search.request("GET", &format!("{INCIDENTS}/_count"), None).await;
    assert!(count["count"].as_u64().unwrap() >= 1, "the data is still there");
    let (_, alerts) = site.search.request("GET", "_plugins/_alerting/monitors/alerts", None).await;
    assert!(!alerts.to_string().contains("\"ACTIVE\""), "{alerts}");
    site.put("sagetrail-correlator/_doc/lease", json!({"holder": "", "term": 1})).await;
}

/// A cluster with all plugins, and a webhook that its pages come to.
struct Site {
    search: Search,
    config: PathBuf,
    arrived: mpsc::Receiver<Value>,
    /// Every page that has come.
    pages: Vec<Value>,
    _folder: TempDir,
    _server: AbortOnDropHandle<()>,
}

impl Site {
    async fn set() -> Option<Self> {
        let Ok(opensearch) = std::env::var("SAGETRAIL_TEST_OPENSEARCH_FULL") else {
            println!("skipped: SAGETRAIL_TEST_OPENSEARCH_FULL names no cluster with all plugins");
            return None;
        };
        let host = std::env::var("SAGETRAIL_TEST_HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
        let (pages, arrived) = mpsc::channel::<Value>(64);
        let router = Router::new().route("/page", post(receive)).with_state(pages);
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("sagetrail.toml");
        let dashboards = std::env::var("SAGETRAIL_TEST_DASHBOARDS_FULL")
            .map_or_else(|_| String::new(), |url| format!("[dashboards]\nurl = '{url}'\n"));
        let text = format!(
            "[sink]\nurl = '{opensearch}'\n{dashboards}[monitors]\nthresholds = {{ critical_repeat_minutes = 2 }}\n\
             [channels]\nhook = {{ kind = 'webhook', url = 'http://{host}:{port}/page' }}\n"
        );
        std::fs::write(&config, text).unwrap();
        Some(Self {
            search: Search::new(&opensearch),
            config,
            arrived,
            pages: Vec::new(),
            _folder: folder,
            _server: AbortOnDropHandle::new(server),
        })
    }

    async fn setup(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.arg("setup").arg("--config").arg(&self.config).args(arguments);
        let began = Instant::now();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        println!("setup {arguments:?} took {:?}\n{said}", began.elapsed());
        (output.status.code().unwrap(), said)
    }

    async fn put(&self, path: &str, body: Value) {
        let (status, answer) = self.search.request("PUT", &format!("{path}?refresh=true"), Some(body)).await;
        assert!([200, 201].contains(&status), "{answer}");
    }

    async fn incident(&self, id: &str, page: u32, state: &str) {
        let at = ago(Duration::ZERO);
        let incident = json!({
            "@timestamp": at, "event": {"start": at, "end": at}, "message": TEXT,
            "incident": {"id": id, "page": format!("{id}/{page}"), "state": state, "severity": "critical", "opened": at,
                "signals": 1, "outcome": {"success": 1, "failure": 0}, "worst": ["Critical: one"],
                "next": ["Stop it."], "account": "111122223333", "region": "eu-central-1"}});
        self.put(&format!("{INCIDENTS}/_doc/{id}"), incident).await;
    }

    /// Waits for a page of this key and state.
    async fn page(&mut self, key: &str, state: &str) -> Value {
        let began = Instant::now();
        let arrives = async {
            loop {
                let page = self.arrived.recv().await.expect("the webhook is up");
                self.pages.push(page.clone());
                if page["page"] == key && page["state"] == state {
                    return page;
                }
            }
        };
        let page = tokio::time::timeout(PATIENCE, arrives).await.expect("the page arrives");
        println!("{key} {state} came after {:?}", began.elapsed());
        page
    }

    async fn none_for(&mut self, time: Duration, key: &str) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(Some(page)) = tokio::time::timeout_at(end, self.arrived.recv()).await {
            assert!(page["page"] != key, "it pages all the same: {page}");
            self.pages.push(page);
        }
    }

    async fn acknowledge(&self, key: &str) {
        let (_, answer) =
            self.search.request("GET", "_plugins/_alerting/monitors/alerts?size=100", None).await;
        let alerts = answer["alerts"].as_array().unwrap();
        let is_it = |alert: &&Value| alert["agg_alert_content"]["bucket_keys"] == json!([key]);
        let alert = alerts.iter().find(is_it).unwrap_or_else(|| panic!("{key}: {answer}"));
        let path = format!(
            "_plugins/_alerting/monitors/{}/_acknowledge/alerts",
            alert["monitor_id"].as_str().unwrap()
        );
        // The run that sent the page writes the alert once more, and an acknowledgement before that is refused.
        eventually(Duration::from_secs(20), async || {
            let asked = json!({"alerts": [alert["id"]]});
            let (_, answer) = self.search.request("POST", &path, Some(asked)).await;
            if answer["success"] == json!([alert["id"]]) { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }

    /// Changes the stored window of a monitor, as a person does.
    async fn narrow_the_heartbeat(&self) {
        let named =
            json!({"query": {"term": {"monitor.name.keyword": "sagetrail: Nothing correlates any more"}}});
        let (_, found) =
            self.search.request("POST", "_plugins/_alerting/monitors/_search", Some(named)).await;
        let path =
            format!("_plugins/_alerting/monitors/{}", found["hits"]["hits"][0]["_id"].as_str().unwrap());
        let (_, mut there) = self.search.request("GET", &path, None).await;
        let range = "/monitor/inputs/0/search/query/query/bool/filter/0/range/round/to";
        *there.pointer_mut(range).unwrap() = json!("{{period_end}}||-1d");
        let path =
            format!("{path}?if_seq_no={}&if_primary_term={}", there["_seq_no"], there["_primary_term"]);
        let (status, answer) = self.search.request("PUT", &path, Some(there["monitor"].take())).await;
        assert_eq!(status, 200, "{answer}");
    }
}

fn ago(time: Duration) -> String {
    (OffsetDateTime::now_utc() - time).format(&Rfc3339).unwrap()
}

async fn receive(State(pages): State<mpsc::Sender<Value>>, body: String) {
    let page = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    pages.send(page).await.unwrap();
}
