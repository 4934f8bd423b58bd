//! Knows which members, names and shapes of text are secrets; `config/secrets.toml` lists them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{Captures, Regex, RegexSet};
use serde::Deserialize;

use super::budget::Budget;
use super::endings::Endings;
use super::members::{Members, Place, Tone};
use super::names::{Names, Strength, looks_random};
use super::tokens::{FileTokens, Tokens};
use super::url;
use crate::enrich::prefilter::Prefilter;

/// What `config/secrets.toml` lists, compiled when it is first needed.
pub static SECRETS: LazyLock<Secrets> =
    LazyLock::new(|| Secrets::parse(FILE).expect("the file is part of the binary and tested"));

/// The text of `config/secrets.toml`, which tests read by themselves as well.
pub const FILE: &str = include_str!("../../../../../config/secrets.toml");

/// Everything that redaction knows.
pub struct Secrets {
    members: Members,
    identity_endings: Endings,
    location_endings: Endings,
    harmless_parameters: Vec<String>,
    names: Names,
    /// Words of which a name must hold one to tell anything.
    name_hints: AhoCorasick,
    harmless_values: RegexSet,
    references: RegexSet,
    prose: Vec<String>,
    top_domains: HashSet<String>,
    tokens: Tokens,
    shapes: Vec<Shape>,
    /// The hints of all shapes, to look for them in one pass.
    shape_hints: AhoCorasick,
    /// For each of those hints, the position of its shape.
    hinted: Vec<usize>,
    /// Of which any text must hold one to hold a secret.
    hints: Prefilter,
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
    labels: Vec<String>,
    commands: Vec<String>,
    scripts: Vec<String>,
    identities: Vec<String>,
    identity_endings: Vec<String>,
    location_endings: Vec<String>,
    #[serde(flatten)]
    names: Names,
    harmless_values: Vec<String>,
    references: Vec<String>,
    prose: Vec<String>,
    top_domains: Vec<String>,
    tokens: Vec<FileTokens>,
    shapes: Vec<FileShape>,
}

#[derive(Deserialize)]
struct FileShape {
    #[serde(default)]
    commands_only: bool,
    hints: Vec<String>,
    pattern: String,
}

impl Secrets {
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let file: File = toml::from_str(text)?;
        let places = [
            (&file.identities, Place::Identity),
            (&file.labels, Place::Labels),
            (&file.members, Place::Secret),
            (&file.links, Place::Link),
            (&file.variables, Place::Variables),
            (&file.commands, Place::Command),
            (&file.scripts, Place::Script),
        ];
        let members =
            places.into_iter().flat_map(|(names, place)| names.iter().map(move |name| (name.clone(), place)));
        let members = Members::new(members)?;

