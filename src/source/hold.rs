//! The hold: what keeps a message hidden from other receivers while it is worked on.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::queue::{Message, Queue, QueueError};
use crate::metrics::{Metrics, Renewal};

/// Drives `work` to its end and renews the message's visibility at half its timeout, from the receipt on.
///
/// Both are polled by the caller's task and dropped together with this future, so nothing is renewed that nobody works
/// on any more. A renewal that hangs or fails leaves the work alone. Work that computes for long must do so on another
/// thread: while it blocks this task, nothing is renewed.
pub async fn hold<F: Future>(queue: &Queue, message: &Message, metrics: &Metrics, work: F) -> F::Output {
    let visibility = Visibility { timeout: queue.visibility_timeout(), since: message.received_at };
    let renewing = renew_for_ever(visibility, &message.id, metrics, || queue.renew(&message.receipt));
    tokio::select! {
        biased;
        output = work => output,
        never = renewing => match never {},
    }
}

/// How long a message stays hidden, and from when on.
#[derive(Clone, Copy)]
struct Visibility {
    timeout: Duration,
    since: Instant,
}

impl Visibility {
    /// The first renewal comes when half of the time is over…
    fn first_due(self) -> Instant {
        self.since + self.timeout / 2
    }

    /// …and may take a quarter…
    fn patience(self) -> Duration {
        self.timeout / 4
    }

    /// …so that after a pause a second attempt still fits into the last quarter.
    fn pause_after_failure(self) -> Duration {
        self.timeout / 16
    }
}

async fn renew_for_ever<R>(
    visibility: Visibility,
    message_id: &str,
    metrics: &Metrics,
    renew: impl Fn() -> R,
) -> Infallible
where
    R: Future<Output = Result<(), QueueError>>,
{
    let mut due = visibility.first_due();
    let mut logged = false;
    loop {
        time::sleep_until(due).await;
        let asked_at = Instant::now();
        let failure = match time::timeout(visibility.patience(), renew()).await {
            Ok(Ok(())) => {
                metrics.visibility_renewed(Renewal::Renewed);
                due = asked_at + visibility.timeout / 2;
                continue;
            }
            Ok(Err(error)) => Some(error),
            Err(_elapsed) => None,
        };
        metrics.visibility_renewed(Renewal::Failed);
        if !logged {
            logged = true;
            let error = failure.as_ref().map_or("no answer in time".to_owned(), ToString::to_string);
            tracing::warn!(message_id, error, "a message's visibility was not renewed");
        }
        if matches!(failure, Some(QueueError::Gone { .. })) {
            return std::future::pending().await;
        }
        due = Instant::now() + visibility.pause_after_failure();
    }
}
