//! Runs the one task that deletes finished messages, many with one request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::queue::{BATCH, DeleteOutcome, Queue, QueueError, Receipt};
use crate::backoff::full_jitter;
use crate::metrics::Metrics;

/// Receipts that wait for the task: a few batches. A full channel makes [`Deleter::delete`] wait.
const WAITING: usize = 4 * BATCH;
/// A batch that is not full waits this long for more: short beside a delivery, long beside a request.
const LINGER: Duration = Duration::from_millis(100);
/// Requests for one message, the first included, before SQS delivers it again.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Sends receipts to the task. Cloning it is cheap; the task ends when the last clone is gone.
#[derive(Clone)]
pub struct Deleter {
    waiting: mpsc::Sender<Deletion>,
}

/// The message was not deleted; the deleter has logged and counted why. It will be delivered again, and everything
/// in it will be found to be stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message was not deleted; SQS delivers it again")]
pub struct NotDeleted;

/// Starts the task. When every [`Deleter`] is dropped, it deletes what still waits and ends; its owner joins it then.
pub fn start(queue: Queue, metrics: Arc<Metrics>) -> (Deleter, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let task = tokio::spawn(async move {
        run(receiver, &metrics, |receipts| queue.delete(receipts)).await;
    });
    (Deleter { waiting: sender }, task)
}

impl Deleter {
    /// Deletes a message, and waits for the outcome.
    pub async fn delete(&self, receipt: Receipt) -> Result<(), NotDeleted> {
        let (answer, outcome) = oneshot::channel();
        self.waiting.send(Deletion { receipt, answer }).await.map_err(|_| NotDeleted)?;
        outcome.await.unwrap_or(Err(NotDeleted))
    }
}

struct Deletion {
    receipt: Receipt,
    /// The caller may be gone; the message is deleted all the same.
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
    tracing::warn!(messages = batch.len(), reason, "messages were not deleted; SQS delivers them again");
    for deletion in batch {
        metrics.delete_failures.inc();
        deletion.settle(Err(NotDeleted));
    }
}