        let name_hints: Vec<String> = file.names.hints().map(str::to_owned).collect();
        let mut all_hints = name_hints.clone();
        all_hints.extend(file.tokens.iter().flat_map(|tokens| tokens.beginnings.iter().cloned()));
        all_hints.push("@".to_owned());
        let (mut shapes, mut hints, mut hinted) = (Vec::new(), Vec::new(), Vec::new());
        for (position, shape) in file.shapes.into_iter().enumerate() {
            if shape.hints.is_empty() {
                return Err(format!("nothing hints at the shape {}", shape.pattern).into());
            }
            if !shape.commands_only {
                all_hints.extend(shape.hints.iter().cloned());
            }
            hinted.extend(shape.hints.iter().map(|_| position));
            hints.extend(shape.hints);
            shapes.push(Shape {
                pattern: Regex::new(&ascii(&shape.pattern))?,
                commands_only: shape.commands_only,
            });
        }
        // What begins as a shorter hint does is found by that one.
        all_hints.sort_by_key(String::len);
        let mut least: Vec<String> = Vec::new();
        for hint in all_hints {
            let lowered = hint.to_ascii_lowercase();
            if !least.iter().any(|known| lowered.contains(known.as_str())) {
                least.push(lowered);
            }
        }
        let automaton = |words: &[String]| {
            // This kind is the fastest; its table is made once.
            AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(words)
        };
        Ok(Self {
            members,
            identity_endings: Endings::new(file.identity_endings),
            location_endings: Endings::new(file.location_endings),
            harmless_parameters: file.harmless_parameters,
            names: file.names,
            name_hints: automaton(&name_hints)?,
            harmless_values: RegexSet::new(&file.harmless_values)?,
            references: RegexSet::new(&file.references)?,
            prose: file.prose,
            top_domains: file.top_domains.into_iter().collect(),
            tokens: Tokens::new(&file.tokens)?,
            shapes,
            shape_hints: automaton(&hints)?,
            hinted,
            hints: Prefilter::new(&least)?,
        })
    }

    /// The words by which names are judged, for tests of these alone.
    #[cfg(test)]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Where a value stands that is the member of an object at `place`.
    pub fn below(&self, place: Place, member: &str) -> Place {
        let known = self.members.place(member);
        match (place, known) {
            (Place::Identity, Some(known @ (Place::Secret | Place::Link))) => known,
            (
                Place::Secret
                | Place::Suspect
                | Place::Likely
                | Place::Possible
                | Place::Link
                | Place::Identity,
                _,
            ) => place,
            // Names that a caller chose are none of the API.
            (Place::Variables | Place::Command | Place::Labels, None | Some(Place::Identity)) => {
                match (self.strength(member), place) {
                    (Some(Strength::Strong), _) => Place::Suspect,
                    (Some(Strength::Likely), Place::Variables | Place::Command) => Place::Likely,
                    (Some(_), _) => Place::Possible,
                    (None, _) => place,
                }
            }
            (_, Some(known)) => known,
            (_, None) if self.identity_endings.end(member) => Place::Identity,
            (_, None) if self.location_endings.end(member) => Place::Location,
            (Place::Script, None) => Place::Elsewhere,
            (place, None) => place,
        }
    }

    /// Whether a member of that name says who or where wherever it stands.
    pub fn is_identity(&self, member: &str) -> bool {
        self.members.place(member) == Some(Place::Identity) && member.len() > MOST_COMMON_BYTES
    }

    /// What the name of a variable tells of its value.
    pub fn strength(&self, name: &str) -> Option<Strength> {
        if !self.name_hints.is_match(name) {
            return None;
        }
        self.names.strength(name)
    }

    /// Whether a value is no secret under any name.
    pub fn is_harmless(&self, value: &str) -> bool {
        value.is_empty() || self.harmless_values.is_match(value)
    }

    /// Whether a value is no secret under any name, or stands for one that is elsewhere.
    pub fn is_reference(&self, value: &str) -> bool {
        self.is_harmless(value) || self.references.is_match(value)
    }

    /// Whether a word goes on with a sentence, and is no value.
    pub fn is_prose(&self, word: &str) -> bool {
        self.prose.iter().any(|known| known.eq_ignore_ascii_case(word))
    }

    /// Whether a label in small letters ends the names of hosts on the internet, such as `com`.
    pub fn is_top_domain(&self, label: &str) -> bool {
        self.top_domains.contains(label)
    }

    /// Whether a parameter of a link is no secret, so that its value stays.
    pub fn is_harmless_parameter(&self, name: &str) -> bool {
        self.harmless_parameters.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether anything in a text hints at a secret.
    pub fn hint_in(&self, text: &str) -> bool {
        self.hints.any_in(text.as_bytes())
    }

    /// Where in a text secrets stand that show by their shape.
    pub fn shaped(&self, text: &str, tone: Tone, budget: &mut Budget) -> Option<Vec<Found>> {
        if !budget.spend(text.len()) {
            return None;
        }
        let tokens = self.tokens.find(text).into_iter();
        let users = url::users(text).into_iter().filter(|user| !self.is_reference(&text[user.clone()]));
        let mut found: Vec<Found> =
            tokens.chain(users).map(|secret| Found { whole: secret.clone(), secret }).collect();
        // To find all takes many times as long as to find none.
        let hints = self.shape_hints.is_match(text).then(|| self.shape_hints.find_overlapping_iter(text));
        let mut looked_for = Vec::new();
        for hint in hints.into_iter().flatten() {
            let position = self.hinted[hint.pattern().as_usize()];
            let shape = &self.shapes[position];
            if looked_for.contains(&position) || shape.commands_only && tone != Tone::Code {
                continue;
            }
            if !budget.spend(text.len()) {
                return None;
            }
            looked_for.push(position);
            found.extend(
                shape.pattern.captures_iter(text).filter_map(|captures| self.found(shape, &captures)),
            );
        }
        Some(found)
    }

    fn found(&self, shape: &Shape, captures: &Captures<'_>) -> Option<Found> {
        let whole = captures.get(0)?.range();
        shape
            .pattern
            .capture_names()
            .flatten()
            .filter(|name| name.starts_with("secret"))
            .find_map(|name| captures.name(name).map(|secret| (name, secret)))
            .filter(|(name, secret)| match *name {
                "secret_literal" => !self.is_harmless(secret.as_str()),
                "secret_random" => looks_random(secret.as_str()),
                _ => !self.is_reference(secret.as_str()),
            })
            .map(|(_, secret)| Found { whole, secret: secret.range() })
    }
}

/// Bytes of names that callers use as well, such as `key` and `user`.
const MOST_COMMON_BYTES: usize = 5;

/// Whether a text is looked at as JSON.
pub fn could_be_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
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
        assert!(with("commands_only = true\nhints = ['x']\n").is_ok());
        assert!(with("commands_only = true\nhints = []\n").is_err());
        assert!(with("").is_err());
    }
}
