//! Health: whether bulks get through at all, told to the operator once when it changes and not once per attempt.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::{error, info, warn};

/// Why bulks do not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// 429 or 503.
    Throttled,
    /// 401 or 403: only a human can put that right.
    Denied,
    /// Another status or an answer that is not what a bulk gets.
    Unusable,
}

/// The present episode of trouble, if there is one.
#[derive(Default)]
pub(super) struct Health {
    episode: Mutex<Option<Episode>>,
}

struct Episode {
    trouble: Trouble,
    since: Instant,
    failures: u64,
}

impl Health {
    /// Notes a failure; the first of its kind in an episode is logged.
    pub(super) fn failed(&self, trouble: Trouble, problem: &str) {
        let mut slot = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        let episode = slot.get_or_insert_with(|| Episode { trouble, since: Instant::now(), failures: 0 });
        let is_news = episode.failures == 0 || episode.trouble != trouble;
        episode.failures += 1;
        episode.trouble = trouble;
        drop(slot);
        if !is_news {
            return;
        }
        match trouble {
            Trouble::Denied => {
                error!(problem, "OpenSearch denies bulk requests; they are repeated until it allows them");
            }
            Trouble::Unusable => {
                error!(problem, "bulk requests get no usable answer; they are repeated until they do");
            }
            Trouble::Unreachable | Trouble::TimedOut | Trouble::Throttled => {
                warn!(problem, "bulk requests do not get through; they are repeated until they do");
            }
        }
    }

    /// Notes an answer; the first after an episode is logged.
    pub(super) fn answered(&self) {
        let episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Episode { since, failures, .. }) = episode {
            info!(failures, seconds = since.elapsed().as_secs(), "bulk requests get through again");
        }
    }
}
