//! Why there is no client of an Alertmanager, or why one did not take something.

/// Why an Alertmanager was not handed something, or cannot be. It names the channel and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channels.{channel}: {problem}")]
pub struct AlertmanagerError {
    pub channel: String,
    pub problem: String,
}
