//! Receives messages from the queue while the budget allows, and gives each a task of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::admin::Readiness;
use crate::backoff::full_jitter;
use crate::labels::MessageOutcome;
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, ProcessError};
use crate::sink::Producer;
use crate::source::deleter::Deleter;
use crate::source::queue::{self, Message, Queue};
use crate::source::visibility::extend_while;

/// Pauses after a receive that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures in a row after which the log level rises: about a minute of pauses, beside the SDK's own retries.
const LASTING: u32 = 8;

/// The state that all receivers and message tasks share.
pub struct Receiving {
    pub queue: Queue,
    pub pipeline: Pipeline,
    pub deleter: Deleter,
    /// One permit for each message that may be in flight.
    pub room: Arc<Semaphore>,
    pub wait: Duration,
    pub readiness: Arc<Readiness>,
    pub metrics: Arc<Metrics>,
    /// Cancelled to stop receiving.
    pub stop: CancellationToken,
    /// Cancelled to give the messages in flight back to the queue.
    pub release: CancellationToken,
}

/// Receives until told to stop, and returns when each message that it took is settled.
///
/// A receive in flight is dropped at the stop. What SQS had already sent with it comes back after the visibility
/// timeout, which a stop that waited for the poll to end would not make any better.
pub async fn receive(shared: Arc<Receiving>) {
    let mut tasks = JoinSet::new();
    let mut failures = 0;
    loop {
        while let Some(ended) = tasks.try_join_next() {
            note_panic(&ended, &shared.metrics);
        }
        let batch = tokio::select! {
            () = shared.stop.cancelled() => break,
            batch = take_batch(&shared) => batch,
        };
        match batch {
            Ok(batch) => {
                if failures > 0 {
                    info!("receiving from the queue works again");
                }
                failures = 0;
                shared.readiness.queue_answered();
                for (message, room) in batch {
                    let producer = shared.pipeline.announce();
                    let span = info_span!(
                        "message",
                        id = message.id,
                        receive_count = message.receive_count.unwrap_or(1)
                    );
                    tasks.spawn(handle(Arc::clone(&shared), message, producer, room).instrument(span));
                }
            }
            Err(error) => {
                shared.readiness.queue_failed();
                shared.metrics.receive_failures.inc();
                match failures {
                    0 => warn!(%error, "cannot receive from the queue; trying again"),
                    LASTING => error!(%error, "still cannot receive from the queue; trying again"),
                    _ => {}
                }
                tokio::select! {
                    () = shared.stop.cancelled() => break,
                    () = sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, failures)) => {}
                }
                failures = failures.saturating_add(1);
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        note_panic(&ended, &shared.metrics);
    }
}

/// Waits for permits, then receives at most as many messages, so that none is hidden while it waits for a task.
async fn take_batch(
    shared: &Receiving,
) -> Result<impl Iterator<Item = (Message, OwnedSemaphorePermit)> + use<>, queue::QueueError> {
    let room = || Arc::clone(&shared.room);
    let mut permits = vec![room().acquire_owned().await.expect("the semaphore is never closed")];
    while permits.len() < queue::BATCH
        && let Ok(permit) = room().try_acquire_owned()
    {
        permits.push(permit);
    }
    let messages = shared.queue.receive(permits.len(), shared.wait).await?;
    shared.metrics.messages_received(messages.len());
    Ok(messages.into_iter().zip(permits))
}

/// Processes and settles one message. Its permit is free when this returns.
async fn handle(shared: Arc<Receiving>, message: Message, producer: Producer, room: OwnedSemaphorePermit) {
    let work = async {
        let result = tokio::select! {
            biased;
            result = shared.pipeline.process(&message.body, producer) => Some(result),
            () = shared.release.cancelled() => None,
        };
        settle(&shared, &message, result).await
    };
    let outcome = extend_while(&shared.queue, &message, &shared.metrics, work).await;
    shared.metrics.message_settled(outcome);
    drop(room);
}

