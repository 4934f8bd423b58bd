//! CloudTrail's `ListPublicKeys` on loopback, which moto does not have.
//!
//! It holds the keys of each region with the time of their validity, gives one key with each page, and refuses what
//! CloudTrail would refuse: another operation or protocol, a signature for another service, a time range that is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::verify::signer::Signer;

/// One key, and since when and until when it signs.
pub struct Key {
    fingerprint: &'static str,
    value: String,
    from: OffsetDateTime,
    to: OffsetDateTime,
}

impl Key {
    pub fn of(signer: &Signer, from: OffsetDateTime, to: OffsetDateTime) -> Self {
        Self { fingerprint: signer.fingerprint, value: signer.public_key(), from, to }
    }
}

pub struct KeysApi {
    pub url: String,
    state: Arc<Mutex<Keys>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Keys {
    by_region: BTreeMap<&'static str, Vec<Key>>,
    /// Regions whose API refuses whoever asks.
    closed: Vec<&'static str>,
    /// The region of each request, in order.
    asked: Vec<String>,
    complaints: Vec<String>,
}

impl KeysApi {
    pub async fn serve(by_region: impl IntoIterator<Item = (&'static str, Vec<Key>)>) -> Self {
        let keys = Keys { by_region: by_region.into_iter().collect(), ..Keys::default() };
        let state = Arc::new(Mutex::new(keys));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, state, server }
    }

    /// Lets nobody ask in a region, as one that an account has not opted in to.
    pub fn close(&self, region: &'static str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed.push(region);
    }

    /// The regions that were asked since the last time, one for each page. Fails on what was asked in a wrong way.
    pub fn asked(&self) -> Vec<String> {
        let mut keys = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(keys.complaints, [""; 0]);
        std::mem::take(&mut keys.asked)
    }
}

impl Drop for KeysApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(state): State<Arc<Mutex<Keys>>>, headers: HeaderMap, body: String) -> Response {
    let mut keys = state.lock().unwrap_or_else(PoisonError::into_inner);
    match keys.answer(&headers, &body) {
        Ok(page) => {
            ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], page.to_string()).into_response()
        }
        Err((kind, problem)) => {
            keys.complaints.push(format!("{kind}: {problem}"));
            let body = json!({"__type": kind, "message": problem}).to_string();
            (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body)
                .into_response()
        }
    }
}

impl Keys {
    fn answer(&mut self, headers: &HeaderMap, body: &str) -> Result<Value, (&'static str, String)> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let refuse = |kind, problem: &str| Err((kind, problem.to_owned()));
        // Both are CloudTrail's: SDKs differ in whether they write the whole name of the service.
        if !text("x-amz-target").ends_with("CloudTrail_20131101.ListPublicKeys") {
            return refuse("UnknownOperationException", text("x-amz-target"));
        }
        if text("content-type") != "application/x-amz-json-1.1" {
            return refuse("SerializationException", text("content-type"));
        }
        // AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, …
        let scope: Vec<&str> =
            text("authorization").split([' ', ',']).nth(1).unwrap_or_default().split('/').collect();
        let [_, _, region, "cloudtrail", "aws4_request"] = scope[..] else {
            return refuse("InvalidSignatureException", text("authorization"));
        };
        if self.closed.contains(&region) {
            return refuse(
                "UnrecognizedClientException",
                "the security token included in the request is invalid",
            );
        }
        let request: Value =
            serde_json::from_str(body).map_err(|error| ("SerializationException", error.to_string()))?;
        let time = |name: &str| {
            let seconds =
                request[name].as_i64().ok_or(("InvalidTimeRangeException", format!("no {name}")))?;
            OffsetDateTime::from_unix_timestamp(seconds)
                .map_err(|error| ("InvalidTimeRangeException", error.to_string()))
        };
        let (from, to) = (time("StartTime")?, time("EndTime")?);
        if from > to || to > OffsetDateTime::now_utc() {
            return refuse("InvalidTimeRangeException", &format!("from {from} to {to}"));
        }
        self.asked.push(region.to_owned());
        let known = self.by_region.get(region).map(Vec::as_slice).unwrap_or_default();
        let valid: Vec<&Key> = known.iter().filter(|key| key.from <= to && from <= key.to).collect();
        let place = match &request["NextToken"] {
            Value::Null => 0,
            token => {
                let place = token.as_str().and_then(|token| token.strip_prefix("page-")?.parse().ok());
                let place: usize = place.ok_or(("InvalidTokenException", token.to_string()))?;
                if place == 0 || place >= valid.len() {
                    return refuse("InvalidTokenException", &token.to_string());
                }
                place
            }
        };
        let page: Vec<Value> = valid.get(place).into_iter().map(|key| key.shown()).collect();
        let mut answer = json!({"PublicKeyList": page});
        if place + 1 < valid.len() {
            answer["NextToken"] = json!(format!("page-{}", place + 1));
        }
        Ok(answer)
    }
}

impl Key {
    fn shown(&self) -> Value {
        json!({
            "Value": self.value, "Fingerprint": self.fingerprint,
            "ValidityStartTime": self.from.unix_timestamp(), "ValidityEndTime": self.to.unix_timestamp()
        })
    }
}