impl Deletion {
    fn settle(self, outcome: Result<(), NotDeleted>) {
        // A receiver that went away has no use for the outcome.
        let _ = self.answer.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Outcomes = Result<Vec<DeleteOutcome>, QueueError>;

    /// The batches that were asked for, each with its time since the start.
    type Batches = Arc<Mutex<Vec<(Duration, Vec<Receipt>)>>>;

    struct Setup {
        deleter: Deleter,
        task: JoinHandle<()>,
        batches: Batches,
        metrics: Arc<Metrics>,
    }

    /// A deleter whose requests are answered by a function of their number (from 0 on) and size.
    fn setup(answer: impl Fn(usize, usize) -> Outcomes + Send + Sync + 'static) -> Setup {
        let (sender, receiver) = mpsc::channel(WAITING);
        let batches = Batches::default();
        let metrics = Arc::new(Metrics::new());
        let (asked, counted, started) = (Arc::clone(&batches), Arc::clone(&metrics), Instant::now());
        let task = tokio::spawn(async move {
            let delete = |receipts: Vec<Receipt>| {
                let mut asked = asked.lock().expect("no test panics while it holds them");
                let outcomes = answer(asked.len(), receipts.len());
                asked.push((started.elapsed(), receipts));
                std::future::ready(outcomes)
            };
            run(receiver, &counted, delete).await;
        });
        Setup { deleter: Deleter { waiting: sender }, task, batches, metrics }
    }

    fn deleted(size: usize) -> Vec<DeleteOutcome> {
        vec![DeleteOutcome::Deleted; size]
    }

    impl Setup {
        /// Deletes so many messages at the same time.
        async fn delete(&self, messages: usize) -> Vec<Result<(), NotDeleted>> {
            let deletions: Vec<_> = (0..messages)
                .map(|number| {
                    let deleter = self.deleter.clone();
                    tokio::spawn(async move { deleter.delete(Receipt::new(number.to_string())).await })
                })
                .collect();
            let mut outcomes = Vec::new();
            for deletion in deletions {
                outcomes.push(deletion.await.expect("deleting does not panic"));
            }
            outcomes
        }

        fn sizes(&self) -> Vec<usize> {
            self.batches
                .lock()
                .expect("no test panics while it holds them")
                .iter()
                .map(|(_, b)| b.len())
                .collect()
        }

        fn failures(&self) -> u64 {
            let exposition = self.metrics.expose();
            let count =
                exposition.lines().find_map(|line| line.strip_prefix("sagetrail_delete_failures_total "));
            count.and_then(|count| count.parse().ok()).expect("the series exists from the start")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_deleted_in_batches_each_exactly_once() {
        let setup = setup(|_, size| Ok(deleted(size)));
        assert_eq!(setup.delete(25).await, [Ok(()); 25]);
        assert_eq!(setup.sizes(), [10, 10, 5]);
        let batches = setup.batches.lock().expect("no test panics while it holds them");
        let mut receipts: Vec<_> = batches.iter().flat_map(|(_, receipts)| receipts.clone()).collect();
        receipts.sort_by_key(|receipt| format!("{receipt:?}"));
        receipts.dedup();
        assert_eq!(receipts.len(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_leaves_at_once_and_a_lone_message_soon() {
        for (messages, waited) in [(10, Duration::ZERO), (1, LINGER), (9, LINGER)] {
            let setup = setup(|_, size| Ok(deleted(size)));
            setup.delete(messages).await;
            assert_eq!(setup.batches.lock().expect("no test panics while it holds them")[0].0, waited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_for_the_queues_own_reasons_is_asked_again_and_nothing_else() {
        use DeleteOutcome::{Deleted, Failed, Refused};
        let busy = || Failed("InternalError".to_owned());
        let setup = setup(move |request, _| {
            Ok(match request {
                0 => vec![Deleted, busy(), Refused("ReceiptHandleIsInvalid".to_owned()), busy()],
                1 => vec![Deleted, busy()],
                _ => vec![Deleted],
            })
        });
        let outcomes = setup.delete(4).await;
        assert_eq!(outcomes, [Ok(()), Ok(()), Err(NotDeleted), Ok(())]);
        assert_eq!(setup.sizes(), [4, 2, 1]);
        assert_eq!(setup.failures(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_failing_is_given_up_after_a_few_attempts() {
        let setup = setup(|_, size| Ok(vec![DeleteOutcome::Failed("InternalError".to_owned()); size]));
        assert_eq!(setup.delete(2).await, [Err(NotDeleted); 2]);
        assert_eq!(setup.sizes(), [2; ATTEMPTS as usize]);
        assert_eq!(setup.failures(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_fails_whole_fails_its_messages_and_no_others() {
        let setup = setup(|request, size| match request {
            0 => Err(QueueError::NoVisibility { url: "http://queue".into() }),
            _ => Ok(deleted(size)),
        });
        assert_eq!(setup.delete(3).await, [Err(NotDeleted); 3]);
        assert_eq!(setup.failures(), 3);
        assert_eq!(setup.delete(3).await, [Ok(()); 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_when_the_last_owner_leaves_is_deleted_before_the_task_ends() {
        let Setup { deleter, task, batches, .. } = setup(|_, size| Ok(deleted(size)));
        for number in 0..12 {
            // Nobody waits for these outcomes: each future is dropped once its receipt is handed over.
            let handed_over = deleter.delete(Receipt::new(number.to_string()));
            assert!(time::timeout(Duration::ZERO, handed_over).await.is_err());
        }
        drop(deleter);
        task.await.expect("the task ends well");
        let deleted: usize =
            batches.lock().expect("no test panics while it holds them").iter().map(|(_, b)| b.len()).sum();
        assert_eq!(deleted, 12);
    }

    #[tokio::test]
    async fn a_deleter_whose_task_is_gone_says_that_nothing_was_deleted() {
        let Setup { deleter, task, .. } = setup(|_, size| Ok(deleted(size)));
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(deleter.delete(Receipt::new("1".to_owned())).await, Err(NotDeleted));
    }
}
