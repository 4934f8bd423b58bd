//! Makes the documents that would be indexed for local files, without any server.
//!
//! The records of all files are put into the order of time before they are judged, so that it is the same in which
//! order the files are named, and whichever command reads them.

mod collecting;
mod in_order;
mod remembered;
pub mod sorted;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use collecting::{candidates, nanoseconds};
pub use in_order::{InOrder, Judged};
pub use remembered::Remembered;
use serde_json::Value;
use sorted::{Sorted, Sorting};

use crate::decode::{Damage, Limits};
use crate::document::Document;
use crate::enrich::Enricher;
use crate::incident::{Incident, Rounds, Weights};

/// The argument that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// What was read and written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub files: u64,
    pub records: u64,
    pub selected: u64,
    pub malformed: u64,
}

/// What was read, and what is known at its end.
pub struct Read {
    pub summary: Summary,
    pub remembered: Remembered,
}

/// Why a file could not be used whole, or nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged: {damage}", path.display())]
    Damaged { path: PathBuf, damage: Damage },
    #[error(
        "cannot keep records in a temporary file: {0}; TMPDIR names the folder, which needs room for the records"
    )]
    Sort(io::Error),
    #[error("cannot write to standard output: {0}")]
    Write(io::Error),
}

/// Writes one line for each document of the files: `_index`, `_id` and `_source`, as a search would return them.
pub fn enrich_files(
    files: &[PathBuf],
    limits: &Limits,
    enricher: &Enricher,
    output: &mut impl Write,
    complain: impl FnMut(&OfflineError),
) -> Result<Summary, OfflineError> {
    let mut unwritten = None;
    let take = |document: &Document| match write_line(document, output) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            unwritten = Some(OfflineError::Write(error));
            ControlFlow::Break(())
        }
    };
    let records = Records::read(files, limits, enricher, complain)?;
    let Read { summary, .. } = records.judge_copies(enricher, Copies::Kept, take)?;
    unwritten.map_or(Ok(summary), Err)
}

/// The records of files that rules could select, in the order of time. They can be judged several times.
#[derive(Debug)]
pub struct Records {
    /// The files' paths in the order of their names.
    paths: Vec<String>,
    sorted: Sorted,
    /// Files that were read, and the records in them.
    read: u64,
    found: u64,
}

impl Records {
    /// Reads all files. A damaged one is reported to `complain` and the next is read.
    pub fn read(
        files: &[PathBuf],
        limits: &Limits,
        enricher: &Enricher,
        mut complain: impl FnMut(&OfflineError),
    ) -> Result<Self, OfflineError> {
        let mut sorting = Sorting::default();
        let paths: BTreeSet<&PathBuf> = files.iter().collect();
        let mut numbers: BTreeMap<&PathBuf, u32> = paths.iter().copied().zip(0..).collect();
        let (mut read, mut records) = (0, 0);
        for path in files {
            let Some(number) = numbers.remove(path) else { continue };
            let path = path.clone();
            let bytes = match bytes_of(&path) {
                Ok(bytes) => bytes,
                Err(source) => {
                    complain(&OfflineError::Read { path, source });
                    continue;
                }
            };
            let mut failure = None;
            let decoded =
                candidates(&bytes, limits, &[enricher], number, |entry| match sorting.push(entry) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                });
            failure.map_or(Ok(()), |error| Err(OfflineError::Sort(error)))?;
            read += 1;
            records += decoded.records;
            if let Some(damage) = decoded.damage {
                complain(&OfflineError::Damaged { path, damage });
            }
        }
        let paths = paths.iter().map(|path| path.display().to_string()).collect();
        Ok(Self { paths, sorted: sorting.finish(), read, found: records })
    }

    /// How many files were named, each once.
    pub fn files(&self) -> usize {
        self.paths.len()
    }

    /// Hands over the document of each record, the oldest first and each once, until `take` breaks off. Returns what
    /// the records told.
    pub fn judge(
        &self,
        enricher: &Enricher,
        take: impl FnMut(&Document) -> ControlFlow<()>,
    ) -> Result<Read, OfflineError> {
        self.judge_copies(enricher, Copies::Dropped, take)
    }

    /// The incidents that the records make, in the order in which they were opened.
    pub fn incidents(&self, enricher: &Enricher, weights: Weights) -> Result<Vec<Incident>, OfflineError> {
        let mut rounds = Rounds::new(weights, enricher.rules.correlations());
        self.judge(enricher, |document| {
            rounds.take(document.index.as_str(), document.id.as_str(), &parsed(document));
            ControlFlow::Continue(())
        })?;
        Ok(rounds.finish().incidents)
    }

    fn judge_copies(
        &self,
        enricher: &Enricher,
        copies: Copies,
        mut take: impl FnMut(&Document) -> ControlFlow<()>,
    ) -> Result<Read, OfflineError> {
        let mut summary = Summary { files: self.read, records: self.found, ..Summary::default() };
        let mut in_order = InOrder::default();
        let each = self.sorted.each(|entry| {
            let path = usize::try_from(entry.order.file).ok().and_then(|file| self.paths.get(file));
            let judged = in_order.judge(entry, path.map_or("", String::as_str), enricher)?;
            let (document, count) = match &judged {
                Judged::NotSelected => return Ok(ControlFlow::Continue(())),
                Judged::Selected(document) => (document, &mut summary.selected),
                Judged::Malformed(document) => (document, &mut summary.malformed),
            };
            let is_copy = !in_order.is_first(entry.order, document.id.as_str());
            if is_copy && copies == Copies::Dropped {
                return Ok(ControlFlow::Continue(()));
            }
            *count += 1;
            Ok(take(document))
        });
        each.map_err(OfflineError::Sort)?;
        Ok(Read { summary, remembered: in_order.remembered })
    }
}

/// What a document says.
pub fn parsed(document: &Document) -> Value {
    serde_json::from_slice(&document.source).expect("documents are written as JSON")
}

/// What becomes of a record that comes again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    Kept,
    Dropped,
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == STANDARD_INPUT {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes)?;
        Ok(bytes)
    } else {
        std::fs::read(path)
    }
}

fn write_line(document: &Document, output: &mut impl Write) -> io::Result<()> {
    // Neither name needs escaping, and the source is JSON on one line already.
    let mut line = Vec::with_capacity(document.source.len() + 128);
    line.extend_from_slice(br#"{"_index":""#);
    line.extend_from_slice(document.index.as_str().as_bytes());
    line.extend_from_slice(br#"","_id":""#);
    line.extend_from_slice(document.id.as_str().as_bytes());
    line.extend_from_slice(br#"","_source":"#);
    line.extend_from_slice(&document.source);
    line.extend_from_slice(b"}\n");
    output.write_all(&line)
}
