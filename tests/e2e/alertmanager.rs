//! Incidents in a real Alertmanager, which `deploy/local/alertmanager.sh` builds where Go is there. It delivers to a
//! receiver of the test.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use sagetrail::alertmanager::{Alertmanagers, HandedOver};
use sagetrail::config::Config;
use sagetrail::metrics::Metrics;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::support::daemon::free_port;

/// A notification comes within a second or two; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);
/// Long enough for a notification that should not come.
const A_WHILE: Duration = Duration::from_secs(4);

pub struct Alertmanager {
    binary: String,
    pub port: u16,
    folder: TempDir,
    process: Option<Child>,
    notifications: mpsc::Receiver<Value>,
    _receiver: AbortOnDropHandle<()>,
}

impl Alertmanager {
    /// None where no Alertmanager was built.
    pub async fn start() -> Option<Self> {
        let Some(binary) = std::env::var("SAGETRAIL_TEST_ALERTMANAGER").ok().filter(|path| !path.is_empty())
        else {
            println!(
                "skipped: SAGETRAIL_TEST_ALERTMANAGER names no Alertmanager; `make test` builds one where Go is"
            );
            return None;
        };
        let (sender, notifications) = mpsc::channel(64);
        let router = Router::new().route("/", post(receive)).with_state(sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "route": {"receiver": "test", "group_by": ["incident", "severity"], "group_wait": "0s",
                "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "test", "webhook_configs": [
                {"url": format!("http://{receiver}/"), "send_resolved": true}]}],
        });
        std::fs::write(folder.path().join("config.yml"), config.to_string()).unwrap();
        let mut started = Self {
            binary,
            port: free_port(),
            folder,
            process: None,
            notifications,
            _receiver: AbortOnDropHandle::new(server),
        };
        started.run().await;
        Some(started)
    }

    pub async fn run(&mut self) {
        let folder = self.folder.path();
        let process = Command::new(&self.binary)
            .arg(format!("--config.file={}", folder.join("config.yml").display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let ready = format!("http://127.0.0.1:{}/-/ready", self.port);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status() == 200) {
            assert!(tokio::time::Instant::now() < deadline, "the Alertmanager does not get ready");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// The next notification: its status and the severity of its alert, and the alert.
    pub async fn notification(&mut self) -> (String, Value) {
        let notification = tokio::time::timeout(PATIENCE, self.notifications.recv()).await;
        let notification = notification.expect("a notification comes").unwrap();
        let alerts = notification["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{notification}");
        let severity = alerts[0]["labels"]["severity"].as_str().unwrap();
        (format!("{} {severity}", notification["status"].as_str().unwrap()), alerts[0].clone())
    }

    pub async fn assert_quiet(&mut self) {
        let another = tokio::time::timeout(A_WHILE, self.notifications.recv()).await;
        assert!(another.is_err(), "nobody is told twice: {another:?}");
    }
}

async fn receive(State(sender): State<mpsc::Sender<Value>>, body: String) {
    sender.send(serde_json::from_str(&body).unwrap()).await.unwrap();
}

fn alertmanagers(port: u16, metrics: &Arc<Metrics>) -> Alertmanagers {
    let config: Config = toml::from_str(&format!(
        "[dashboards]\nurl = 'https://boards.example.com'\n\
         [channels]\nam = {{ kind = 'alertmanager', url = 'http://127.0.0.1:{port}' }}"
    ))
    .unwrap();
    Alertmanagers::new(&config, Arc::clone(metrics)).unwrap()
}

/// A time that many seconds from now, as documents have it.
fn at(seconds: i64) -> String {
    sagetrail::timestamp::format(OffsetDateTime::now_utc() + time::Duration::seconds(seconds))
}

/// The document of an open incident.
pub fn incident(id: &str, sentence: &str) -> Value {
    json!({"@timestamp": at(-5), "message": sentence, "event": {"start": at(-60), "end": at(-5)},
        "incident": {"id": id, "kind": "attack", "state": "open", "severity": "high", "opened": at(-10),
            "signals": 2, "outcome": {"success": 2, "failure": 0}, "reason": "Its score reached 100.",
            "worst": ["High: \"one\""], "next": ["Stop it."], "account": "111122223333", "region": "eu-central-1"}})
}

async fn handed(to: &Alertmanagers, incidents: &[Value]) -> HandedOver {
    let mut outcomes = to.hand_over(incidents, OffsetDateTime::now_utc()).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.pop().unwrap()
}

#[tokio::test]
async fn an_incident_fires_once_escalates_at_once_and_resolves_when_it_is_closed() {
    let Some(mut server) = Alertmanager::start().await else { return };
    let to = alertmanagers(server.port, &Arc::new(Metrics::new()));
    let mut incident = incident("0a1b", "High: \"alice\" took\nthe key of b.");
    assert_eq!(handed(&to, std::slice::from_ref(&incident)).await.taken, 1);
    let (told, fired) = server.notification().await;
    assert_eq!(told, "firing high");
    assert_eq!(fired["annotations"]["summary"], "High: \"alice\" took\nthe key of b.");
    assert!(fired["generatorURL"].as_str().unwrap().contains("sagetrail-dashboard-incidents"), "{fired}");

    // What is known of it grows, and nobody is told again, not even by another process.
    incident["message"] = json!("High: \"alice\" took two keys.");
    incident["incident"]["worst"] = json!(["High: two"]);
    assert_eq!(handed(&to, std::slice::from_ref(&incident)).await.taken, 1);
    let another = alertmanagers(server.port, &Arc::new(Metrics::new()));
    assert_eq!(handed(&another, std::slice::from_ref(&incident)).await.taken, 1);
    server.assert_quiet().await;
    assert_eq!(to.held().await, [("am", Ok(vec!["0a1b".to_owned()]))], "the same labels are the same alert");

    incident["incident"]["severity"] = json!("critical");
    incident["incident"]["state"] = json!("escalated");
    incident["incident"]["escalated"] = json!(at(0));
    assert_eq!(handed(&to, std::slice::from_ref(&incident)).await.taken, 2);
    let mut told = [server.notification().await.0, server.notification().await.0];
    told.sort();
    assert_eq!(told, ["firing critical", "resolved high"]);
    assert_eq!(handed(&to, std::slice::from_ref(&incident)).await.taken, 2);
    server.assert_quiet().await;

    incident["incident"]["state"] = json!("closed");
    incident["incident"]["closed"] = json!(at(0));
    assert_eq!(handed(&to, std::slice::from_ref(&incident)).await.taken, 2);
    assert_eq!(server.notification().await.0, "resolved critical");
}

#[tokio::test]
async fn what_an_alertmanager_that_is_down_was_not_handed_it_is_handed_when_it_is_back() {
    let Some(mut server) = Alertmanager::start().await else { return };
    let metrics = Arc::new(Metrics::new());
    let to = alertmanagers(server.port, &metrics);
    server.kill().await;
    let open = [incident("0a1b", "High: one."), incident("2c3d", "High: two.")];
    let before = OffsetDateTime::now_utc().unix_timestamp();
    let outcome = handed(&to, &open).await;
    assert_eq!((outcome.taken, outcome.waiting), (0, 2));
    assert!(outcome.problem.unwrap().to_string().starts_with("channels.am: "));
    let waiting =
        |number: u32| format!("sagetrail_alertmanager_incidents_waiting{{channel=\"am\"}} {number}\n");
    let since = metrics.alertmanager_failing_since.with_label_values(&["am"]);
    assert!(metrics.expose().contains(&waiting(2)) && since.get() >= before);

    let first = since.get();
    while OffsetDateTime::now_utc().unix_timestamp() <= first {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    handed(&to, &open).await;
    assert_eq!(since.get(), first, "it has failed since then");

    server.run().await;
    let outcome = handed(&to, &open).await;
    assert_eq!((outcome.taken, outcome.waiting, outcome.problem), (2, 0, None));
    assert!(metrics.expose().contains(&waiting(0)) && since.get() == 0);
    let mut told = Vec::new();
    for _ in &open {
        told.push(server.notification().await.1["labels"]["incident"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(told, ["0a1b", "2c3d"]);
}

#[tokio::test]
async fn a_token_a_password_and_another_server_are_told_apart_and_no_secret_is() {
    let (sender, mut asked) = mpsc::channel::<Option<String>>(8);
    let router = Router::new().fallback(move |headers: axum::http::HeaderMap| {
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let sender = sender.clone();
        async move {
            sender.send(authorization).await.unwrap();
            (axum::http::StatusCode::UNAUTHORIZED, "who are you?")
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _server =
        AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret-file\n").unwrap();
    let cases = [
        (String::new(), None),
        ("bearer_token = 's3cret'".to_owned(), Some("Bearer s3cret")),
        (format!("bearer_token_file = '{}'", file.path().display()), Some("Bearer s3cret-file")),
        ("username = 'me', password = 's3cret'".to_owned(), Some("Basic bWU6czNjcmV0")),
    ];
    for (settings, expected) in cases {
        let settings = if settings.is_empty() { settings } else { format!(", {settings}") };
        let text = format!("[channels]\nam = {{ kind = 'alertmanager', url = '{url}'{settings} }}");
        let config: Config = toml::from_str(&text).unwrap();
        let to = Alertmanagers::new(&config, Arc::new(Metrics::new())).unwrap();
        let outcome = handed(&to, &[incident("0a1b", "High: one.")]).await;
        assert_eq!(asked.recv().await.unwrap().as_deref(), expected);
        let problem = outcome.problem.unwrap().to_string();
        assert!(problem.contains("status 401: check its token") && !problem.contains("s3cret"), "{problem}");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
