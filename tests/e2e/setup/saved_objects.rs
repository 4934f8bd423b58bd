//! OpenSearch Dashboards: saved objects, by tenant and workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::setup::fake::{Answer, answer, error};

/// The highest migration that each type may name.
const MIGRATIONS: [(&str, [u32; 3]); 4] = [
    ("index-pattern", [7, 6, 0]),
    ("visualization", [7, 10, 0]),
    ("search", [7, 9, 3]),
    ("dashboard", [7, 9, 3]),
];

/// What a request may have, unless `server.maxPayload` says otherwise.
const MOST_BYTES: usize = 1_048_576;

pub(crate) struct Dashboards {
    pub(crate) url: String,
    state: Arc<Mutex<Held>>,
    _server: AbortOnDropHandle<()>,
}

#[derive(Default)]
pub(crate) struct Held {
    /// By tenant, workspace, type and id.
    pub(crate) objects: BTreeMap<[String; 4], Value>,
    writes: Vec<String>,
    /// Requests of any kind.
    requests: usize,
    complaints: BTreeSet<String>,
    /// What every request is answered with.
    refusal: Option<u16>,
    /// Objects that nobody may write.
    pub(crate) unwritable: BTreeSet<String>,
}

impl Dashboards {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(Held::default()));
        let router =
            Router::new().fallback(serve).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: AbortOnDropHandle::new(server) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap()
    }

    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    pub(crate) fn take_requests(&self) -> usize {
        std::mem::take(&mut self.lock().requests)
    }

    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.lock().refusal = status;
    }

    pub(crate) fn assert_no_complaint(&self) {
        assert_eq!(self.lock().complaints, BTreeSet::new());
    }
}

async fn serve(
    State(state): State<Arc<Mutex<Held>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut held = state.lock().unwrap();
    held.requests += 1;
    if body.len() > MOST_BYTES {
        return answer(error(413, "Payload content length greater than maximum allowed: 1048576"));
    }
    if let Some(status) = held.refusal {
        return answer(error(status, "Forbidden"));
    }
    let path = uri.path().trim_start_matches('/');
    let (workspace, path) = match path.strip_prefix("w/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", path),
    };
    let tenant = headers.get("securitytenant").and_then(|value| value.to_str().ok()).unwrap_or("private");
    let place = [tenant.to_owned(), workspace.to_owned()];
    if method != Method::GET && !headers.contains_key("osd-xsrf") {
        return answer(error(400, "Request must contain a osd-xsrf header."));
    }
    if path == "api/saved_objects/_find" {
        return answer((200, json!({"page": 1, "per_page": 1, "total": 0, "saved_objects": []})));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match (method.as_str(), path) {
        ("POST", "api/saved_objects/_bulk_get") => return answer(bulk_get(&held, &place, &body)),
        ("POST", "api/saved_objects/_bulk_create") => {
            held.writes.push(format!("{method} {path}"));
            let overwrites = uri.query().is_some_and(|query| query.contains("overwrite=true"));
            return answer(bulk_create(&mut held, &place, &body, overwrites));
        }
        _ => {}
    }
    let parts: Vec<&str> = path.split('/').collect();
    let ["api", "saved_objects", kind, id] = parts.as_slice() else {
        held.complaints.insert(format!("unknown: {method} {path}"));
        return answer(error(404, "Not Found"));
    };
    if !MIGRATIONS.iter().any(|(known, _)| known == kind) {
        return answer(error(400, format!("Unsupported saved object type: '{kind}'")));
    }
    let [tenant, workspace] = place;
    let key = [tenant, workspace, (*kind).to_owned(), (*id).to_owned()];
    if method != Method::GET {
        held.writes.push(format!("{method} {path}"));
    }
    answer(match method {
        Method::GET => match held.objects.get(&key) {
            Some(object) => (200, object.clone()),
            None => error(404, format!("Saved object [{kind}/{id}] not found")),
        },
        Method::POST => {
            let overwrites = uri.query().is_some_and(|query| query.contains("overwrite=true"));
            store(&mut held, key, body, overwrites)
        }
        Method::DELETE => match held.objects.remove(&key) {
            Some(_) => (200, json!({})),
            None => error(404, "not found"),
        },
        _ => error(405, "unknown method"),
    })
}

