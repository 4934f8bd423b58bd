//! Holds a document in flight: it keeps its budget and resolves its submission exactly once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::answer::{StoreError, Stored};
use super::memory_budget::BudgetPermit;
use crate::document::{Document, Write};

/// A document in flight: holds its budget and resolves its submission exactly once.
pub(super) struct Entry {
    pub(super) document: Document,
    /// How often it was sent in a bulk that was answered.
    pub(super) attempts: u32,
    /// Set once OpenSearch has refused the document, which is now its own report in the rejected index.
    pub(super) rejected: Option<Rejected>,
    /// How the document was to be written that was submitted.
    write: Write,
    /// Given back before the submission is answered, so that the submitter finds the budget free.
    _permit: BudgetPermit,
    acks: Arc<AckTracker>,
}

/// Marks an entry whose document was replaced by the report of its refusal.
pub(super) struct Rejected;

/// How an entry ended.
pub(super) enum EntryOutcome {
    Created,
    Duplicate,
    Failed(StoreError),
}

impl Entry {
    pub(super) fn new(document: Document, acks: &Arc<AckTracker>, permit: BudgetPermit) -> Self {
        let write = document.write;
        Self { document, attempts: 0, rejected: None, write, _permit: permit, acks: Arc::clone(acks) }
    }

    /// Tells the submission how this document ended. An entry that is dropped without it counts as unanswered.
    pub(super) fn settle(self, outcome: EntryOutcome) {
        let rejected = self.is_for_rejected();
        let mut counts = self.acks.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            EntryOutcome::Created | EntryOutcome::Duplicate if self.is_fact() && rejected => {
                counts.stored.facts_rejected += 1;
            }
            EntryOutcome::Created | EntryOutcome::Duplicate if self.is_fact() => counts.stored.facts += 1,
            // A document in the rejected index counts as rejected, whether this attempt wrote it or an earlier one.
            EntryOutcome::Created | EntryOutcome::Duplicate if rejected => counts.stored.rejected += 1,
            EntryOutcome::Created => counts.stored.created += 1,
            EntryOutcome::Duplicate => counts.stored.duplicate += 1,
            EntryOutcome::Failed(error) => {
                counts.failure.get_or_insert(error);
            }
        }
    }

    /// Replaces the document by the report of its refusal, which takes the same way.
    pub(super) fn reject(mut self, report: Document) -> Self {
        self.document = report;
        self.attempts = 0;
        self.rejected = Some(Rejected);
        self
    }

    /// Whether it is a fact, or the report of one.
    pub(super) fn is_fact(&self) -> bool {
        self.write == Write::Join
    }

    /// Whether the document goes to the rejected index; there is nowhere else to put it then.
    pub(super) fn is_for_rejected(&self) -> bool {
        self.rejected.is_some() || self.document.index.is_for_rejected()
    }
}

/// Counts the outcomes of one submission's documents. The last entry to drop it sends the answer, so no panic or abort
/// leaves the submitter waiting.
pub(super) struct AckTracker {
    expected: u64,
    counts: Mutex<Counts>,
    answer: Option<oneshot::Sender<Result<Stored, StoreError>>>,
}

#[derive(Default)]
struct Counts {
    stored: Stored,
    failure: Option<StoreError>,
}

impl AckTracker {
    pub(super) fn open(expected: usize) -> (Arc<Self>, Submission) {
        let (answer, verdict) = oneshot::channel();
        let acks = Self { expected: expected as u64, counts: Mutex::default(), answer: Some(answer) };
        (Arc::new(acks), Submission { verdict })
    }
}

impl Drop for AckTracker {
    fn drop(&mut self) {
        let counts = std::mem::take(self.counts.get_mut().unwrap_or_else(PoisonError::into_inner));
        let Stored { created, duplicate, rejected, facts, facts_rejected } = counts.stored;
        let verdict = match counts.failure {
            Some(error) => Err(error),
            None if created + duplicate + rejected + facts + facts_rejected == self.expected => {
                Ok(counts.stored)
            }
            None => Err(StoreError::Closed),
        };
        if let Some(answer) = self.answer.take() {
            // A submitter that no longer waits has no use for the answer.
            let _ = answer.send(verdict);
        }
    }
}

/// Documents that were handed over together and whose storage is not proven yet.
#[must_use = "documents are proven to be stored only by `stored`"]
pub struct Submission {
    verdict: oneshot::Receiver<Result<Stored, StoreError>>,
}

impl Submission {
    /// Waits until every document has an outcome. Ok only when each of them is in an index.
    pub async fn stored(self) -> Result<Stored, StoreError> {
        self.verdict.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use tokio::sync::Notify;

    use super::*;
    use crate::document::{DocumentId, IndexName, Write};
    use crate::metrics::Metrics;
    use crate::names::Names;
    use crate::sink::memory_budget::MemoryBudget;

    /// Entries of one submission whose sources are so many bytes long.
    pub(in crate::sink) async fn entries(lengths: &[usize]) -> (Vec<Entry>, Submission) {
        let budget = Arc::new(MemoryBudget::new(1 << 30, Arc::new(Notify::new()), Arc::new(Metrics::new())));
        let (acks, submission) = AckTracker::open(lengths.len());
        let mut entries = Vec::new();
        for (number, length) in lengths.iter().enumerate() {
            let document = Document {
                id: DocumentId::of(None, &number.to_be_bytes()),
                index: IndexName::of_event(&Names::default(), None),
                source: Bytes::from(vec![b' '; *length]),
                write: Write::Create,
            };
            entries.push(Entry::new(document, &acks, budget.take(1).await.unwrap()));
        }
        (entries, submission)
    }

    #[tokio::test]
    async fn a_submission_counts_each_ending() {
        let (entries, submission) = entries(&[1, 1, 1, 1]).await;
        for (number, mut entry) in entries.into_iter().enumerate() {
            match number {
                0 | 1 => entry.settle(EntryOutcome::Created),
                2 => entry.settle(EntryOutcome::Duplicate),
                _ => {
                    entry.document.index = IndexName::rejected(&Names::default());
                    entry.settle(EntryOutcome::Duplicate);
                }
            }
        }
        assert_eq!(
            submission.stored().await,
            Ok(Stored { created: 2, duplicate: 1, rejected: 1, ..Stored::default() })
        );
    }

    #[tokio::test]
    async fn one_entry_that_is_dropped_without_an_ending_makes_the_whole_unproven() {
        let (mut entries, submission) = entries(&[1, 1]).await;
        drop(entries.pop());
        entries.pop().unwrap().settle(EntryOutcome::Created);
        assert_eq!(submission.stored().await, Err(StoreError::Closed));
    }

    #[tokio::test]
    async fn the_first_failure_is_the_answer_once_every_entry_has_ended() {
        let (entries, submission) = entries(&[1, 1, 1]).await;
        let refused = |kind: &str| StoreError::Refused { kind: kind.to_owned() };
        for (entry, kind) in entries.into_iter().zip(["first", "second", "third"]) {
            entry.settle(EntryOutcome::Failed(refused(kind)));
        }
        assert_eq!(submission.stored().await, Err(refused("first")));
    }

    #[tokio::test]
    async fn a_submission_of_nothing_is_stored() {
        let (_, submission) = entries(&[]).await;
        assert_eq!(submission.stored().await, Ok(Stored::default()));
    }
}
