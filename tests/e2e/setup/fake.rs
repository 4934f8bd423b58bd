//! A cluster with plugins: a real node, and in front of it a strict fake of the plugins that cannot be put together
//! here.
//!
//! It holds state as the plugins do and refuses what they refuse. What they take in silence, and break on later, and
//! every request that it does not know, is a complaint that fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::setup::{alerting, management, notifications};
use crate::support::search::Search;

/// What a plugin answers.
pub(crate) type Answer = (u16, Value);

/// One request to a plugin.
pub(crate) struct Request<'r> {
    pub(crate) method: &'r str,
    /// The path below the plugin's own, cut at its slashes.
    pub(crate) path: Vec<&'r str>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Request<'_> {
    /// The sequence number and primary term that a write demands.
    pub(crate) fn condition(&self) -> Option<(u64, u64)> {
        let number = |name: &str| self.query.get(name)?.parse().ok();
        number("if_seq_no").zip(number("if_primary_term"))
    }
}

/// A stored object with its sequence number.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) body: Value,
    pub(crate) sequence: u64,
}

#[derive(Default)]
pub(crate) struct Plugins {
    pub(crate) policies: BTreeMap<String, Stored>,
    /// The policy of an index, and the version of it that the index has.
    pub(crate) governed: BTreeMap<String, (String, u64)>,
    pub(crate) channels: BTreeMap<String, Value>,
    pub(crate) monitors: BTreeMap<String, Stored>,
    /// The ids of monitors with alerts in error.
    pub(crate) stuck: BTreeSet<String>,
    pub(crate) sequence: u64,
    /// Requests that change something, the node's own included.
    writes: Vec<String>,
    complaints: BTreeSet<String>,
    missing: BTreeSet<&'static str>,
    /// After so many writes nothing is answered any more.
    writes_left: Option<usize>,
    /// Requests with this in their path are refused.
    forbidden: Option<&'static str>,
}

impl Plugins {
    pub(crate) fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.insert(complaint.into());
    }

    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

/// The running cluster.
pub(crate) struct Cluster {
    pub(crate) url: String,
    plugins: Arc<Mutex<Plugins>>,
    _server: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Proxy {
    node: Arc<str>,
    plugins: Arc<Mutex<Plugins>>,
    http: reqwest::Client,
}

const PLUGINS: [&str; 3] = ["opensearch-alerting", "opensearch-index-management", "opensearch-notifications"];

impl Cluster {
    pub(crate) async fn start(node: &str) -> Self {
        let plugins = Arc::new(Mutex::new(Plugins::default()));
        let proxy = Proxy {
            node: node.trim_end_matches('/').into(),
            plugins: Arc::clone(&plugins),
            http: reqwest::Client::new(),
        };
        let router = Router::new().fallback(serve).layer(DefaultBodyLimit::disable()).with_state(proxy);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, plugins, _server: AbortOnDropHandle::new(server) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Plugins> {
        self.plugins.lock().unwrap()
    }

    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    pub(crate) fn remove_plugin(&self, name: &'static str) {
        self.lock().missing.insert(name);
    }

    pub(crate) fn add_plugins(&self) {
        self.lock().missing.clear();
    }

    /// Answers no more than so many further writes; without a number, all of them.
    pub(crate) fn allow_writes(&self, number: Option<usize>) {
        self.lock().writes_left = number;
    }

    pub(crate) fn forbid(&self, part: Option<&'static str>) {
        self.lock().forbidden = part;
    }

    pub(crate) fn assert_no_complaint(&self) {
        assert_eq!(self.lock().complaints, BTreeSet::new());
    }
}

async fn serve(State(proxy): State<Proxy>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    if let Some(refusal) = proxy.admit(&method, &path) {
        return answer(refusal);
    }
    if path == "/_cat/plugins" {
        return answer(proxy.list_plugins());
    }
    let Some(plugin_path) = path.strip_prefix("/_plugins/") else {
        return proxy.forward(&method, &uri, body).await;
    };
    let mut parts = plugin_path.split('/');
    let plugin = parts.next().unwrap_or_default();
    let request = Request {
        method: method.as_str(),
        path: parts.collect(),
        query: url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let node = Search::new(&proxy.node);
    answer(match plugin {
        "_ism" if proxy.has("opensearch-index-management") => {
            management::answer(&proxy.plugins, &node, &request).await
        }
        "_notifications" if proxy.has("opensearch-notifications") => {
            notifications::answer(&mut proxy.plugins.lock().unwrap(), &request)
        }
        "_alerting" if proxy.has("opensearch-alerting") => {
            alerting::answer(&proxy.plugins, &node, &request).await
        }
        _ => {
            proxy.plugins.lock().unwrap().complain(format!("no plugin serves {method} {path}"));
            (400, json!({"error": format!("no handler found for uri [{path}] and method [{method}]")}))
        }
    })
}

impl Proxy {
    /// Counts a write, and refuses what is to be refused.
    fn admit(&self, method: &Method, path: &str) -> Option<Answer> {
        let mut plugins = self.plugins.lock().unwrap();
        if plugins.forbidden.is_some_and(|part| path.contains(part)) {
            return Some((403, json!({"error": {"type": "security_exception", "reason": "no permissions"}})));
        }
        let is_read = *method == Method::GET || *method == Method::HEAD || path.ends_with("_search");
        if is_read {
            return None;
        }
        match &mut plugins.writes_left {
            Some(0) => return Some((503, json!({"error": "the cluster went away"}))),
            Some(left) => *left -= 1,
            None => {}
        }
        plugins.writes.push(format!("{method} {path}"));
        None
    }

    fn has(&self, plugin: &str) -> bool {
        !self.plugins.lock().unwrap().missing.contains(plugin)
    }

    /// Each plugin once for each of two nodes.
    fn list_plugins(&self) -> Answer {
        let listed = |node: &str| -> Vec<Value> {
            let there = PLUGINS.iter().filter(|plugin| self.has(plugin));
            there.map(|plugin| json!({"name": node, "component": plugin, "version": "2.19.4.0"})).collect()
        };
        (200, json!([listed("node-1"), listed("node-2")].concat()))
    }

    async fn forward(&self, method: &Method, uri: &Uri, body: Bytes) -> Response {
        let mut request = self.http.request(method.as_str().parse().unwrap(), format!("{}{uri}", self.node));
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_vec());
        }
        let forwarded = request.send().await.unwrap();
        let status = forwarded.status().as_u16();
        let index = uri.path().trim_start_matches('/');
        if *method == Method::PUT && status == 200 && !index.starts_with('_') && !index.contains('/') {
            management::take_in(&mut self.plugins.lock().unwrap(), index);
        }
        let body = forwarded.bytes().await.unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_vec()).into_response()
    }
}

pub(crate) fn answer((status, body): Answer) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(crate) fn error(status: u16, reason: impl Into<String>) -> Answer {
    (status, json!({"error": {"reason": reason.into()}, "status": status}))
}
