//! Writes CloudTrail's parameters in a form that OpenSearch's `flat_object` always accepts.
//!
//! A `flat_object` refuses a value that is no object, and stores each leaf as one term of path and value, which Lucene
//! refuses above 32,766 bytes. So scalars are wrapped, and what is too long or too deep is cut. The whole text is in
//! `event.original`.

use std::collections::HashSet;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json_borrow::Value;

/// A value that serialises as an object fit for a `flat_object`. Whoever writes it leaves out one that is empty.
pub struct Flat<'v, 'a>(pub &'v Value<'a>);

/// Bytes of a term that path and value may take together. Lucene's limit is 32,766; OpenSearch puts the name of the
/// field and separators before the path.
const TERM_BYTES: usize = 32_000;
/// Bytes of one member's name.
const NAME_BYTES: usize = 512;
/// Levels of nesting; what lies deeper becomes its JSON text.
const MAX_DEPTH: usize = 24;
/// The member that wraps a value which is no object.
const WRAPPER: &str = "value";

impl Flat<'_, '_> {
    /// Whether the record lacks the member, or has null in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    /// Whether something of the value is too long or too deep to be written whole.
    pub fn is_cut(&self) -> bool {
        match self.0 {
            Value::Object(_) => is_cut(self.0, 0, 0),
            scalar => is_cut(scalar, 1, WRAPPER.len()),
        }
    }
}

fn is_cut(value: &Value<'_>, depth: usize, path_bytes: usize) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => true,
        Value::Object(object) => object.iter().any(|(name, value)| {
            name.len() > NAME_BYTES || is_cut(value, depth + 1, path_bytes + name.len() + 1)
        }),
        Value::Array(elements) => elements.iter().any(|value| is_cut(value, depth + 1, path_bytes)),
        Value::Str(text) => text.len() > TERM_BYTES - path_bytes,
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Serialize for Flat<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(_) => Node { value: self.0, depth: 0, path_bytes: 0 }.serialize(serializer),
            scalar => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(WRAPPER, &Node { value: scalar, depth: 1, path_bytes: WRAPPER.len() })?;
                map.end()
            }
        }
    }
}

struct Node<'v, 'a> {
    value: &'v Value<'a>,
    depth: usize,
    path_bytes: usize,
}

impl Serialize for Node<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(_) | Value::Array(_) if self.depth >= MAX_DEPTH => {
                serializer.serialize_str(cut(&self.value.to_string(), TERM_BYTES - self.path_bytes))
            }
            Value::Object(object) => {
                // OpenSearch refuses a document that names a member twice; the first stands, as it does for the rules.
                let mut seen = HashSet::new();
                let mut map = serializer.serialize_map(None)?;
                for (position, (name, value)) in object.iter().enumerate() {
                    let name = cut(name, NAME_BYTES);
                    let is_repeated = if object.len() <= FEW_MEMBERS {
                        object.iter().take(position).any(|(earlier, _)| cut(earlier, NAME_BYTES) == name)
                    } else {
                        !seen.insert(name)
                    };
                    if is_repeated {
                        continue;
                    }
                    let path_bytes = self.path_bytes + name.len() + 1;
                    map.serialize_entry(name, &Node { value, depth: self.depth + 1, path_bytes })?;
                }
                map.end()
            }
            Value::Array(elements) => {
                let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
                for value in elements {
                    sequence.serialize_element(&Node {
                        value,
                        depth: self.depth + 1,
                        path_bytes: self.path_bytes,
                    })?;
                }
                sequence.end()
            }
            Value::Str(text) => serializer.serialize_str(cut(text, TERM_BYTES - self.path_bytes)),
            scalar => scalar.serialize(serializer),
        }
    }
}

/// Members whose names are compared with each other faster than they are hashed.
const FEW_MEMBERS: usize = 24;

/// The beginning of the text, at most that many bytes, never ending inside a character.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn flat(value: &Json) -> Json {
        serde_json::to_value(Flat(&value.into())).unwrap()
    }

    #[test]
    fn objects_stay_and_everything_else_is_wrapped() {
        let cases = [
            (json!({"a": {"b": [1, null, "x"]}, "": {}}), json!({"a": {"b": [1, null, "x"]}, "": {}})),
            (json!("text"), json!({"value": "text"})),
            (json!([{"a": 1}]), json!({"value": [{"a": 1}]})),
            (json!(7), json!({"value": 7})),
        ];
        for (value, expected) in cases {
            assert_eq!(flat(&value), expected);
        }
    }

    #[test]
    fn what_is_cut_is_known_and_what_is_whole_as_well() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |value, _| json!({ "a": value }));
        for (value, expected) in [
            (json!({"a": "x".repeat(TERM_BYTES - 2)}), false),
            (json!({"a": "x".repeat(TERM_BYTES - 1)}), true),
            (json!({"n".repeat(NAME_BYTES): 1}), false),
            (json!({"n".repeat(NAME_BYTES + 1): 1}), true),
            (nested(MAX_DEPTH), false),
            (nested(MAX_DEPTH + 1), true),
            (json!(null), false),
        ] {
            let borrowed: Value<'_> = (&value).into();
            assert_eq!(Flat(&borrowed).is_cut(), expected);
            if value.is_object() {
                assert_eq!(flat(&value) != value, expected, "as it is written");
            }
        }
    }

    #[test]
    fn a_member_that_is_named_twice_is_written_once() {
        let value: Value<'_> = serde_json::from_str(r#"{"a":1,"a":2,"b":{"c":1,"c":2}}"#).unwrap();
        assert_eq!(serde_json::to_string(&Flat(&value)).unwrap(), r#"{"a":1,"b":{"c":1}}"#);
    }

    #[test]
    fn no_term_is_too_long_whatever_the_names_and_values_are() {
        let mut value = json!("é".repeat(40_000));
        for _ in 0..60 {
            value = json!({ "n".repeat(70_000): [value] });
        }
        assert!(Flat(&(&value).into()).is_cut());
        let mut path = 0;
        let mut rest = &flat(&value);
        loop {
            match rest {
                Json::Object(object) => {
                    let (name, inner) = object.iter().next().unwrap();
                    path += name.len() + 1;
                    rest = inner;
                }
                Json::Array(elements) => rest = &elements[0],
                Json::String(text) => {
                    assert!(text.len() > 1_000);
                    assert!(path + text.len() <= TERM_BYTES, "{path} + {}", text.len());
                    return;
                }
                other => panic!("{other}"),
            }
        }
    }
}
