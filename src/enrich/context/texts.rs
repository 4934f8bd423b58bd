//! Texts: the distinct values that a document keeps of one field.

use serde::Serialize;
use serde_json_borrow::Value;

/// Distinct texts in the order of the record, at most [`MAX_TEXTS`] of them.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Texts<'r>(Vec<&'r str>);

/// Texts that a document keeps per field: more say nothing, and a record could hold any number.
pub const MAX_TEXTS: usize = 64;

impl<'r> Texts<'r> {
    /// Takes one more text, unless it is known already or there are enough.
    pub fn take(&mut self, text: &'r str) {
        if self.0.len() < MAX_TEXTS && !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'r> std::ops::Deref for Texts<'r> {
    type Target = [&'r str];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The text of a value, or those of its elements; empty ones count as absent.
pub fn of<'r>(value: &'r Value<'_>) -> impl Iterator<Item = &'r str> {
    let elements = value.as_array().unwrap_or_default();
    let texts = value.as_str().into_iter().chain(elements.iter().filter_map(Value::as_str));
    texts.filter(|text| !text.is_empty())
}
