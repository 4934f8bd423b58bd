//! Asks once a minute how many messages wait in the queue and its dead-letter queue, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::queue::{DeadLetterQueue, Queue, QueueError};
use crate::labels::QueueKind;
use crate::metrics::Metrics;

/// Alerts look at minutes, and SQS itself counts roughly.
const PAUSE: Duration = Duration::from_mins(1);

/// Updates the metrics until dropped. A queue whose attributes are denied has no number, which is logged once.
pub async fn watch(queue: Queue, dead_letters: Option<DeadLetterQueue>, metrics: Arc<Metrics>) {
    let mut source = Depth { kind: QueueKind::Source, is_told: false };
    let mut dead = Depth { kind: QueueKind::DeadLetter, is_told: false };
    loop {
        source.note(queue.depth().await, &metrics);
        if let Some(queue) = &dead_letters {
            dead.note(queue.depth().await, &metrics);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Depth {
    kind: QueueKind,
    is_told: bool,
}

impl Depth {
    fn note(&mut self, depth: Result<u64, QueueError>, metrics: &Metrics) {
        metrics.queue_holds(self.kind, depth.as_ref().ok().copied());
        match depth {
            Ok(_) => self.is_told = false,
            Err(error) if !self.is_told => {
                self.is_told = true;
                info!(%error, "cannot read how many messages wait in a queue, so sagetrail_queue_messages is absent for it");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_that_cannot_be_known_has_no_series_and_one_that_can_has() {
        let metrics = Metrics::new();
        let mut depth = Depth { kind: QueueKind::DeadLetter, is_told: false };
        let series = |metrics: &Metrics| metrics.expose().contains("sagetrail_queue_messages{");
        assert!(!series(&metrics));
        depth.note(Ok(3), &metrics);
        assert!(metrics.expose().contains(r#"sagetrail_queue_messages{queue="dead_letter"} 3"#));
        depth.note(Err(QueueError::NoVisibility { url: "u".into() }), &metrics);
        assert!(!series(&metrics));
    }
}
