//! Writes a parsed value as JSON text of the same shape, with the secrets in it replaced.

use std::borrow::Cow;

use serde_json_borrow::Value;

use super::members::Place;
use super::secrets::SECRETS;
use super::text::Redaction;

/// Walks a value and hands what it comes by to the output.
pub struct Writer<'r, 'k, O> {
    redaction: &'r mut Redaction<'k>,
    output: O,
    changed: bool,
}

/// Where the JSON text goes.
pub trait Output {
    fn push_syntax(&mut self, syntax: &str);
    fn push_text(&mut self, text: &str);
    /// A number, a truth value or null.
    fn push_scalar(&mut self, scalar: &Value<'_>);
}

impl Output for String {
    fn push_syntax(&mut self, syntax: &str) {
        self.push_str(syntax);
    }

    fn push_text(&mut self, text: &str) {
        self.push_str(&serde_json::to_string(text).expect("any text can be written as JSON"));
    }

    fn push_scalar(&mut self, scalar: &Value<'_>) {
        self.push_str(&scalar.to_string());
    }
}

/// Nothing is written, because the question is only whether there is a secret. Few records have one.
pub struct Nowhere;

impl Output for Nowhere {
    fn push_syntax(&mut self, _: &str) {}
    fn push_text(&mut self, _: &str) {}
    fn push_scalar(&mut self, _: &Value<'_>) {}
}

impl<'r, 'k, O: Output> Writer<'r, 'k, O> {
    /// Begins a text that is written with this redaction's key and within its budget.
    pub fn new(redaction: &'r mut Redaction<'k>, output: O) -> Self {
        Self { redaction, output, changed: false }
    }

    /// The JSON text, or none when no secret was in it.
    pub fn finish(self) -> Option<O> {
        self.changed.then_some(self.output)
    }

    /// Writes a value that stands at this place, with everything below it.
    pub fn write(&mut self, value: &Value<'_>, place: Place) {
        match value {
            Value::Object(object) => {
                let described = described(value, place);
                self.output.push_syntax("{");
                for (position, (name, value)) in object.iter().enumerate() {
                    if position > 0 {
                        self.output.push_syntax(",");
                    }
                    self.write_name(name, place);
                    self.output.push_syntax(":");
                    let below = match described {
                        Described::No => SECRETS.below(place, name),
                        _ if is_label(name) => Place::Identity,
                        Described::By(below) if is_value(name) => below,
                        Described::By(_) | Described::Plainly => SECRETS.below(place, name),
                    };
                    self.write(value, below);
                }
                self.output.push_syntax("}");
            }
            Value::Array(elements) => {
                self.output.push_syntax("[");
                let redacted = match place {
                    Place::Command => self.redacted_words(elements),
                    _ => None,
                };
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        self.output.push_syntax(",");
                    }
                    match &redacted {
                        Some(words) => self.output.push_text(&words[position]),
                        None => self.write(element, place),
                    }
                }
                self.changed |= redacted.is_some();
                self.output.push_syntax("]");
            }
            Value::Str(text) => self.write_text(text, place),
            Value::Number(_) if matches!(place, Place::Secret | Place::Suspect) => {
                let text = value.to_string();
                self.write_text(&text, place);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.output.push_scalar(value),
        }
    }

    /// A command line that is a list of texts, redacted.
    fn redacted_words(&mut self, elements: &[Value<'_>]) -> Option<Vec<String>> {
        let words: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
        self.redaction.words(&words?)
    }

    /// The name of a member. Those of the API are no secrets; those that a caller chose can be anything.
    fn write_name(&mut self, name: &str, place: Place) {
        let is_chosen = matches!(place, Place::Variables | Place::Labels | Place::Command);
        self.write_text(name, if is_chosen { Place::Elsewhere } else { Place::Identity });
    }

    fn write_text(&mut self, text: &str, place: Place) {
        let redacted = self.redaction.text(text, place);
        self.changed |= redacted.is_some();
        let text = redacted.map_or(Cow::Borrowed(text), Cow::Owned);
        self.output.push_text(&text);
    }
}

/// What the members of an object tell of its value: `{"name": "DB_PASSWORD", "value": "…"}`.
enum Described {
    No,
    /// It has a name and a value, and the name tells nothing.
    Plainly,
    By(Place),
}

fn described(value: &Value<'_>, place: Place) -> Described {
    let Some(object) = value.as_object().filter(|_| matches!(place, Place::Variables | Place::Labels)) else {
        return Described::No;
    };
    if !object.iter().any(|(name, _)| is_value(name)) {
        return Described::No;
    }
    let label = object.iter().find(|(name, value)| is_label(name) && value.is_string());
    match label.and_then(|(_, label)| label.as_str()) {
        None => Described::No,
        Some(label) => match SECRETS.below(place, label) {
            below if below == place => Described::Plainly,
            below @ (Place::Suspect | Place::Likely | Place::Possible | Place::Secret) => {
                Described::By(below)
            }
            _ => Described::Plainly,
        },
    }
}

fn is_label(name: &str) -> bool {
    ends_with(name, "name") || ends_with(name, "key")
}

fn is_value(name: &str) -> bool {
    ends_with(name, "value")
}

fn ends_with(name: &str, ending: &str) -> bool {
    name.len() >= ending.len()
        && name.as_bytes()[name.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
}
