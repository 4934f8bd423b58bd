//! Reads an object's content, compressed or not, and unfolds or recodes it once more where that is needed.
//!
//! The content is what CloudTrail's digests name: the bytes of the file before its compression. It is counted, limited
//! and hashed here. A form that is wrapped once more (gzip within gzip, UTF-16) is read through a recoding on top of
//! it.

use sha2::{Digest, Sha256};

use super::damage::Damage;
use super::form::Order;
use super::gzip::{Gzip, Problem, Rest};
use super::utf16::Utf16;
use crate::settings::ContentHash;

/// The content of an object, from its stored bytes.
pub(super) struct Content<'a> {
    stored: &'a [u8],
    gzip: Option<Box<Gzip>>,
    count: Count,
    sha256: Option<Sha256>,
}

impl<'a> Content<'a> {
    pub(super) fn plain(stored: &'a [u8], hash: ContentHash, limit: u64) -> Self {
        Self { stored, gzip: None, count: Count::new(limit), sha256: hasher(hash) }
    }

    pub(super) fn gzip(stored: &'a [u8], hash: ContentHash, limit: u64) -> Self {
        Self { stored, gzip: Some(Box::new(Gzip::new())), count: Count::new(limit), sha256: hasher(hash) }
    }

    /// Content that was unfolded elsewhere, as a whole.
    pub(super) fn whole(content: &[u8], hash: ContentHash, limit: u64) -> Self {
        let mut whole = Self::plain(&[], hash, limit);
        whole.count.passed = content.len() as u64;
        whole.note(content);
        whole
    }

    /// Bytes of the content that were read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.count.passed
    }

    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256.clone().map(|sha256| sha256.finalize().into())
    }

    pub(super) fn read(&mut self, output: &mut [u8]) -> Result<usize, Damage> {
        let Self { stored, gzip, count, .. } = self;
        let read = count.read(output, |output, at| match gzip {
            None => {
                let length = stored.len().min(output.len());
                let (now, later) = stored.split_at(length);
                output[..length].copy_from_slice(now);
                *stored = later;
                Ok(length)
            }
            Some(gzip) => {
                let step = gzip.step(stored, Rest::None, output).map_err(|problem| damage(problem, at))?;
                *stored = &stored[step.read..];
                Ok(step.written)
            }
        })?;
        self.note(&output[..read]);
        Ok(read)
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }
}

/// One more layer between the content and the text of the records.
pub(super) struct Recoding {
    layer: Layer,
    /// What was read from below and not recoded yet, from `taken` on.
    pending: Vec<u8>,
    taken: usize,
    rest: Rest,
    count: Count,
}

enum Layer {
    Gzip(Box<Gzip>),
    Utf16(Utf16),
}

/// Bytes that are read from below at once.
const PIECE_BYTES: usize = 64 * 1024;

impl Recoding {
    /// `pending` was read from below already.
    pub(super) fn gzip(pending: Vec<u8>, limit: u64) -> Self {
        Self::new(Layer::Gzip(Box::new(Gzip::new())), pending, limit)
    }

    pub(super) fn utf16(order: Order, pending: Vec<u8>, limit: u64) -> Self {
        Self::new(Layer::Utf16(Utf16::new(order)), pending, limit)
    }

    fn new(layer: Layer, pending: Vec<u8>, limit: u64) -> Self {
        Self { layer, pending, taken: 0, rest: Rest::MayCome, count: Count::new(limit) }
    }

    fn read(&mut self, output: &mut [u8], below: &mut Below<'_>) -> Result<usize, Damage> {
        let Self { layer, pending, taken, rest, count } = self;
        count.read(output, |output, at| {
            loop {
                let input = &pending[*taken..];
                let step = match layer {
                    Layer::Gzip(gzip) => {
                        gzip.step(input, *rest, output).map_err(|problem| damage(problem, at))?
                    }
                    Layer::Utf16(utf16) => utf16.step(input, *rest, output)?,
                };
                *taken += step.read;
                if step.written > 0 || *rest == Rest::None {
                    return Ok(step.written);
                }
                pending.drain(..std::mem::take(taken));
                let held = pending.len();
                pending.resize(held + PIECE_BYTES, 0);
                let read = below(&mut pending[held..]);
                pending.truncate(held + read.as_ref().map_or(0, |&read| read));
                if read? == 0 {
                    *rest = Rest::None;
                }
            }
        })
    }
}

type Below<'b> = dyn FnMut(&mut [u8]) -> Result<usize, Damage> + 'b;

/// Reads through the recodings, of which the last is the topmost.
pub(super) fn read(
    content: &mut Content<'_>,
    recodings: &mut [Recoding],
    output: &mut [u8],
) -> Result<usize, Damage> {
    match recodings.split_last_mut() {
        None => content.read(output),
        Some((top, others)) => top.read(output, &mut |output| read(content, others, output)),
    }
}

/// Bytes that have passed, and how many may.
struct Count {
    passed: u64,
    limit: u64,
}

impl Count {
    fn new(limit: u64) -> Self {
        Self { passed: 0, limit }
    }

    /// Reads up to the limit, so that all before it is handed over; beyond it only to see whether there is more.
    fn read(
        &mut self,
        output: &mut [u8],
        mut read: impl FnMut(&mut [u8], u64) -> Result<usize, Damage>,
    ) -> Result<usize, Damage> {
        let room = usize::try_from(self.limit - self.passed).unwrap_or(usize::MAX).min(output.len());
        if room > 0 {
            let read = read(&mut output[..room], self.passed)?;
            self.passed += read as u64;
            return Ok(read);
        }
        match read(&mut [0], self.passed)? {
            0 => Ok(0),
            _ => Err(Damage::UncompressedTooLarge { limit: self.limit }),
        }
    }
}

fn damage(problem: Problem, at: u64) -> Damage {
    match problem {
        Problem::Truncated => Damage::TruncatedGzip { at },
        Problem::Corrupt(problem) => Damage::CorruptGzip { at, problem },
        Problem::Appended => Damage::AppendedToGzip { at },
    }
}

fn hasher(hash: ContentHash) -> Option<Sha256> {
    match hash {
        ContentHash::Sha256 => Some(Sha256::new()),
        ContentHash::None => None,
    }
}
