//! Puts the texts of a program's variables where they are used, as far as they are plain.
//!
//! Programs name a bucket or an address once and use the name. Each name that is given a text is resolved, by the last
//! text before it, in one pass; what is put together with `+` or in an f-string is joined.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// Names that one program may have.
const MOST_NAMES: usize = 256;
/// Characters of a text that is put where its name stands.
const MOST_CHARACTERS: usize = 512;
/// How much longer a program may become.
const MOST_GROWTH: usize = 4;

/// `name = 'text'`, at the beginning of a statement.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"^(?:const |let |var |my |\$)?\$?(?<name>[A-Za-z_]\w*)(?:\s*:\s*\w+)?\s*=\s*(?<prefix>[fFrRbBuU]?)(?:"(?<double>[^"\\\n]*)"|'(?<single>[^'\\\n]*)')"#,
    )
    .expect("the pattern is fixed and tested")
});

/// The program with its names resolved.
pub fn resolved(text: &str) -> Cow<'_, str> {
    if !text.contains(['=', '+']) {
        return Cow::Borrowed(text);
    }
    let mut reader = Reader { text, at: 0, names: HashMap::new(), made: String::with_capacity(text.len()) };
    reader.read();
    Cow::Owned(joined(&reader.made))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    names: HashMap<&'t str, String>,
    made: String,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut begins_statement = true;
        while let Some(character) = self.text[self.at..].chars().next() {
            if begins_statement && (is_name_start(character) || character == '$') {
                self.assign();
            }
            match character {
                '"' | '\'' => {
                    self.literal(character);
                    begins_statement = false;
                }
                '#' => {
                    let end = self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at);
                    self.copy(end);
                }
                character if is_name_start(character) => {
                    self.name();
                    begins_statement = false;
                }
                '\n' | ';' => {
                    self.copy(1);
                    begins_statement = true;
                }
                character => {
                    self.copy(character.len_utf8());
                    begins_statement &= character.is_whitespace();
                }
            }
        }
    }

    fn copy(&mut self, bytes: usize) {
        self.made.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    /// Remembers the text that a statement gives to a name.
    fn assign(&mut self) {
        let Some(found) = ASSIGNMENT.captures(&self.text[self.at..]) else { return };
        let value = found.name("double").or(found.name("single")).map_or("", |value| value.as_str());
        let name = &self.text[self.at..][found.name("name").map_or(0..0, |name| name.range())];
        let value =
            if found["prefix"].eq_ignore_ascii_case("f") { self.filled(value) } else { value.to_owned() };
        if value.len() <= MOST_CHARACTERS && (self.names.len() < MOST_NAMES || self.names.contains_key(name))
        {
            self.names.insert(name, value);
        }
    }

    /// A name, or what it stands for where it is used.
    fn name(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        let is_given = after.starts_with('=') && !after.starts_with("==");
        let is_member = self.made.ends_with('.') || after.starts_with(['.', '(', '[']);
        let has_room = self.made.len() < MOST_GROWTH * self.text.len();
        match self.names.get(name) {
            Some(value) if !is_given && !is_member && has_room && !value.contains(['\'', '\n']) => {
                if self.made.ends_with('$') {
                    self.made.pop();
                }
                self.made.push('\'');
                self.made.push_str(value);
                self.made.push('\'');
                self.at += end;
            }
            _ => self.copy(end),
        }
    }

    /// A text in quotes, in which an f-string has its names filled in.
    fn literal(&mut self, quote: char) {
        let rest = &self.text[self.at..];
        let long: &str = if quote == '"' { "\"\"\"" } else { "'''" };
        let mark = if rest.starts_with(long) { long } else { &long[..1] };
        let mut end = mark.len();
        let is_long = mark.len() > 1;
        while end < rest.len()
            && !rest[end..].starts_with(mark)
            && (is_long || !rest[end..].starts_with('\n'))
        {
            let character = rest[end..].chars().next().map_or(1, char::len_utf8);
            let escaped = rest[end + character..].chars().next().map_or(0, char::len_utf8);
            end += if rest[end..].starts_with('\\') { character + escaped } else { character };
        }
        let inside = &rest[mark.len().min(end)..end.min(rest.len())];
        let is_filled = self.made.ends_with(['f', 'F', '`']) && inside.contains('{');
        let end = if rest[end.min(rest.len())..].starts_with(mark) {
            end + mark.len()
        } else {
            end.min(rest.len())
        };
        if is_filled && self.made.len() < MOST_GROWTH * self.text.len() {
            let filled = self.filled(inside);
            // Filled in, it is a text like any other, as whoever reads it expects.
            if !filled.contains('{') && self.made.ends_with(['f', 'F']) {
                self.made.pop();
            }
            self.made.push_str(mark);
            self.made.push_str(&filled);
            self.made.push_str(mark);
            self.at += end;
        } else {
            self.copy(end);
        }
    }

    /// A text with what stands in braces put in, where that is known.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once('{') {
            filled.push_str(before);
            let (name, after) = inside.split_once('}').unwrap_or((inside, ""));
            match self.names.get(name.trim()) {
                Some(value) if filled.len() < 2 * MOST_CHARACTERS => filled.push_str(value),
                _ => {
                    filled.push('{');
                    filled.push_str(name);
                    filled.push('}');
                }
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// Texts that stand behind each other with a `+`, as one.
fn joined(text: &str) -> String {
    static PLUS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"'[ \t]*\+[ \t]*'|"[ \t]*\+[ \t]*""#).expect("the pattern is fixed and tested")
    });
    static MIXED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""(?<text>[^"'\\\n]*)"(?<plus>[ \t]*\+)"#).expect("the pattern is fixed and tested")
    });
    static LAST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?<plus>\+[ \t]*)"(?<text>[^"'\\\n]*)""#).expect("the pattern is fixed and tested")
    });
    if !text.contains('+') {
        return text.to_owned();
    }
    let text = MIXED.replace_all(text, "'$text'$plus");
    let text = LAST.replace_all(&text, "$plus'$text'");
    PLUS.replace_all(&text, "").into_owned()
}

fn is_name_start(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_the_text_that_it_was_given() {
        for (text, expected) in [
            ("b='x'\nput(f, b)", "b='x'\nput(f, 'x')"),
            ("b = 'x'; put(Bucket=b, Key='b')", "b = 'x'; put(Bucket='x', Key='b')"),
            ("h='e.example'\nget(f'https://{h}/a')", "h='e.example'\nget('https://e.example/a')"),
            ("h='e.example'\nget('https://' + h + \"/a\")", "h='e.example'\nget('https://e.example/a')"),
            ("h='e'\nu=f\"https://{h}/\"\nget(u)", "h='e'\nu=\"https://e/\"\nget('https://e/')"),
            ("b='x'\nb.upper()\no.b\nb == 1", "b='x'\nb.upper()\no.b\n'x' == 1"),
            ("b='x'\nb='y'\nput(b)", "b='x'\nb='y'\nput('y')"),
            ("# b='x'\nput(b)", "# b='x'\nput(b)"),
            ("put('b', b)", "put('b', b)"),
        ] {
            assert_eq!(resolved(text), expected);
        }
    }

    #[test]
    fn a_program_grows_by_no_more_than_its_own_length_several_times() {
        let text = format!("b='{}'\n{}", "x".repeat(500), "b,".repeat(5000));
        assert!(resolved(&text).len() < (MOST_GROWTH + 1) * text.len());
        for broken in ["b='", "b=\"\"\"", "f'{", "b='x'\nf'{b", "'\\", "b = 'ü'\nb"] {
            resolved(broken);
        }
    }
}
