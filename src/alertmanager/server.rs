//! One Alertmanager: the requests to its API.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::alert::Alert;
use super::error::AlertmanagerError;
use crate::config::{AlertmanagerConfig, AuthKind, SinkConfig};
use crate::opensearch::{Answer, Method, OpenSearch};

/// Alerts in one request.
pub(super) const ALERTS_AT_ONCE: usize = 200;
/// A round of the correlator waits for this, and one that does not answer may not hold it up for long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Characters of an answer that are shown.
const SHOWN: usize = 300;

pub(super) struct Server {
    name: String,
    /// The client for OpenSearch, as this is a server of JSON over HTTP as well.
    client: OpenSearch,
    token: Token,
}

enum Token {
    None,
    Text(SecretString),
    /// Read for each request, because tokens of Kubernetes are exchanged each hour.
    File(PathBuf),
}

impl Server {
    pub(super) fn new(name: &str, config: &AlertmanagerConfig) -> Result<Self, AlertmanagerError> {
        let connection = SinkConfig {
            url: config.url.clone(),
            auth: if config.username.is_some() { AuthKind::Basic } else { AuthKind::None },
            username: config.username.clone(),
            password: config.password.clone(),
            password_file: config.password_file.clone(),
            ca_file: config.ca_file.clone(),
            danger_accept_invalid_certificates: config.danger_accept_invalid_certificates,
            request_timeout: PATIENCE,
            ..SinkConfig::default()
        };
        let client = OpenSearch::of_section(&format!("channels.{name}"), &connection)
            .map_err(|error| of(name, &error.to_string()))?;
        let token = match (&config.bearer_token, &config.bearer_token_file) {
            (Some(token), _) => Token::Text(token.clone()),
            (None, Some(path)) => Token::File(path.clone()),
            (None, None) => Token::None,
        };
        Ok(Self { name: name.to_owned(), client, token })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn error(&self, problem: &str) -> AlertmanagerError {
        of(&self.name, problem)
    }

    /// Uses what the files hold now that its section names.
    pub(super) async fn renew(&self) {
        self.client.renew().await;
    }

    /// Hands over some alerts, all or none.
    pub(super) async fn post(&self, alerts: &[Alert]) -> Result<(), AlertmanagerError> {
        let body = serde_json::to_vec(alerts).expect("alerts are texts");
        self.ask(Method::POST, "api/v2/alerts", Some(body.into())).await.map(|_| ())
    }

    /// The ids of the incidents that it holds.
    pub(super) async fn held(&self) -> Result<Vec<String>, AlertmanagerError> {
        let path = "api/v2/alerts?filter=incident%3D~%22.%2B%22";
        let answer = self.ask(Method::GET, path, None).await?;
        let Ok(alerts) = serde_json::from_slice::<Vec<Value>>(&answer.body) else {
            return Err(self.error("the answer is not from an Alertmanager; check what answers at its url"));
        };
        let id = |alert: &Value| alert["labels"]["incident"].as_str().map(str::to_owned);
        Ok(alerts.iter().filter_map(id).collect())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, AlertmanagerError> {
        let headers = match self.token().await? {
            Some(token) => vec![("authorization", format!("Bearer {}", token.expose_secret()))],
            None => Vec::new(),
        };
        let answer = self.client.request_with(method, path, &headers, body).await;
        let answer = answer.map_err(|error| self.error(&error.to_string()))?;
        match answer.status {
            200..=299 => Ok(answer),
            401 | 403 => {
                Err(self
                    .error(&format!("status {}: check its token, or username and password", answer.status)))
            }
            status => {
                let said: String = String::from_utf8_lossy(&answer.body).chars().take(SHOWN).collect();
                Err(self.error(&format!("status {status}: {}", said.trim())))
            }
        }
    }

    async fn token(&self) -> Result<Option<SecretString>, AlertmanagerError> {
        match &self.token {
            Token::None => Ok(None),
            Token::Text(token) => Ok(Some(token.clone())),
            Token::File(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                    self.error(&format!("bearer_token_file: cannot read {}: {error}", path.display()))
                })?;
                Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
            }
        }
    }
}

fn of(channel: &str, problem: &str) -> AlertmanagerError {
    AlertmanagerError { channel: channel.to_owned(), problem: problem.to_owned() }
}
