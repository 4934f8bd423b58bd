//! Finds values that are given to names, as shells, languages, settings and people write that.
//!
//! The text is read once from left to right. Names are found first; what follows each says whether it is given a value.

use std::ops::Range;

use super::fingerprint::MARKER_START;
use super::members::Tone;
use super::names::{MOST_NAME_BYTES, Strength, looks_random};
use super::secrets::Secrets;

/// How a value is given to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// `=`, `:=`, `=>` and the like.
    Sign,
    /// A colon and a blank, which prose has too.
    Colon,
    /// A colon and a blank in a line that begins with the name, as mappings have it.
    Mapping,
    /// A flag or a command that takes name and value as words.
    Word,
    /// `<name>value`.
    Element,
}

/// Where in a text values stand that are secrets by their names.
pub fn find(text: &str, tone: Tone, secrets: &Secrets) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_of_name(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|byte| is_of_name(**byte)).count();
        let start = at + bytes[at..end].iter().take_while(|byte| matches!(byte, b'-' | b'.')).count();
        at = end;
        if end - start > MOST_NAME_BYTES || start == end {
            continue;
        }
        let Some((link, value_at)) = link_after(bytes, start, end) else { continue };
        let name = &text[start..end];
        if is_parameter(bytes, start) {
            continue;
        }
        let Some(strength) = secrets.strength(name) else { continue };
        let Some(value) = Value::read(text, value_at, link) else { continue };
        at = at.max(value_at);
        let link = if link == Link::Colon && is_line_start(bytes, start) { Link::Mapping } else { link };
        if value.is_secret(text, strength, link, tone, secrets) {
            at = value.range.end;
            found.push(value.range);
        }
    }
    found
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The parameters of a URL have a shape of their own, which knows where their values end.
fn is_parameter(bytes: &[u8], start: usize) -> bool {
    start > 0 && matches!(bytes[start - 1], b'?' | b'&')
}

fn is_line_start(bytes: &[u8], start: usize) -> bool {
    let mut before = bytes[..start].iter().rev().take(MOST_BLANKS * 4);
    before
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'-'))
        .is_none_or(|byte| matches!(byte, b'\n' | b'"' | b'\'' | b'{' | b','))
}

/// Blanks between a name and its value that are read.
const MOST_BLANKS: usize = 4;
/// Closing signs between a name and what follows it.
const MOST_CLOSERS: usize = 8;

/// How the name is linked to a value, and where that begins.
fn link_after(bytes: &[u8], start: usize, end: usize) -> Option<(Link, usize)> {
    let closers = bytes[end..]
        .iter()
        .take(MOST_CLOSERS)
        .take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b']' | b'}'))
        .count();
    let after = end + closers;
    let blanks = |from: usize| {
        bytes[from..].iter().take(MOST_BLANKS).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    };
    let sign_at = after + blanks(after);
    let rest = &bytes[sign_at..];
    let is_flag = start > 0 && bytes[start - 1] == b'-'
        || start > 0
            && bytes[start - 1] == b'/'
            && start.checked_sub(2).is_none_or(|at| matches!(bytes[at], b' ' | b'"' | b'\''));
    let sign = match rest {
        [b'=', b'=', b'=', ..] | [b':', b':', b'=', ..] => 3,
        [b':' | b'=' | b'+' | b'?', b'=', ..] | [b'=' | b'-', b'>', ..] | [b':', b'-', ..] => 2,
        [b'=', ..] => 1,
        [b':', b':', ..] => return None,
        [b':', ..] => {
            let value_at = sign_at + 1 + blanks(sign_at + 1);
            // A mapping in lines: the value may stand in the next one, behind the word that says that it is the value.
            let link = if closers > 0 || value_at == sign_at + 1 { Link::Sign } else { Link::Colon };
            return Some((link, value_at));
        }
        [b'>', ..] if closers == 0 && start > 0 && (bytes[start - 1] == b'<' || bytes[start - 1] == b':') => {
            return Some((Link::Element, after + 1));
        }
        // Two texts in a list or a call, of which the first is the name.
        [b',', ..] if closers > 0 && described_value(bytes, after).is_none() => {
            let value_at = sign_at + 1 + blanks(sign_at + 1);
            let is_text = matches!(bytes.get(value_at), Some(b'"' | b'\'' | b'\\'));
            return is_text.then_some((Link::Word, value_at));
        }
        _ => 0,
    };
    if sign > 0 {
        return Some((Link::Sign, sign_at + sign + blanks(sign_at + sign)));
    }
    let is_word = sign_at > after && (is_flag || follows_setter(bytes, start));
    if is_word {
        return Some((Link::Word, sign_at));
    }
    // `- name: DB_PASSWORD` and in the next line `value: x`; `key="Password" value="x"`.
    let label = described_value(bytes, after)?;
    Some((Link::Sign, label))
}

