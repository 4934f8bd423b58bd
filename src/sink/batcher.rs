//! Runs the one task that collects submitted documents and starts bulks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::error;

use super::batch::{Buffer, Limits, Linger};
use super::delivery::{BulkSender, Postponed};
use super::entry::Entry;
use super::memory_budget::MemoryBudget;
use super::producers::Producers;
use crate::config::SinkConfig;
use crate::metrics::Metrics;
use crate::opensearch::OpenSearch;

pub(super) struct Batcher {
    received: mpsc::Receiver<Vec<Entry>>,
    producers: Arc<Producers>,
    budget: Closing,
    buffer: Buffer,
    documents: usize,
    sender: Arc<BulkSender>,
    /// The bulks in flight. They end with the batcher, however it ends.
    bulks: JoinSet<Option<Postponed>>,
    metrics: Arc<Metrics>,
}

/// An event after which a batch may be sent.
enum Event {
    Received(Option<Vec<Entry>>),
    Ended(Result<Option<Postponed>, JoinError>),
    /// The last producer is gone, a document waits for budget, or a batch is due.
    LookAgain,
}

impl Batcher {
    pub(super) fn new(
        client: OpenSearch,
        config: &SinkConfig,
        metrics: Arc<Metrics>,
        received: mpsc::Receiver<Vec<Entry>>,
        producers: Arc<Producers>,
        budget: Arc<MemoryBudget>,
    ) -> Self {
        Self {
            received,
            producers,
            budget: Closing(budget),
            buffer: Buffer::new(config.bulk_max_age),
            documents: config.bulk_max_documents.get(),
            sender: Arc::new(BulkSender::new(client, config, Arc::clone(&metrics))),
            bulks: JoinSet::new(),
            metrics,
        }
    }

    /// Runs until every sender is gone and every submission is answered.
    pub(super) async fn run(mut self) {
        let mut open = true;
        loop {
            self.start_bulks(&mut open);
            if !open && self.buffer.is_empty() && self.bulks.is_empty() {
                return;
            }
            match self.next_event(open).await {
                Event::Received(Some(entries)) => self.buffer.push(Instant::now(), entries),
                Event::Received(None) => open = false,
                Event::Ended(Ok(Some(Postponed { entries, delay }))) => {
                    self.buffer.postpone(Instant::now() + delay, entries);
                }
                Event::Ended(Ok(None)) | Event::LookAgain => {}
                Event::Ended(Err(failure)) => self.lost(&failure),
            }
        }
    }

    /// Starts as many bulks as the limits allow and the buffer has.
    fn start_bulks(&mut self, open: &mut bool) {
        loop {
            let (concurrency, bytes) = self.sender.limits();
            if self.bulks.len() >= concurrency {
                return;
            }
            // The count is read before the channel is emptied: a producer that has left has handed over before.
            let linger = self.linger();
            while let Some(handover) = self.try_receive(open) {
                self.buffer.push(Instant::now(), handover);
            }
            let limits = Limits { bytes, documents: self.documents };
            let Some(batch) = self.buffer.cut(Instant::now(), limits, linger) else { return };
            let sender = Arc::clone(&self.sender);
            self.bulks.spawn(async move { sender.deliver(batch).await });
        }
    }

    /// With no bulk in flight, only the batch in the buffer can free the budget that a document waits for.
    fn linger(&self) -> Linger {
        let is_stuck = self.bulks.is_empty() && self.budget.0.is_short();
        if is_stuck || self.producers.alive.load(Ordering::Acquire) == 0 {
            Linger::NoMore
        } else {
            Linger::More
        }
    }

    fn try_receive(&mut self, open: &mut bool) -> Option<Vec<Entry>> {
        match self.received.try_recv() {
            Ok(entries) => Some(entries),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => {
                *open = false;
                None
            }
        }
    }

    /// Waits for the next event. Each branch is safe to cancel: only the branch that wins takes something.
    async fn next_event(&mut self, open: bool) -> Event {
        let has_slot = self.bulks.len() < self.sender.limits().0;
        // While no bulk can start, a due batch must not keep the loop spinning; the end of a bulk wakes it.
        let due = self.buffer.next_due().filter(|_| has_slot);
        tokio::select! {
            entries = self.received.recv(), if open => Event::Received(entries),
            Some(ended) = self.bulks.join_next(), if !self.bulks.is_empty() => Event::Ended(ended),
            () = self.producers.wake.notified() => Event::LookAgain,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Event::LookAgain,
        }
    }

    /// The entries of a bulk that panicked are gone with it, and their submissions are answered with an error.
    fn lost(&self, failure: &JoinError) {
        if failure.is_panic() {
            self.metrics.task_panics.inc();
            error!(
                "sending a bulk panicked; this is a bug, please report it; the queue delivers its messages again"
            );
        }
    }
}

/// Closes the budget when the batcher ends, so that no task waits for it for ever.
struct Closing(Arc<MemoryBudget>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;
    use crate::sink::StoreError;
    use crate::sink::entry::tests::entries;

    #[tokio::test]
    async fn a_bulk_that_panics_is_counted_and_its_submissions_get_an_error() {
        let config = SinkConfig::default();
        let metrics = Arc::new(Metrics::new());
        let (handovers, received) = mpsc::channel(1);
        let wake = Arc::new(Notify::new());
        let budget = Arc::new(MemoryBudget::new(1_000, Arc::clone(&wake), Arc::clone(&metrics)));
        let producers = Arc::new(Producers { alive: 0.into(), wake });
        let client = OpenSearch::new(&config, None).unwrap();
        let mut batcher =
            Batcher::new(client, &config, Arc::clone(&metrics), received, producers, Arc::clone(&budget));
        let (lost, submission) = entries(&[1, 1]).await;
        batcher.bulks.spawn(async move { panic!("{} entries are lost", lost.len()) });
        drop(handovers);
        batcher.run().await;
        assert_eq!(submission.stored().await, Err(StoreError::Closed));
        assert!(metrics.expose().contains("sagetrail_task_panics_total 1"));
        assert!(budget.take(1).await.is_err(), "the room is closed with the batcher");
    }
}
