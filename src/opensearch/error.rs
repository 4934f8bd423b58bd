//! Why there is no client of OpenSearch, or no answer to a request.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// Why there is no client, or no answer. It names the operation and the host, and never a secret.
#[derive(Debug, thiserror::Error)]
pub enum OpenSearchError {
    #[error("{key}: cannot read {}: {source}", path.display())]
    ReadFile { key: Cow<'static, str>, path: PathBuf, source: std::io::Error },
    #[error("{key}: {problem}")]
    Configure { key: Cow<'static, str>, problem: String },
    #[error(
        "OpenSearch Serverless is not supported: its time series collections take no ids, so redelivered records would be stored twice, and it has neither retention policies nor alerting; use a managed domain"
    )]
    Serverless,
    #[error("{operation} at {host}: no answer in time")]
    TimedOut { operation: String, host: Arc<str> },
    #[error("{operation} at {host}: {problem}")]
    NoAnswer { operation: String, host: Arc<str>, problem: String },
    #[error("{operation} at {host}: status {status}")]
    Status { operation: String, host: Arc<str>, status: u16 },
    #[error(
        "{operation} at {host}: the server redirects ({status}) to {target}, and redirects are not followed; put the cluster's own address into the configuration, without a login page or another redirect before it"
    )]
    Redirected { operation: String, host: Arc<str>, status: u16, target: String },
    #[error("{operation} at {host}: status {status}: {advice}")]
    Denied { operation: String, host: Arc<str>, status: u16, advice: String },
    #[error(
        "{operation} at {host}: the answer is not from OpenSearch; check whether another server or a login page answers there"
    )]
    Unexpected { operation: String, host: Arc<str> },
}

impl OpenSearchError {
    pub(super) fn configure(key: &'static str, problem: impl Into<String>) -> Self {
        Self::Configure { key: key.into(), problem: problem.into() }
    }

    /// Names the section of the configuration before the setting that cannot be used.
    pub(super) fn within(mut self, section: &str) -> Self {
        if let Self::ReadFile { key, .. } | Self::Configure { key, .. } = &mut self {
            let whole = if key.is_empty() { section.to_owned() } else { format!("{section}.{key}") };
            *key = whole.into();
        }
        self
    }
}