/// Whether the word before the name says that a name and a value follow.
fn follows_setter(bytes: &[u8], start: usize) -> bool {
    let before = bytes[..start].trim_ascii_end();
    if before.len() == start {
        return false;
    }
    let tail = &bytes[before.len().saturating_sub(12)..before.len()];
    SETTERS.iter().any(|setter| {
        tail.len() >= setter.len()
            && tail[tail.len() - setter.len()..].eq_ignore_ascii_case(setter.as_bytes())
    })
}

const SETTERS: [&str; 9] = ["setx", "setenv", "env", "set", "set -x", "set -gx", "set -ux", "set -xg", "/m"];

/// Where the value begins that the next line or attribute gives to the name.
fn described_value(bytes: &[u8], after: usize) -> Option<usize> {
    let tail = &bytes[after..bytes.len().min(after + 40)];
    let skipped = tail
        .iter()
        .take_while(|byte| {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b'"' | b'\'' | b'\\' | b'<' | b'>' | b'-')
        })
        .count();
    if skipped == 0 {
        return None;
    }
    let rest = &tail[skipped..];
    if rest.len() < 6 || !rest[..5].eq_ignore_ascii_case(b"value") {
        return None;
    }
    let closers = rest[5..].iter().take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ')).count();
    if !matches!(rest.get(5 + closers), Some(b':' | b'=')) {
        return None;
    }
    let blanks = rest[6 + closers..].iter().take_while(|byte| **byte == b' ').count();
    Some(after + skipped + 6 + closers + blanks)
}

/// A value as it stands in the text, without the quotes around it.
struct Value {
    range: Range<usize>,
    is_quoted: bool,
    /// In single quotes, where `$` is no variable.
    is_literal: bool,
    /// What stands right behind it.
    next: Option<u8>,
}

