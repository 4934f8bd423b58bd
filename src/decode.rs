//! The decoder: the bytes of one S3 object in, its CloudTrail records out, one slice of raw JSON at a time.
//!
//! Nothing here builds JSON values. Most records are rejected on their bytes, so the decoder only finds where each
//! record begins and ends; whoever selects a record parses it. Memory is one window, which grows to the largest record
//! and no further, however large the object unfolds.
//!
//! Damage does not hide what came before it: records are handed over as they are found, and the first thing that was
//! wrong is returned beside the counts.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;

use flate2::read::MultiGzDecoder;
use memchr::{memchr2, memchr3};
use sha2::{Digest, Sha256};

use crate::metrics::ObjectFailure;

/// Hands every record of the object to `each`, in order, until `each` breaks off.
///
/// The object may be gzip of any number of members, or plain JSON when its bytes say so, and may hold several
/// CloudTrail files one after the other, as concatenated gzip members do.
pub fn decode(object: &[u8], limits: &Limits, each: impl FnMut(&[u8]) -> ControlFlow<()>) -> Decoded {
    let mut decoder = Decoder { window: Window::new(object, *limits), each, records: 0, blemish: None };
    let end = decoder.read_files();
    let damage = match end {
        Ok(_) => decoder.blemish,
        Err(damage) => Some(damage),
    };
    let Decoder { window, records, .. } = decoder;
    Decoded { records, raw_bytes: window.raw_bytes, sha256: window.sha256.finalize().into(), damage }
}

/// The whole content of an object, uncompressed. For small ones: what `decode` reads is never held as a whole.
pub fn content(object: &[u8], limits: &Limits) -> Result<Vec<u8>, Damage> {
    let mut window = Window::new(object, *limits);
    let mut content = Vec::new();
    while window.refill()? {
        content.extend_from_slice(&window.buffer[..window.filled]);
    }
    Ok(content)
}

/// The SHA-256 of an object's uncompressed content, whatever it holds.
pub fn content_sha256(object: &[u8], limits: &Limits) -> Result<[u8; 32], Damage> {
    let mut window = Window::new(object, *limits);
    while window.refill()? {}
    Ok(window.sha256.finalize().into())
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
    /// the break, where there was one.
    pub sha256: [u8; 32],
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

/// The part of the uncompressed bytes that is in memory.
struct Window<'a> {
    input: Input<'a>,
    buffer: Vec<u8>,
    /// The next byte to read, and the end of what has been filled in.
    position: usize,
    filled: usize,
    raw_bytes: u64,
    sha256: Sha256,
    limits: Limits,
}

enum Input<'a> {
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Plain(&'a [u8]),
}

/// Bytes that the window starts with: large enough that refilling costs nothing beside inflating.
const WINDOW_BYTES: usize = 256 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const UTF8_BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

impl<'a> Window<'a> {
    fn new(object: &'a [u8], limits: Limits) -> Self {
        let mut sha256 = Sha256::new();
        let input = if object.starts_with(GZIP_MAGIC) {
            Input::Gzip(Box::new(MultiGzDecoder::new(object)))
        } else if let Some(text) = object.strip_prefix(UTF8_BYTE_ORDER_MARK) {
            sha256.update(UTF8_BYTE_ORDER_MARK);
            Input::Plain(text)
        } else {
            Input::Plain(object)
        };
        Self { input, buffer: vec![0; WINDOW_BYTES], position: 0, filled: 0, raw_bytes: 0, sha256, limits }
    }

