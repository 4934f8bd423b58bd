//! Judges records in the order of their times, with what those before them told, each record once.

use std::collections::HashSet;
use std::io;

use time::OffsetDateTime;

use super::remembered::Remembered;
use super::sorted::{Entry, Order};
use crate::document::Document;
use crate::enrich::{Enriched, Enricher, Origin, enrich_remembering};

/// What is known while records are judged one after the other.
pub struct InOrder {
    pub remembered: Remembered,
    /// The time of the last record, and the ids of the documents of that time: the same record has the same time
    /// wherever it comes from.
    at: Option<i64>,
    seen: HashSet<String>,
    /// For what stands before any time.
    started: OffsetDateTime,
}

/// What becomes of a record.
pub enum Judged {
    NotSelected,
    Selected(Document),
    Malformed(Document),
}

impl Default for InOrder {
    fn default() -> Self {
        Self {
            remembered: Remembered::default(),
            at: None,
            seen: HashSet::new(),
            started: OffsetDateTime::now_utc(),
        }
    }
}

impl InOrder {
    /// Judges a record by its file's path, and learns what it tells.
    pub fn judge(&mut self, entry: &Entry, path: &str, enricher: &Enricher) -> io::Result<Judged> {
        let origin = Origin { path, written_at: None, now: self.now(entry.order) };
        let judged = match enrich_remembering(&entry.bytes, origin, enricher, &mut self.remembered) {
            Enriched::NotSelected | Enriched::RepeatedRead => Judged::NotSelected,
            Enriched::Selected { document, facts, .. } => {
                self.remembered.learn(&facts);
                Judged::Selected(document)
            }
            // The panic hook has reported it on standard error already.
            Enriched::Malformed(document) | Enriched::Panicked(document) => Judged::Malformed(document),
            Enriched::ToRecall(_) => unreachable!("what was never told is known not to be"),
        };
        self.remembered.make_room()?;
        Ok(judged)
    }

    /// Whether the document with this id comes for the first time.
    pub fn is_first(&mut self, order: Order, id: &str) -> bool {
        if self.at != order.time {
            self.at = order.time;
            self.seen.clear();
        }
        self.seen.insert(id.to_owned())
    }

    /// A record that says no time has that of the one before it: the real one would be weeks later, and end every
    /// incident.
    fn now(&self, order: Order) -> OffsetDateTime {
        let time = order.time.map(|time| OffsetDateTime::from_unix_timestamp_nanos(time.into()));
        time.and_then(Result::ok).unwrap_or(self.started)
    }
}
