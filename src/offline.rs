//! Makes the documents that would be indexed for local files, without any server.

use std::io::{self, Read as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::config::ContentHash;
use crate::decode::{Damage, Limits, Scratch, decode};
use crate::document::Document;
use crate::enrich::{self, Enriched, Enricher, Origin, enrich_knowing};
use crate::memory::Known;

/// The argument that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// What was read and written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub files: u64,
    pub records: u64,
    pub selected: u64,
    pub malformed: u64,
}

/// What was read, and what is known at its end.
#[derive(Debug)]
pub struct Read {
    pub summary: Summary,
    pub known: Known,
}

/// Why a file could not be used whole, or nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged: {damage}", path.display())]
    Damaged { path: PathBuf, damage: Damage },
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
    let take = |document: &Document| write_line(document, output);
    read_documents(files, limits, enricher, take, complain).map(|read| read.summary)
}

/// Hands over each document of the files, and returns what they told. What the files tell is remembered, so older ones come
/// first; the records of one file are put into the order of their times. A damaged file is reported to `complain` and the
/// next is read.
pub fn read_documents(
    files: &[PathBuf],
    limits: &Limits,
    enricher: &Enricher,
    take: impl FnMut(&Document) -> io::Result<()>,
    mut complain: impl FnMut(&OfflineError),
) -> Result<Read, OfflineError> {
    let mut reading = Reading { enricher, known: Known::whole(), take, summary: Summary::default() };
    for path in files {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(source) => {
                complain(&OfflineError::Read { path: path.clone(), source });
                continue;
            }
        };
        if let Some(damage) = reading.read_file(path, &bytes, limits)? {
            complain(&OfflineError::Damaged { path: path.clone(), damage });
        }
    }
    Ok(Read { summary: reading.summary, known: reading.known })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == STANDARD_INPUT {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes)?;
        Ok(bytes)
    } else {
        std::fs::read(path)
    }
}

/// Raw records that are held to be put into the order of their times.
#[derive(Default)]
struct Held {
    records: Vec<(Option<OffsetDateTime>, Vec<u8>)>,
    bytes: usize,
}

/// Bytes of raw records that are sorted at once. A trail's own files are smaller.
const HELD_BYTES: usize = 64 << 20;

impl Held {
    fn push(&mut self, raw: &[u8]) {
        self.bytes += raw.len();
        self.records.push((enrich::time_of(raw), raw.to_vec()));
    }

    /// All that are held, the oldest first; those without a time stay where they are among their neighbours.
    fn take(&mut self) -> impl Iterator<Item = Vec<u8>> {
        let mut records = std::mem::take(self).records;
        let mut last = None;
        for (time, _) in &mut records {
            last = time.or(last);
            *time = last;
        }
        records.sort_by_key(|(time, _)| *time);
        records.into_iter().map(|(_, raw)| raw)
    }
}

/// What is known while files are read one after the other, and where documents go.
struct Reading<'e, T> {
    enricher: &'e Enricher,
    known: Known,
    take: T,
    summary: Summary,
}

impl<T: FnMut(&Document) -> io::Result<()>> Reading<'_, T> {
    fn read_file(
        &mut self,
        path: &Path,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<Damage>, OfflineError> {
        let path = path.display().to_string();
        let origin = Origin { path: &path, written_at: None, now: OffsetDateTime::now_utc() };
        let mut held = Held::default();
        let mut failure = None;
        let decoded = decode(bytes, limits, ContentHash::None, &mut Scratch::default(), |raw| {
            if enrich::could_be_selected(raw, self.enricher, &self.known) {
                held.push(raw);
            }
            if held.bytes < HELD_BYTES {
                return ControlFlow::Continue(());
            }
            match self.judge_all(&mut held, origin) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        self.summary.files += 1;
        self.summary.records += decoded.records;
        match failure {
            Some(error) => Err(error),
            None => self.judge_all(&mut held, origin).map(|()| decoded.damage),
        }
        .map_err(OfflineError::Write)
    }

    fn judge_all(&mut self, held: &mut Held, origin: Origin<'_>) -> io::Result<()> {
        held.take().try_for_each(|raw| self.judge(&raw, origin))
    }

    fn judge(&mut self, raw: &[u8], origin: Origin<'_>) -> io::Result<()> {
        let document = match enrich_knowing(raw, origin, self.enricher, &self.known) {
            Enriched::NotSelected | Enriched::RepeatedRead => return Ok(()),
            Enriched::Selected { document, facts, .. } => {
                self.summary.selected += 1;
                self.known.learn(&facts);
                document
            }
            // The panic hook has reported it on standard error already.
            Enriched::Malformed(document) | Enriched::Panicked(document) => {
                self.summary.malformed += 1;
                document
            }
            Enriched::ToRecall(_) => unreachable!("what was never told is known not to be"),
        };
        (self.take)(&document)
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
