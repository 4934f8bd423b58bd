//! Judges records one after the other, and gathers their documents and facts until they are sent together.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::error;

use super::chunk::Chunk;
use super::held::Held;
use crate::enrich::{self, Enriched, Enricher, Origin, enrich_remembering};
use crate::labels::{FreshnessStage, RejectReason};
use crate::memory::{AtHand, Known, Memory, Wanted};
use crate::metrics::Metrics;
use crate::names::Names;

/// Keys that are at hand for one part of a file. More are looked up in the cache again.
const MOST_KNOWN: usize = 1_024;

/// Decides on one record.
pub(super) type Decide = for<'k> fn(&[u8], Origin<'_>, &'k Enricher, &mut AtHand<'_>) -> Enriched<'k>;

/// The object whose records are judged, and with what.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) path: String,
    pub(super) written_at: Option<OffsetDateTime>,
    pub(super) now: OffsetDateTime,
    pub(super) enricher: Arc<Enricher>,
    pub(super) memory: Memory,
    pub(super) metrics: Arc<Metrics>,
}

pub(super) struct Judge {
    subject: Subject,
    decide: Decide,
    known: Known,
    /// When nothing was known.
    since: Instant,
    chunk: Chunk,
    /// Documents, in place of which the record may be rejected.
    pub(super) selected: u64,
    panicked: u64,
}

/// What became of one record.
pub(super) enum Judged {
    Ended,
    /// It waits for what has to be recalled.
    Waits,
}

/// How far the judging of held records came.
pub(super) enum Step {
    Full(Chunk),
    ToRecall(Vec<Wanted>),
    End(Chunk),
}

impl Judge {
    pub(super) fn new(subject: Subject) -> Self {
        Self::with(subject, |raw, origin, enricher, known| enrich_remembering(raw, origin, enricher, known))
    }

    pub(super) fn with(subject: Subject, decide: Decide) -> Self {
        let (known, chunk) = (subject.memory.known(), Chunk::new(&subject.memory));
        Self { subject, decide, known, since: Instant::now(), chunk, selected: 0, panicked: 0 }
    }

    /// Decides on one record, unless something has to be recalled first.
    pub(super) fn judge(&mut self, raw: &[u8]) -> Judged {
        let Subject { path, written_at, now, enricher, memory, metrics } = &self.subject;
        let origin = Origin { path, written_at: *written_at, now: *now };
        let underway = self.chunk.facts();
        let at_hand = &mut AtHand { known: &mut self.known, since: self.since, memory, underway };
        let document = match (self.decide)(raw, origin, enricher, at_hand) {
            Enriched::NotSelected => return Judged::Ended,
            Enriched::RepeatedRead => {
                metrics.artefact_reads_repeated.inc();
                return Judged::Ended;
            }
            Enriched::ToRecall(_) => return Judged::Waits,
            Enriched::Selected {
                document,
                event_time,
                categories,
                unknown_operation,
                muted,
                facts,
                lacks_memory,
            } => {
                for by in muted {
                    metrics.matches_muted.count(by);
                }
                metrics.records_unknown_operation.inc_by(u64::from(unknown_operation));
                metrics.records_incomplete.inc_by(u64::from(lacks_memory));
                for category in categories {
                    metrics.records_by_category.with_label_values(&[category]).inc();
                }
                if let (Some(event_time), Some(written_at)) = (event_time, *written_at) {
                    metrics.freshness(FreshnessStage::EventToObject, written_at - event_time);
                }
                if let Some(event_time) = event_time {
                    self.known.learn(&facts);
                    self.chunk.tell(facts, event_time);
                }
                document
            }
            Enriched::Malformed(document) => {
                metrics.records_rejected.count(RejectReason::Malformed);
                document
            }
            Enriched::Panicked(document) => {
                self.panicked += 1;
                metrics.records_rejected.count(RejectReason::Panicked);
                document
            }
        };
        self.selected += 1;
        self.chunk.push(document);
        Judged::Ended
    }

    /// Judges held records in their order, until a chunk is full or something has to be recalled.
    pub(super) fn judge_held(&mut self, held: &mut Held) -> Step {
        while let Some(raw) = held.first() {
            if let Judged::Waits = self.judge(raw) {
                return Step::ToRecall(self.wanted(held));
            }
            held.remove_first();
            if self.chunk.is_full() {
                return Step::Full(self.take());
            }
        }
        Step::End(self.take())
    }

    /// Takes the documents and facts that were gathered. What is known is looked up anew after that, because others
    /// learn meanwhile.
    pub(super) fn take(&mut self) -> Chunk {
        self.forget();
        std::mem::replace(&mut self.chunk, Chunk::new(&self.subject.memory))
    }

    pub(super) fn names(&self) -> Names {
        self.subject.enricher.names.clone()
    }

    pub(super) fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    pub(super) fn known(&mut self) -> &mut Known {
        &mut self.known
    }

    /// Lets the known go that is at hand, if it is much.
    pub(super) fn forget_some(&mut self) {
        if self.known.len() > MOST_KNOWN {
            self.forget();
        }
    }

    /// Looks up anew what is known.
    pub(super) fn forget(&mut self) {
        self.known = self.subject.memory.known();
        self.since = Instant::now();
    }

    /// What the records need that is neither known nor cached.
    fn wanted(&mut self, held: &Held) -> Vec<Wanted> {
        let mut all: Vec<Wanted> = Vec::new();
        for raw in held.iter() {
            let (keys, time) = enrich::wanted(raw, &self.subject.enricher, &self.known);
            for key in self.subject.memory.look_up(keys, &mut self.known) {
                if !all.iter().any(|wanted| wanted.key == key) {
                    all.push(Wanted { key, time });
                }
            }
        }
        all
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        if self.panicked > 0 {
            error!(
                object = self.subject.path,
                records = self.panicked,
                "sagetrail panicked at records and rejected them; this is a bug, please report it"
            );
        }
    }
}

#[cfg(test)]
mod tests;
