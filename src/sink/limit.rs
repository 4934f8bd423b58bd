//! Limits the documents and bytes that are sent in a second, where the operator has set a limit.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep};

/// The configured limits. Every bulk passes them before each attempt, because a repeated bulk is load as well.
pub(super) struct Limit {
    documents: Option<Gate>,
    bytes: Option<Gate>,
}

impl Limit {
    pub(super) fn new(
        documents_per_second: Option<NonZeroU32>,
        bytes_per_second: Option<NonZeroU32>,
    ) -> Self {
        Self { documents: documents_per_second.map(Gate::new), bytes: bytes_per_second.map(Gate::new) }
    }

    /// Waits until a bulk of this size may be sent, and returns how long that took.
    pub(super) async fn pass(&self, documents: usize, bytes: usize) -> Duration {
        let began = Instant::now();
        if let Some(gate) = &self.documents {
            gate.pass(documents).await;
        }
        if let Some(gate) = &self.bytes {
            gate.pass(bytes).await;
        }
        began.elapsed()
    }
}

/// One limit on one quantity.
struct Gate {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    /// What passes at once at most: one second's worth.
    burst: NonZeroU32,
}

impl Gate {
    fn new(per_second: NonZeroU32) -> Self {
        let clock = TokioClock { start: Instant::now() };
        let limiter = RateLimiter::direct_with_clock(Quota::per_second(per_second), clock);
        Self { limiter, clock, burst: per_second }
    }

    /// A bulk may well be larger than one second's worth; it then passes in portions that fit.
    async fn pass(&self, count: usize) {
        let mut left = count;
        loop {
            let portion = u32::try_from(left).unwrap_or(u32::MAX).min(self.burst.get());
            let Some(portion) = NonZeroU32::new(portion) else { return };
            match self.limiter.check_n(portion).expect("a portion is never larger than the burst") {
                Ok(()) => left -= portion.get() as usize,
                Err(not_until) => sleep(not_until.wait_time_from(self.clock.now())).await,
            }
        }
    }
}

/// Tokio's clock, so that the limiter and the sleep agree on the time, in tests with paused time too.
#[derive(Clone, Copy)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(time: Duration) -> f64 {
        time.as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let limit = Limit::new(None, None);
        assert_eq!(limit.pass(1_000_000, 1 << 30).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_holds_over_many_bulks() {
        let limit = Limit::new(NonZeroU32::new(100), None);
        let began = Instant::now();
        for _ in 0..50 {
            limit.pass(20, 1 << 20).await;
        }
        let took = seconds(began.elapsed());
        assert!((9.0..9.5).contains(&took), "1,000 documents at 100/s, of which 100 at once: {took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bulk_larger_than_a_second_of_bytes_passes_in_portions() {
        let limit = Limit::new(None, NonZeroU32::new(1_000));
        let waited = seconds(limit.pass(1, 4_500).await);
        assert!((3.5..3.6).contains(&waited), "4,500 bytes at 1,000/s, of which 1,000 at once: {waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_tighter_of_two_limits_decides() {
        let limit = Limit::new(NonZeroU32::new(10), NonZeroU32::new(1_000_000));
        let waited = seconds(limit.pass(30, 100).await);
        assert!((2.0..2.1).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_time_earns_one_second_of_burst_and_no_more() {
        let limit = Limit::new(NonZeroU32::new(10), None);
        limit.pass(10, 0).await;
        sleep(Duration::from_hours(1)).await;
        assert_eq!(limit.pass(10, 0).await, Duration::ZERO);
        assert!(limit.pass(10, 0).await >= Duration::from_millis(900));
    }
}
