//! The decoder: the bytes of one S3 object in, its CloudTrail records out, one slice of raw JSON at a time.
//!
//! Nothing here builds JSON values. Most records are rejected on their bytes, so the decoder only finds where each
//! record begins and ends; whoever selects a record parses it. Memory is one window, which holds an
//! object of ordinary size as a whole and otherwise grows to the largest record, however large the object unfolds.
//!
//! Damage does not hide what came before it: records are handed over as they are found, and the first thing that was
//! wrong is returned beside the counts.

mod window;
mod nesting;

use std::ops::ControlFlow;

use crate::config::ContentHash;
use crate::metrics::ObjectFailure;
use window::Window;
pub use window::Workplace;

/// Hands every record of the object to `each`, in order, until `each` breaks off.
///
/// The object may be gzip of any number of members, or plain JSON when its bytes say so, and may hold several
/// CloudTrail files one after the other, as concatenated gzip members do.
///
/// The workplace is for one object at a time, and worth keeping for the next.
pub fn decode(
    object: &[u8],
    limits: &Limits,
    content_hash: ContentHash,
    workplace: &mut Workplace,
    each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Decoded {
    let window = Window::new(object, *limits, content_hash, workplace);
    let mut decoder = Decoder { window, each, records: 0, blemish: None };
    let end = decoder.read_files();
    let damage = match end {
        Ok(_) => decoder.blemish,
        Err(damage) => Some(damage),
    };
    let Decoder { window, records, .. } = decoder;
    Decoded { records, raw_bytes: window.raw_bytes, sha256: window.sha256(), damage }
}

/// The whole content of an object, uncompressed. For small ones: what `decode` reads is never held as a whole.
pub fn content(object: &[u8], limits: &Limits) -> Result<Vec<u8>, Damage> {
    let mut workplace = Workplace::default();
    let mut window = Window::new(object, *limits, ContentHash::None, &mut workplace);
    let mut content = window.unread().to_vec();
    while window.refill()? {
        content.extend_from_slice(window.unread());
    }
    Ok(content)
}

/// The SHA-256 of an object's uncompressed content, whatever it holds.
pub fn content_sha256(object: &[u8], limits: &Limits) -> Result<[u8; 32], Damage> {
    let mut workplace = Workplace::default();
    let mut window = Window::new(object, *limits, ContentHash::Sha256, &mut workplace);
    while window.refill()? {}
    Ok(window.sha256().expect("it was asked for"))
}

/// What an object may cost before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes after decompression: a small gzip can unfold into gigabytes.
    pub uncompressed_bytes: u64,
    /// Bytes of one record. CloudTrail's own limit is 256 KB for an event.
    pub record_bytes: usize,
}

/// What decoding one object came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Records handed over.
    pub records: u64,
    /// Bytes after decompression.
    pub raw_bytes: u64,
    /// Of the bytes after decompression, which is what CloudTrail's digest files name; of those before the damage or
    /// the break, where there was one. None when it was not asked for.
    pub sha256: Option<[u8; 32]>,
    /// What was wrong with the object, if anything was.
    pub damage: Option<Damage>,
}

/// Why an object could not be decoded whole. Records that came before the damage were handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the gzip data ends too early, after {at} uncompressed bytes")]
    TruncatedGzip { at: u64 },
    #[error("the gzip data is corrupt after {at} uncompressed bytes: {problem}")]
    CorruptGzip { at: u64, problem: String },
    #[error("it unfolds to more than {limit} bytes (source.max_uncompressed_bytes)")]
    UncompressedTooLarge { limit: u64 },
    #[error("it has no array `Records`, so it is not a CloudTrail file")]
    NoRecords,
    #[error("element {index} of `Records` is not an object")]
    NotAnObject { index: u64 },
    #[error("record {index} is larger than {limit} bytes (source.max_record_bytes)")]
    RecordTooLarge { index: u64, limit: usize },
    #[error("malformed JSON at byte {at}: {problem}")]
    MalformedJson { at: u64, problem: &'static str },
}

impl Damage {
    /// The metric's label for this damage.
    pub fn failure(&self) -> ObjectFailure {
        match self {
            Self::TruncatedGzip { .. } => ObjectFailure::TruncatedGzip,
            Self::CorruptGzip { .. } => ObjectFailure::CorruptGzip,
            Self::UncompressedTooLarge { .. } => ObjectFailure::UncompressedTooLarge,
            Self::NoRecords => ObjectFailure::NoRecords,
            Self::NotAnObject { .. } => ObjectFailure::NotAnObject,
            Self::RecordTooLarge { .. } => ObjectFailure::RecordTooLarge,
            Self::MalformedJson { .. } => ObjectFailure::MalformedJson,
        }
    }
}

/// Whether reading goes on, or `each` broke it off.
type Progress = Result<ControlFlow<()>, Damage>;

struct Decoder<'a, F> {
    window: Window<'a>,
    each: F,
    records: u64,
    /// The first element that was no object: the rest of the file can still be read.
    blemish: Option<Damage>,
}

impl<F: FnMut(&[u8]) -> ControlFlow<()>> Decoder<'_, F> {
    fn read_files(&mut self) -> Progress {
        let mut files = 0;
        while let Some(byte) = self.window.next_significant()? {
            if byte != b'{' {
                return if files == 0 {
                    Err(Damage::NoRecords)
                } else {
                    Err(self.window.malformed("something other than an object follows the file"))
                };
            }
            files += 1;
            if self.read_file()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if files == 0 { Err(Damage::NoRecords) } else { Ok(ControlFlow::Continue(())) }
    }

    /// Reads one CloudTrail file, whose opening brace was just read.
    fn read_file(&mut self) -> Progress {
        let mut found_records = false;
        loop {
            match self.window.next_significant()? {
                Some(b'}') if found_records => return Ok(ControlFlow::Continue(())),
                Some(b'}') => return Err(Damage::NoRecords),
                Some(b',') => {}
                Some(b'"') => {
                    let is_records = self.window.string_is(b"Records")?;
                    if self.window.next_significant()? != Some(b':') {
                        return Err(self.window.malformed("a key of the file has no value"));
                    }
                    match self.window.next_significant()? {
                        Some(b'[') if is_records => {
                            found_records = true;
                            if self.read_records()?.is_break() {
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                        Some(first) => self.window.skip_value(first)?,
                        None => return Err(self.window.malformed("the file ends where a value should be")),
                    }
                }
                Some(_) => {
                    return Err(self.window.malformed("the file's object has something that is no key"));
                }
                None => return Err(self.window.malformed("the file ends before its object does")),
            }
        }
    }

    /// Reads the elements of `Records`, whose opening bracket was just read.
    fn read_records(&mut self) -> Progress {
        let mut index = 0;
        loop {
            match self.window.next_significant()? {
                Some(b']') => return Ok(ControlFlow::Continue(())),
                Some(b',') => continue,
                Some(b'{') => {
                    let record = self.window.record(index)?;
                    self.records += 1;
                    if (self.each)(record).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Some(first) => {
                    self.blemish.get_or_insert(Damage::NotAnObject { index });
                    self.window.skip_value(first)?;
                }
                None => return Err(self.window.malformed("the file ends inside `Records`")),
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests;
