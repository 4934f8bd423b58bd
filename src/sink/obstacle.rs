//! The obstacle: what in the cluster's state keeps it from taking documents that are in order, until a human changes it.
//!
//! The other documents of the same bulk may be taken, so this is no trouble of the bulk as a whole. It is told when it is
//! met, and not again for each document and attempt.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

/// One that lasts is told again after this, and so is one that was removed and came back.
const REMINDER: Duration = Duration::from_hours(1);

/// Which ones were told, and when.
#[derive(Default)]
pub(super) struct Obstacles {
    told: Mutex<BTreeMap<Obstacle, Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    Denied,
    Blocked,
    Absent,
    Closed,
    TooManyShards,
}

impl Obstacles {
    /// Tells what keeps a document from being taken, if that is an obstacle and news.
    pub(super) fn met(&self, status: u16, kind: &str) {
        if let Some(obstacle) = Obstacle::of(status, kind)
            && self.is_news(obstacle)
        {
            let advice = obstacle.advice();
            error!(status, kind, "OpenSearch does not take documents, which are sent again: {advice}");
        }
    }

    fn is_news(&self, obstacle: Obstacle) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.get(&obstacle).is_none_or(|at| at.elapsed() >= REMINDER);
        if is_news {
            told.insert(obstacle, Instant::now());
        }
        is_news
    }
}

impl Obstacle {
    /// None for what passes by itself, as load and the loss of a node do.
    fn of(status: u16, kind: &str) -> Option<Self> {
        match (status, kind) {
            // A full disk answers 429 or 403, by the version.
            (_, "cluster_block_exception") => Some(Self::Blocked),
            (401 | 403, _) => Some(Self::Denied),
            (404, _) => Some(Self::Absent),
            (400, "index_closed_exception") => Some(Self::Closed),
            (400, _) => Some(Self::TooManyShards),
            _ => None,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Denied => {
                "grant create_index and write on sagetrail-* to its user; `sagetrail check --permissions` prints the role"
            }
            Self::Blocked => "an index of sagetrail-* is blocked; free disk space, or remove the block",
            Self::Absent => "an index cannot be made; let action.auto_create_index allow sagetrail-*",
            Self::Closed => "an index of sagetrail-* is closed; open it",
            Self::TooManyShards => {
                "no index can be made, because the cluster has all the shards that it may have; remove indices or raise cluster.max_shards_per_node"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_human_must_change_is_an_obstacle_and_what_passes_is_none() {
        for (status, kind, obstacle) in [
            (403, "security_exception", Some(Obstacle::Denied)),
            (401, "status_401", Some(Obstacle::Denied)),
            (403, "cluster_block_exception", Some(Obstacle::Blocked)),
            (429, "cluster_block_exception", Some(Obstacle::Blocked)),
            (404, "index_not_found_exception", Some(Obstacle::Absent)),
            (400, "index_closed_exception", Some(Obstacle::Closed)),
            (400, "validation_exception", Some(Obstacle::TooManyShards)),
            (429, "rejected_execution_exception", None),
            (408, "status_408", None),
            (503, "unavailable_shards_exception", None),
        ] {
            assert_eq!(Obstacle::of(status, kind), obstacle, "{status} {kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_obstacle_is_told_once_and_again_after_an_hour_and_each_by_itself() {
        let obstacles = Obstacles::default();
        assert!(obstacles.is_news(Obstacle::Denied));
        tokio::time::advance(REMINDER / 2).await;
        assert!(!obstacles.is_news(Obstacle::Denied));
        assert!(obstacles.is_news(Obstacle::Blocked));
        tokio::time::advance(REMINDER / 2).await;
        assert!(obstacles.is_news(Obstacle::Denied));
        assert!(!obstacles.is_news(Obstacle::Blocked));
    }
}
