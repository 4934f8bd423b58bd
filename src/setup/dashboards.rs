//! Reads and writes saved objects of OpenSearch Dashboards through its API.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::answer::{SetupError, accepted, refused};
use super::object::Object;
use crate::config::{AuthKind, DashboardsConfig, SinkConfig};
use crate::opensearch::{Answer, Method, OpenSearch, OpenSearchError};

/// Bytes of the objects in one request. Dashboards refuses a request of more than 1 MiB unless it is told otherwise.
const BYTES_AT_ONCE: usize = 512 << 10;
/// Objects that one request asks for.
const ASKED_AT_ONCE: usize = 500;
/// Removals that wait at once. Dashboards has no request that removes several, and lets each wait up to a second until
/// searches see it.
const REMOVALS_AT_ONCE: usize = 32;

/// A client of one Dashboards, through the HTTP client for OpenSearch.
#[derive(Clone)]
pub struct Dashboards {
    client: OpenSearch,
    /// `w/ID/` in a workspace.
    prefix: String,
    headers: Vec<(&'static str, String)>,
}

impl Dashboards {
    /// None where the configuration names no address.
    pub fn new(config: &DashboardsConfig) -> Result<Option<Self>, SetupError> {
        let Some(url) = &config.url else { return Ok(None) };
        let refused = |problem: String| SetupError::Dashboards { problem };
        let connection = SinkConfig {
            url: url.clone(),
            auth: if config.username.is_some() { AuthKind::Basic } else { AuthKind::None },
            username: config.username.clone(),
            password: config.password.clone(),
            password_file: config.password_file.clone(),
            ca_file: config.ca_file.clone(),
            danger_accept_invalid_certificates: config.danger_accept_invalid_certificates,
            ..SinkConfig::default()
        };
        let client =
            OpenSearch::of_section("dashboards", &connection).map_err(|error| refused(error.to_string()))?;
        let headers = vec![("osd-xsrf", "true".to_owned()), ("securitytenant", config.tenant.clone())];
        let prefix = config.workspace.as_ref().map_or_else(String::new, |id| format!("w/{id}/"));
        Ok(Some(Self { client, prefix, headers }))
    }

    /// Checks the address, the credentials, the tenant and the workspace with one request.
    pub async fn probe(&self) -> Result<(), SetupError> {
        let path = format!("{}api/saved_objects/_find?type=index-pattern&per_page=1", self.prefix);
        let answer = match self.client.request_with(Method::GET, &path, &self.headers, None).await {
            Err(OpenSearchError::Redirected { status, target, .. }) => {
                return Err(SetupError::Dashboards { problem: redirected(status, &target) });
            }
            // Other errors name Dashboards already.
            Err(error) => return Err(SetupError::Dashboards { problem: error.to_string() }),
            Ok(answer) => answer,
        };
        if answer.status != 200 {
            return Err(refused("OpenSearch Dashboards".to_owned(), &answer));
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(page) if page["saved_objects"].is_array() => Ok(()),
            _ => Err(SetupError::Dashboards {
                problem: "dashboards.url: the server there is not OpenSearch Dashboards, or it redirects to a login page"
                    .to_owned(),
            }),
        }
    }

    /// Finds these objects, in their order.
    pub async fn find(&self, objects: &[Object]) -> Result<Vec<Option<Value>>, SetupError> {
        let mut found = Vec::with_capacity(objects.len());
        for some in objects.chunks(ASKED_AT_ONCE) {
            let wanted: Value =
                some.iter().map(|object| json!({"type": object.kind.name(), "id": object.id})).collect();
            let answer = self.post("_bulk_get", &wanted).await?;
            let Some(first) = some.first() else { continue };
            let mut answered = answered(accepted(first, &answer)?);
            for object in some {
                match answered.remove(&key(object)) {
                    None => found.push(None),
                    Some(there) => match problem(&there) {
                        None => found.push(Some(without_address(there))),
                        Some(404) => found.push(None),
                        Some(status) => return Err(refused_object(object, status, &there)),
                    },
                }
            }
        }
        Ok(found)
    }

    /// Writes or overwrites objects, and returns what Dashboards made of each. Objects after a refusal that concerns
    /// all have no result.
    pub async fn write(&self, objects: &[&Object]) -> Vec<Result<Value, SetupError>> {
        let mut written = Vec::with_capacity(objects.len());
        for some in in_requests(objects) {
            let bodies: Value = some.iter().map(|object| body(object)).collect();
            let answer = match self.post("_bulk_create?overwrite=true", &bodies).await {
                Ok(answer) => answer,
                Err(error) => {
                    written.push(Err(error));
                    return written;
                }
            };
            match answer.status {
                200 => {
                    let answer = serde_json::from_slice(&answer.body).unwrap_or_default();
                    let mut answered = answered(answer);
                    written.extend(some.iter().map(|object| {
                        let there = answered.remove(&key(object)).unwrap_or_default();
                        match problem(&there) {
                            None if there.is_object() => Ok(there),
                            None => Err(SetupError::Lost { object: object.to_string() }),
                            Some(status) => Err(refused_object(object, status, &there)),
                        }
                    }));
                }
                401 | 403 | 502.. => {
                    written.push(accepted(some[0], &answer));
                    return written;
                }
                // One object that this version of Dashboards does not support fails the whole request.
                _ => {
                    for object in some {
                        written.push(self.write_alone(object).await);
                    }
                }
            }
        }
        written
    }

