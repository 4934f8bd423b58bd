//! Why there is no client of OpenSearch, or no answer to a request.

use std::path::PathBuf;
use std::sync::Arc;

/// Why there is no client, or no answer. It names the operation and the host, and never a secret.
#[derive(Debug, thiserror::Error)]
pub enum OpenSearchError {
    #[error("{key}: cannot read {}: {source}", path.display())]
    ReadFile { key: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{key}: {problem}")]
    Configure { key: &'static str, problem: String },
    #[error(
        "OpenSearch Serverless is not supported: its time series collections refuse ids, so that a redelivered record would be stored twice, and it has neither retention policies nor alerting; use a managed domain"
    )]
    Serverless,
    #[error("{operation} at {host}: no answer in time")]
    TimedOut { operation: String, host: Arc<str> },
    #[error("{operation} at {host}: {problem}")]
    NoAnswer { operation: String, host: Arc<str>, problem: String },
    #[error("{operation} at {host}: status {status}")]
    Status { operation: String, host: Arc<str>, status: u16 },
    #[error(
        "{operation} at {host}: it was redirected ({status}) to {target}, which is not followed; put the address of the cluster itself into the configuration, and let no login page or other redirect stand before it"
    )]
    Redirected { operation: String, host: Arc<str>, status: u16, target: String },
    #[error("{operation} at {host}: status {status}: {advice}")]
    Denied { operation: String, host: Arc<str>, status: u16, advice: String },
    #[error(
        "{operation} at {host}: the answer is not that of OpenSearch; see whether another server or a page to log in answers there"
    )]
    Unexpected { operation: String, host: Arc<str> },
}
