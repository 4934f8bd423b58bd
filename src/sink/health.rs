//! Logs once when bulks stop getting through and once when they do again, and not for each attempt.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::denial::Denial;

/// Why bulk requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BulkFailure {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// 429 or a 5xx: the cluster is overloaded or fails.
    Throttled,
    /// 401 or 403: a person has to change something.
    Denied(Denial),
    /// Compressed requests are refused.
    Compressed,
    /// Another status or an answer that is not what a bulk gets.
    Unusable,
}

/// The failures since bulk requests last succeeded, if there are any.
#[derive(Default)]
pub(super) struct Health {
    episode: Mutex<Option<Episode>>,
}

struct Episode {
    failure: BulkFailure,
    since: Instant,
    failures: u64,
}

impl Health {
    /// Notes a failure; the first of its kind in an episode is logged.
    pub(super) fn failed(&self, failure: BulkFailure, problem: &str) {
        let mut slot = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        let episode = slot.get_or_insert_with(|| Episode { failure, since: Instant::now(), failures: 0 });
        let is_news = episode.failures == 0 || episode.failure != failure;
        episode.failures += 1;
        episode.failure = failure;
        drop(slot);
        if !is_news {
            return;
        }
        match failure {
            BulkFailure::Denied(Denial::Permission) => {
                error!(
                    problem,
                    "OpenSearch denies bulk requests, and sagetrail repeats them: grant their user the role that `sagetrail check --permissions` prints"
                );
            }
            BulkFailure::Denied(denial) => {
                let advice = denial.advice();
                error!(problem, "OpenSearch denies bulk requests, and sagetrail repeats them: {advice}");
            }
            BulkFailure::Compressed => {
                error!(
                    problem,
                    "OpenSearch or a proxy before it refuses compressed requests, and sagetrail repeats them: set sink.gzip = false, or let it take Content-Encoding: gzip"
                );
            }
            BulkFailure::Unusable => {
                error!(problem, "bulk requests get no usable answer, and sagetrail repeats them");
            }
            BulkFailure::Unreachable | BulkFailure::TimedOut | BulkFailure::Throttled => {
                warn!(problem, "bulk requests fail, and sagetrail repeats them");
            }
        }
    }

    /// Notes an answer; the first after an episode is logged.
    pub(super) fn answered(&self) {
        let episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Episode { since, failures, .. }) = episode {
            info!(failures, seconds = since.elapsed().as_secs(), "bulk requests succeed again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// What is logged while `scene` plays, a level and a message on each line.
    fn log_of(scene: impl FnOnce(&Health)) -> Vec<String> {
        #[derive(Clone, Default)]
        struct Sheet(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Sheet {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(text);
                Ok(text.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sheet = Sheet::default();
        let writer = sheet.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || scene(&Health::default()));
        let text = String::from_utf8(sheet.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_denial_calls_a_human_once_and_its_end_is_told_once() {
        let log = log_of(|health| {
            (0..100).for_each(|_| health.failed(BulkFailure::Denied(Denial::Permission), "status 403"));
            (0..100).for_each(|_| health.answered());
        });
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(log[0].starts_with("ERROR") && log[0].contains("status 403"), "{log:?}");
        assert!(log[1].starts_with("INFO") && log[1].contains("failures=100"), "{log:?}");
    }

    #[test]
    fn what_passes_by_itself_calls_nobody() {
        for failure in [BulkFailure::Unreachable, BulkFailure::TimedOut, BulkFailure::Throttled] {
            let log = log_of(|health| health.failed(failure, "no"));
            assert!(log.len() == 1 && log[0].starts_with("WARN"), "{log:?}");
        }
    }

    #[test]
    fn another_kind_of_trouble_is_news() {
        let log = log_of(|health| {
            health.failed(BulkFailure::Unreachable, "down");
            health.failed(BulkFailure::Denied(Denial::Permission), "status 401");
            health.failed(BulkFailure::Denied(Denial::Permission), "status 401");
            health.answered();
            health.failed(BulkFailure::Denied(Denial::Permission), "status 401");
        });
        let levels: Vec<&str> = log.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(levels, ["WARN", "ERROR", "INFO", "ERROR"]);
    }

    #[test]
    fn without_trouble_nothing_is_said() {
        assert!(log_of(Health::answered).is_empty());
    }
}
