//! Logs states of the cluster in which an index takes no documents until a human changes something.
//!
//! The other documents of the same bulk may be taken, so the bulk as a whole does not fail. Each such state is logged
//! when it begins, and not for each document and attempt. `fault.rs` reads it from an item's error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

/// Time after which a state that lasts, or has come back, is logged again.
const REMINDER: Duration = Duration::from_hours(1);

/// Which states were logged, and when.
#[derive(Default)]
pub(super) struct ClusterBlocks {
    told: Mutex<BTreeMap<ClusterBlock, Instant>>,
}

/// A state of the cluster that a person has to change before an index takes documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterBlock {
    Denied,
    Blocked,
    Absent,
    Closed,
    TooManyShards,
    /// Something else has the name of an alias, or an alias has the name of an index.
    AliasTaken,
    /// The index cannot be made as the templates say.
    IndexRefused,
    TooManyFields,
    Pipeline,
    /// A pipeline answers that there is nothing to do: the document is in no index.
    Dropped,
    RoutingRequired,
    DataStream,
    /// A collection of OpenSearch Serverless that gives ids itself.
    IdsRefused,
    /// The script that joins facts is missing, or is not ours.
    Script,
    /// The index keeps no sources, so that nothing can be joined into them.
    NoSource,
    /// The index refuses a document that is known to be in order.
    TakesNone,
}

impl ClusterBlocks {
    /// Logs what keeps an index from taking documents, unless it was logged lately.
    pub(super) fn met(&self, block: ClusterBlock, index: &str, status: u16, kind: &str) {
        if self.is_news(block) {
            let advice = block.advice();
            error!(
                index,
                status, kind, "OpenSearch does not take documents, and sagetrail sends them again: {advice}"
            );
        }
    }

    fn is_news(&self, block: ClusterBlock) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.get(&block).is_none_or(|at| at.elapsed() >= REMINDER);
        if is_news {
            told.insert(block, Instant::now());
        }
        is_news
    }
}

impl ClusterBlock {
    /// Reads the state from an item's status and the type of its error. None for what passes by itself, such as load
    /// and the loss of a node.
    pub(super) fn of(status: u16, kind: &str) -> Option<Self> {
        match (status, kind) {
            // A full disk answers 429 or 403, by the version.
            (_, "cluster_block_exception") => Some(Self::Blocked),
            (_, "fail_processor_exception" | "ingest_processor_exception") => Some(Self::Pipeline),
            (401 | 403, _) => Some(Self::Denied),
            (404, _) => Some(Self::Absent),
            _ => None,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Denied => {
                "grant create_index and write on the indices of sagetrail to its user; `sagetrail check --permissions` prints the role"
            }
            Self::Blocked => "the index is blocked; free disk space, or remove the block",
            Self::Absent => {
                "the index cannot be made; let action.auto_create_index allow the indices of sagetrail"
            }
            Self::Closed => "the index is closed; open it",
            Self::TooManyShards => {
                "no index can be made, because the cluster has all the shards that it may have; remove indices or raise cluster.max_shards_per_node"
            }
            Self::AliasTaken => {
                "a name is taken: another index has the name of an alias of sagetrail, or an alias has the name of the index; reindex its documents, then remove it"
            }
            Self::IndexRefused => {
                "the index cannot be made as the index templates say; see what another template or a setting of the cluster adds (POST _index_template/_simulate_index/NAME)"
            }
            Self::TooManyFields => {
                "a limit of the mapping is reached; raise index.mapping.total_fields.limit of the index, or see who added fields to the mapping that sagetrail installs"
            }
            Self::Pipeline => {
                "an ingest pipeline of the index fails or does not exist; see index.default_pipeline and index.final_pipeline, and mend or remove the pipeline"
            }
            Self::Dropped => {
                "an ingest pipeline drops documents, which are then in no index; remove its drop processor, or take the pipeline off the indices of sagetrail"
            }
            Self::RoutingRequired => {
                "the mapping asks for a routing value (_routing.required); set it to false"
            }
            Self::DataStream => {
                "the index belongs to a data stream; remove the template that makes one of it, because sagetrail needs plain indices"
            }
            Self::IdsRefused => {
                "the collection takes no ids, so a record that is delivered again would be stored twice; use a collection of the type SEARCH, because the types TIMESERIES and VECTORSEARCH take none"
            }
            Self::Script => {
                "what a record tells memory is joined by a stored script, which is missing or is not this version's; run `sagetrail setup`"
            }
            Self::NoSource => {
                "the mapping of the index has _source switched off, and memory is kept there; delete the index, so that the template makes it anew, and replay"
            }
            Self::TakesNone => {
                "the index refuses even a valid test document, so the records are not the cause; check the mapping, template and pipelines of the index for changes"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_human_must_change_is_an_obstacle_and_what_passes_is_none() {
        for (status, kind, block) in [
            (403, "security_exception", Some(ClusterBlock::Denied)),
            (401, "status_401", Some(ClusterBlock::Denied)),
            (403, "cluster_block_exception", Some(ClusterBlock::Blocked)),
            (429, "cluster_block_exception", Some(ClusterBlock::Blocked)),
            (404, "index_not_found_exception", Some(ClusterBlock::Absent)),
            (500, "fail_processor_exception", Some(ClusterBlock::Pipeline)),
            (429, "rejected_execution_exception", None),
            (408, "status_408", None),
            (500, "exception", None),
            (503, "unavailable_shards_exception", None),
        ] {
            assert_eq!(ClusterBlock::of(status, kind), block, "{status} {kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_obstacle_is_told_once_and_again_after_an_hour_and_each_by_itself() {
        let blocks = ClusterBlocks::default();
        assert!(blocks.is_news(ClusterBlock::Denied));
        tokio::time::advance(REMINDER / 2).await;
        assert!(!blocks.is_news(ClusterBlock::Denied));
        assert!(blocks.is_news(ClusterBlock::Blocked));
        tokio::time::advance(REMINDER / 2).await;
        assert!(blocks.is_news(ClusterBlock::Denied));
        assert!(!blocks.is_news(ClusterBlock::Blocked));
    }
}
