//! Finds secrets that show by their beginning and go on as long as their alphabet does.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};
use serde::Deserialize;

/// Beginnings of tokens, to look for all of them in one pass.
pub struct Tokens {
    beginnings: AhoCorasick,
    /// What goes on behind each beginning.
    tails: Vec<(Alphabet, usize)>,
}

/// The tokens of one provider, as the file has them.
#[derive(Deserialize)]
pub struct FileTokens {
    pub beginnings: Vec<String>,
    alphabet: Alphabet,
    /// The fewest symbols behind the beginning.
    least: usize,
}

/// The symbols that a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Alphabet {
    Hex,
    /// Letters and digits.
    Alnum,
    /// With `_`.
    Word,
    /// With `_` and `-`.
    Url,
    /// With `_`, `-` and `.`.
    Dots,
    /// With the signs of base64, and `_`, `-` and `%` as URLs write them.
    Base64,
}

const ALPHABETS: usize = Alphabet::Base64 as usize + 1;

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => byte.is_ascii_hexdigit(),
            _ if byte.is_ascii_alphanumeric() => true,
            Self::Alnum => false,
            Self::Word => byte == b'_',
            Self::Url => matches!(byte, b'_' | b'-'),
            Self::Dots => matches!(byte, b'_' | b'-' | b'.'),
            Self::Base64 => matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'%'),
        }
    }
}

impl Tokens {
    /// Prepares the search. The file is part of the binary, so an error is a mistake in it.
    pub fn new(file: &[FileTokens]) -> Result<Self, BuildError> {
        let beginnings = file.iter().flat_map(|tokens| &tokens.beginnings);
        let tails =
            file.iter().flat_map(|tokens| vec![(tokens.alphabet, tokens.least); tokens.beginnings.len()]);
        Ok(Self {
            tails: tails.collect(),
            beginnings: AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(beginnings)?,
        })
    }

    /// Where tokens stand in the text. Each byte is read once for each alphabet, however many beginnings there are.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut runs = std::array::from_fn::<_, ALPHABETS, _>(|_| 0..0);
        for beginning in self.beginnings.find_overlapping_iter(text) {
            let Range { start, end } = beginning.range();
            let is_inside =
                start > 0 && (bytes[start - 1].is_ascii_alphanumeric() || bytes[start - 1] == b'_');
            if is_inside || found.last().is_some_and(|last| start < last.end) {
                continue;
            }
            let (alphabet, least) = self.tails[beginning.pattern().as_usize()];
            let run: &mut Range<usize> = &mut runs[alphabet as usize];
            if end < run.start || end >= run.end {
                let length = bytes[end..].iter().take_while(|byte| alphabet.has(**byte)).count();
                *run = end..end + length;
            }
            let tail = text[end..run.end].trim_end_matches(['.', '-']);
            // Names go on in small letters for any length; what a generator made does not.
            let is_made = tail.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            if tail.len() >= least && is_made {
                found.push(start..end + tail.len());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_with_a_word_and_ends_with_its_alphabet() {
        let file = |beginning: &str, alphabet| FileTokens {
            beginnings: vec![beginning.to_owned()],
            alphabet,
            least: 8,
        };
        let tokens = Tokens::new(&[file("sk-", Alphabet::Url), file("ghp_", Alphabet::Alnum)]).unwrap();
        for (text, expected) in [
            ("use sk-abcdefg1, now", vec!["sk-abcdefg1"]),
            ("sk-sk-abcdefg1- x", vec!["sk-sk-abcdefg1"]),
            ("ghp_abcdefg1.ghp_abcdefg2", vec!["ghp_abcdefg1", "ghp_abcdefg2"]),
            ("risk-abcdefg1 xghp_abcdefg1 _ghp_abcdefg1", vec![]),
            ("sk-abcdefgh sk-abc1 GHP_abcdefg1 ghp_", vec![]),
        ] {
            let found: Vec<&str> = tokens.find(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
