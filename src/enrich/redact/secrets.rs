//! The secrets: which members, names and shapes of text redaction takes for one. They are data, in `config/secrets.toml`.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use figment::Figment;
use figment::providers::{Format, Toml};
use regex::{Captures, Regex, RegexSet};
use serde::Deserialize;
use serde_json_borrow::Value;

use super::members::Members;
use crate::enrich::hints::Hints;

pub static SECRETS: LazyLock<Secrets> =
    LazyLock::new(|| Secrets::parse(FILE).expect("the file is part of the binary and tested"));

pub const FILE: &str = include_str!("../../../config/secrets.toml");

/// Everything that redaction knows.
pub struct Secrets {
    members: Members,
    harmless_parameters: Vec<String>,
    words: Vec<String>,
    endings: Vec<String>,
    harmless_endings: Vec<String>,
    harmless_values: RegexSet,
    references: RegexSet,
    shapes: Vec<Shape>,
    /// The hints of all shapes, to look for them in one pass.
    shape_hints: AhoCorasick,
    /// For each of those hints, the position of its shape.
    hinted: Vec<usize>,
    /// Those of the shapes that are looked for in any text.
    record_hints: Hints,
}

/// Where in a record a value stands, which decides how it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Elsewhere,
    /// A command line or code in the clear.
    Command,
    /// Inside an environment or a set of hyperparameters; values of variables are often commands too.
    Variables,
    /// Code as base64.
    Script,
    /// A link that opens a door by itself.
    Link,
    /// The value of a variable whose name is suspect.
    Suspect,
    /// Under a member whose every value is a secret.
    Secret,
}

/// One place in a text where a shape stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// All that fits the shape.
    pub whole: Range<usize>,
    /// The part of it that is the secret.
    pub secret: Range<usize>,
}

struct Shape {
    pattern: Regex,
    commands_only: bool,
}

#[derive(Deserialize)]
struct File {
    members: Vec<String>,
    links: Vec<String>,
    harmless_parameters: Vec<String>,
    variables: Vec<String>,
    commands: Vec<String>,
    scripts: Vec<String>,
    words: Vec<String>,
    endings: Vec<String>,
    harmless_endings: Vec<String>,
    harmless_values: Vec<String>,
    references: Vec<String>,
    shapes: Vec<FileShape>,
}

#[derive(Deserialize)]
struct FileShape {
    #[serde(default)]
    commands_only: bool,
    #[serde(default)]
    hints: Vec<String>,
    pattern: String,
}

impl Secrets {
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let file: File = Figment::from(Toml::string(text)).extract()?;
        let places = [
            (&file.members, Place::Secret),
            (&file.links, Place::Link),
            (&file.variables, Place::Variables),
            (&file.commands, Place::Command),
            (&file.scripts, Place::Script),
        ];
        let members =
            places.into_iter().flat_map(|(names, place)| names.iter().map(move |name| (name.clone(), place)));
        let members = Members::new(members)?;

