//! Prints the documents that would be indexed for local files, without any server.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::config::ContentHash;
use crate::decode::{Damage, Limits, Scratch, decode};
use crate::enrich::{Enriched, Enricher, Origin, enrich};

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// What was read and written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub files: u64,
    pub records: u64,
    pub selected: u64,
    pub malformed: u64,
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

/// Writes one line for each document of the files: `_index`, `_id` and `_source`, as a search would return them. A
/// damaged file is reported to `complain` and the next is read.
pub fn enrich_files(
    files: &[PathBuf],
    limits: &Limits,
    enricher: &Enricher,
    output: &mut impl Write,
    mut complain: impl FnMut(&OfflineError),
) -> Result<Summary, OfflineError> {
    let mut summary = Summary::default();
    for path in files {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(source) => {
                complain(&OfflineError::Read { path: path.clone(), source });
                continue;
            }
        };
        if let Some(damage) = enrich_file(path, &bytes, limits, enricher, output, &mut summary)? {
            complain(&OfflineError::Damaged { path: path.clone(), damage });
        }
    }
    Ok(summary)
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

fn enrich_file(
    path: &Path,
    bytes: &[u8],
    limits: &Limits,
    enricher: &Enricher,
    output: &mut impl Write,
    summary: &mut Summary,
) -> Result<Option<Damage>, OfflineError> {
    let path = path.display().to_string();
    let origin = Origin { path: &path, written_at: None, now: OffsetDateTime::now_utc() };
    let mut failure = None;
    let decoded = decode(bytes, limits, ContentHash::None, &mut Scratch::default(), |raw| {
        let document = match enrich(raw, origin, enricher) {
            Enriched::NotSelected => return ControlFlow::Continue(()),
            Enriched::Selected { document, .. } => {
                summary.selected += 1;
                document
            }
            // The panic hook has reported it on standard error already.
            Enriched::Malformed(document) | Enriched::Panicked(document) => {
                summary.malformed += 1;
                document
            }
        };
        // Neither name needs escaping, and the source is JSON on one line already.
        let mut line = Vec::with_capacity(document.source.len() + 128);
        line.extend_from_slice(br#"{"_index":""#);
        line.extend_from_slice(document.index.as_str().as_bytes());
        line.extend_from_slice(br#"","_id":""#);
        line.extend_from_slice(document.id.as_str().as_bytes());
        line.extend_from_slice(br#"","_source":"#);
        line.extend_from_slice(&document.source);
        line.extend_from_slice(b"}\n");
        match output.write_all(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    summary.files += 1;
    summary.records += decoded.records;
    match failure {
        Some(error) => Err(OfflineError::Write(error)),
        None => Ok(decoded.damage),
    }
}
