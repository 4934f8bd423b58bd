//! Searches the bytes of a record for words of which it must hold one before it is looked at closely.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

/// Words, found in any case.
#[derive(Debug)]
pub struct Prefilter {
    /// All words, one byte after the other: the fastest way through a short text.
    automaton: AhoCorasick,
    /// Words of a single byte, which would make the search for many at once look everywhere.
    signs: Vec<u8>,
    /// The other words, many bytes at once; none on a processor that cannot.
    packed: Option<Searcher>,
    longest: usize,
}

/// Bytes that are put into lower case at once. More would take longer to clear than to search.
const BLOCK_BYTES: usize = 1024;
/// Bytes of a short text.
const SHORT: usize = 256;

impl Prefilter {
    /// Prepares the search for these words. Without any word nothing is found.
    pub fn new(words: &[String]) -> Result<Self, BuildError> {
        let lowered: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let (signs, longer): (Vec<&[u8]>, Vec<&[u8]>) =
            lowered.iter().map(String::as_bytes).partition(|word| word.len() == 1);
        Ok(Self {
            automaton: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::DFA))
                .build(&lowered)?,
            signs: signs.concat(),
            packed: Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(longer).build(),
            longest: lowered.iter().map(String::len).max().unwrap_or_default(),
        })
    }

    /// Whether one of the words is among the bytes.
    pub fn any_in(&self, bytes: &[u8]) -> bool {
        let packed = match &self.packed {
            Some(packed) if bytes.len() > SHORT => packed,
            _ => return self.automaton.is_match(bytes),
        };
        let has = |sign: u8| memchr::memchr2(sign, sign.to_ascii_uppercase(), bytes).is_some();
        if self.signs.iter().any(|sign| has(*sign)) {
            return true;
        }
        let mut block = [0; BLOCK_BYTES];
        let mut rest = bytes;
        loop {
            let lowered = &mut block[..rest.len().min(BLOCK_BYTES)];
            lowered.copy_from_slice(&rest[..lowered.len()]);
            lowered.make_ascii_lowercase();
            if packed.find(lowered).is_some() {
                return true;
            }
            if rest.len() <= BLOCK_BYTES {
                return false;
            }
            // A word may stand across the end of the block.
            rest = &rest[BLOCK_BYTES + 1 - self.longest..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_any_case_wherever_it_stands() {
        let words = ["Signature=", "://", "ghp_", "@"].map(str::to_owned);
        let hints = Prefilter::new(&words).unwrap();
        let alone = Prefilter { packed: None, ..Prefilter::new(&words).unwrap() };
        for before in
            [0, 1, SHORT, BLOCK_BYTES - 10, BLOCK_BYTES - 5, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES]
        {
            for (text, expected) in [
                ("sIGNATURE=", true),
                ("://", true),
                ("GHP_", true),
                ("@", true),
                ("signature", false),
                ("", false),
            ] {
                let bytes = format!("{}{text}..", "x".repeat(before));
                assert_eq!(hints.any_in(bytes.as_bytes()), expected, "{text} at {before}");
                assert_eq!(alone.any_in(bytes.as_bytes()), expected, "{text} at {before}");
            }
        }
    }
}