async fn settle(
    shared: &Receiving,
    message: &Message,
    result: Option<Result<(), ProcessError>>,
) -> MessageOutcome {
    match result {
        Some(Ok(())) => match shared.deleter.delete(message.receipt.clone()).await {
            Ok(()) => MessageOutcome::Deleted,
            // The deleter has logged why.
            Err(_) => MessageOutcome::Failed,
        },
        Some(Err(error @ ProcessError::NotUnderstood(_))) => {
            let next = Next::of(&shared.queue, message);
            warn!(%error, "a message is not understood and stays for the queue's redrive policy; {next}");
            MessageOutcome::NotUnderstood
        }
        Some(Err(error)) => {
            tell_failure(&shared.queue, message, &error);
            MessageOutcome::Failed
        }
        None => {
            match shared.queue.release(&message.receipt).await {
                Ok(()) => info!("the message was given back to the queue"),
                Err(error) => {
                    warn!(%error, "a message could not be given back; it comes back after its visibility timeout");
                }
            }
            MessageOutcome::Released
        }
    }
}

/// Logs one line for a failed message, with the cause, which names the object, and what happens to the message next.
fn tell_failure(queue: &Queue, message: &Message, error: &ProcessError) {
    let next = Next::of(queue, message);
    warn!(%error, "a message failed, and not all of its objects are shipped: {next}");
}

/// What happens next to a message that stays in the queue.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It comes back after the queue's visibility timeout.
    ComesBack {
        after: Duration,
        deliveries_left: Option<u32>,
    },
    DeadLetter {
        queue: String,
    },
}

impl Next {
    fn of(queue: &Queue, message: &Message) -> Self {
        Self::after(queue.visibility_timeout(), queue.redrive(), message.receive_count)
    }

    fn after(visibility: Duration, redrive: Option<&queue::Redrive>, receive_count: Option<u32>) -> Self {
        let left =
            redrive.map(|redrive| redrive.max_receive_count.saturating_sub(receive_count.unwrap_or(1)));
        match (left, redrive) {
            (Some(0), Some(redrive)) => Self::DeadLetter { queue: redrive.dead_letter_queue_arn.clone() },
            _ => Self::ComesBack { after: visibility, deliveries_left: left },
        }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ComesBack { after, deliveries_left } => {
                let seconds = after.as_secs();
                write!(formatter, "it stays in the queue and comes back within {seconds} s; ")?;
                match deliveries_left {
                    Some(left) => {
                        write!(formatter, "after {left} more deliveries it goes to the dead-letter queue")
                    }
                    None => formatter
                        .write_str("no dead-letter queue takes it, so it comes back until it expires"),
                }
            }
            Self::DeadLetter { queue } => {
                write!(formatter, "this was its last delivery, and it goes to the dead-letter queue {queue}")
            }
        }
    }
}

fn note_panic(ended: &Result<(), JoinError>, metrics: &Metrics) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        metrics.task_panics.inc();
        metrics.message_settled(MessageOutcome::Panicked);
        error!(
            "the task of a message panicked; this is a bug, please report it; the message stays in the queue"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_failed_says_when_it_comes_back_or_where_it_goes() {
        let redrive = queue::Redrive {
            max_receive_count: 5,
            dead_letter_queue_arn: "arn:aws:sqs:eu-west-1:1:dead".to_owned(),
        };
        let visibility = Duration::from_mins(5);
        let comes_back = |deliveries_left| Next::ComesBack { after: visibility, deliveries_left };
        let dead = || Next::DeadLetter { queue: redrive.dead_letter_queue_arn.clone() };
        for (redrive, receive_count, next) in [
            (Some(&redrive), Some(1), comes_back(Some(4))),
            (Some(&redrive), Some(4), comes_back(Some(1))),
            (Some(&redrive), Some(5), dead()),
            (Some(&redrive), Some(6), dead()),
            (Some(&redrive), None, comes_back(Some(4))),
            (None, Some(700), comes_back(None)),
        ] {
            assert_eq!(Next::after(visibility, redrive, receive_count), next);
        }
        let told = comes_back(Some(4)).to_string();
        assert!(told.contains("within 300 s") && told.contains("after 4 more deliveries"), "{told}");
        assert!(dead().to_string().contains("arn:aws:sqs:eu-west-1:1:dead"));
    }

    #[tokio::test]
    async fn a_task_that_panics_is_counted_and_one_that_ends_is_not() {
        let metrics = Metrics::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(async { panic!("on purpose") });
        tasks.spawn(async {});
        metrics.messages_received(2);
        while let Some(ended) = tasks.join_next().await {
            note_panic(&ended, &metrics);
        }
        let exposition = metrics.expose();
        assert!(exposition.contains("sagetrail_task_panics_total 1"), "{exposition}");
        assert!(exposition.contains(r#"sagetrail_messages_total{outcome="panicked"} 1"#), "{exposition}");
        assert!(exposition.contains("sagetrail_messages_in_flight 1"), "{exposition}");
    }
}
