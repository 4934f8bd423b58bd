//! Holds the memory that decoding one object needs, for the next to use again.

use libdeflater::{Crc, Decompressor};
use memchr::memmem;

use super::damage::Limits;

/// A buffer, which grows to what it has to hold, and the state of inflating: worth keeping from one object to the next.
pub struct Scratch {
    pub(super) buffer: Vec<u8>,
    inflater: Decompressor,
    /// The most uncompressed bytes that are inflated as a whole.
    whole_bytes: usize,
}

/// Bytes that the window starts with: large enough that refilling costs nothing beside inflating.
const WINDOW_BYTES: usize = 256 * 1024;
/// The most uncompressed bytes that are inflated as a whole: some thousand records, which is a file of a busy trail.
const WHOLE_BYTES: usize = 8 << 20;

impl Default for Scratch {
    fn default() -> Self {
        Self::new(WINDOW_BYTES, WHOLE_BYTES)
    }
}

impl Scratch {
    pub(super) fn new(window_bytes: usize, whole_bytes: usize) -> Self {
        Self { buffer: vec![0; window_bytes], inflater: Decompressor::new(), whole_bytes }
    }

    /// Gives back what one large record or object made the buffer grow beyond the usual.
    pub(super) fn tidy(&mut self) {
        if self.buffer.len() > WHOLE_BYTES {
            self.buffer.truncate(WHOLE_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// Inflates the only member of a gzip object at the start of the buffer, if that is what the object is.
    pub(super) fn inflate_whole(&mut self, object: &[u8], limits: &Limits) -> Option<usize> {
        // A header with more than a name is left to the stream, which judges each part of it.
        const NAME: u8 = 8;
        let is_ordinary = matches!(object, [0x1f, 0x8b, 8, flags, ..] if flags & !NAME == 0);
        // The last bytes of a member are its checksum and its size, though nobody vouches for them.
        let trailer = object.last_chunk::<8>()?;
        let size = u32::from_le_bytes(*trailer.last_chunk()?) as usize;
        if !is_ordinary || size > self.whole_bytes || size as u64 > limits.uncompressed_bytes {
            return None;
        }
        // The inflater does not say where the member ends. It does so where these two stand, so when that is at one
        // place only, nothing was appended.
        if memmem::find(object, trailer)? + trailer.len() != object.len() {
            return None;
        }
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let inflated = self.inflater.gzip_decompress(object, &mut self.buffer[..size]).ok()?;
        let mut checksum = Crc::new();
        checksum.update(&self.buffer[..inflated]);
        let is_whole = inflated == size && trailer.starts_with(&checksum.sum().to_le_bytes());
        is_whole.then_some(size)
    }
}
