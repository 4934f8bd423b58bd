//! Keeps the part of an object's uncompressed bytes that is read now in memory.
//!
//! An object of an ordinary size is inflated as a whole, at more than twice the speed of a stream. That is only a short
//! cut: whatever is out of the ordinary (several gzip members, damage, appended bytes, a size that is large or a lie)
//! is read as a stream, which knows how to deal with it. Which of the two ways is taken, and how large the window is,
//! changes nothing of what comes out.

use memchr::memchr2;

use super::damage::{Damage, Limits};
use super::form::{Beginning, Foreign, TELLING_BYTES};
use super::gzip;
use super::input::{self, Content, Recoding};
use super::nesting::Nesting;
use super::scratch::Scratch;
use crate::settings::ContentHash;

/// The part of the uncompressed bytes that is in memory.
pub(super) struct Window<'a> {
    content: Content<'a>,
    recodings: Vec<Recoding>,
    scratch: &'a mut Scratch,
    /// The next byte to read, and the end of what has been filled in.
    position: usize,
    filled: usize,
    /// Bytes that have been in the window, which are more or fewer than the content's where that is recoded.
    passed: u64,
    kept: Option<Kept>,
    /// What keeps the window from being filled any further.
    broken: Option<Damage>,
    limits: Limits,
}

/// An object that is kept in the window until it is known what it is.
struct Kept {
    start: usize,
    /// The most bytes that it may have.
    limit: usize,
}

/// A name of a member. A long one is cut.
#[derive(Default)]
pub(super) struct Name {
    bytes: [u8; LONGEST_NAME],
    length: usize,
}

impl Name {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let length = room.len().min(bytes.len());
        room[..length].copy_from_slice(&bytes[..length]);
        self.length += length;
    }
}

/// Bytes; longer than every name that is known.
const LONGEST_NAME: usize = 32;
/// Bytes of an object among which must be the first sign that it is a record.
const UNDECIDED_BYTES: usize = 256 * 1024;

impl<'a> Window<'a> {
    pub(super) fn new(
        object: &'a [u8],
        limits: Limits,
        content_hash: ContentHash,
        scratch: &'a mut Scratch,
    ) -> Self {
        let limit = limits.uncompressed_bytes;
        let mut filled = 0;
        let content = if !object.starts_with(gzip::MAGIC) {
            Content::plain(object, content_hash, limit)
        } else if let Some(size) = scratch.inflate_whole(object, &limits) {
            filled = size;
            Content::whole(&scratch.buffer[..size], content_hash, limit)
        } else {
            Content::gzip(object, content_hash, limit)
        };
        Self {
            content,
            recodings: Vec::new(),
            scratch,
            position: 0,
            filled,
            passed: filled as u64,
            kept: None,
            broken: None,
            limits,
        }
    }

    /// Bytes of the content that were read, which is before anything is unfolded or recoded once more.
    pub(super) fn raw_bytes(&self) -> u64 {
        self.content.read_bytes()
    }

