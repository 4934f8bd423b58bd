//! Finds where an object or array of raw JSON ends, without looking at single bytes.
//!
//! Sixty-four bytes are looked at together: a comparison gives a mask with one bit for each byte that is a quote or a
//! bracket, and a few operations on masks say which of them stand outside strings. Half of a trail's cost beside
//! decompression would be here otherwise.

use wide::u8x16;

/// How deep the scan is inside one object or array, carried from one window to the next.
///
/// Only one kind of bracket is counted: in well-formed JSON the others balance between them, and a record that is not
/// well-formed is found out when it is parsed.
pub struct Nesting {
    open: u8,
    depth: u32,
    /// All ones after a block that ends inside a string, else zero.
    in_string: u64,
    /// One when the first byte of the next block is escaped, else zero.
    escaped: u64,
}

const BLOCK: usize = 64;
const LANE: usize = 16;
type Lanes = [u8x16; BLOCK / LANE];

impl Nesting {
    /// Starts just after the first opening bracket, which is `{` or `[`.
    pub fn new(open: u8) -> Self {
        Self { open, depth: 1, in_string: 0, escaped: 0 }
    }

    /// How many of the bytes belong to the value, if it ends among them.
    pub fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            if let Some(length) = self.end_in(block, BLOCK) {
                return Some(number * BLOCK + length);
            }
        }
        if rest.is_empty() {
            return None;
        }
        let mut block = [b' '; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        self.end_in(&block, rest.len()).map(|length| blocks.len() * BLOCK + length)
    }

    /// Looks at one block, of which only the first bytes may be real and blanks fill up the rest.
    fn end_in(&mut self, block: &[u8; BLOCK], real: usize) -> Option<usize> {
        let (lanes, _) = block.as_chunks::<LANE>();
        let lanes = [lanes[0], lanes[1], lanes[2], lanes[3]].map(u8x16::from);
        let quotes = mask(&lanes, b'"') & !self.escaped_in(&lanes, real);
        let in_string = self.in_string ^ parity(quotes);
        self.in_string = if in_string >> (BLOCK - 1) == 1 { u64::MAX } else { 0 };
        let brackets = self.brackets(&lanes) & !in_string;
        if brackets == 0 {
            return None;
        }
        let opening = mask(&lanes, self.open) & brackets;
        let mut closing = brackets ^ opening;

        let (opened, closed) = (opening.count_ones(), closing.count_ones());
        if closed >= self.depth {
            // The value may end here, at the bracket that closes as many as were opened before it.
            let mut seen = 0;
            while closing != 0 {
                seen += 1;
                let before = (closing & closing.wrapping_neg()) - 1;
                if seen == self.depth + (opening & before).count_ones() {
                    return Some(closing.trailing_zeros() as usize + 1);
                }
                closing &= closing - 1;
            }
        }
        self.depth = self.depth + opened - closed;
        None
    }

    /// A bit for each byte that is a bracket of the counted kind. The code of a closing one is that of its opening one
    /// and two more, so one comparison finds both.
    fn brackets(&self, lanes: &Lanes) -> u64 {
        let other_bits = u8x16::splat(!2);
        bits(lanes.map(|lane| ((lane - u8x16::splat(self.open)) & other_bits).simd_eq(u8x16::ZERO)))
    }

    /// A bit for each byte that follows a backslash which is not escaped itself. The bit after the last real byte is
    /// kept for the next block.
    fn escaped_in(&mut self, lanes: &Lanes, real: usize) -> u64 {
        let found = lanes.map(|lane| lane.simd_eq(u8x16::splat(b'\\')));
        // Most blocks have none, which is cheaper to see than where they are.
        if self.escaped == 0 && !(found[0] | found[1] | found[2] | found[3]).any() {
            return 0;
        }
        let mut backslashes = bits(found);
        let mut escaped = std::mem::take(&mut self.escaped);
        backslashes &= !escaped;
        while backslashes != 0 {
            let at = backslashes.trailing_zeros() as usize;
            if at + 1 == real {
                self.escaped = 1;
                break;
            }
            escaped |= 2 << at;
            backslashes &= !(3 << at);
        }
        escaped
    }
}

/// A bit for each byte of the block that is this one.
fn mask(lanes: &Lanes, byte: u8) -> u64 {
    bits(lanes.map(|lane| lane.simd_eq(u8x16::splat(byte))))
}

/// A bit for each byte of the lanes that is not zero.
fn bits(lanes: Lanes) -> u64 {
    let bits = lanes.map(|lane| u64::from(lane.to_bitmask()));
    bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
}

/// A bit for each place with an odd number of bits at it and before it: from an opening quote up to its closing one.
fn parity(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(bits, |bits, distance| bits ^ bits << distance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, byte by byte.
    fn plain_end(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (1, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b'{' if !in_string => depth += 1,
                b'}' if !in_string => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(at + 1);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn the_end_is_where_a_scan_of_single_bytes_finds_it_however_the_windows_are_cut(
            text in r#"([{}"a ]|\\[\\"n]){0,400}"#,
            cut in 0..400_usize,
        ) {
            let bytes = text.as_bytes();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut nesting = Nesting::new(b'{');
            let found = nesting.end(first).or_else(|| nesting.end(second).map(|length| first.len() + length));
            prop_assert_eq!(found, plain_end(bytes));
        }
    }
}
