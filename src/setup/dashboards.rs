//! OpenSearch Dashboards: its saved objects, through its own API, credentials, tenant and workspace.

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::SetupError;
use super::object::Object;
use super::remote::accepted;
use crate::config::{AuthKind, DashboardsConfig, SinkConfig};
use crate::sink::{Method, OpenSearch};

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
        let client = OpenSearch::new(&connection, None)
            .map_err(|error| refused(error.to_string().replace("sink.", "dashboards.")))?;
        let mut headers = vec![("osd-xsrf", "true".to_owned())];
        headers.extend(config.tenant.clone().map(|tenant| ("securitytenant", tenant)));
        let prefix = config.workspace.as_ref().map_or_else(String::new, |id| format!("w/{id}/"));
        Ok(Some(Self { client, prefix, headers }))
    }

    pub async fn find(&self, object: &Object) -> Result<Option<Value>, SetupError> {
        let answer = self.client.request_with(Method::Get, &self.path(object), &self.headers, None).await?;
        if answer.status == 404 { Ok(None) } else { accepted(object, &answer).map(Some) }
    }

    pub async fn write(&self, object: &Object) -> Result<(), SetupError> {
        let path = format!("{}?overwrite=true", self.path(object));
        let body = Some(Bytes::from(object.body.to_string()));
        let answer = self.client.request_with(Method::Post, &path, &self.headers, body).await?;
        accepted(object, &answer).map(|_| ())
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

/// A path in the address, such as `/_dashboards`, stays in front only when it ends with a slash.
fn with_slash(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// One saved object as a line of the file that Dashboards imports.
pub fn export_line(object: &Object) -> String {
    let mut line = json!({"id": object.id, "type": object.kind.name()});
    for member in ["attributes", "references", "migrationVersion"] {
        line[member] = object.body[member].clone();
    }
    format!("{line}\n")
}
