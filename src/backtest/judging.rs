//! Judges records in the order of their times, as the daemon and the correlator would have.

use std::io;
use std::ops::ControlFlow;

use serde_json::Value;
use time::OffsetDateTime;

use super::job::{BacktestError, Records};
use super::progress::Progress;
use super::reading::stored;
use super::report::{Judged, Report};
use crate::enrich::redact::MARKER_START;
use crate::enrich::{Enriched, Enricher, Origin, enrich_remembering, re_enrich, wanted_anew};
use crate::incident::{Counted, Rounds, Weights};
use crate::memory::Remembering;
use crate::offline::sorted::{Entry, Form};
use crate::offline::{self, InOrder};
use crate::stored::kept;

/// Judges all records with one set of rules. What is older than `since` is the site's history: it is remembered, and
/// not reported.
pub fn judge(
    records: &Records,
    enricher: &Enricher,
    weights: Weights,
    since: Option<OffsetDateTime>,
    progress: &Progress,
) -> Result<Report, BacktestError> {
    let mut rounds = Rounds::new(weights, enricher.rules.correlations());
    let mut report = Report::new(since, records.read.clone());
    let mut judging = Judging {
        enricher,
        now: OffsetDateTime::now_utc(),
        in_order: InOrder::default(),
        judged: Judged::default(),
    };
    let mut done = 0;
    records.sorted.each(|entry| {
        if let Some(document) = judging.document(entry)? {
            rounds.take(&document.index, &document.id, &document.source);
            report.count(Counted::all_of(&document.source));
        }
        done += 1;
        progress.judging(done, records.sorted.len());
        Ok(ControlFlow::Continue(()))
    })?;
    report.end(judging.judged, rounds.finish());
    Ok(report)
}

/// What is known while records are judged one after the other.
struct Judging<'e> {
    enricher: &'e Enricher,
    now: OffsetDateTime,
    in_order: InOrder,
    judged: Judged,
}

struct Document {
    index: String,
    id: String,
    source: Value,
}

impl Judging<'_> {
    /// The document of an entry. None where the record is not selected, cannot be read or came before.
    fn document(&mut self, entry: &Entry) -> io::Result<Option<Document>> {
        let document = match entry.order.form {
            Form::Record => self.of_record(entry)?,
            Form::Stored => self.of_stored(&entry.bytes)?,
        };
        Ok(document.filter(|document| self.counts(entry, document)))
    }

    /// Whether a document is one of an attack that did not come before.
    fn counts(&mut self, entry: &Entry, document: &Document) -> bool {
        // A drill is no attack, and no page is told that it would have made.
        if !document.source["sagemaker"]["drill"].is_null() {
            self.judged.selected -= 1;
            return false;
        }
        if !self.in_order.is_first(entry.order, &document.id) {
            self.judged.duplicates += 1;
            self.judged.selected -= 1;
            return false;
        }
        true
    }

    fn of_record(&mut self, entry: &Entry) -> io::Result<Option<Document>> {
        Ok(match self.in_order.judge(entry, "", self.enricher)? {
            offline::Judged::NotSelected => None,
            offline::Judged::Malformed(_) => {
                self.judged.malformed += 1;
                None
            }
            offline::Judged::Selected(document) => {
                self.judged.selected += 1;
                Some(Document {
                    index: document.index.as_str().to_owned(),
                    id: document.id.as_str().to_owned(),
                    source: serde_json::from_slice(&document.source).expect("documents are written as JSON"),
                })
            }
        })
    }

    /// Judges the text that a stored document keeps. What memory knew when it was shipped, and what its text has lost
    /// since, stays as the document has it.
    fn of_stored(&mut self, bytes: &[u8]) -> io::Result<Option<Document>> {
        let Some((index, id, before)) = stored(bytes) else { return Ok(None) };
        let anew = kept(&before, self.now).and_then(|kept| {
            let remembered = &mut self.in_order.remembered;
            loop {
                let (keys, _) = wanted_anew(&kept, self.enricher, remembered.known());
                if keys.is_empty() {
                    break;
                }
                remembered.look_up(keys);
            }
            let anew = re_enrich(&kept, self.enricher, remembered.known())?;
            let origin = Origin { path: kept.path, written_at: None, now: self.now };
            let raw = kept.original.as_bytes();
            if let Enriched::Selected { facts, .. } =
                enrich_remembering(raw, origin, self.enricher, remembered)
            {
                remembered.learn(&facts);
            }
            self.judged.redacted += u64::from(kept.original.contains(MARKER_START));
            Some(anew)
        });
        self.in_order.remembered.make_room()?;
        let Some(anew) = anew else {
            self.judged.unreadable += 1;
            return Ok(None);
        };
        self.judged.selected += 1;
        self.judged.carried += u64::from(!anew.carried.is_empty());
        Ok(Some(Document { index, id, source: anew.source }))
    }
}
