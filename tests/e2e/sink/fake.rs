//! A small cluster that keeps what it is sent and fails on command, in ways that a real one cannot be made to.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What is to go wrong with one bulk request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The whole request gets this status, and nothing is stored.
    Status(u16),
    /// Every third document gets this status, and the others are stored.
    EveryThird(u16),
    /// Everything is stored, and the answer breaks off.
    CutAnswer,
    /// Everything is stored, and the answer comes too late.
    LateAnswer,
    /// Everything is stored, and the answer names one document less.
    ShortAnswer,
    /// Nothing goes wrong.
    None,
}

/// One bulk request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) documents: usize,
    pub(crate) bytes: usize,
    pub(crate) headers: HeaderMap,
    /// The body as it was on the wire.
    pub(crate) raw: Bytes,
}

#[derive(Default)]
struct Inner {
    /// Source text by index and id.
    documents: BTreeMap<(String, String), String>,
    script: VecDeque<Fault>,
    requests: Vec<Request>,
    in_flight: usize,
    most_in_flight: usize,
    rules: Rules,
}

/// How the cluster always behaves.
#[derive(Default, Clone)]
pub(crate) struct Rules {
    /// 413 above this many bytes.
    pub(crate) max_body: Option<usize>,
    /// The whole request gets a 400 if it contains this text.
    pub(crate) malformed: Option<&'static str>,
    /// The mapping refuses a document that contains this text, unless it is a report.
    pub(crate) refused: Option<&'static str>,
    /// A document that contains this text gets a 400 of a type that nobody knows, unless it is a report.
    pub(crate) doubtful: Option<&'static str>,
    /// Whatever is written to an index of events meets this state of the cluster: status, type and reason.
    pub(crate) state: Option<(u16, &'static str, &'static str)>,
    /// After so many requests that state is over.
    pub(crate) state_lasts: Option<usize>,
    /// A pipeline drops whatever is written to an index of events.
    pub(crate) drops: bool,
    /// A firewall answers in the place of the cluster when a request contains this text.
    pub(crate) firewall: Option<&'static str>,
    /// The whole request gets a 400 when it is compressed.
    pub(crate) plain_only: bool,
    /// The whole request gets this status and body.
    pub(crate) denial: Option<(u16, &'static str)>,
    /// A document that contains this text gets this status, always.
    pub(crate) blocked: Option<(&'static str, u16)>,
    /// The rejected index refuses everything.
    pub(crate) refuses_reports: bool,
    /// How long an answer takes.
    pub(crate) delay: Duration,
    /// A request of more bytes than this is never answered, and nothing of it is stored.
    pub(crate) overwhelmed: Option<usize>,
}

/// The running fake. Faults that nobody met fail the test.
pub(crate) struct Fake {
    inner: Arc<Mutex<Inner>>,
    pub(crate) url: String,
    _server: AbortOnDropHandle<()>,
}

impl Fake {
    pub(crate) async fn start(rules: Rules, script: impl IntoIterator<Item = Fault>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), rules, script).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        rules: Rules,
        script: impl IntoIterator<Item = Fault>,
    ) -> Self {
        let inner =
            Arc::new(Mutex::new(Inner { rules, script: script.into_iter().collect(), ..Inner::default() }));
        let router = Router::new()
            .route("/_bulk", post(bulk))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { inner, url, _server: AbortOnDropHandle::new(server) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    /// Documents outside the rejected index.
    pub(crate) fn events(&self) -> usize {
        self.lock().documents.keys().filter(|(index, _)| index != "sagetrail-rejected").count()
    }

    /// The reports in the rejected index.
    pub(crate) fn reports(&self) -> Vec<Value> {
        let inner = self.lock();
        let reports = inner.documents.iter().filter(|((index, _), _)| index == "sagetrail-rejected");
        reports.map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
    }

    pub(crate) fn change(&self, rules: Rules) {
        self.lock().rules = rules;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let inner = self.lock();
            assert!(inner.script.is_empty(), "faults that nobody met: {:?}", inner.script);
            assert_eq!(inner.in_flight, 0, "requests that nobody waited for");
        }
    }
}

type Shared = Arc<Mutex<Inner>>;

async fn bulk(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    assert!(query.is_some_and(|query| query.starts_with("filter_path=")));
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let mut body = String::new();
    match headers.get("content-encoding") {
        Some(_) => flate2::read::GzDecoder::new(&raw[..]).read_to_string(&mut body).unwrap(),
        None => (&raw[..]).read_to_string(&mut body).unwrap(),
    };
    if headers.contains_key("content-encoding") && shared.lock().unwrap().rules.plain_only {
        return (StatusCode::BAD_REQUEST, "unexpected bytes").into_response();
    }
    let request = Request { documents: body.lines().count() / 2, bytes: body.len(), headers, raw };
    let (fault, delay) = arrive(&shared, request);
    if shared.lock().unwrap().rules.overwhelmed.is_some_and(|most| body.len() > most) {
        shared.lock().unwrap().in_flight -= 1;
        return std::future::pending().await;
    }
    tokio::time::sleep(delay).await;
    let answer = answer(&shared, fault, &body);
    shared.lock().unwrap().in_flight -= 1;
    if matches!(fault, Fault::LateAnswer) {
        return std::future::pending().await;
    }
    answer
}

fn arrive(shared: &Shared, request: Request) -> (Fault, Duration) {
    let mut inner = shared.lock().unwrap();
    inner.requests.push(request);
    inner.in_flight += 1;
    inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
    (inner.script.pop_front().unwrap_or(Fault::None), inner.rules.delay)
}

fn answer(shared: &Shared, fault: Fault, body: &str) -> Response {
    let mut inner = shared.lock().unwrap();
    if inner.rules.state_lasts.is_some_and(|requests| inner.requests.len() > requests) {
        inner.rules.state = None;
    }
    let rules = inner.rules.clone();
    if let Fault::Status(status) = fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if rules.max_body.is_some_and(|most| body.len() > most) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    if rules.malformed.is_some_and(|text| body.contains(text)) {
        let error =
            json!({"error": {"type": "illegal_argument_exception", "reason": "malformed"}, "status": 400});
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    if let Some((status, body)) = rules.denial {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    if rules.firewall.is_some_and(|text| body.contains(text)) {
        return (StatusCode::FORBIDDEN, "<html><title>403 Forbidden</title></html>").into_response();
    }
    let lines: Vec<&str> = body.lines().collect();
    let mut items = Vec::new();
    for (number, pair) in lines.chunks(2).enumerate() {
        let [action, source] = pair else { panic!("an action without its document") };
        let action: Value = serde_json::from_str(action).unwrap();
        // A write on a condition that no document meets takes the whole way and stores nothing.
        let is_probe = action.get("index").is_some();
        let operation = if is_probe { "index" } else { "create" };
        assert!(!is_probe || action["index"]["if_seq_no"].is_u64(), "a write without `create`: {action}");
        let name = |key: &str| action[operation][key].as_str().unwrap().to_owned();
        let (index, id) = (name("_index"), name("_id"));
        let is_report = index == "sagetrail-rejected";
        let has = |text: Option<&str>| text.is_some_and(|text| source.contains(text));
        let told = |status: u16| (status, format!("fake_{status}_exception"), "as told");
        let (status, kind, reason) = match fault {
            Fault::EveryThird(status) if number % 3 == 2 => told(status),
            _ if rules.blocked.is_some_and(|(text, _)| source.contains(text)) => {
                told(rules.blocked.unwrap().1)
            }
            _ if is_report && rules.refuses_reports && !is_probe => {
                (400, "mapper_parsing_exception".to_owned(), "as told")
            }
            _ if !is_report && rules.drops => (200, "noop".to_owned(), ""),
            _ if !is_report && rules.state.is_some() => {
                let (status, kind, reason) = rules.state.unwrap();
                (status, kind.to_owned(), reason)
            }
            _ if !is_report && has(rules.refused) => (400, "mapper_parsing_exception".to_owned(), "as told"),
            _ if !is_report && has(rules.doubtful) => (400, "some_new_exception".to_owned(), "as told"),
            _ if is_probe || inner.documents.contains_key(&(index.clone(), id.clone())) => {
                (409, "version_conflict_engine_exception".to_owned(), "as told")
            }
            _ => (201, "created".to_owned(), ""),
        };
        items.push(if status < 300 {
            if status == 201 {
                inner.documents.insert((index, id.clone()), (*source).to_owned());
            }
            json!({operation: {"_id": id, "status": status, "result": kind}})
        } else {
            json!({operation: {"_id": id, "status": status, "error": {"type": kind, "reason": reason}}})
        });
    }
    if matches!(fault, Fault::ShortAnswer) {
        items.pop();
    }
    let mut text = json!({"items": items}).to_string();
    if matches!(fault, Fault::CutAnswer) {
        text.truncate(text.len() / 2);
    }
    text.into_response()
}
