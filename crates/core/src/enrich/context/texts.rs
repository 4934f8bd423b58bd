//! Collects the distinct values that a document keeps of one field.

use std::collections::HashSet;

use serde::{Serialize, Serializer};
use serde_json_borrow::Value;

use crate::record::HIDDEN;

/// Distinct texts in the order of the record: all of them, because each stands in the record itself, and whoever wants
/// one to be missed would put others before it.
#[derive(Debug, Default)]
pub struct Texts<'r> {
    texts: Vec<&'r str>,
    /// The same texts, once there are more than a few. Hardly any of a context's many lists comes to that.
    #[expect(clippy::box_collection, reason = "a context has many lists, which stay small by it")]
    known: Option<Box<HashSet<&'r str>>>,
}

/// Texts that are compared with each other faster than they are hashed.
const FEW: usize = 16;

impl<'r> Texts<'r> {
    /// Takes one more text, unless it is known already.
    pub fn take(&mut self, text: &'r str) {
        if self.texts.len() < FEW {
            if !self.texts.contains(&text) {
                self.texts.push(text);
            }
            return;
        }
        let known = self.known.get_or_insert_with(|| Box::new(self.texts.iter().copied().collect()));
        if known.insert(text) {
            self.texts.push(text);
        }
    }

    /// Whether no text was taken, so that the field is left out of the document.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

impl PartialEq for Texts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Eq for Texts<'_> {}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.texts.serialize(serializer)
    }
}

impl<'r> std::ops::Deref for Texts<'r> {
    type Target = [&'r str];

    fn deref(&self) -> &Self::Target {
        &self.texts
    }
}

/// The text of a value, or those of its elements; empty ones count as absent, and so do those that CloudTrail hides.
pub fn of<'r>(value: &'r Value<'_>) -> impl Iterator<Item = &'r str> {
    let elements = value.as_array().unwrap_or_default();
    let texts = value.as_str().into_iter().chain(elements.iter().filter_map(Value::as_str));
    texts.filter(|text| !text.is_empty() && *text != HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_kept_once_in_the_order_of_the_record_however_many_there_are() {
        let many: Vec<String> = (0..1000).map(|number| (number % 300).to_string()).collect();
        let mut texts = Texts::default();
        for text in &many {
            texts.take(text);
        }
        assert_eq!(*texts, many[..300].iter().map(String::as_str).collect::<Vec<_>>());
    }
}
