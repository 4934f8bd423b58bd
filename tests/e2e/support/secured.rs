//! The OpenSearch that asks who somebody is, and whoever may do everything there.

use std::time::Duration;

use serde_json::Value;

use super::eventually;

/// How long the security plugin is asked again when somebody else has changed its users or roles meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Secured {
    pub url: String,
    pub ca: String,
    pub user: String,
    pub password: String,
    http: reqwest::Client,
}

impl Secured {
    /// The running server, or none; whether the servers run at all is said by `Stack`.
    pub fn running() -> Option<Self> {
        let variable = |name: &str| {
            std::env::var(format!("SAGETRAIL_TEST_OPENSEARCH_SECURE_{name}")).ok().filter(|it| !it.is_empty())
        };
        let ca = variable("CA")?;
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
        let http = reqwest::Client::builder().add_root_certificate(certificate).build().unwrap();
        let (url, user, password) = (variable("URL")?, variable("USER")?, variable("PASSWORD")?);
        Some(Self { url, ca, user, password, http })
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url);
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// Changes users, roles or who has them. The plugin keeps all of a kind in one document, so changes of tests that
    /// run side by side can conflict.
    pub async fn secure(&self, method: &str, path: &str, body: Value) {
        let path = format!("_plugins/_security/api/{path}");
        eventually(PATIENCE, async || {
            let (status, answer) = self.ask(method, &path, Some(body.clone())).await;
            match status {
                200 | 201 => Ok(()),
                409 => Err(format!("{path}: somebody else was first each time")),
                _ => panic!("{path}: {status} {answer}"),
            }
        })
        .await;
    }
}