    async fn write_alone(&self, object: &Object) -> Result<Value, SetupError> {
        let path = format!("{}?overwrite=true", path(object));
        accepted(object, &self.post(&path, &object.body).await?)
    }

    /// Removes objects, several at a time, and answers for each; one that is gone already is removed.
    pub async fn remove(&self, objects: &[Object]) -> Vec<Result<(), SetupError>> {
        let mut removed = Vec::with_capacity(objects.len());
        for some in objects.chunks(REMOVALS_AT_ONCE) {
            let mut running = JoinSet::new();
            for (place, object) in some.iter().cloned().enumerate() {
                let dashboards = self.clone();
                running.spawn(async move { (place, dashboards.remove_alone(&object).await) });
            }
            let mut done = running.join_all().await;
            done.sort_by_key(|(place, _)| *place);
            removed.extend(done.into_iter().map(|(_, result)| result));
        }
        removed
    }

    async fn remove_alone(&self, object: &Object) -> Result<(), SetupError> {
        let path = format!("{}api/saved_objects/{}", self.prefix, path(object));
        let answer = self.client.request_with(Method::DELETE, &path, &self.headers, None).await?;
        if answer.status == 404 { Ok(()) } else { accepted(object, &answer).map(|_| ()) }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, SetupError> {
        let path = format!("{}api/saved_objects/{path}", self.prefix);
        let body = Some(Bytes::from(body.to_string()));
        Ok(self.client.request_with(Method::POST, &path, &self.headers, body).await?)
    }
}

fn path(object: &Object) -> String {
    format!("{}/{}", object.kind.name(), object.id)
}

/// The object as a request for several takes it.
fn body(object: &Object) -> Value {
    let mut body = object.body.clone();
    body["type"] = json!(object.kind.name());
    body["id"] = json!(object.id);
    body
}

/// The objects in as few requests as their bytes allow.
fn in_requests<'o>(objects: &[&'o Object]) -> Vec<Vec<&'o Object>> {
    let mut requests: Vec<Vec<&Object>> = Vec::new();
    let mut bytes = BYTES_AT_ONCE;
    for object in objects {
        let more = body(object).to_string().len() + 1;
        if bytes + more > BYTES_AT_ONCE {
            requests.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        requests.last_mut().expect("the first object begins a request").push(object);
    }
    requests
}

/// What an answer says of each object, by type and id.
fn answered(mut answer: Value) -> BTreeMap<(String, String), Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = answer["saved_objects"].as_array_mut().map(std::mem::take).unwrap_or_default();
    objects.into_iter().map(|object| ((text(&object["type"]), text(&object["id"])), object)).collect()
}

fn key(object: &Object) -> (String, String) {
    (object.kind.name().to_owned(), object.id.clone())
}

/// The status with which Dashboards refuses one object among several.
fn problem(there: &Value) -> Option<u16> {
    let error = there.get("error")?;
    Some(error["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500))
}

fn refused_object(object: &Object, status: u16, there: &Value) -> SetupError {
    let body = there["error"]["message"].as_str().unwrap_or("no reason was given").to_owned();
    SetupError::Object { object: object.to_string(), status, body }
}

fn redirected(status: u16, target: &str) -> String {
    format!(
        "dashboards.url: it redirects ({status}) to {target}, as a single sign-on does; name an address that takes basic authentication, such as the one behind the proxy, and set dashboards.username and password_file"
    )
}

/// The saved object without the address that Dashboards itself writes into an index pattern when a person opens it,
/// because that is not an edit.
fn without_address(mut found: Value) -> Value {
    let Some(Value::String(text)) = found.pointer_mut("/attributes/fieldFormatMap") else { return found };
    if let Ok(Value::Object(mut formats)) = serde_json::from_str(text) {
        for format in formats.values_mut() {
            if let Some(params) = format.get_mut("params").and_then(Value::as_object_mut) {
                params.shift_remove("parsedUrl");
            }
        }
        *text = Value::Object(formats).to_string();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_dashboards_adds_to_formats_is_no_edit_and_another_pattern_is() {
        let object = |formats: &str| json!({"attributes": {"title": "t", "fieldFormatMap": formats}});
        let ours = object(r#"{"a":{"id":"date","params":{"pattern":"YYYY"}},"b":{"id":"url","params":{}}}"#);
        let opened = object(
            r#"{"a":{"id":"date","params":{"parsedUrl":{"origin":"http://x"},"pattern":"YYYY"}},"b":{"id":"url","params":{"parsedUrl":{}}}}"#,
        );
        let edited = object(r#"{"a":{"id":"date","params":{"pattern":"YY"}},"b":{"id":"url","params":{}}}"#);
        assert_eq!(without_address(opened), ours);
        assert_ne!(without_address(edited), ours);
        let other = json!({"attributes": {"title": "t"}});
        assert_eq!(without_address(other.clone()), other);
    }
}