impl Value {
    fn read(text: &str, at: usize, link: Link) -> Option<Self> {
        let bytes = text.as_bytes();
        let at = at + opener(&text[at..]);
        if text[at..].starts_with(MARKER_START) {
            return None;
        }
        if link == Link::Element {
            let length = memchr::memchr2(b'<', b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
            return Self::of(at..at + length, true, true, bytes);
        }
        let slashes = bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
        if let Some(quote @ (b'"' | b'\'')) = bytes.get(at + slashes) {
            let start = at + slashes + 1;
            let end = closing(bytes, start, *quote, slashes);
            let next = bytes.get((end + slashes + 1).min(bytes.len()));
            // Quotes that only divide a word.
            if slashes == 0 && next.is_some_and(|byte| *byte != b'/' && is_of_word(*byte)) {
                let end = word_end(bytes, at);
                return Self::of(start..end, true, false, bytes);
            }
            return Self::of(start..end, true, *quote == b'\'', bytes);
        }
        Self::of(at..word_end(bytes, at), false, false, bytes)
    }

    fn of(range: Range<usize>, is_quoted: bool, is_literal: bool, bytes: &[u8]) -> Option<Self> {
        let mut range = range;
        if !is_quoted {
            while range.end > range.start
                && matches!(bytes[range.end - 1], b',' | b'}' | b']' | b'.' | b':' | b'\\')
            {
                range.end -= 1;
            }
        }
        while range.end > range.start && matches!(bytes[range.end - 1], b'"' | b'\'') {
            range.end -= 1;
        }
        let next = bytes.get(range.end).copied();
        (!range.is_empty()).then_some(Self { range, is_quoted, is_literal, next })
    }

    fn is_secret(&self, text: &str, strength: Strength, link: Link, tone: Tone, secrets: &Secrets) -> bool {
        let value = &text[self.range.clone()];
        let stands_for_nothing =
            if self.is_literal { secrets.is_harmless(value) } else { secrets.is_reference(value) };
        if stands_for_nothing {
            return false;
        }
        let is_random = looks_random(value);
        if strength == Strength::Possible {
            return is_random;
        }
        if strength == Strength::Likely && (is_small_number(value) || is_path(value)) {
            return false;
        }
        if self.is_quoted {
            return strength == Strength::Strong
                || tone == Tone::Code
                || is_random
                || has_digit(value) && link == Link::Sign;
        }
        // A call, an index or an attribute is code that says where the value comes from.
        if matches!(self.next, Some(b'(' | b'[')) || link != Link::Sign && value.starts_with(['-', '/']) {
            return false;
        }
        let is_telling =
            is_random || has_digit(value) || !value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match (link, tone) {
            (Link::Sign | Link::Element, Tone::Code) => true,
            (Link::Word | Link::Mapping, Tone::Code) => !secrets.is_prose(value),
            (Link::Colon, Tone::Code) => is_telling && !secrets.is_prose(value),
            (Link::Sign | Link::Element, Tone::Prose) => {
                strength == Strength::Strong || is_telling && has_digit(value)
            }
            (Link::Word | Link::Colon | Link::Mapping, Tone::Prose) | (_, Tone::Label) => {
                is_random || strength == Strength::Strong && has_digit(value)
            }
        }
    }
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a value is too short a number to be a secret, such as a port or a version.
pub fn is_small_number(value: &str) -> bool {
    value.len() <= 4 && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether a value looks like a path, which says where a secret is and is none itself.
pub fn is_path(value: &str) -> bool {
    value.starts_with(['/', '~', '.']) && value.len() > 1
}

/// Bytes before a value that only say how it is meant.
fn opener(rest: &str) -> usize {
    let rest = &rest[..rest.floor_char_boundary(MOST_OPENER_BYTES)];
    for opener in OPENERS {
        if rest.len() >= opener.len()
            && rest.as_bytes()[..opener.len()].eq_ignore_ascii_case(opener.as_bytes())
        {
            // The quote itself is read with the value.
            return opener.trim_end_matches(['"', '\'']).len();
        }
    }
    0
}

const MOST_OPENER_BYTES: usize = 40;
const OPENERS: [&str; 18] = [
    "pass:",
    "bearer ",
    "basic ",
    "token ",
    "apikey ",
    "b\"",
    "b'",
    "r\"",
    "r'",
    "f\"",
    "f'",
    "u\"",
    "u'",
    "str(",
    "SecretStr(",
    "$'",
    "$\"",
    "!!str ",
];

/// Where the quote is closed, or the text ends: at the same quote with as many backslashes before it as the first has.
fn closing(bytes: &[u8], start: usize, quote: u8, slashes: usize) -> usize {
    let mut at = start;
    while let Some(step) = memchr::memchr(quote, &bytes[at..]) {
        let end = at + step;
        let before = bytes[start..end].iter().rev().take_while(|byte| **byte == b'\\').count();
        if quote == b'\'' && slashes == 0 || before == slashes || before < slashes {
            return end - before.min(slashes);
        }
        if slashes == 0 && before % 2 == 0 {
            return end;
        }
        at = end + 1;
    }
    bytes.len()
}

fn is_of_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
        && !matches!(
            byte,
            b'`' | b';'
                | b'&'
                | b'|'
                | b'<'
                | b'>'
                | b'('
                | b')'
                | b','
                | b'}'
                | b']'
                | b':'
                | b'\\'
                | b'.'
                | b'+'
        )
}

/// Where a word of a shell ends that may be divided by quotes and go on in the next line.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') if at == start || is_inside_word(bytes, at) => {
                let end = closing(bytes, at + 1, quote, 0);
                at = (end + 1).min(bytes.len());
            }
            b'"' | b'\'' | b'`' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return at,
            b'\\' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
            b'\\' if matches!(bytes.get(at + 1), Some(b'"' | b'\'' | b'n' | b'r' | b'\\') | None) => {
                return at;
            }
            byte if byte.is_ascii_whitespace() => return at,
            _ => at += 1,
        }
    }
    bytes.len().min(at)
}

/// Whether a quote in a word opens a part of it: what is behind it goes on, and it is closed in the same line.
fn is_inside_word(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at + 1..];
    let is_open = rest.first().is_some_and(|byte| is_of_word(*byte));
    is_open
        && rest
            .iter()
            .take(MOST_NAME_BYTES)
            .take_while(|byte| **byte != b'\n' && **byte != b' ')
            .any(|byte| *byte == bytes[at])
}
