//! The window: the part of an object's uncompressed bytes that is in memory.
//!
//! An object of an ordinary size is inflated as a whole, at more than twice the speed of a stream. That is only a short cut:
//! whatever is out of the ordinary (several gzip members, damage, a size that is large or a lie) is read as a stream,
//! which knows how to deal with it.

use std::io::{ErrorKind, Read};

use flate2::read::MultiGzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;
use sha2::{Digest, Sha256};

use super::nesting::Nesting;
use super::{Damage, Limits};
use crate::config::ContentHash;

/// What decoding needs again for each object: a buffer, which grows to what it has to hold, and the state of inflating.
pub struct Workplace {
    buffer: Vec<u8>,
    inflater: Decompressor,
}

impl Default for Workplace {
    fn default() -> Self {
        Self { buffer: vec![0; WINDOW_BYTES], inflater: Decompressor::new() }
    }
}

impl Workplace {
    /// Gives back what one large record or object made the buffer grow beyond the usual.
    fn tidy(&mut self) {
        if self.buffer.len() > WHOLE_BYTES {
            self.buffer.truncate(WHOLE_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// Inflates the only member of a gzip object at the start of the buffer, if that is what the object is.
    fn inflate_whole(&mut self, object: &[u8], limits: &Limits) -> Option<usize> {
        // The last bytes of a member are its size, though nobody vouches for it.
        let size = u32::from_le_bytes(*object.last_chunk()?) as usize;
        let is_ordinary = size <= WHOLE_BYTES
            && size as u64 <= limits.uncompressed_bytes
            && memmem::find(&object[1..], GZIP_MEMBER).is_none();
        if !is_ordinary {
            return None;
        }
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let inflated = self.inflater.gzip_decompress(object, &mut self.buffer[..size]).ok()?;
        (inflated == size).then_some(size)
    }
}

/// The part of the uncompressed bytes that is in memory.
pub(super) struct Window<'a> {
    input: Input<'a>,
    workplace: &'a mut Workplace,
    /// The next byte to read, and the end of what has been filled in.
    position: usize,
    filled: usize,
    pub(super) raw_bytes: u64,
    sha256: Option<Sha256>,
    limits: Limits,
}

enum Input<'a> {
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Plain(&'a [u8]),
}

/// Bytes that the window starts with: large enough that refilling costs nothing beside inflating.
const WINDOW_BYTES: usize = 256 * 1024;
/// The most uncompressed bytes that are inflated as a whole: some thousand records, which is a file of a busy trail.
const WHOLE_BYTES: usize = 8 << 20;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// How each member of a gzip object begins; deflate is the only method there is.
const GZIP_MEMBER: &[u8] = &[0x1f, 0x8b, 8];
const UTF8_BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

impl<'a> Window<'a> {
    pub(super) fn new(
        object: &'a [u8],
        limits: Limits,
        content_hash: ContentHash,
        workplace: &'a mut Workplace,
    ) -> Self {
        let mut sha256 = match content_hash {
            ContentHash::Sha256 => Some(Sha256::new()),
            ContentHash::None => None,
        };
        let mut filled = 0;
        let input = if !object.starts_with(GZIP_MAGIC) {
            let text = object.strip_prefix(UTF8_BYTE_ORDER_MARK).unwrap_or(object);
            hash(&mut sha256, &object[..object.len() - text.len()]);
            Input::Plain(text)
        } else if let Some(size) = workplace.inflate_whole(object, &limits) {
            hash(&mut sha256, &workplace.buffer[..size]);
            filled = size;
            Input::Plain(&[])
        } else {
            Input::Gzip(Box::new(MultiGzDecoder::new(object)))
        };
        Self { input, workplace, position: 0, filled, raw_bytes: filled as u64, sha256, limits }
    }

    /// The hash of what was uncompressed so far, if it was asked for.
    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256.clone().map(|sha256| sha256.finalize().into())
    }

    /// The bytes that are in memory and not read yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.workplace.buffer[self.position..self.filled]
    }

    /// Reads on without the bytes that are in memory; false when there are no more.
    pub(super) fn refill(&mut self) -> Result<bool, Damage> {
        self.position = self.filled;
        self.fill(self.filled)
    }

    /// Reads on, keeping the bytes from `keep_from`; false when there are no more.
    fn fill(&mut self, keep_from: usize) -> Result<bool, Damage> {
        self.workplace.buffer.copy_within(keep_from..self.filled, 0);
        self.filled -= keep_from;
        self.position -= keep_from;
        if self.filled == self.workplace.buffer.len() {
            self.workplace.buffer.resize(self.workplace.buffer.len() * 2, 0);
        }
        let read = loop {
            let free = &mut self.workplace.buffer[self.filled..];
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
        hash(&mut self.sha256, &self.workplace.buffer[self.filled..self.filled + read]);
        self.filled += read;
        self.raw_bytes += read as u64;
        if self.raw_bytes > self.limits.uncompressed_bytes {
            return Err(Damage::UncompressedTooLarge { limit: self.limits.uncompressed_bytes });
        }
        Ok(read > 0)
    }

    fn next(&mut self) -> Result<Option<u8>, Damage> {
        if self.position == self.filled && !self.fill(self.position)? {
            return Ok(None);
        }
        let byte = self.workplace.buffer[self.position];
        self.position += 1;
        Ok(Some(byte))
    }

    /// The next byte that is not white space.
    pub(super) fn next_significant(&mut self) -> Result<Option<u8>, Damage> {
        loop {
            match self.next()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads the string whose opening quote was just read, and says whether it is exactly `expected`.
    pub(super) fn string_is(&mut self, expected: &[u8]) -> Result<bool, Damage> {
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
    pub(super) fn skip_value(&mut self, first: u8) -> Result<(), Damage> {
        let mut nesting = match first {
            b'"' => return self.string_is(b"").map(drop),
            b'{' => Nesting::new(b'{'),
            b'[' => Nesting::new(b'['),
            _ => return self.skip_scalar(),
        };
        loop {
            if let Some(length) = nesting.end(&self.workplace.buffer[self.position..self.filled]) {
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
    pub(super) fn record(&mut self, index: u64) -> Result<&[u8], Damage> {
        let mut start = self.position - 1;
        let mut nesting = Nesting::new(b'{');
        loop {
            let end = nesting.end(&self.workplace.buffer[self.position..self.filled]);
            self.position = end.map_or(self.filled, |length| self.position + length);
            if self.position - start > self.limits.record_bytes {
                return Err(Damage::RecordTooLarge { index, limit: self.limits.record_bytes });
            }
            if end.is_some() {
                return Ok(&self.workplace.buffer[start..self.position]);
            }
            let more = self.fill(start)?;
            start = 0;
            if !more {
                return Err(self.malformed("the file ends inside a record"));
            }
        }
    }

    pub(super) fn malformed(&self, problem: &'static str) -> Damage {
        Damage::MalformedJson { at: self.raw_bytes - (self.filled - self.position) as u64, problem }
    }
}

fn hash(sha256: &mut Option<Sha256>, bytes: &[u8]) {
    if let Some(sha256) = sha256 {
        sha256.update(bytes);
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.workplace.tidy();
    }
}
