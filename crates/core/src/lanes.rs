//! Copies texts sixteen bytes at a time, up to the first byte that has to be looked at by itself.

use wide::u8x16;

/// Bytes that are looked at together.
pub const LANE: usize = 16;
/// Bytes whose stops are looked for together.
const BLOCK: usize = 4 * LANE;

/// Bytes that end a copy.
pub trait Stops {
    /// A bit for each of sixteen bytes that does.
    fn among(lane: u8x16) -> u32;
}

/// Adds the bytes before the first stop, and returns how many they are. There should be room for a lane more.
#[inline]
pub fn push_until<S: Stops>(out: &mut Vec<u8>, from: &[u8]) -> usize {
    let mut passed = 0;
    while let Some(lane) = from[passed..].first_chunk() {
        let plain = push_lane::<S>(out, lane, LANE);
        passed += plain;
        if plain < LANE {
            return passed;
        }
    }
    let rest = &from[passed..];
    passed + push_lane::<S>(out, &padded(rest), rest.len())
}

/// Whether one of the bytes is a stop.
#[inline]
pub fn has_stop<S: Stops>(text: &[u8]) -> bool {
    let (lanes, rest) = text.as_chunks();
    // Nought, with which the rest is filled up, may be a stop.
    lanes.iter().any(|lane| S::among(u8x16::from(*lane)) != 0)
        || (S::among(u8x16::from(padded(rest))).trailing_zeros() as usize) < rest.len()
}

/// Whether it holds for the position of each stop.
#[inline]
pub fn all_stops<S: Stops>(text: &[u8], mut holds: impl FnMut(usize) -> bool) -> bool {
    let mut all_hold = |mut stops: u64, from: usize| {
        while stops != 0 {
            let at = from + stops.trailing_zeros() as usize;
            // Nought, with which the rest is filled up, may be a stop.
            if at >= text.len() {
                return true;
            }
            if !holds(at) {
                return false;
            }
            stops &= stops - 1;
        }
        true
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut passed = 0;
    for block in blocks {
        let stops = stops_of::<S>(block);
        if stops != 0 && !all_hold(stops, passed) {
            return false;
        }
        passed += BLOCK;
    }
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    all_hold(stops_of::<S>(&last), passed)
}

/// A bit for each stop in a block.
#[inline]
fn stops_of<S: Stops>(block: &[u8; BLOCK]) -> u64 {
    let (lanes, _) = block.as_chunks::<LANE>();
    lanes.iter().rev().fold(0, |stops, lane| stops << LANE | u64::from(S::among(u8x16::from(*lane))))
}

/// Adds one lane, of which only so many bytes count, in the same way.
#[inline]
fn push_lane<S: Stops>(out: &mut Vec<u8>, lane: &[u8; LANE], bytes: usize) -> usize {
    // All sixteen are copied at once, which is a single move, and those from a stop on are taken back.
    out.extend_from_slice(lane);
    let plain = bytes.min(S::among(u8x16::from(*lane)).trailing_zeros() as usize);
    out.truncate(out.len() - (LANE - plain));
    plain
}

/// Less than a lane, filled up.
#[inline]
fn padded(short: &[u8]) -> [u8; LANE] {
    let mut lane = [0; LANE];
    // Two moves of one size, which may overlap, are less than a call of what copies any number of bytes.
    match short.len() {
        8.. => copy_ends::<8>(&mut lane, short),
        4.. => copy_ends::<4>(&mut lane, short),
        _ => lane.iter_mut().zip(short).for_each(|(to, from)| *to = *from),
    }
    lane
}

#[inline]
fn copy_ends<const HALF: usize>(lane: &mut [u8; LANE], short: &[u8]) {
    if let (Some(first), Some(last)) = (short.first_chunk::<HALF>(), short.last_chunk::<HALF>()) {
        if let Some(to) = lane.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = lane[..short.len()].last_chunk_mut() {
            *to = *last;
        }
    }
}

/// What ends a text of JSON, or a run of characters in it that stand for themselves.
pub struct QuoteOrBackslash;

impl Stops for QuoteOrBackslash {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        quotes_and_backslashes(lane).to_bitmask()
    }
}

