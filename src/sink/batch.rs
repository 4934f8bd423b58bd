//! The batch: which of the waiting documents travel together, and when they set out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::bulk;
use super::entry::Entry;

/// A due time for what is to wait longer than clocks can count.
const FAR_FUTURE: Duration = Duration::from_hours(24 * 365);

/// Entries that wait to be sent, in the order in which they arrived.
pub(super) struct Buffer {
    age: Duration,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Entries that OpenSearch did not take and that are to be sent again at that time.
    postponed: Vec<(Instant, Vec<Entry>)>,
}

/// How large a batch may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) documents: usize,
}

/// Whether it is worth waiting for a batch to become fuller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// Somebody may hand over more before they need an answer.
    More,
    /// Nobody will: all who could wait for answers.
    NoMore,
}

struct Waiting {
    entry: Entry,
    bytes: usize,
    due: Instant,
}

impl Buffer {
    /// A buffer whose entries wait no longer than `age` for company.
    pub(super) fn new(age: Duration) -> Self {
        Self { age, waiting: VecDeque::new(), bytes: 0, postponed: Vec::new() }
    }

    pub(super) fn push(&mut self, now: Instant, entries: Vec<Entry>) {
        let due = now + self.age.min(FAR_FUTURE);
        for entry in entries {
            let bytes = bulk::encoded_len(&entry.document);
            self.bytes += bytes;
            self.waiting.push_back(Waiting { entry, bytes, due });
        }
    }

    /// Keeps entries aside until they may be sent again. They hold their room meanwhile, but no bulk slot.
    pub(super) fn postpone(&mut self, until: Instant, entries: Vec<Entry>) {
        self.postponed.push((until, entries));
    }

    /// The next batch, if one is to set out now.
    pub(super) fn cut(&mut self, now: Instant, limits: Limits, prospect: Prospect) -> Option<Vec<Entry>> {
        self.recall(now);
        let full = self.bytes >= limits.bytes || self.waiting.len() >= limits.documents;
        let due = self.waiting.front().is_some_and(|first| first.due <= now);
        if self.waiting.is_empty() || !(full || due || prospect == Prospect::NoMore) {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            // A document larger than a batch may be travels alone rather than never.
            let fits = batch.is_empty() || bytes + next.bytes <= limits.bytes;
            if !fits || batch.len() >= limits.documents {
                break;
            }
            bytes += next.bytes;
            batch.extend(self.waiting.pop_front().map(|waiting| waiting.entry));
        }
        self.bytes -= bytes;
        Some(batch)
    }

    /// When `cut` could give something that it does not give now, if nothing arrives.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|first| first.due);
        self.postponed.iter().map(|(until, _)| *until).chain(first).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.postponed.is_empty()
    }

    /// Puts postponed entries whose time has come in front: they have waited longest, and need no company.
    fn recall(&mut self, now: Instant) {
        for (_, entries) in self.postponed.extract_if(.., |(until, _)| *until <= now) {
            for entry in entries.into_iter().rev() {
                let bytes = bulk::encoded_len(&entry.document);
                self.bytes += bytes;
                self.waiting.push_front(Waiting { entry, bytes, due: now });
            }
        }
    }
}
