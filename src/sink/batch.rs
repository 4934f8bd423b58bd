//! Decides which of the waiting documents travel in one bulk, and when it is sent.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::bulk;
use super::entry::Entry;

/// The due time of a wait that is too long for the clock.
const FAR_FUTURE: Duration = Duration::from_hours(24 * 365);

/// Entries that wait to be sent, in the order in which they arrived.
pub(super) struct Buffer {
    age: Duration,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Entries that OpenSearch did not take, with the time at which they are sent again.
    postponed: Vec<(Instant, Vec<Entry>)>,
}

/// How large a batch may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) documents: usize,
}

/// Whether a batch may become fuller if it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linger {
    /// A producer may still submit more documents before it waits for an answer.
    More,
    /// No producer will: all of them wait for answers.
    NoMore,
}

struct Waiting {
    entry: Entry,
    bytes: usize,
    due: Instant,
}

impl Buffer {
    /// A buffer whose entries wait at most `age` for a fuller batch.
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

    /// Keeps entries until they may be sent again. They keep their budget meanwhile, but no bulk slot.
    pub(super) fn postpone(&mut self, until: Instant, entries: Vec<Entry>) {
        self.postponed.push((until, entries));
    }

    /// The next batch, if one should be sent now.
    pub(super) fn cut(&mut self, now: Instant, limits: Limits, linger: Linger) -> Option<Vec<Entry>> {
        self.recall(now);
        let full = self.bytes >= limits.bytes || self.waiting.len() >= limits.documents;
        let due = self.waiting.front().is_some_and(|first| first.due <= now);
        if self.waiting.is_empty() || !(full || due || linger == Linger::NoMore) {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            // A document that is larger than a batch is sent alone.
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

    /// When `cut` may next return a batch if nothing arrives.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = self.waiting.front().map(|first| first.due);
        self.postponed.iter().map(|(until, _)| *until).chain(first).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.postponed.is_empty()
    }

    /// Puts postponed entries that are due in front: they have waited longest, and need no fuller batch.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::entry::tests::entries;

    const AGE: Duration = Duration::from_secs(1);
    const SMALL: Limits = Limits { bytes: 1_000, documents: 3 };

    fn lengths(batch: Option<Vec<Entry>>) -> Option<Vec<usize>> {
        batch.map(|batch| batch.iter().map(|entry| entry.document.source.len()).collect())
    }

    async fn buffer(now: Instant, sources: &[usize]) -> Buffer {
        let mut buffer = Buffer::new(AGE);
        buffer.push(now, entries(sources).await.0);
        buffer
    }

    #[tokio::test]
    async fn a_batch_sets_out_when_it_is_full_due_or_without_prospect_of_more_and_not_before() {
        type Case<'a> = (&'a [usize], Instant, Linger, Option<Vec<usize>>, &'a str);
        let now = Instant::now();
        let (later, more, no_more) = (now + AGE, Linger::More, Linger::NoMore);
        let early = later.checked_sub(Duration::from_millis(1)).unwrap();
        let table: [Case<'_>; 9] = [
            (&[1, 2], now, more, None, "neither full nor due"),
            (&[1, 2], early, more, None, "not due yet"),
            (&[1, 2], later, more, Some(vec![1, 2]), "due"),
            (&[1, 2], now, no_more, Some(vec![1, 2]), "nobody will add to it"),
            (&[1, 2, 3, 4], now, more, Some(vec![1, 2, 3]), "full by documents"),
            (&[500, 501], now, more, Some(vec![500]), "full by bytes, and the second does not fit"),
            (&[5_000, 1], now, more, Some(vec![5_000]), "one larger than a batch travels alone"),
            (&[], later, no_more, None, "nothing waits"),
            (&[1], later, no_more, Some(vec![1]), "a lone one"),
        ];
        for (sources, at, linger, expected, what) in table {
            let mut buffer = buffer(now, sources).await;
            assert_eq!(lengths(buffer.cut(at, SMALL, linger)), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn every_entry_leaves_once_and_in_order() {
        let now = Instant::now();
        let sources: Vec<usize> = (1..=10).collect();
        let mut buffer = buffer(now, &sources).await;
        let mut left = Vec::new();
        while let Some(batch) = lengths(buffer.cut(now, SMALL, Linger::NoMore)) {
            left.extend(batch);
        }
        assert_eq!(left, sources);
        assert!(buffer.is_empty());
        assert_eq!(buffer.bytes, 0);
    }

    #[tokio::test]
    async fn postponed_entries_wait_for_their_time_and_then_for_nothing() {
        let now = Instant::now();
        let mut buffer = buffer(now, &[]).await;
        buffer.postpone(now + AGE * 5, entries(&[7, 8]).await.0);
        assert!(!buffer.is_empty());
        assert_eq!(buffer.next_due(), Some(now + AGE * 5));
        assert_eq!(lengths(buffer.cut(now + AGE, SMALL, Linger::NoMore)), None);
        buffer.push(now + AGE * 5, entries(&[1]).await.0);
        assert_eq!(lengths(buffer.cut(now + AGE * 5, SMALL, Linger::More)), Some(vec![7, 8, 1]));
        assert!(buffer.is_empty());
    }

    #[tokio::test]
    async fn an_age_beyond_all_clocks_is_no_due_time_soon() {
        let now = Instant::now();
        let mut buffer = Buffer::new(Duration::MAX);
        buffer.push(now, entries(&[1]).await.0);
        assert!(buffer.next_due().is_some_and(|due| due > now + AGE));
    }
}
