//! The deleter: the one task that deletes finished messages, many with one request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::backoff::full_jitter;
use super::queue::{BATCH, DeleteOutcome, Queue, QueueError, Receipt};
use crate::metrics::Metrics;

/// Receipts that wait for the task: a few batches. A full channel makes [`Deleter::delete`] wait.
const WAITING: usize = 4 * BATCH;
/// A batch that is not full waits this long for more: short beside a delivery, long beside a request.
const LINGER: Duration = Duration::from_millis(100);
/// Requests for one message, the first included, before it is left to be delivered again.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Hands receipts to the task. Cloning it is cheap; the task ends when the last clone is gone.
#[derive(Clone)]
pub struct Deleter {
    waiting: mpsc::Sender<Deletion>,
}

/// The message was not deleted; the deleter has logged and counted why. It will be delivered again, and everything
/// in it will be found to be stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message was not deleted and will be delivered again")]
pub struct NotDeleted;

/// Starts the task. Dropping every [`Deleter`] makes it delete what still waits and end; its owner joins it then.
pub fn start(queue: Queue, metrics: Arc<Metrics>) -> (Deleter, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let task = tokio::spawn(async move {
        run(receiver, &metrics, |receipts| queue.delete(receipts)).await;
    });
    (Deleter { waiting: sender }, task)
}

impl Deleter {
    /// Waits for room, then for the outcome.
    pub async fn delete(&self, receipt: Receipt) -> Result<(), NotDeleted> {
        let (answer, outcome) = oneshot::channel();
        self.waiting.send(Deletion { receipt, answer }).await.map_err(|_| NotDeleted)?;
        outcome.await.unwrap_or(Err(NotDeleted))
    }
}

struct Deletion {
    receipt: Receipt,
    /// Nobody may be listening any more; the message is deleted all the same.
    answer: oneshot::Sender<Result<(), NotDeleted>>,
}

async fn run<R>(mut waiting: mpsc::Receiver<Deletion>, metrics: &Metrics, delete: impl Fn(Vec<Receipt>) -> R)
where
    R: Future<Output = Result<Vec<DeleteOutcome>, QueueError>>,
{
    while let Some(first) = waiting.recv().await {
        let mut batch = vec![first];
        let flush_at = Instant::now() + LINGER;
        while batch.len() < BATCH
            && let Ok(Some(next)) = time::timeout_at(flush_at, waiting.recv()).await
        {
            batch.push(next);
        }
        flush(batch, metrics, &delete).await;
    }
}

/// Deletes a batch. Entries that failed for the queue's own reasons are asked again; the rest is answered at once.
async fn flush<R>(mut batch: Vec<Deletion>, metrics: &Metrics, delete: &impl Fn(Vec<Receipt>) -> R)
where
    R: Future<Output = Result<Vec<DeleteOutcome>, QueueError>>,
{
    for attempt in 1.. {
        let receipts = batch.iter().map(|deletion| deletion.receipt.clone()).collect();
        let outcomes = match delete(receipts).await {
            Ok(outcomes) => outcomes,
            // The SDK has repeated the request already.
            Err(error) => return give_up(batch, metrics, &error.to_string()),
        };
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        let mut reason = String::new();
        for (deletion, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                DeleteOutcome::Deleted => deletion.settle(Ok(())),
                DeleteOutcome::Failed(why) => {
                    reason = why;
                    failed.push(deletion);
                }
                DeleteOutcome::Refused(why) => {
                    reason = why;
                    refused.push(deletion);
                }
            }
        }
        if attempt == ATTEMPTS {
            refused.append(&mut failed);
        }
        give_up(refused, metrics, &reason);
        if failed.is_empty() {
            return;
        }
        batch = failed;
        time::sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, attempt - 1)).await;
    }
}

fn give_up(batch: Vec<Deletion>, metrics: &Metrics, reason: &str) {
    if batch.is_empty() {
        return;
    }
    tracing::warn!(messages = batch.len(), reason, "messages were not deleted and will be delivered again");
    for deletion in batch {
        metrics.delete_failed();
        deletion.settle(Err(NotDeleted));
    }
}

impl Deletion {
    fn settle(self, outcome: Result<(), NotDeleted>) {
        // A receiver that went away has no use for the outcome.
        let _ = self.answer.send(outcome);
    }
}