#[inline]
fn quotes_and_backslashes(lane: u8x16) -> u8x16 {
    lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\'))
}

/// What may not stand in a text of JSON as it is.
pub struct ToEscape;

impl Stops for ToEscape {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        let last_control = u8x16::splat(b' ' - 1);
        let control = lane.min(last_control).simd_eq(lane);
        (quotes_and_backslashes(lane) | control).to_bitmask()
    }
}

/// One byte.
pub struct Byte<const BYTE: u8>;

impl<const BYTE: u8> Stops for Byte<BYTE> {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        lane.simd_eq(u8x16::splat(BYTE)).to_bitmask()
    }
}

/// A backslash, or any character beyond ASCII.
pub struct BackslashOrForeign;

impl Stops for BackslashOrForeign {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        (lane.simd_eq(u8x16::splat(b'\\')) | foreign(lane)).to_bitmask()
    }
}

#[inline]
fn foreign(lane: u8x16) -> u8x16 {
    lane.max(u8x16::splat(0x80)).simd_eq(lane)
}

/// A blank of ASCII, or any character beyond ASCII.
pub struct BlankOrForeign;

impl Stops for BlankOrForeign {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        // Of what is above these, less them, each blank that is no space is at most the width of their range.
        let above = lane - u8x16::splat(b'\t');
        let control = above.min(u8x16::splat(b'\r' - b'\t')).simd_eq(above);
        (lane.simd_eq(u8x16::splat(b' ')) | control | foreign(lane)).to_bitmask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_copied<S: Stops>(before: &str, stop: u8) {
        let from = [before.as_bytes(), &[stop], b"yz\"".repeat(10).as_slice()].concat();
        let mut out = b"there".to_vec();
        assert_eq!(push_until::<S>(&mut out, &from), before.len());
        assert_eq!(out, [b"there", before.as_bytes()].concat());
    }

    fn assert_found<S: Stops>(is_stop: impl Fn(u8) -> bool) {
        for length in 0..50 {
            let plain = vec![b'x'; length];
            assert!(!has_stop::<S>(&plain));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = plain.clone();
                    text[at] = byte;
                    assert_eq!(has_stop::<S>(&text), is_stop(byte), "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn each_stop_is_asked_until_one_does_not_hold() {
        for length in 0..50 {
            let text: Vec<u8> = (0..length).map(|at| if at % 3 == 0 { b'v' } else { 0 }).collect();
            let mut asked = Vec::new();
            assert!(all_stops::<Byte<b'v'>>(&text, |at| {
                asked.push(at);
                true
            }));
            assert_eq!(asked, (0..text.len()).step_by(3).collect::<Vec<_>>());
            assert_eq!(all_stops::<Byte<b'v'>>(&text, |at| at < 20), length < 22);
            assert!(all_stops::<Byte<0>>(&text, |at| at % 3 != 0));
        }
    }

    #[test]
    fn a_stop_is_found_wherever_it_stands() {
        assert_found::<BackslashOrForeign>(|byte| byte == b'\\' || !byte.is_ascii());
        assert_found::<BlankOrForeign>(|byte| char::from(byte).is_whitespace() || !byte.is_ascii());
    }

    #[test]
    fn what_stands_before_the_first_stop_is_copied_wherever_that_is() {
        for length in 0..50 {
            let plain = "x".repeat(length);
            assert_copied::<QuoteOrBackslash>(&plain, b'"');
            for stop in [b'"', b'\\', 0, b' ' - 1] {
                assert_copied::<ToEscape>(&plain, stop);
            }
            assert_eq!(push_until::<ToEscape>(&mut Vec::new(), plain.as_bytes()), length);
        }
        let all: Vec<u8> = (b' '..=u8::MAX).filter(|byte| !matches!(byte, b'"' | b'\\')).collect();
        assert_eq!(push_until::<ToEscape>(&mut Vec::new(), &all), all.len());
    }
}