/// Each object, or the error in its place.
fn bulk_get(held: &Held, [tenant, workspace]: &[String; 2], wanted: &Value) -> Answer {
    let found = wanted.as_array().unwrap().iter().map(|wanted| {
        let text = |name: &str| wanted[name].as_str().unwrap().to_owned();
        let key = [tenant.clone(), workspace.clone(), text("type"), text("id")];
        held.objects.get(&key).cloned().unwrap_or_else(|| {
            let message = format!("Saved object [{}/{}] not found", text("type"), text("id"));
            json!({"type": wanted["type"], "id": wanted["id"],
                   "error": {"statusCode": 404, "error": "Not Found", "message": message}})
        })
    });
    (200, json!({"saved_objects": found.collect::<Vec<_>>()}))
}

/// Nothing is stored when one of the objects cannot be migrated; another refusal is one of its object alone.
fn bulk_create(
    held: &mut Held,
    [tenant, workspace]: &[String; 2],
    objects: &Value,
    overwrites: bool,
) -> Answer {
    let objects = objects.as_array().unwrap();
    if let Some(newer) = objects.iter().find(|object| is_too_new(object["type"].as_str().unwrap(), object)) {
        return error(
            422,
            format!("{} belongs to a more recent version of OpenSearch Dashboards", newer["id"]),
        );
    }
    let mut stored = Vec::new();
    for object in objects {
        let text = |name: &str| object[name].as_str().unwrap().to_owned();
        let key = [tenant.clone(), workspace.clone(), text("type"), text("id")];
        let mut body = object.clone();
        body.as_object_mut().unwrap().retain(|name, _| name != "type" && name != "id");
        let (status, answer) = if held.unwritable.contains(&text("id")) {
            error(409, "version conflict")
        } else {
            store(held, key, body, overwrites)
        };
        stored.push(match status {
            200 => answer,
            _ => json!({"type": object["type"], "id": object["id"],
                        "error": {"statusCode": status, "message": answer["error"]["reason"]}}),
        });
    }
    (200, json!({"saved_objects": stored}))
}

fn is_too_new(kind: &str, body: &Value) -> bool {
    let Some((_, highest)) = MIGRATIONS.iter().find(|(known, _)| *known == kind) else { return false };
    let named = body["migrationVersion"][kind].as_str().unwrap_or("0.0.0");
    let named: Vec<u32> = named.split('.').map(|part| part.parse().unwrap()).collect();
    named > highest.to_vec()
}

fn store(held: &mut Held, key: [String; 4], body: Value, overwrites: bool) -> Answer {
    let [tenant, workspace, kind, id] = &key;
    if held.objects.contains_key(&key) && !overwrites {
        return error(409, "version conflict, document already exists");
    }
    let known = ["attributes", "references", "migrationVersion", "workspaces", "initialNamespaces"];
    if let Some(name) = body.as_object().unwrap().keys().find(|name| !known.contains(&name.as_str())) {
        return error(400, format!("[request body.{name}]: definition for this key is missing"));
    }
    if is_too_new(kind, &body) {
        return error(422, "belongs to a more recent version of OpenSearch Dashboards");
    }
    for reference in body["references"].as_array().into_iter().flatten() {
        let text = |name: &str| reference[name].as_str().unwrap_or_default().to_owned();
        let target = [tenant.clone(), workspace.clone(), text("type"), text("id")];
        if !held.objects.contains_key(&target) {
            held.complaints.insert(format!("{kind} {id} names {target:?}, which is not there"));
        }
    }
    let mut stored = body;
    stored["id"] = json!(id);
    stored["type"] = json!(kind);
    stored["updated_at"] = json!("2026-11-20T12:00:00.000Z");
    stored["version"] = json!("WzEsMV0=");
    stored["namespaces"] = json!(["default"]);
    held.objects.insert(key, stored.clone());
    (200, stored)
}
