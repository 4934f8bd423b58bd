//! OpenSearch Dashboards: its saved objects, through its own API, credentials, tenant and workspace.

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::object::Object;
use super::remote::accepted;
use super::{SetupError, refused};
use crate::config::{AuthKind, DashboardsConfig, SinkConfig};
use crate::sink::{Method, OpenSearch, OpenSearchError};

/// A client of one Dashboards. It speaks HTTP as OpenSearch does, so the same client carries it.
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
        let password = match (&config.password, &config.password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    refused(format!("dashboards.password_file: cannot read {}: {error}", path.display()))
                })?;
                Some(SecretString::from(text.trim_end_matches(['\r', '\n'])))
            }
            (None, None) => None,
        };
        let connection = SinkConfig {
            url: with_slash(url),
            auth: if config.username.is_some() { AuthKind::Basic } else { AuthKind::None },
            username: config.username.clone(),
            password,
            ca_file: config.ca_file.clone(),
            danger_accept_invalid_certificates: config.danger_accept_invalid_certificates,
            ..SinkConfig::default()
        };
        let client = OpenSearch::of_dashboards(&connection)
            .map_err(|error| refused(error.to_string().replace("sink.", "dashboards.")))?;
        let headers = vec![("osd-xsrf", "true".to_owned()), ("securitytenant", config.tenant.clone())];
        let prefix = config.workspace.as_ref().map_or_else(String::new, |id| format!("w/{id}/"));
        Ok(Some(Self { client, prefix, headers }))
    }

    /// Asks for something that needs the address, the credentials, the tenant and the workspace to be right.
    pub async fn probe(&self) -> Result<(), SetupError> {
        let path = format!("{}api/saved_objects/_find?type=index-pattern&per_page=1", self.prefix);
        let answer = match self.client.request_with(Method::Get, &path, &self.headers, None).await {
            Err(OpenSearchError::Redirected { status, target, .. }) => {
                return Err(SetupError::Dashboards { problem: redirected(status, &target) });
            }
            // What else it is names Dashboards already.
            Err(error) => return Err(SetupError::Dashboards { problem: error.to_string() }),
            Ok(answer) => answer,
        };
        if answer.status != 200 {
            return Err(refused("OpenSearch Dashboards".to_owned(), &answer));
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(page) if page["saved_objects"].is_array() => Ok(()),
            _ => Err(SetupError::Dashboards {
                problem: "dashboards.url: who answers there is not OpenSearch Dashboards, or sends to a page to log in"
                    .to_owned(),
            }),
        }
    }

    pub async fn find(&self, object: &Object) -> Result<Option<Value>, SetupError> {
        let answer = self.client.request_with(Method::Get, &self.path(object), &self.headers, None).await?;
        if answer.status == 404 { Ok(None) } else { accepted(object, &answer).map(without_address).map(Some) }
    }

    /// Writes an object and answers what Dashboards made of it.
    pub async fn write(&self, object: &Object) -> Result<Value, SetupError> {
        let path = format!("{}?overwrite=true", self.path(object));
        let body = Some(Bytes::from(object.body.to_string()));
        let answer = self.client.request_with(Method::Post, &path, &self.headers, body).await?;
        accepted(object, &answer)
    }

    pub async fn remove(&self, object: &Object) -> Result<(), SetupError> {
        let answer =
            self.client.request_with(Method::Delete, &self.path(object), &self.headers, None).await?;
        accepted(object, &answer).map(|_| ())
    }

    fn path(&self, object: &Object) -> String {
        format!("{}api/saved_objects/{}/{}", self.prefix, object.kind.name(), object.id)
    }
}

fn redirected(status: u16, target: &str) -> String {
    format!(
        "dashboards.url: it redirects ({status}) to {target}, as a single sign-on does; name an address that takes basic authentication, such as the one behind the proxy, and set dashboards.username and password_file"
    )
}

/// A path in the address, such as `/_dashboards`, stays in front only when it ends with a slash.
fn with_slash(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The saved object without the address that Dashboards itself writes into the formats of an index pattern when somebody
/// opens it, which is no person's edit.
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
    use serde_json::json;

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