    /// Reads on, keeping the bytes from `keep_from`; false when there are no more.
    fn fill(&mut self, keep_from: usize) -> Result<bool, Damage> {
        self.buffer.copy_within(keep_from..self.filled, 0);
        self.filled -= keep_from;
        self.position -= keep_from;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = loop {
            let free = &mut self.buffer[self.filled..];
            let result = match &mut self.input {
                Input::Gzip(decoder) => decoder.read(free),
                Input::Plain(bytes) => bytes.read(free),
            };
            match result {
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Damage::TruncatedGzip { at: self.raw_bytes });
                }
                Err(error) => {
                    return Err(Damage::CorruptGzip { at: self.raw_bytes, problem: error.to_string() });
                }
            }
        };
        self.sha256.update(&self.buffer[self.filled..self.filled + read]);
        self.filled += read;
        self.raw_bytes += read as u64;
        if self.raw_bytes > self.limits.uncompressed_bytes {
            return Err(Damage::UncompressedTooLarge { limit: self.limits.uncompressed_bytes });
        }
        Ok(read > 0)
    }

    /// Reads on without keeping anything.
    fn refill(&mut self) -> Result<bool, Damage> {
        self.position = self.filled;
        self.fill(self.filled)
    }

    fn next(&mut self) -> Result<Option<u8>, Damage> {
        if self.position == self.filled && !self.fill(self.position)? {
            return Ok(None);
        }
        let byte = self.buffer[self.position];
        self.position += 1;
        Ok(Some(byte))
    }

    /// The next byte that is not white space.
    fn next_significant(&mut self) -> Result<Option<u8>, Damage> {
        loop {
            match self.next()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads the string whose opening quote was just read, and says whether it is exactly `expected`.
    fn string_is(&mut self, expected: &[u8]) -> Result<bool, Damage> {
        let mut length = 0;
        let mut same = true;
        let mut escaped = false;
        loop {
            match self.next()? {
                None => return Err(self.malformed("the file ends inside a string")),
                Some(b'"') if !escaped => return Ok(same && length == expected.len()),
                Some(byte) => {
                    escaped = byte == b'\\' && !escaped;
                    same = same && expected.get(length) == Some(&byte);
                    length += 1;
                }
            }
        }
    }

    /// Skips the value whose first byte was just read.
    fn skip_value(&mut self, first: u8) -> Result<(), Damage> {
        let mut nesting = match first {
            b'"' => return self.string_is(b"").map(drop),
            b'{' => Nesting::new(b'{', b'}'),
            b'[' => Nesting::new(b'[', b']'),
            _ => return self.skip_scalar(),
        };
        loop {
            if let Some(length) = nesting.end(&self.buffer[self.position..self.filled]) {
                self.position += length;
                return Ok(());
            }
            self.position = self.filled;
            if !self.fill(self.position)? {
                return Err(self.malformed("the file ends inside a value"));
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<(), Damage> {
        while let Some(byte) = self.next()? {
            if matches!(byte, b',' | b']' | b'}') {
                self.position -= 1;
                break;
            }
        }
        Ok(())
    }

    /// The record whose opening brace was just read.
    fn record(&mut self, index: u64) -> Result<&[u8], Damage> {
        let mut start = self.position - 1;
        let mut nesting = Nesting::new(b'{', b'}');
        loop {
            let end = nesting.end(&self.buffer[self.position..self.filled]);
            self.position = end.map_or(self.filled, |length| self.position + length);
            if self.position - start > self.limits.record_bytes {
                return Err(Damage::RecordTooLarge { index, limit: self.limits.record_bytes });
            }
            if end.is_some() {
                return Ok(&self.buffer[start..self.position]);
            }
            let more = self.fill(start)?;
            start = 0;
            if !more {
                return Err(self.malformed("the file ends inside a record"));
            }
        }
    }

    fn malformed(&self, problem: &'static str) -> Damage {
        Damage::MalformedJson { at: self.raw_bytes - (self.filled - self.position) as u64, problem }
    }
}

/// How deep the scan is inside one object or array, carried from one window to the next.
///
/// Only one kind of bracket is counted: in well-formed JSON the others balance between them, and a record that is not
/// well-formed is found out when it is parsed.
struct Nesting {
    open: u8,
    close: u8,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Starts just after the first opening bracket.
    fn new(open: u8, close: u8) -> Self {
        Self { open, close, depth: 1, in_string: false, escaped: false }
    }

    /// How many of the bytes belong to the value, if it ends among them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.escaped && !bytes.is_empty() {
            self.escaped = false;
            at = 1;
        }
        while at < bytes.len() {
            if self.in_string {
                at += memchr2(b'"', b'\\', &bytes[at..])? + 1;
                if bytes[at - 1] == b'"' {
                    self.in_string = false;
                } else if at == bytes.len() {
                    self.escaped = true;
                } else {
                    at += 1;
                }
            } else {
                at += memchr3(b'"', self.open, self.close, &bytes[at..])? + 1;
                let found = bytes[at - 1];
                if found == b'"' {
                    self.in_string = true;
                } else if found == self.open {
                    self.depth += 1;
                } else {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
