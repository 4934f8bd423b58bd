//! Makes one round: finds what has come, which groups and origins it concerns, and what they mean together.
//!
//! A round has steps, and each step a time limit. One that is not finished is gone on with in the next part of the
//! round, from the page where it was; only when all steps are finished the round is complete, and the next asks from
//! its beginning on.

use std::collections::BTreeSet;
use std::sync::Arc;

use sagetrail_core::incident::{Incident, Weights};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::asking::{self, Asking};
use super::changed::{Marks, Window};
use super::standing::Standing;
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
    /// Incidents of which the last round was refused who is tied to them.
    untied: Vec<Incident>,
}

/// The round that is being made.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub began: OffsetDateTime,
    pub window: Window,
    /// The steps that are finished.
    finished: BTreeSet<Step>,
    /// Which sort of groups is asked of all that correlations have, and behind which page of it.
    pub place: usize,
    pub after: Option<Value>,
    /// Behind which page of origins it is.
    pub origins_after: Option<Value>,
    /// The incidents that stand, unless somebody else wrote one since they were read.
    pub standing: Option<Standing>,
    /// Origins that have nothing new, and belong to what was found in this round.
    pub tied: BTreeSet<String>,
    /// Incidents of which it is not known yet who is tied to them.
    pub tying: Vec<Incident>,
    /// Those of which that was refused.
    pub untied: Vec<Incident>,
    /// How OpenSearch refused one question of many.
    pub refused: Option<u16>,
}

/// Those of one round, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Begins each part of a round: a page must not wait for all else that came.
    Critical,
    Correlations,
    Origins,
    Resting,
    Removal,
}

impl Step {
    const ALL: [Self; 5] = [Self::Critical, Self::Correlations, Self::Origins, Self::Resting, Self::Removal];

    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical signals",
            Self::Correlations => "correlations",
            Self::Origins => "origins",
            Self::Resting => "incidents that fall quiet",
            Self::Removal => "removal of old incidents",
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
            untied: Vec::new(),
        }
    }

    /// Makes a round, or goes on with the one that was not finished.
    pub(super) async fn make(
        &mut self,
        last_round: Option<OffsetDateTime>,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Ended, QueryError> {
        let mut current = self.current.take().unwrap_or_else(|| self.begin(last_round, now));
        let made = self.go_on(&mut current, now, enricher).await;
        if !matches!(made, Ok(Ended::Complete { .. })) {
            self.current = Some(current);
            return made;
        }
        self.untied = current.untied;
        match current.refused {
            // All else is decided. The next round asks for the same once more.
            Some(status) => Err(asking::refused(status)),
            None => made,
        }
    }

    pub(super) fn begin(&self, last_round: Option<OffsetDateTime>, now: OffsetDateTime) -> Current {
        Current {
            began: now,
            window: Window::new(last_round, now, &self.weights.times),
            finished: BTreeSet::new(),
            place: 0,
            after: None,
            origins_after: None,
            standing: None,
            tied: BTreeSet::new(),
            tying: self.untied.clone(),
            untied: Vec::new(),
            refused: None,
        }
    }

    /// Gives each step its time. Those who did something are judged also while correlations are not finished, and again
    /// after.
    async fn go_on(
        &mut self,
        current: &mut Current,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Ended, QueryError> {
        current.standing = None;
        current.finished.remove(&Step::Critical);
        let mut unfinished = None;
        for step in Step::ALL {
            let is_early = unfinished.is_some() && step > Step::Origins;
            if is_early || current.finished.contains(&step) {
                continue;
            }
            let asking = Asking::new(self.client.clone());
            let progress = match step {
                Step::Critical => self.judge_critical(&asking, current, now).await?,
                Step::Correlations => self.correlate(&asking, current, now, enricher).await?,
                Step::Origins => self.judge_origins(&asking, current, now).await?,
                Step::Resting => self.rest(&asking, current, now).await?,
                Step::Removal => self.remove_old(&asking, now).await?,
            };
            match progress {
                Progress::TimeIsOver => {
                    unfinished.get_or_insert(step);
                }
                // What correlations find until they are finished belongs to the round as well.
                Progress::Finished
                    if step == Step::Origins && !current.finished.contains(&Step::Correlations) => {}
                Progress::Finished => {
                    current.finished.insert(step);
                }
            }
        }
        Ok(match unfinished {
            Some(step) => Ended::Unfinished { at: step.name() },
            None => Ended::Complete { began: current.began },
        })
    }
}
