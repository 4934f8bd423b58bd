//! Loopback: the servers around a shipper, in this process. They only hand out and count, so that whatever a shipper
//! costs is its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::sqs::Sqs;
use super::trail::{File, Trail};

const BUCKET: &str = "trail";
/// Longer than any measurement takes, so that nothing is delivered twice.
const VISIBILITY_TIMEOUT: Duration = Duration::from_hours(1);

/// S3, SQS and an OpenSearch that counts.
pub struct Loopback {
    pub s3: String,
    pub opensearch: String,
    pub sqs: Sqs,
    sink: Arc<Sink>,
    _servers: [AbortOnDropHandle<()>; 2],
}

#[derive(Default)]
struct Sink {
    records: AtomicUsize,
    bulks: AtomicUsize,
}

impl Loopback {
    /// Serves these files; nothing is notified yet.
    pub async fn serve(trail: &Trail) -> Self {
        let objects: HashMap<String, Bytes> =
            trail.files.iter().map(|file| (file.key.clone(), file.gzip.clone())).collect();
        let s3 = Router::new().route("/{bucket}/{*key}", get(object)).with_state(Arc::new(objects));
        let sink = Arc::new(Sink::default());
        let opensearch = Router::new()
            .route("/_bulk", post(bulk))
            .route("/_mget", post(recall))
            .route("/", get(info))
            .fallback(|| async { json!({}).to_string() })
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&sink));
        let (s3, s3_server) = listen(s3).await;
        let (opensearch, opensearch_server) = listen(opensearch).await;
        let sqs = Sqs::serve(VISIBILITY_TIMEOUT).await;
        Self { s3, opensearch, sqs, sink, _servers: [s3_server, opensearch_server] }
    }

    /// Notifies the queue of files, as S3 does.
    pub fn notify<'f>(&self, files: impl IntoIterator<Item = &'f File>) {
        self.sqs.send(files.into_iter().map(|file| {
            json!({"Records": [{
                "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
                "eventTime": "2026-11-01T12:00:00.000Z", "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": BUCKET}, "object": {"key": file.key, "size": file.gzip.len()}}
            }]})
            .to_string()
        }));
    }

    /// Documents of records that bulks asked to create, without those of memory and of the daemon's ledger.
    pub fn records(&self) -> usize {
        self.sink.records.load(Ordering::Relaxed)
    }

    pub fn bulks(&self) -> usize {
        self.sink.bulks.load(Ordering::Relaxed)
    }
}

async fn listen(router: Router) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (url, AbortOnDropHandle::new(server))
}

/// An object with the headers that CloudTrail's own have.
async fn object(
    State(objects): State<Arc<HashMap<String, Bytes>>>,
    Path((_bucket, key)): Path<(String, String)>,
) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_ENCODING, "gzip"),
        (header::LAST_MODIFIED, "Sun, 01 Nov 2026 12:00:00 GMT"),
    ];
    match objects.get(&key) {
        Some(bytes) => (headers, bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn info() -> String {
    json!({"version": {"distribution": "opensearch", "number": "3.4.0"}}).to_string()
}

/// Answers as OpenSearch does when memory holds nothing yet. What a daemon tells after that it knows from its cache.
async fn recall(body: Bytes) -> String {
    let asked: Asked = serde_json::from_slice(&body).expect("a recall is JSON");
    let missing = |mut doc: Value| {
        doc["found"] = false.into();
        doc
    };
    let docs: Vec<Value> = asked.docs.into_iter().map(missing).collect();
    json!({ "docs": docs }).to_string()
}

#[derive(Deserialize)]
struct Asked {
    docs: Vec<Value>,
}

/// Answers as OpenSearch does when it created or joined every document, without looking at the documents.
async fn bulk(State(sink): State<Arc<Sink>>, body: Bytes) -> String {
    let mut answer = String::from(r#"{"errors":false,"items":["#);
    let mut records = 0;
    let mut rest = &body[..];
    while let Some(action) = next_line(&mut rest) {
        if answer.ends_with('}') {
            answer.push(',');
        }
        let is_fact = action.starts_with(br#"{"update""#);
        answer.push_str(if is_fact { r#"{"update":{"_id":""# } else { r#"{"create":{"_id":""# });
        answer.push_str(member(action, br#""_id":""#));
        answer.push_str(if is_fact {
            r#"","status":200,"result":"updated"}}"#
        } else {
            r#"","status":201,"result":"created"}}"#
        });
        let is_of_ledger = || member(action, br#""_index":""#).starts_with("sagetrail-objects-");
        records += usize::from(!is_fact && !is_of_ledger());
        next_line(&mut rest).expect("each action has its document");
    }
    answer.push_str("]}");
    sink.records.fetch_add(records, Ordering::Relaxed);
    sink.bulks.fetch_add(1, Ordering::Relaxed);
    answer
}

/// The text of a member whose name and opening quote are given.
fn member<'a>(action: &'a [u8], name: &[u8]) -> &'a str {
    let start = memchr::memmem::find(action, name).expect("an action has an index and an id") + name.len();
    let length = memchr::memchr(b'"', &action[start..]).expect("a text has an end");
    str::from_utf8(&action[start..start + length]).expect("names are text")
}

fn next_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = memchr::memchr(b'\n', rest)?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line)
}
