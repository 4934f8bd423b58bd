//! One round: what has come, which origins it concerns, and what their signals mean together.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::enrich::Enricher;
use crate::metrics::Metrics;
use crate::opensearch::{OpenSearch, QueryError};

/// How a round ended that OpenSearch answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Complete { began: OffsetDateTime },
    Unfinished { at: &'static str },
}

/// The rounds of one holder of the lease, and where they are.
pub(super) struct Rounds {
    client: OpenSearch,
    metrics: Arc<Metrics>,
    days: u32,
}

impl Rounds {
    pub(super) fn new(client: OpenSearch, metrics: Arc<Metrics>, days: u32) -> Self {
        Self { client, metrics, days }
    }

    /// Makes a round, or goes on with the one that was not finished.
    pub(super) async fn make(
        &mut self,
        since: Option<OffsetDateTime>,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Ended, QueryError> {
        Ok(Ended::Complete { began: now })
    }
}