    /// The hash of the content that was read so far, if it was asked for.
    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        self.content.sha256()
    }

    /// The bytes that are in memory and not read yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.scratch.buffer[self.position..self.filled]
    }

    /// Reads on without the bytes that are in memory; false when there are no more.
    pub(super) fn refill(&mut self) -> Result<bool, Damage> {
        self.position = self.filled;
        self.fill(self.filled)
    }

    /// Gets through to the text, which may be wrapped in gzip a second time or be UTF-16.
    pub(super) fn unwrap(&mut self, stored: &[u8]) -> Result<(), Damage> {
        let mut unfolded = u32::from(stored.starts_with(gzip::MAGIC));
        loop {
            let limit = self.limits.uncompressed_bytes;
            let recoding = match Beginning::of(self.beginning()) {
                Beginning::Json => return Ok(()),
                Beginning::Foreign(foreign) => return Err(Damage::Foreign(foreign)),
                Beginning::Gzip if unfolded < 2 => {
                    unfolded += 1;
                    Recoding::gzip(self.unread().to_vec(), limit)
                }
                Beginning::Gzip => return Err(Damage::Foreign(Foreign::GZIP_AGAIN)),
                Beginning::Utf16(order) => Recoding::utf16(order, self.unread().to_vec(), limit),
            };
            self.recodings.push(recoding);
            (self.position, self.filled, self.passed) = (0, 0, 0);
            // Whatever broke the filling is met again from above, behind what came before it.
            self.broken = None;
        }
    }

    /// The first bytes, or all where there are fewer. Damage behind them is told when it is reached.
    fn beginning(&mut self) -> &[u8] {
        while self.filled < TELLING_BYTES && matches!(self.fill(0), Ok(true)) {}
        &self.scratch.buffer[..self.filled]
    }

    /// Reads on, keeping the bytes from `keep_from` and those of a kept object; false when there are no more.
    fn fill(&mut self, keep_from: usize) -> Result<bool, Damage> {
        if let Some(damage) = &self.broken {
            return Err(damage.clone());
        }
        if self.kept.as_ref().is_some_and(|kept| self.position - kept.start > kept.limit) {
            self.kept = None;
        }
        let keep_from = self.kept.as_ref().map_or(keep_from, |kept| kept.start.min(keep_from));
        self.scratch.buffer.copy_within(keep_from..self.filled, 0);
        self.filled -= keep_from;
        self.position -= keep_from;
        if let Some(kept) = &mut self.kept {
            kept.start -= keep_from;
        }
        if self.filled == self.scratch.buffer.len() {
            self.scratch.buffer.resize((self.scratch.buffer.len() * 2).max(1), 0);
        }
        let free = &mut self.scratch.buffer[self.filled..];
        match input::read(&mut self.content, &mut self.recodings, free) {
            Ok(read) => {
                self.filled += read;
                self.passed += read as u64;
                Ok(read > 0)
            }
            Err(damage) => {
                self.broken = Some(damage.clone());
                Err(damage)
            }
        }
    }

    fn next(&mut self) -> Result<Option<u8>, Damage> {
        if self.position == self.filled && !self.fill(self.position)? {
            return Ok(None);
        }
        let byte = self.scratch.buffer[self.position];
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

    /// Reads what must follow a byte of a fixed sequence.
    pub(super) fn goes_on_with(&mut self, expected: &[u8]) -> Result<bool, Damage> {
        for byte in expected {
            if self.next()? != Some(*byte) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the string whose opening quote was just read, as it stands there.
    pub(super) fn name(&mut self) -> Result<Name, Damage> {
        let mut name = Name::default();
        loop {
            let unread = &self.scratch.buffer[self.position..self.filled];
            let plain = memchr2(b'"', b'\\', unread).unwrap_or(unread.len());
            name.extend(&unread[..plain]);
            self.position += plain;
            match self.next()? {
                Some(b'"') => return Ok(name),
                Some(byte) => name.extend(&[byte]),
                None => return Err(self.malformed("the file ends inside a string")),
            }
            if self.scratch.buffer[self.position - 1] == b'\\'
                && let Some(escaped) = self.next()?
            {
                name.extend(&[escaped]);
            }
        }
    }

    /// Keeps the object whose opening brace was just read.
    pub(super) fn keep(&mut self) {
        self.kept = Some(Kept { start: self.position - 1, limit: UNDECIDED_BYTES });
    }

    /// Keeps the object for as long as a record may be, because it looks like one.
    pub(super) fn keep_as_record(&mut self) {
        let limit = self.limits.record_bytes;
        match &mut self.kept {
            Some(kept) if self.position - kept.start <= UNDECIDED_BYTES => {
                kept.limit = limit.max(UNDECIDED_BYTES);
            }
            _ => self.kept = None,
        }
    }

    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// The kept object, whose closing brace was just read; none when it is larger than a record may be.
    pub(super) fn kept(&mut self) -> Option<&[u8]> {
        let start = self.kept.take()?.start;
        (self.position - start <= self.limits.record_bytes)
            .then(|| &self.scratch.buffer[start..self.position])
    }

    /// The string whose opening quote was just read, with its quotes; as large as a record may be.
    pub(super) fn text(&mut self, index: u64) -> Result<&[u8], Damage> {
        let mut escaped = false;
        let end = |unread: &[u8]| {
            let end = unread.iter().position(|&byte| {
                let is_end = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                is_end
            });
            end.map(|at| at + 1)
        };
        self.until(end, index, "the file ends inside a string")
    }

    /// The record whose opening brace was just read.
    pub(super) fn record(&mut self, index: u64) -> Result<&[u8], Damage> {
        let mut nesting = Nesting::new(b'{');
        self.until(|unread| nesting.end(unread), index, "the file ends inside a record")
    }

    /// From the byte that was just read to where `end` finds the end, which tells how much of the unread bytes belongs
    /// to it.
    fn until(
        &mut self,
        mut end: impl FnMut(&[u8]) -> Option<usize>,
        index: u64,
        cut_short: &'static str,
    ) -> Result<&[u8], Damage> {
        let mut start = self.position - 1;
        loop {
            let length = end(&self.scratch.buffer[self.position..self.filled]);
            self.position = length.map_or(self.filled, |length| self.position + length);
            if self.position - start > self.limits.record_bytes {
                return Err(Damage::RecordTooLarge { index, limit: self.limits.record_bytes });
            }
            if length.is_some() {
                return Ok(&self.scratch.buffer[start..self.position]);
            }
            let more = self.fill(start)?;
            start = 0;
            if !more {
                return Err(self.malformed(cut_short));
            }
        }
    }

    /// Skips the value whose first byte was just read.
    pub(super) fn skip_value(&mut self, first: u8) -> Result<(), Damage> {
        let mut nesting = match first {
            b'"' => return self.name().map(drop),
            b'{' => Nesting::new(b'{'),
            b'[' => Nesting::new(b'['),
            _ => return self.skip_scalar(),
        };
        loop {
            if let Some(length) = nesting.end(&self.scratch.buffer[self.position..self.filled]) {
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

    pub(super) fn record_limit(&self) -> usize {
        self.limits.record_bytes
    }

    pub(super) fn malformed(&self, problem: &'static str) -> Damage {
        Damage::MalformedJson { at: self.passed - (self.filled - self.position) as u64, problem }
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        self.scratch.tidy();
    }
}
