//! What an operator tells a running daemon, and how its tasks are waited for at the end.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// What each of the last steps of a stop may take after the grace time: giving messages back, answering requests.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The signals of an operator to a running daemon.
pub struct Control {
    /// Each loads the rules again.
    pub hangups: Signal,
    pub stop: CancellationToken,
}

pub(super) async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

pub(super) async fn within_closing_time<F: Future>(part: &'static str, end: F) {
    if timeout(CLOSING_TIME, end).await.is_err() {
        warn!(part, "a task did not stop in time; the queue delivers its messages again");
    }
}
