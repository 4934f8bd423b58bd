//! The receiver: takes messages from the queue while there is room for them, and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::admin::Readiness;
use crate::backoff::full_jitter;
use crate::metrics::{MessageOutcome, Metrics};
use crate::pipeline::{Pipeline, ProcessError};
use crate::sink::Producer;
use crate::source::deleter::Deleter;
use crate::source::hold::hold;
use crate::source::queue::{self, Message, Queue};

/// Pauses after a receive that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures in a row before it is no hiccup any more: a minute of pauses, and what the SDK tried before each.
const LASTING: u32 = 8;

/// What every receiver and every message's task shares.
pub struct Receiving {
    pub queue: Queue,
    pub pipeline: Pipeline,
    pub deleter: Deleter,
    /// One permit for each message that may be in flight.
    pub room: Arc<Semaphore>,
    pub wait: Duration,
    pub readiness: Arc<Readiness>,
    pub metrics: Arc<Metrics>,
    /// No message is received any more.
    pub stop: CancellationToken,
    /// What is in flight is given back to the queue.
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
                    info!("the queue can be read again");
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
                shared.metrics.receive_failed();
                match failures {
                    0 => warn!(%error, "the queue cannot be read; trying again until it can"),
                    LASTING => error!(%error, "the queue still cannot be read; trying again until it can"),
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

/// Waits for room, then for messages: never more than there is room for, so that none is hidden while it waits for us.
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

/// Sees one message to its end. The permit makes room for the next when this returns.
async fn handle(shared: Arc<Receiving>, message: Message, producer: Producer, room: OwnedSemaphorePermit) {
    let work = async {
        let result = tokio::select! {
            biased;
            result = shared.pipeline.process(&message.body, producer) => Some(result),
            () = shared.release.cancelled() => None,
        };
        settle(&shared, &message, result).await
    };
    let outcome = hold(&shared.queue, &message, &shared.metrics, work).await;
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
            warn!(%error, "the message is left to the queue's redrive policy");
            MessageOutcome::NotUnderstood
        }
        Some(Err(error)) => {
            debug!(%error, "the message stays in the queue and will be delivered again");
            MessageOutcome::Failed
        }
        None => {
            match shared.queue.release(&message.receipt).await {
                Ok(()) => info!("the message was given back to the queue"),
                Err(error) => warn!(%error, "the message comes back when its visibility timeout is over"),
            }
            MessageOutcome::Released
        }
    }
}

fn note_panic(ended: &Result<(), JoinError>, metrics: &Metrics) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        metrics.task_panicked();
        metrics.message_settled(MessageOutcome::Panicked);
        error!("a message's task panicked, which is a bug; the message stays in the queue");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
