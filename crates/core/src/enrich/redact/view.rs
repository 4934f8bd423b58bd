//! Shows a text as its reader would see it, with escapes undone, and where each byte of it came from.

use std::ops::Range;

/// How many bytes an escape takes, and which one it stands for, if any.
type Step = (usize, Option<u8>);

/// A text that was decoded, with its way back.
#[derive(Debug)]
pub struct View {
    pub text: String,
    /// Where each byte came from, and at last the end.
    origins: Vec<usize>,
}

impl View {
    /// The text with percent signs, backslashes and entities decoded; nothing when there are none.
    pub fn decoded(text: &str) -> Option<Self> {
        memchr::memchr3(b'%', b'\\', b'&', text.as_bytes())?;
        Self::made(text, decoded_at)
    }

    /// The text with quotes taken out that only divide a word: `gh""p_x`, `"ghp_" + "x"`, and ends of lines that go on.
    pub fn joined(text: &str) -> Option<Self> {
        memchr::memchr3(b'\'', b'"', b'\\', text.as_bytes())?;
        Self::made(text, joined_at)
    }

    fn made(text: &str, step: fn(&str, usize) -> Option<Step>) -> Option<Self> {
        let mut view =
            Self { text: String::with_capacity(text.len()), origins: Vec::with_capacity(text.len() + 1) };
        let (mut at, mut plain) = (0, 0);
        let mut changed = false;
        let bytes = text.as_bytes();
        while at < bytes.len() {
            if !matches!(bytes[at], b'%' | b'\\' | b'&' | b'"' | b'\'') {
                at += 1;
                continue;
            }
            let Some((length, symbol)) = step(text, at) else {
                at += 1;
                continue;
            };
            view.take(text, plain..at);
            if let Some(symbol) = symbol {
                view.text.push(char::from(symbol));
                view.origins.push(at);
            }
            at += length;
            plain = at;
            changed = true;
        }
        view.take(text, plain..text.len());
        view.origins.push(text.len());
        changed.then_some(view)
    }

    fn take(&mut self, text: &str, range: Range<usize>) {
        self.text.push_str(&text[range.clone()]);
        self.origins.extend(range);
    }

    /// Where a part of the view stands in the text.
    pub fn origin(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return self.origins[range.start]..self.origins[range.start];
        }
        self.origins[range.start]..self.origins[range.end]
    }
}

/// How many bytes of an escape stand at the place, and what they mean.
fn decoded_at(text: &str, at: usize) -> Option<Step> {
    let rest = &text.as_bytes()[at..];
    match rest {
        [b'%', high, low, ..] => {
            let byte = hexadecimal(*high)? << 4 | hexadecimal(*low)?;
            is_plain(byte).then_some((3, Some(byte)))
        }
        [b'\\', b'\n', ..] => Some((2, None)),
        [b'\\', b'\r', b'\n', ..] => Some((3, None)),
        [b'\\', b'n', ..] => Some((2, Some(b'\n'))),
        [b'\\', b'r', ..] => Some((2, Some(b'\r'))),
        [b'\\', b't', ..] => Some((2, Some(b'\t'))),
        [b'\\', b'u', b'0', b'0', high, low, ..] | [b'\\', b'x', high, low, ..] => {
            let byte = hexadecimal(*high)? << 4 | hexadecimal(*low)?;
            is_plain(byte).then_some((if rest[1] == b'u' { 6 } else { 4 }, Some(byte)))
        }
        [b'\\', symbol, ..] if symbol.is_ascii_punctuation() => Some((2, Some(*symbol))),
        [b'&', ..] => ENTITIES
            .iter()
            .find(|(entity, _)| rest.starts_with(entity.as_bytes()))
            .map(|(entity, symbol)| (entity.len(), Some(*symbol))),
        _ => None,
    }
}

fn joined_at(text: &str, at: usize) -> Option<Step> {
    let rest = &text.as_bytes()[at..];
    match rest {
        [b'\\', b'\n', ..] => Some((2, None)),
        [b'\\', b'\r', b'\n', ..] => Some((3, None)),
        [quote @ (b'"' | b'\''), ..] => {
            let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
            let mut length = 1 + rest[1..].iter().take(MOST_BETWEEN).take_while(blank).count();
            if matches!(rest.get(length), Some(b'+' | b'.')) {
                length += 1;
                length += rest[length..].iter().take(MOST_BETWEEN).take_while(blank).count();
            }
            matches!(rest.get(length), Some(b'"' | b'\'')).then_some((length + 1, None)).or_else(|| {
                // A quote in the middle of a word.
                let is_word = |byte: Option<&u8>| {
                    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-')
                };
                let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
                (is_word(before) && is_word(rest.get(1)) && matches!(quote, b'"' | b'\''))
                    .then_some((1, None))
            })
        }
        _ => None,
    }
}

/// Blanks between two parts of a word that are read.
const MOST_BETWEEN: usize = 4;

const ENTITIES: [(&str, u8); 7] = [
    ("&quot;", b'"'),
    ("&#34;", b'"'),
    ("&apos;", b'\''),
    ("&#39;", b'\''),
    ("&amp;", b'&'),
    ("&lt;", b'<'),
    ("&gt;", b'>'),
];

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_knows_where_it_came_from() {
        for (text, expected, part, origin) in [
            ("a%3Db", "a=b", "=", "%3D"),
            (r#"{\"k\":\"v\"}"#, r#"{"k":"v"}"#, "v", "v"),
            (r"x\u0022y", "x\"y", "\"", r"\u0022"),
            ("é%41ü&quot;", "éAü\"", "\"", "&quot;"),
            ("ab\\\ncd", "abcd", "bc", "b\\\nc"),
        ] {
            let view = View::decoded(text).unwrap();
            assert_eq!(view.text, expected);
            let start = expected.find(part).unwrap();
            assert_eq!(&text[view.origin(&(start..start + part.len()))], origin);
        }
        for text in ["plain", "100% sure", "C:\\Users", "a & b", "%C3%A9"] {
            assert!(View::decoded(text).is_none_or(|view| view.text.len() <= text.len()), "{text}");
        }
        assert!(View::decoded("100% sure").is_none());
    }

    #[test]
    fn words_that_quotes_divide_are_joined() {
        for (text, expected) in
            [("gh\"\"p_x", "ghp_x"), ("'ghp_' + 'x'", "'ghp_x'"), ("gh'p_'x", "ghp_x"), ("a\\\nb", "ab")]
        {
            assert_eq!(View::joined(text).unwrap().text, expected);
        }
        assert!(View::joined("x = \"y\"").is_none());
    }
}
