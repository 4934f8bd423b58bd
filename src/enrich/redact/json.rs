//! The JSON writer: a parsed value as JSON text of the same shape, with the secrets in it replaced.

use std::borrow::Cow;

use serde_json_borrow::Value;

use super::secrets::{Place, SECRETS};
use super::text::Redaction;

pub struct Writer<'r, 'k> {
    redaction: &'r mut Redaction<'k>,
    json: String,
    changed: bool,
}

impl<'r, 'k> Writer<'r, 'k> {
    pub fn new(redaction: &'r mut Redaction<'k>, bytes: usize) -> Self {
        Self { redaction, json: String::with_capacity(bytes), changed: false }
    }

    /// The JSON text, or none when no secret was in it.
    pub fn finish(self) -> Option<String> {
        self.changed.then_some(self.json)
    }

    pub fn write(&mut self, value: &Value<'_>, place: Place) {
        match value {
            Value::Object(object) => {
                let described = describes_secret(value, place);
                self.json.push('{');
                for (position, (name, value)) in object.iter().enumerate() {
                    if position > 0 {
                        self.json.push(',');
                    }
                    self.write_text(name, Place::Elsewhere);
                    self.json.push(':');
                    let is_value = name.to_ascii_lowercase().ends_with("value");
                    let below =
                        if described && is_value { Place::Suspect } else { SECRETS.below(place, name) };
                    self.write(value, below);
                }
                self.json.push('}');
            }
            Value::Array(elements) => {
                self.json.push('[');
                let words: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
                let redacted =
                    words.filter(|_| place == Place::Command).and_then(|words| self.redaction.words(&words));
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        self.json.push(',');
                    }
                    match &redacted {
                        Some(words) => self.push_text(&words[position]),
                        None => self.write(element, place),
                    }
                }
                self.changed |= redacted.is_some();
                self.json.push(']');
            }
            Value::Str(text) => self.write_text(text, place),
            Value::Number(_) if matches!(place, Place::Secret | Place::Suspect) => {
                let text = value.to_string();
                self.write_text(&text, place);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.json.push_str(&value.to_string()),
        }
    }

    fn write_text(&mut self, text: &str, place: Place) {
        let redacted = self.redaction.text(text, place);
        self.changed |= redacted.is_some();
        let text = redacted.map_or(Cow::Borrowed(text), Cow::Owned);
        self.push_text(&text);
    }

    fn push_text(&mut self, text: &str) {
        self.json.push_str(&serde_json::to_string(text).expect("any text can be written as JSON"));
    }
}

/// Whether an object is a variable with a suspect name, as lists of them are written:
/// `{"name": "DB_PASSWORD", "value": "…"}`.
fn describes_secret(value: &Value<'_>, place: Place) -> bool {
    place == Place::Variables
        && value.as_object().is_some_and(|object| {
            object.iter().any(|(name, value)| {
                let name = name.to_ascii_lowercase();
                (name.ends_with("name") || name.ends_with("key"))
                    && value.as_str().is_some_and(|text| SECRETS.is_suspect(text))
            })
        })
}