        let mut record_hints = Vec::new();
        let suspect_names = suspect_names(&file.words, &file.endings);
        let (mut shapes, mut hints, mut hinted) = (Vec::new(), Vec::new(), Vec::new());
        for (position, shape) in file.shapes.into_iter().enumerate() {
            if shape.hints.is_empty() && !shape.commands_only {
                return Err(format!(
                    "nothing hints at the shape {}, which is looked for in any text",
                    shape.pattern
                )
                .into());
            }
            if !shape.commands_only {
                record_hints.extend(shape.hints.iter().cloned());
            }
            let own = if shape.hints.is_empty() {
                file.words.iter().chain(&file.endings).cloned().collect()
            } else {
                shape.hints
            };
            hinted.extend(own.iter().map(|_| position));
            hints.extend(own);
            shapes.push(Shape {
                pattern: Regex::new(&ascii(&shape.pattern.replace("NAME", &suspect_names)))?,
                commands_only: shape.commands_only,
            });
        }
        Ok(Self {
            members,
            harmless_parameters: file.harmless_parameters,
            words: file.words,
            endings: file.endings,
            harmless_endings: file.harmless_endings,
            harmless_values: RegexSet::new(&file.harmless_values)?,
            references: RegexSet::new(&file.references)?,
            shapes,
            // This kind is the fastest; its table is made once.
            shape_hints: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::DFA))
                .build(&hints)?,
            hinted,
            record_hints: Hints::new(&record_hints)?,
        })
    }

    /// Whether a record could hold a secret. It may say yes too early, and never no to one that does.
    pub fn could_be_in(&self, raw: &[u8], record: &Value<'_>) -> bool {
        self.record_hints.any_in(raw) || could_hide_hint(raw) || self.could_be_below(record)
    }

    /// Whether a member is known by its name, or a text could be JSON with members of its own.
    fn could_be_below(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Object(object) => object
                .iter()
                .any(|(name, value)| self.members.place(name).is_some() || self.could_be_below(value)),
            Value::Array(elements) => elements.iter().any(|element| self.could_be_below(element)),
            Value::Str(text) => could_be_json(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Where a value stands that is the member of an object at `place`.
    pub fn below(&self, place: Place, member: &str) -> Place {
        match (place, self.members.place(member)) {
            (Place::Secret | Place::Suspect | Place::Link, _) => place,
            (_, Some(known)) => known,
            (Place::Variables | Place::Command, None) if self.is_suspect(member) => Place::Suspect,
            (Place::Script, None) => Place::Elsewhere,
            (place, None) => place,
        }
    }

    /// Whether the name of a variable makes its value suspect.
    pub fn is_suspect(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let ends_with = |endings: &[String]| endings.iter().any(|ending| name.ends_with(ending.as_str()));
        !ends_with(&self.harmless_endings)
            && (ends_with(&self.endings) || self.words.iter().any(|word| name.contains(word.as_str())))
    }

    /// Whether a value is no secret under any name.
    pub fn is_harmless(&self, value: &str) -> bool {
        value.is_empty() || self.harmless_values.is_match(value)
    }

    /// Whether a value is no secret under any name, or stands for one that is elsewhere.
    pub fn is_reference(&self, value: &str) -> bool {
        self.is_harmless(value) || self.references.is_match(value)
    }

    pub fn is_harmless_parameter(&self, name: &str) -> bool {
        self.harmless_parameters.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Where in a text secrets stand that show by their shape.
    pub fn find(&self, text: &str, in_command: bool) -> Vec<Found> {
        if !in_command && !self.record_hints.any_in(text.as_bytes()) {
            return Vec::new();
        }
        let mut looked_for = Vec::new();
        let mut found = Vec::new();
        for hint in self.shape_hints.find_overlapping_iter(text) {
            let position = self.hinted[hint.pattern().as_usize()];
            let shape = &self.shapes[position];
            if looked_for.contains(&position) || shape.commands_only && !in_command {
                continue;
            }
            looked_for.push(position);
            found.extend(
                shape.pattern.captures_iter(text).filter_map(|captures| self.found(shape, text, &captures)),
            );
        }
        found
    }

    fn found(&self, shape: &Shape, text: &str, captures: &Captures<'_>) -> Option<Found> {
        if let Some(name) = captures.name("name") {
            // The parameters of a URL have a shape of their own, which knows where their values end.
            let is_parameter = text[..name.start()].ends_with(['?', '&']);
            if is_parameter || !self.is_suspect(name.as_str()) {
                return None;
            }
        }
        let whole = captures.get(0)?.range();
        shape
            .pattern
            .capture_names()
            .flatten()
            .filter(|name| name.starts_with("secret"))
            .find_map(|name| captures.name(name).map(|secret| (name, secret)))
            .filter(|(name, secret)| match *name {
                "secret_literal" => !self.is_harmless(secret.as_str()),
                _ => !self.is_reference(secret.as_str()),
            })
            .map(|(_, secret)| Found { whole, secret: secret.range() })
    }
}

/// Whether a text is looked at as JSON.
pub fn could_be_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Whether a letter or a slash is written as an escape, which could hide a hint from a search of the bytes.
fn could_hide_hint(raw: &[u8]) -> bool {
    let mut escapes = memchr::memchr_iter(b'\\', raw);
    escapes.any(|at| matches!(raw.get(at + 1), Some(b'u' | b'/')))
}

/// A pattern of the names that hold a word or have one of the endings.
fn suspect_names(words: &[String], endings: &[String]) -> String {
    let any = |texts: &[String]| texts.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|");
    format!("[A-Za-z0-9_.-]*(?:(?:{})[A-Za-z0-9_.-]*|(?:{}))", any(words), any(endings))
}

/// The pattern with boundaries of ASCII words, since matching Unicode's is many times slower.
fn ascii(pattern: &str) -> String {
    pattern.replace(r"\b", r"(?-u:\b)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_no_record_would_be_looked_at_for_is_refused() {
        let with = |shape: &str| {
            let start = FILE.find("[[shapes]]").unwrap();
            Secrets::parse(&format!("{}[[shapes]]\n{shape}pattern = '(?<secret>x)'", &FILE[..start]))
        };
        assert!(with("hints = ['x']\n").is_ok());
        assert!(with("commands_only = true\n").is_ok());
        assert!(with("").is_err());
    }
}
