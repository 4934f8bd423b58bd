//! Copies texts sixteen bytes at a time, up to the first byte that has to be looked at by itself.

use wide::u8x16;

/// Bytes that are looked at together.
const LANE: usize = 16;

/// Bytes that end a copy.
pub trait Stops {
    /// A bit for each of sixteen bytes that does.
    fn among(lane: u8x16) -> u32;

    fn is(byte: u8) -> bool;
}

/// Adds the bytes before the first stop, and returns how many they are.
#[inline]
pub fn push_until<S: Stops>(out: &mut Vec<u8>, from: &[u8]) -> usize {
    let (lanes, rest) = from.as_chunks::<LANE>();
    for (number, lane) in lanes.iter().enumerate() {
        // All sixteen are copied at once, which is a single move, and those from a stop on are taken back.
        out.extend_from_slice(lane);
        let found = S::among(u8x16::from(*lane));
        if found != 0 {
            let at = found.trailing_zeros() as usize;
            out.truncate(out.len() - (LANE - at));
            return number * LANE + at;
        }
    }
    let plain = rest.iter().position(|byte| S::is(*byte)).unwrap_or(rest.len());
    out.extend_from_slice(&rest[..plain]);
    from.len() - rest.len() + plain
}

/// What ends a text of JSON, or a run of characters in it that stand for themselves.
pub struct QuoteOrBackslash;

impl Stops for QuoteOrBackslash {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        (lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
    }

    #[inline]
    fn is(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\')
    }
}

/// What may not stand in a text of JSON as it is.
pub struct ToEscape;

impl Stops for ToEscape {
    #[inline]
    fn among(lane: u8x16) -> u32 {
        let last_control = u8x16::splat(b' ' - 1);
        let control = lane.min(last_control).simd_eq(lane);
        QuoteOrBackslash::among(lane) | control.to_bitmask()
    }

    #[inline]
    fn is(byte: u8) -> bool {
        byte < b' ' || QuoteOrBackslash::is(byte)
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
