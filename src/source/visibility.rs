//! Renews a message's visibility timeout while a task works on it.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::queue::{Message, Queue, QueueError};
use crate::labels::Renewal;
use crate::metrics::Metrics;

/// Drives `work` to its end and renews the message's visibility at half its timeout, from the receipt on.
///
/// Both are polled by the caller's task and dropped with this future, so renewal ends with the work. A renewal that
/// hangs or fails does not disturb the work. Long computation belongs on another thread: nothing is renewed while it
/// blocks this task.
pub async fn extend_while<F: Future>(
    queue: &Queue,
    message: &Message,
    metrics: &Metrics,
    work: F,
) -> F::Output {
    let visibility = Visibility { timeout: queue.visibility_timeout(), since: message.received_at };
    // A request's future takes many KiB, which would make each future around this one as large.
    let renewing =
        Box::pin(renew_for_ever(visibility, &message.id, metrics, || queue.renew(&message.receipt)));
    beside(renewing, work).await
}

async fn beside<F: Future>(renewing: impl Future<Output = Infallible>, work: F) -> F::Output {
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
                metrics.visibility_renewals.count(Renewal::Renewed);
                due = asked_at + visibility.timeout / 2;
                continue;
            }
            Ok(Err(error)) => Some(error),
            Err(_elapsed) => None,
        };
        metrics.visibility_renewals.count(Renewal::Failed);
        if !logged {
            logged = true;
            let error = failure.as_ref().map_or("no answer in time".to_owned(), ToString::to_string);
            tracing::warn!(message_id, error, "a message's visibility timeout could not be renewed");
        }
        if matches!(failure, Some(QueueError::Gone { .. })) {
            return std::future::pending().await;
        }
        due = Instant::now() + visibility.pause_after_failure();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(32);

    /// How one renewal goes.
    #[derive(Clone, Copy)]
    enum Plan {
        Succeeds,
        /// It succeeds after four seconds.
        Slow,
        Fails,
        Hangs,
        Gone,
    }

    struct Outcome {
        /// Seconds from the receipt on.
        renewals: Vec<u64>,
        worked: Duration,
        exposition: String,
        log: String,
    }

    /// Works for some time on a message that was received some time ago, with renewals that go as planned; the last
    /// plan holds for all that follow.
    async fn work(received_ago: u64, seconds: u64, plans: &[Plan]) -> Outcome {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);

        let since = Instant::now();
        time::sleep(Duration::from_secs(received_ago)).await;
        let metrics = Metrics::new();
        let renewals = RefCell::new(Vec::new());
        let renew = || {
            let done = renewals.borrow().len();
            renewals.borrow_mut().push(since.elapsed().as_secs());
            carry_out(*plans.get(done).or(plans.last()).expect("there is a plan"))
        };
        let started = Instant::now();
        let visibility = Visibility { timeout: TIMEOUT, since };
        let renewing = renew_for_ever(visibility, "id", &metrics, renew);
        beside(renewing, time::sleep(Duration::from_secs(seconds))).await;

        let worked = started.elapsed();
        Outcome { renewals: renewals.take(), worked, exposition: metrics.expose(), log: log.text() }
    }

    async fn carry_out(plan: Plan) -> Result<(), QueueError> {
        let (operation, url, cause) = ("ChangeMessageVisibility", "http://queue".into(), String::new());
        let source = Box::new(io::Error::other("planned"));
        match plan {
            Plan::Succeeds => Ok(()),
            Plan::Slow => {
                time::sleep(Duration::from_secs(4)).await;
                Ok(())
            }
            Plan::Fails => Err(QueueError::Failed { operation, url, cause, source }),
            Plan::Gone => Err(QueueError::Gone { operation, url, cause, source }),
            Plan::Hangs => std::future::pending().await,
        }
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("logs are text")
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_renewed_at_half_its_timeout_for_as_long_as_the_work_takes() {
        let outcome = work(0, 70, &[Plan::Succeeds]).await;
        assert_eq!(outcome.renewals, [16, 32, 48, 64]);
        assert!(outcome.exposition.contains("sagetrail_visibility_renewals_total{outcome=\"renewed\"} 4"));
        assert_eq!(outcome.log, "");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_quick_renews_nothing() {
        assert!(work(0, 15, &[Plan::Fails]).await.renewals.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_message_waited_for_its_work_counts() {
        assert_eq!(work(10, 10, &[Plan::Succeeds]).await.renewals, [16]);
        assert_eq!(work(20, 10, &[Plan::Succeeds]).await.renewals, [20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_leaves_the_work_alone_and_is_tried_again_before_the_timeout() {
        let outcome = work(0, 40, &[Plan::Hangs, Plan::Succeeds]).await;
        assert_eq!(outcome.worked, Duration::from_secs(40));
        assert_eq!(outcome.renewals, [16, 26], "eight seconds of patience and two of pause");
        assert!(outcome.exposition.contains("sagetrail_visibility_renewals_total{outcome=\"failed\"} 1"));
        assert!(outcome.log.contains("no answer in time"), "{}", outcome.log);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_is_slow_counts_from_when_it_was_asked_for() {
        assert_eq!(work(0, 40, &[Plan::Slow, Plan::Succeeds]).await.renewals, [16, 32]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_all_counted_and_logged_once_and_renewal_goes_on() {
        let outcome = work(0, 38, &[Plan::Fails, Plan::Fails, Plan::Succeeds, Plan::Fails]).await;
        assert_eq!(outcome.renewals, [16, 18, 20, 36]);
        assert!(outcome.exposition.contains("sagetrail_visibility_renewals_total{outcome=\"failed\"} 3"));
        assert_eq!(outcome.log.lines().count(), 1, "{}", outcome.log);
        assert!(outcome.log.contains("WARN") && outcome.log.contains("message_id=\"id\""), "{}", outcome.log);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_that_is_no_longer_ours_is_not_renewed_again() {
        let outcome = work(0, 1_000, &[Plan::Gone]).await;
        assert_eq!(outcome.renewals, [16]);
        assert_eq!(
            outcome.worked,
            Duration::from_secs(1_000),
            "the work goes on: its records are worth storing"
        );
        assert!(outcome.log.contains("no longer valid"), "{}", outcome.log);
    }
}
