//! Writes what a record says in one canonical text, whatever its layout.
//!
//! Two records have the same canonical text if and only if they differ in nothing but whitespace between values, the
//! order of members with different names, and the way in which characters are escaped. It is read off the bytes,
//! because a parsed value forgets how a number was written, that a name stood twice, and which half of a pair a text
//! had.

use super::repair::{Escape, unit};
use crate::lanes::{LANE, QuoteOrBackslash, push_until};

/// The canonical text of one JSON value. Of what is no JSON it is some text of its own.
pub fn canonical(raw: &[u8]) -> Vec<u8> {
    let mut writer = Writer { raw, at: 0, out: Vec::with_capacity(raw.len() + LANE) };
    writer.value(0);
    // What follows the value belongs to it as well.
    writer.out.extend_from_slice(raw[writer.at..].trim_ascii());
    writer.out
}

/// Deeper than a record that can be parsed.
const MAX_DEPTH: usize = 200;

/// Members of most objects.
const USUAL_MEMBERS: usize = 8;

struct Writer<'r> {
    raw: &'r [u8],
    at: usize,
    out: Vec<u8>,
}

/// A member that was written.
struct Member {
    /// The first bytes of its name, which nearly always decide where it stands among the others.
    beginning: u64,
    from: usize,
    name_end: usize,
}

impl Member {
    /// The one whose name begins there and ends with what is written.
    fn named(out: &[u8], from: usize) -> Self {
        let name = &out[from..];
        // Behind the quote with which all begin. The end of a short name counts as less than any sign.
        let mut beginning = [0; size_of::<u64>()];
        for (byte, known) in beginning.iter_mut().zip(name.get(1..).unwrap_or_default()) {
            *byte = *known;
        }
        Self { beginning: u64::from_be_bytes(beginning), from, name_end: out.len() }
    }
}

impl Writer<'_> {
    fn value(&mut self, depth: usize) {
        match self.next() {
            Some(b'{') if depth < MAX_DEPTH => self.object(depth),
            Some(b'[') if depth < MAX_DEPTH => self.array(depth),
            Some(b'"') => self.text(),
            Some(_) => self.scalar(),
            None => {}
        }
    }

    /// The next byte that is no whitespace.
    fn next(&mut self) -> Option<u8> {
        let blanks = self.raw[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += blanks;
        self.raw.get(self.at).copied()
    }

    /// Passes the byte if it is the next.
    fn passes(&mut self, byte: u8) -> bool {
        let is_next = self.next() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn object(&mut self, depth: usize) {
        self.at += 1;
        self.out.push(b'{');
        let begin = self.out.len();
        let mut members: Vec<Member> = Vec::with_capacity(USUAL_MEMBERS);
        while self.next() == Some(b'"') {
            let from = self.out.len();
            self.text();
            members.push(Member::named(&self.out, from));
            if self.passes(b':') {
                self.out.push(b':');
            }
            self.value(depth + 1);
            self.out.push(b',');
            if !self.passes(b',') {
                break;
            }
        }
        self.sort(begin, &members);
        self.passes(b'}');
        self.out.push(b'}');
    }

    /// Puts the members that begin there into the order of their names; those of one name stay in their order, because
    /// the first of them counts.
    fn sort(&mut self, begin: usize, members: &[Member]) {
        let end = self.out.len();
        let order = |a: &Member, b: &Member| {
            let name = |member: &Member| &self.out[member.from..member.name_end];
            a.beginning.cmp(&b.beginning).then_with(|| name(a).cmp(name(b)))
        };
        if members.is_sorted_by(|a, b| order(a, b).is_le()) {
            return;
        }
        let mut positions: Vec<usize> = (0..members.len()).collect();
        positions.sort_by(|&a, &b| order(&members[a], &members[b]));
        let mut sorted = Vec::with_capacity(end - begin);
        for position in positions {
            let until = members.get(position + 1).map_or(end, |next| next.from);
            sorted.extend_from_slice(&self.out[members[position].from..until]);
        }
        self.out[begin..].copy_from_slice(&sorted);
    }

    fn array(&mut self, depth: usize) {
        self.at += 1;
        self.out.push(b'[');
        while !matches!(self.next(), None | Some(b']')) {
            let before = self.at;
            self.value(depth + 1);
            self.out.push(b',');
            if !self.passes(b',') || self.at == before {
                break;
            }
        }
        self.passes(b']');
        self.out.push(b']');
    }

    /// A text with as few escapes as can be.
    fn text(&mut self) {
        self.at += 1;
        self.out.push(b'"');
        loop {
            self.at += push_until::<QuoteOrBackslash>(&mut self.out, &self.raw[self.at..]);
            match self.raw.get(self.at) {
                Some(b'\\') => self.escape(),
                // A text that does not end is another than one that does.
                None => return,
                Some(_) => break,
            }
        }
        self.at += 1;
        self.out.push(b'"');
    }

    fn escape(&mut self) {
        let rest = &self.raw[self.at..];
        let length = match Escape::at(rest) {
            Escape::Whole(length) => length,
            Escape::HalfAPair => 6,
        };
        let escape = &rest[..length];
        self.at += length;
        match character(escape) {
            Some(character @ ('"' | '\\')) => self.out.extend([b'\\', character as u8]),
            Some(character) => self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            // Half a pair, or no escape at all.
            None => self.out.extend(escape.to_ascii_lowercase()),
        }
    }

    /// A number as it is written, or a word.
    fn scalar(&mut self) {
        let rest = &self.raw[self.at..];
        let is_end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b'"') || byte.is_ascii_whitespace();
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        self.out.extend_from_slice(&rest[..length]);
        self.at += length;
    }
}

/// The character that an escape stands for; none where it stands for none.
fn character(escape: &[u8]) -> Option<char> {
    Some(match escape {
        [b'\\', plain @ (b'"' | b'\\' | b'/')] => char::from(*plain),
        b"\\b" => '\u{8}',
        b"\\f" => '\u{c}',
        b"\\n" => '\n',
        b"\\r" => '\r',
        b"\\t" => '\t',
        _ => {
            let first = unit(escape)?;
            let second = escape.get(6..).and_then(unit);
            let code = second.map_or(first, |second| 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff));
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests;
