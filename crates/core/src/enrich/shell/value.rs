//! Holds the texts that a script handles, with what is known of where they come from.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// The text of a variable, a file or a stream, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    pub text: Text,
    pub origin: Origin,
}

/// Where a text comes from, which it keeps while it is copied, piped and put into variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own, and any of them may hold together"
)]
pub struct Origin {
    /// The addresses that it was fetched from.
    pub sources: BTreeSet<Rc<str>>,
    /// Whether there are more of them than are remembered.
    pub has_more_sources: bool,
    /// Something decoded it.
    pub is_decoded: bool,
    /// It holds credentials.
    pub is_secret: bool,
    /// It is read from a connection to another host.
    pub is_socket: bool,
    /// It was read from files or programs of the machine.
    pub is_local: bool,
    /// A shell wrote it.
    pub is_of_shell: bool,
    /// It is a line of an input that is known only behind the loop that reads it.
    pub is_line: bool,
    /// The text is not, or not all, known.
    pub is_unknown: bool,
    /// It is a copy of this program.
    pub program: Option<String>,
}

/// A text that is handed on without being copied, since scripts do that with large ones for a few bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(Rc<String>);

/// Addresses that one text remembers. What is put together of more is as good as any of them.
const MOST_SOURCES: usize = 16;

impl Value {
    /// A text that is known as a whole and comes from nowhere else.
    pub fn known(text: impl Into<Text>) -> Self {
        Self { text: text.into(), origin: Origin::default() }
    }

    /// A text of which nothing is known, such as the output of a program that is not understood.
    pub fn unknown() -> Self {
        Self { text: Text::default(), origin: Origin { is_unknown: true, ..Origin::default() } }
    }

    /// A text that was made from another and comes from where that came from.
    pub fn with_origin(text: impl Into<Text>, origin: &Origin) -> Self {
        Self { text: text.into(), origin: origin.clone() }
    }

    /// Puts another text behind this one; it then comes from where both came from.
    pub fn append(&mut self, other: &Self) {
        if self.text.is_empty() {
            self.text = other.text.clone();
        } else {
            self.text.push_str(&other.text);
        }
        self.origin.join(&other.origin);
    }

    /// Whether it is empty and known to be so.
    pub fn is_nothing(&self) -> bool {
        self.text.is_empty() && self.origin == Origin::default()
    }
}

impl Text {
    /// The text as far as it is known.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds to the text, which is copied first where others share it.
    pub fn push_str(&mut self, text: &str) {
        Rc::make_mut(&mut self.0).push_str(text);
    }

    /// Adds one character, in the same way.
    pub fn push(&mut self, character: char) {
        Rc::make_mut(&mut self.0).push(character);
    }

    /// Keeps so many bytes of the text, which must end between two characters.
    pub fn truncate(&mut self, length: usize) {
        if length < self.0.len() {
            Rc::make_mut(&mut self.0).truncate(length);
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Rc::new(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Origin {
    /// The origin of what is fetched from an address: the text itself is unknown.
    pub fn fetched_from(source: &str) -> Self {
        Self { sources: BTreeSet::from([source.into()]), is_unknown: true, ..Self::default() }
    }

    /// Adds what is known of another origin. Of more addresses than one text remembers it only notes that there are
    /// more.
    pub fn join(&mut self, other: &Self) {
        self.has_more_sources |= other.has_more_sources;
        for source in &other.sources {
            if self.sources.contains(source) {
                continue;
            }
            if self.sources.len() == MOST_SOURCES {
                self.has_more_sources = true;
                break;
            }
            self.sources.insert(Rc::clone(source));
        }
        self.is_decoded |= other.is_decoded;
        self.is_secret |= other.is_secret;
        self.is_socket |= other.is_socket;
        self.is_local |= other.is_local;
        self.is_of_shell |= other.is_of_shell;
        self.is_line |= other.is_line;
        self.is_unknown |= other.is_unknown;
        if self.program.is_none() {
            self.program.clone_from(&other.program);
        }
    }
}

/// A script on one line.
pub fn render(script: &str) -> String {
    let mut line = String::with_capacity(script.len());
    for (position, part) in script.lines().map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        if position > 0 {
            line.push_str(" ; ");
        }
        line.push_str(part);
    }
    line
}
