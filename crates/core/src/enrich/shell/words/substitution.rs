//! Reads what stands behind `$` or in backticks, and finds where it closes.

use super::{Lexer, Part, Word, is_name};
use crate::enrich::shell::decoders;

impl Lexer<'_> {
    /// What begins with `$` or is in backticks.
    pub(super) fn dollar(&mut self, parts: &mut Word, is_quoted: bool) {
        if self.skip("`") {
            let end = self.rest().find('`').unwrap_or(self.rest().len());
            parts.push(Part::Command(self.rest()[..end].replace("\\\"", "\"")));
            self.at = (self.at + end + 1).min(self.text.len());
            return;
        }
        self.at += 1;
        if self.rest().starts_with("((") {
            self.at += 2;
            let inside = self.until_closed();
            self.skip(")");
            parts.push(Part::Quoted(format!("$(({inside}))")));
        } else if self.skip("(") {
            parts.push(Part::Command(self.until_closed()));
        } else if self.skip("{") {
            let end = closing_brace(self.rest());
            parts.push(Part::Variable(self.rest()[..end].to_owned(), is_quoted));
            self.at = (self.at + end + 1).min(self.text.len());
        } else if !is_quoted && self.skip("'") {
            let end = closing_quote(self.rest());
            parts.push(Part::Quoted(decoders::escapes(&self.rest()[..end])));
            self.at = (self.at + end + 1).min(self.text.len());
        } else if !is_quoted && self.rest().starts_with('"') {
            // `$"…"` is a text in the user's language; its quotes are read next.
        } else {
            let name = self.rest().len() - self.rest().trim_start_matches(is_name).len();
            let special = usize::from(matches!(self.peek(), Some('@' | '*' | '#' | '?' | '$' | '!' | '-')));
            let is_digit = self.peek().is_some_and(|character| character.is_ascii_digit());
            let length = if is_digit {
                1
            } else if name > 0 {
                name
            } else {
                special
            };
            if length == 0 {
                parts.push(Part::Quoted("$".to_owned()));
            } else {
                parts.push(Part::Variable(self.rest()[..length].to_owned(), is_quoted));
                self.at += length;
            }
        }
    }

    /// What stands before the parenthesis that closes the one just read.
    pub(super) fn until_closed(&mut self) -> String {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut depth = 1;
        let mut quote = None;
        while let Some(byte) = bytes.get(self.at) {
            match (quote, byte) {
                (Some(b'\''), b'\'') | (Some(b'"'), b'"') => quote = None,
                (Some(b'\''), _) => {}
                (_, b'\\') => self.at += 1,
                (None, b'\'' | b'"') => quote = Some(*byte),
                (None, b'(') => depth += 1,
                (None, b')') => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        // A backslash at the end, or before a character of several bytes, may have led beyond.
        let end = self.text.ceil_char_boundary(self.at.min(self.text.len()));
        self.at = (end + 1).min(self.text.len());
        self.at = self.text.ceil_char_boundary(self.at);
        self.text[start..end].to_owned()
    }
}

/// Where the brace of `${…}` closes, which may hold others.
fn closing_brace(text: &str) -> usize {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn closing_quote(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '\'' if !is_escaped => return at,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}
