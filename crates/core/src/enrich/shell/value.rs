//! Holds the texts that a script handles, with what is known of where they come from.

use std::collections::BTreeSet;

/// The text of a variable, a file or a stream, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    pub text: String,
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
    pub sources: BTreeSet<String>,
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
    /// The text is not, or not all, known.
    pub is_unknown: bool,
    /// It is a copy of this program.
    pub program: Option<String>,
}

/// Addresses that one text remembers. What is put together of more is as good as any of them.
const MOST_SOURCES: usize = 16;

impl Value {
    pub fn known(text: impl Into<String>) -> Self {
        Self { text: text.into(), origin: Origin::default() }
    }

    pub fn unknown() -> Self {
        Self { text: String::new(), origin: Origin { is_unknown: true, ..Origin::default() } }
    }

    pub fn with_origin(text: impl Into<String>, origin: &Origin) -> Self {
        Self { text: text.into(), origin: origin.clone() }
    }

    pub fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.origin.join(&other.origin);
    }

    pub fn is_nothing(&self) -> bool {
        self.text.is_empty() && self.origin == Origin::default()
    }
}

impl Origin {
    pub fn join(&mut self, other: &Self) {
        for source in &other.sources {
            if self.sources.len() == MOST_SOURCES {
                break;
            }
            if !self.sources.contains(source) {
                self.sources.insert(source.clone());
            }
        }
        self.is_decoded |= other.is_decoded;
        self.is_secret |= other.is_secret;
        self.is_socket |= other.is_socket;
        self.is_local |= other.is_local;
        self.is_of_shell |= other.is_of_shell;
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
