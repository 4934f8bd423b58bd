//! Unfolds a gzip stream of any number of members, as far as they are sound.
//!
//! A reader of its own, because what comes before damage has to be handed over to the last byte, and what follows the
//! members has to be judged: NUL bytes pad a file, and anything else was not written by whoever wrote the members.

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Crc;

pub(super) const MAGIC: &[u8] = &[0x1f, 0x8b];

/// The state between two pieces of input.
pub(super) struct Gzip {
    part: Part,
    inflater: Decompress,
    checksum: Crc,
    unfolded: u32,
}

#[derive(Clone, Copy)]
enum Part {
    Header,
    Body,
    Trailer,
    Between,
}

/// What one step has read and written. Neither is the end, or the wish for more input where more may come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) written: usize,
}

/// Whether more input follows what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    MayCome,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Truncated,
    Corrupt(&'static str),
    Appended,
}

const TRAILER_BYTES: usize = 8;
/// The longest header that is read: names and comments have no limit of their own.
const LONGEST_HEADER: usize = 128 * 1024;

impl Gzip {
    pub(super) fn new() -> Self {
        Self { part: Part::Header, inflater: Decompress::new(false), checksum: Crc::new(), unfolded: 0 }
    }

    /// Goes on until something was written or the input does not suffice. What was unfolded before damage is written
    /// first, and the damage is told by the step after it.
    pub(super) fn step(&mut self, input: &[u8], rest: Rest, output: &mut [u8]) -> Result<Step, Problem> {
        let mut step = Step::default();
        loop {
            let input = &input[step.read..];
            match self.part {
                Part::Header => match header_length(input)? {
                    Some(length) => {
                        step.read += length;
                        self.inflater.reset(false);
                        self.checksum = Crc::new();
                        self.unfolded = 0;
                        self.part = Part::Body;
                    }
                    None => return suffices_not(step, rest),
                },
                Part::Body => {
                    let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
                    let result = self.inflater.decompress(input, output, FlushDecompress::None);
                    let difference = |now: u64, before: u64| {
                        usize::try_from(now - before).expect("no more was read or written than is in memory")
                    };
                    let read = difference(self.inflater.total_in(), read);
                    let written = difference(self.inflater.total_out(), written);
                    self.checksum.update(&output[..written]);
                    // The size in the trailer is that of the member modulo 2³².
                    self.unfolded =
                        self.unfolded.wrapping_add(u32::try_from(written).expect("a window is smaller"));
                    step.read += read;
                    step.written = written;
                    match result {
                        Ok(Status::StreamEnd) => self.part = Part::Trailer,
                        Err(_) if written == 0 => {
                            return Err(Problem::Corrupt("its data cannot be unfolded"));
                        }
                        Ok(Status::Ok | Status::BufError) if read == 0 && written == 0 => {
                            return suffices_not(step, rest);
                        }
                        _ => {}
                    }
                    if written > 0 {
                        return Ok(step);
                    }
                }
                Part::Trailer => {
                    let Some(trailer) = input.first_chunk::<TRAILER_BYTES>() else {
                        return suffices_not(step, rest);
                    };
                    let [sum @ .., _, _, _, _] = *trailer;
                    let [_, _, _, _, size @ ..] = *trailer;
                    if u32::from_le_bytes(sum) != self.checksum.sum() {
                        return Err(Problem::Corrupt("its checksum is wrong"));
                    }
                    if u32::from_le_bytes(size) != self.unfolded {
                        return Err(Problem::Corrupt("it names another size"));
                    }
                    step.read += TRAILER_BYTES;
                    self.part = Part::Between;
                }
                Part::Between => {
                    let padding = input.iter().take_while(|&&byte| byte == 0).count();
                    step.read += padding;
                    match &input[padding..] {
                        [] => return Ok(step),
                        next if next.starts_with(MAGIC) => self.part = Part::Header,
                        [first] if *first == MAGIC[0] && rest == Rest::MayCome => return Ok(step),
                        _ => return Err(Problem::Appended),
                    }
                }
            }
        }
    }
}

fn suffices_not(step: Step, rest: Rest) -> Result<Step, Problem> {
    match rest {
        Rest::MayCome => Ok(step),
        Rest::None => Err(Problem::Truncated),
    }
}

/// How long the header is, if it is there as a whole (RFC 1952).
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    const FIXED: usize = 10;
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0b1110_0000;
    let Some(fixed) = bytes.first_chunk::<FIXED>() else { return Ok(None) };
    let [first, second, method, flags, ..] = *fixed;
    if [first, second] != *MAGIC || method != 8 || flags & RESERVED != 0 {
        return Err(Problem::Corrupt("a member has no header of gzip"));
    }
    let too_long = || Problem::Corrupt("a header is too long");
    let bytes = &bytes[..bytes.len().min(LONGEST_HEADER)];
    let missing = || if bytes.len() == LONGEST_HEADER { Err(too_long()) } else { Ok(None) };
    let mut length = FIXED;
    if flags & EXTRA != 0 {
        let Some(size) = bytes[length..].first_chunk::<2>() else { return missing() };
        length += 2 + usize::from(u16::from_le_bytes(*size));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let Some(end) = bytes.get(length..).and_then(|rest| memchr::memchr(0, rest)) else {
                return missing();
            };
            length += end + 1;
        }
    }
    if flags & CHECKSUM != 0 {
        let Some(sum) = bytes.get(length..).and_then(|rest| rest.first_chunk::<2>()) else {
            return missing();
        };
        let mut checksum = Crc::new();
        checksum.update(&bytes[..length]);
        if u32::from(u16::from_le_bytes(*sum)) != checksum.sum() & 0xffff {
            return Err(Problem::Corrupt("the checksum of a header is wrong"));
        }
        length += 2;
    }
    if length > bytes.len() { missing() } else { Ok(Some(length)) }
}
