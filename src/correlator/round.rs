//! One round: what has come, which groups and origins it concerns, and what they mean together.
//!
//! A round has steps, and each step a time limit. One that is not finished is gone on with in the next round, from the page
//! where it was; only when all steps are finished the round is complete, and the next asks from its beginning on.

use std::collections::BTreeSet;
use std::sync::Arc;

use sagetrail_core::incident::Weights;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::asking::Asking;
use super::changed::{Marks, Window};
use super::standing::Stored;
use super::usual::Usual;
use crate::enrich::Enricher;
use crate::metrics::Metrics;
use crate::opensearch::{OpenSearch, QueryError};

/// How a round ended that OpenSearch answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Complete { began: OffsetDateTime },
    Unfinished { at: &'static str },
}

/// Whether a step did all that it had to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Finished,
    /// Its time was over.
    TimeIsOver,
}

/// The rounds of one holder of the lease, and where they are. All of it can be lost: it is asked again then.
pub(super) struct Rounds {
    pub client: OpenSearch,
    pub metrics: Arc<Metrics>,
    pub days: u32,
    pub weights: Weights,
    pub marks: Marks,
    pub usual: Usual,
    pub removed_at: Option<Instant>,
    current: Option<Current>,
}

/// The round that is being made.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub began: OffsetDateTime,
    pub window: Window,
    step: Step,
    /// Which correlation, and which source of it, is asked.
    pub correlation: usize,
    pub source: usize,
    /// Behind which page it is.
    pub after: Option<Value>,
    /// The incidents that stand, unless something was written since they were read.
    pub standing: Option<Vec<Stored>>,
    /// Origins that have nothing new, and belong to what was found in this round.
    pub tied: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Correlations,
    Origins,
    Resting,
    Removal,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Correlations => "correlations",
            Self::Origins => "origins",
            Self::Resting => "incidents that fall quiet",
            Self::Removal => "removal of old incidents",
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Correlations => Some(Self::Origins),
            Self::Origins => Some(Self::Resting),
            Self::Resting => Some(Self::Removal),
            Self::Removal => None,
        }
    }
}

impl Rounds {
    pub(super) fn new(client: OpenSearch, metrics: Arc<Metrics>, days: u32, weights: Weights) -> Self {
        Self {
            client,
            metrics,
            days,
            weights,
            marks: Marks::default(),
            usual: Usual::default(),
            removed_at: None,
            current: None,
        }
    }

    /// Makes a round, or goes on with the one that was not finished.
    pub(super) async fn make(
        &mut self,
        last_round: Option<OffsetDateTime>,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Ended, QueryError> {
        let age = self.weights.times.window.value;
        let age = time::Duration::try_from(age).unwrap_or(time::Duration::DAY);
        let mut current = self.current.take().unwrap_or_else(|| Current {
            began: now,
            window: Window::new(last_round, now, age),
            step: Step::Correlations,
            correlation: 0,
            source: 0,
            after: None,
            standing: None,
            tied: BTreeSet::new(),
        });
        let made = self.go_on(&mut current, now, enricher).await;
        if !matches!(made, Ok(Ended::Complete { .. })) {
            self.current = Some(current);
        }
        made
    }

    async fn go_on(
        &mut self,
        current: &mut Current,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Ended, QueryError> {
        loop {
            let asking = Asking::new(self.client.clone());
            current.standing = None;
            let progress = match current.step {
                Step::Correlations => self.correlate(&asking, current, now, enricher).await?,
                Step::Origins => self.judge_origins(&asking, current, now).await?,
                Step::Resting => self.rest(&asking, now).await?,
                Step::Removal => self.remove_old(&asking, now).await?,
            };
            if progress == Progress::TimeIsOver {
                return Ok(Ended::Unfinished { at: current.step.name() });
            }
            current.after = None;
            match current.step.next() {
                Some(next) => current.step = next,
                None => return Ok(Ended::Complete { began: current.began }),
            }
        }
    }
}
