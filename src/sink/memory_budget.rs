//! Holds the budget of bytes for documents that wait for OpenSearch, and gives it out in order of arrival.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::answer::SinkClosed;
use crate::metrics::{Metrics, whole};

/// The budget of bytes for documents. It bounds the sink's memory.
pub(super) struct MemoryBudget {
    bytes: Arc<Semaphore>,
    capacity: u32,
    waiting: AtomicUsize,
    /// Wakes the batcher when a task begins to wait, because a batch that is not full yet may hold the budget.
    wake: Arc<Notify>,
    /// Held while the gauge is set, so that the last to set it is also the last to have looked.
    gauge: Mutex<Arc<Metrics>>,
}

impl MemoryBudget {
    pub(super) fn new(capacity: usize, wake: Arc<Notify>, metrics: Arc<Metrics>) -> Self {
        // A semaphore hands out at most u32::MAX permits at once, so no more could be asked for anyway.
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).min(MOST_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            waiting: AtomicUsize::new(0),
            wake,
            gauge: Mutex::new(metrics),
        }
    }

    /// Takes budget at once, or returns None when there is not enough.
    pub(super) fn try_take(self: &Arc<Self>, bytes: usize) -> Result<Option<BudgetPermit>, SinkClosed> {
        match Arc::clone(&self.bytes).try_acquire_many_owned(self.permits(bytes)) {
            Ok(permit) => Ok(Some(self.permit_of(permit))),
            Err(TryAcquireError::NoPermits) => Ok(None),
            Err(TryAcquireError::Closed) => Err(SinkClosed),
        }
    }

    /// Takes budget, and waits for it in order of arrival.
    pub(super) async fn take(self: &Arc<Self>, bytes: usize) -> Result<BudgetPermit, SinkClosed> {
        let waiting = Waiting::begin(self);
        let permit = Arc::clone(&self.bytes).acquire_many_owned(self.permits(bytes)).await;
        drop(waiting);
        Ok(self.permit_of(permit.map_err(|_| SinkClosed)?))
    }

    /// Whether a task waits for budget.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Fails all waiting and later requests.
    pub(super) fn close(&self) {
        self.bytes.close();
    }

    /// The permits for a document. One larger than the whole budget takes all of it, and is sent alone.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity)
    }

    fn permit_of(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> BudgetPermit {
        self.show();
        BudgetPermit { permit: Some(permit), budget: Arc::clone(self) }
    }

    fn show(&self) {
        let metrics = self.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        metrics
            .sink_queue_bytes
            .set(whole((self.capacity as usize).saturating_sub(self.bytes.available_permits())));
    }
}

/// Permits in a semaphore at most: what a 32-bit machine's semaphore can hold as well.
const MOST_PERMITS: u32 = u32::MAX >> 3;

/// The budget of one document, given back on drop.
pub(super) struct BudgetPermit {
    permit: Option<OwnedSemaphorePermit>,
    budget: Arc<MemoryBudget>,
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.budget.show();
    }
}

/// Counts a task that waits for budget; on drop it no longer counts, also when it gives up.
struct Waiting<'a>(&'a MemoryBudget);

impl<'a> Waiting<'a> {
    fn begin(budget: &'a MemoryBudget) -> Self {
        budget.waiting.fetch_add(1, Ordering::AcqRel);
        budget.wake.notify_one();
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(capacity: usize) -> (Arc<MemoryBudget>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        (Arc::new(MemoryBudget::new(capacity, Arc::new(Notify::new()), Arc::clone(&metrics))), metrics)
    }

    fn gauge(metrics: &Metrics) -> String {
        let text = metrics.expose();
        let line =
            text.lines().find(|line| line.starts_with("sagetrail_sink_queue_bytes ")).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn the_gauge_follows_what_is_held() {
        let (budget, metrics) = budget(10);
        let first = budget.take(4).await.unwrap();
        let second = budget.try_take(6).unwrap().unwrap();
        assert_eq!(gauge(&metrics), "10");
        assert!(budget.try_take(1).unwrap().is_none());
        drop(first);
        assert_eq!(gauge(&metrics), "6");
        drop(second);
        assert_eq!(gauge(&metrics), "0");
    }

    #[tokio::test]
    async fn a_document_larger_than_the_room_takes_all_of_it_and_no_more() {
        let (budget, metrics) = budget(10);
        let all = budget.take(1_000).await.unwrap();
        assert_eq!(gauge(&metrics), "10");
        drop(all);
        assert_eq!(gauge(&metrics), "0");
    }

    #[tokio::test]
    async fn giving_up_waiting_is_noticed() {
        let (budget, _metrics) = budget(10);
        let _all = budget.take(10).await.unwrap();
        let mut wait = Box::pin(budget.take(1));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(wait.as_mut().poll(context).is_pending()))
                .await
        );
        assert!(budget.is_short());
        drop(wait);
        assert!(!budget.is_short());
    }

    #[tokio::test]
    async fn a_closed_room_turns_everybody_away() {
        let (budget, _metrics) = budget(10);
        budget.close();
        assert!(budget.take(1).await.is_err());
        assert!(budget.try_take(1).is_err());
    }
}
