//! Fills the arguments of a step with what is known (pure).
//!
//! What a record says is only ever a value: it is kept apart from what this program and the step say until it is
//! written out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::steps::Template;

/// One argument, as its parts in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub parts: Vec<Part>,
    /// Whether it is JSON of the API, and no text.
    pub is_structure: bool,
}

/// A piece of an argument, by who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What the step says. It is written as it is.
    Own(String),
    /// A value, which is quoted.
    Value(String),
    /// When the script runs.
    Time,
    /// What the responder finds out, by the name of the script's variable.
    Unknown(String),
    /// A file among the evidence.
    File(String),
}

/// What placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'f> {
    pub facts: &'f BTreeMap<String, String>,
    pub request: &'f BTreeMap<String, String>,
    /// The number of the step, which tells its variables and files from those of others.
    pub number: usize,
    /// The files that the commands of `keep` wrote.
    pub kept: &'f [String],
}

/// Why a value cannot be an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("its {0} is empty")]
    Empty(String),
    #[error("its {0} holds a character that no command can take")]
    Nul(String),
    #[error("its {0} begins like the name of a file or page, which the AWS CLI would read")]
    File(String),
    #[error("its {0} is no place in S3")]
    NotS3(String),
}

/// Marks the places of parts in JSON. No record that holds it is filled in.
const MARK: char = '\u{F8FF}';

impl Filling<'_> {
    /// Fills in one argument of a command; what is not known becomes a variable of the script.
    ///
    /// An error names the value that cannot be written safely.
    pub fn argument(&self, template: &Template) -> Result<Argument, Refused> {
        match template {
            Template::Text(text) => self.text(text),
            Template::Document { option, document } => self.json(option, document, false),
            Template::Structure { option, structure } => self.json(option, structure, true),
            Template::Kept { option, kept } => {
                let file = self.kept.get(kept - 1).cloned().unwrap_or_default();
                Ok(Argument::of(vec![Part::Own(format!("{option}=file://")), Part::File(file)]))
            }
            Template::File { file } => {
                Ok(Argument::of(vec![Part::File(format!("{:03}-{file}", self.number))]))
            }
        }
    }

    /// A text for people: what is not known says so.
    pub fn sentence(&self, text: &str) -> String {
        let parts = split(text).into_iter().map(|piece| match piece {
            Piece::Own(own) => own.to_owned(),
            Piece::Placeholder(name) => match self.known(name) {
                Some(value) => value.to_owned(),
                None if name.contains(char::is_uppercase) && !name.contains('.') => format!("{{{name}}}"),
                None => "(not known)".to_owned(),
            },
        });
        parts.collect()
    }

    fn text(&self, text: &str) -> Result<Argument, Refused> {
        let mut parts = Vec::new();
        for piece in split(text) {
            parts.push(match piece {
                Piece::Own(own) => Part::Own(own.to_owned()),
                Piece::Placeholder(name) => self.part(name)?,
            });
        }
        // What stands by itself could be taken for an option or for a file of the responder's.
        if let [Part::Value(value)] = &parts[..]
            && !value.starts_with("s3://")
        {
            return Err(Refused::NotS3("place".to_owned()));
        }
        Ok(Argument::of(parts))
    }

    fn json(&self, option: &str, json: &Value, is_structure: bool) -> Result<Argument, Refused> {
        let mut found = Vec::new();
        let filled = self.filled(json, &mut found)?;
        let text = filled.to_string();
        let mut parts = vec![Part::Own(format!("{option}="))];
        for (place, piece) in text.split(MARK).enumerate() {
            if place > 0 {
                parts.push(found[place - 1].clone());
            }
            parts.push(Part::Value(piece.to_owned()));
        }
        Ok(Argument { parts, is_structure })
    }

    fn filled(&self, json: &Value, found: &mut Vec<Part>) -> Result<Value, Refused> {
        Ok(match json {
            Value::String(text) => {
                let mut filled = String::new();
                for piece in split(text) {
                    match piece {
                        Piece::Own(own) => filled.push_str(own),
                        Piece::Placeholder(name) => match self.part(name)? {
                            Part::Value(value) if value.contains(MARK) => {
                                return Err(Refused::Nul(name.to_owned()));
                            }
                            Part::Value(value) => filled.push_str(&value),
                            other => {
                                found.push(other);
                                filled.push(MARK);
                            }
                        },
                    }
                }
                Value::String(filled)
            }
            Value::Array(list) => {
                Value::Array(list.iter().map(|one| self.filled(one, found)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, one)| Ok((name.clone(), self.filled(one, found)?)))
                    .collect::<Result<_, Refused>>()?,
            ),
            other => other.clone(),
        })
    }

    fn part(&self, name: &str) -> Result<Part, Refused> {
        if name == "time" {
            return Ok(Part::Time);
        }
        let Some(value) = self.known(name) else { return Ok(Part::Unknown(self.variable(name))) };
        let said = || name.rsplit('.').next().unwrap_or(name).replace('_', " ");
        let reads_a_file = ["file://", "fileb://", "http://", "https://"];
        if value.is_empty() {
            Err(Refused::Empty(said()))
        } else if value.contains('\0') {
            Err(Refused::Nul(said()))
        } else if reads_a_file.iter().any(|begins| value.to_ascii_lowercase().starts_with(begins)) {
            Err(Refused::File(said()))
        } else {
            Ok(Part::Value(value.to_owned()))
        }
    }

    fn known(&self, name: &str) -> Option<&str> {
        let value = match name.strip_prefix("request.") {
            Some(member) => self.request.get(member),
            None => self.facts.get(name),
        };
        value.map(String::as_str)
    }

    /// The name of the script's variable for what is not known.
    fn variable(&self, name: &str) -> String {
        let name = name.trim_start_matches("unknown.");
        let safe =
            name.chars().map(|it| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' });
        format!("{}_{}", safe.collect::<String>(), self.number)
    }
}

impl Argument {
    fn of(parts: Vec<Part>) -> Self {
        Self { parts, is_structure: false }
    }

    /// The variables that it waits for.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Unknown(name) => Some(name.as_str()),
            Part::Own(_) | Part::Value(_) | Part::Time | Part::File(_) => None,
        })
    }
}

enum Piece<'t> {
    Own(&'t str),
    Placeholder(&'t str),
}

/// A text of a step in pieces. Braces around anything but a name are text.
fn split(text: &str) -> Vec<Piece<'_>> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'.')
    };
    let mut pieces = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let close = text[open..].find('}').map(|at| open + at);
        match close.filter(|close| is_name(&text[open + 1..*close])) {
            Some(close) => {
                if open > begin {
                    pieces.push(Piece::Own(&text[begin..open]));
                }
                pieces.push(Piece::Placeholder(&text[open + 1..close]));
                (begin, from) = (close + 1, close + 1);
            }
            None => from = open + 1,
        }
    }
    if begin < text.len() {
        pieces.push(Piece::Own(&text[begin..]));
    }
    pieces
}
