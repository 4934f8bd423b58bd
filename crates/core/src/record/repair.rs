//! Repairs a record that a JSON parser refuses for single characters alone.
//!
//! Text that was cut at so many UTF-16 units ends with half a surrogate pair, one that was cut at so many bytes with
//! half a character, and some writers leave control characters as they are. Each is read without doubt.

use std::borrow::Cow;

/// The text with U+FFFD for each half of a surrogate pair and for what is no UTF-8, and with escapes for control
/// characters inside texts. It is not known to be JSON.
pub fn repaired(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let bytes = text.as_bytes();
    let mut repaired = String::with_capacity(text.len());
    let mut written = 0;
    let mut in_text = false;
    let mut at = 0;
    while at < bytes.len() {
        let (length, replacement) = match bytes[at] {
            b'"' => {
                in_text = !in_text;
                (1, None)
            }
            b'\\' if in_text => match Escape::at(&bytes[at..]) {
                Escape::Whole(length) => (length, None),
                Escape::HalfAPair => (6, Some(Cow::Borrowed("\\ufffd"))),
            },
            control @ 0..0x20 if in_text => (1, Some(Cow::Owned(format!("\\u{control:04x}")))),
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            repaired.push_str(&text[written..at]);
            repaired.push_str(&replacement);
            written = at + length;
        }
        at += length;
    }
    repaired.push_str(&text[written..]);
    repaired
}

/// What a backslash begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Escape {
    /// An escape, or a whole pair of them, of that many bytes.
    Whole(usize),
    /// `\uD800` to `\uDFFF` without its other half.
    HalfAPair,
}

impl Escape {
    /// Reads the escape at the beginning of the bytes. What is none counts as one of two bytes, or of what there is.
    pub fn at(bytes: &[u8]) -> Self {
        match (unit(bytes), bytes.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => Self::Whole(12),
            (Some(0xd800..0xe000), _) => Self::HalfAPair,
            (Some(_), _) => Self::Whole(6),
            (None, _) => Self::Whole(bytes.len().min(2)),
        }
    }
}

/// The UTF-16 unit that `\uXXXX` at the beginning of the bytes stands for.
pub fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_read_as_one_that_is_missing_and_everything_else_as_it_is() {
        for (raw, expected) in [
            (br#"{"a":"x\ud83d"}"#.as_slice(), r#"{"a":"x\ufffd"}"#),
            (br#"{"a":"\uDE00x"}"#, r#"{"a":"\ufffdx"}"#),
            (br#"{"a":"\ud83d\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (br#"{"a":"\ud83d\u0041"}"#, r#"{"a":"\ufffd\u0041"}"#),
            (br#"{"a":"\ud83d\n"}"#, r#"{"a":"\ufffd\n"}"#),
            (br#"{"\ud83d":1}"#, r#"{"\ufffd":1}"#),
            (br#"{"a":"\\ud83d","b":"\\\ud83d"}"#, r#"{"a":"\\ud83d","b":"\\\ufffd"}"#),
            (b"{\"a\":\"x\xff\xf0\x9f\x98\"}", "{\"a\":\"x\u{fffd}\u{fffd}\"}"),
            (b"{\n\"a\":\"x\ty\x00\\\"\n\"\t}", "{\n\"a\":\"x\\u0009y\\u0000\\\"\\u000a\"\t}"),
            (b"{\"a\":\"\\", "{\"a\":\"\\"),
            (br#"{"a":"\u12"#, r#"{"a":"\u12"#),
            (br#"{"a":"\u00"#, r#"{"a":"\u00"#),
        ] {
            assert_eq!(repaired(raw), expected, "{}", String::from_utf8_lossy(raw));
        }
    }
}
