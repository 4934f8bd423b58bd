//! Reads the JSON that a request carries as texts, such as the definition of a pipeline.
//!
//! What they say counts like the request's own members: the role of a step, the image that it runs, the bucket that it
//! writes to. A document may hold further ones, in the same way.

use serde_json_borrow::{OwnedValue, Value};

use super::context::location::Direction;
use super::context::parameters;
use super::lower::with_lower;
use super::policy;
use crate::record::Record;

/// The name under which a document says that its embedded documents were read in part only.
pub const FIELD: &str = "sagemaker.embedded";

/// How deep documents may lie in each other. A job of a pipeline's step has its hyperparameters in the second.
const MOST_LEVELS: usize = 3;
/// Bytes that are read of all documents together. A record of CloudTrail with more of them in its parameters is none
/// that AWS delivers whole.
const MOST_BYTES: usize = 1 << 20;

/// The documents in the texts of a request.
#[derive(Debug, Default)]
pub struct Documents {
    found: Vec<Document>,
    /// Whether there may be more than was read.
    pub is_cut: bool,
    bytes: usize,
}

#[derive(Debug)]
struct Document {
    value: OwnedValue,
    direction: Direction,
    level: usize,
}

impl Documents {
    /// The documents in the request of a record of SageMaker, the outer ones first.
    pub fn of(record: &Record<'_>) -> Self {
        let mut documents = Self::default();
        if record.is_sagemaker() {
            let mut texts = Vec::new();
            collect("", record.at(&["requestParameters"]), Direction::Read, &mut texts);
            documents.parse_all(texts, 1);
            let mut position = 0;
            while let Some(document) = documents.found.get(position) {
                let (mut texts, level) = (Vec::new(), document.level);
                collect("", document.value.get_value(), document.direction, &mut texts);
                documents.parse_all(texts, level + 1);
                position += 1;
            }
        }
        documents
    }

    /// Each document, with the direction of locations in it whose own names do not say one.
    pub fn iter(&self) -> impl Iterator<Item = (&Value<'_>, Direction)> {
        self.found.iter().map(|document| (document.value.get_value(), document.direction))
    }

    fn parse_all(&mut self, texts: Vec<Text>, level: usize) {
        for Text { json: text, direction, must_be_json } in texts {
            if level > MOST_LEVELS || self.bytes + text.len() > MOST_BYTES {
                // A smaller one behind it is read all the same, so that no filling hides it.
                self.is_cut = true;
                continue;
            }
            self.bytes += text.len();
            let (text, is_cut) = parameters::in_place(&text).unwrap_or((text, false));
            self.is_cut |= is_cut;
            match OwnedValue::from_string(text) {
                Ok(value) => self.found.push(Document { value, direction, level }),
                // Other texts may begin with a bracket.
                Err(_) => self.is_cut |= must_be_json,
            }
        }
    }
}

/// A text that looks like a document.
struct Text {
    json: String,
    direction: Direction,
    /// Whether the API takes nothing else there.
    must_be_json: bool,
}

fn collect(name: &str, value: &Value<'_>, direction: Direction, texts: &mut Vec<Text>) {
    match value {
        Value::Str(text) if text.trim_start().starts_with(['{', '[']) && !policy::holds_policy(name) => {
            let lower = name.to_ascii_lowercase();
            texts.push(Text {
                json: text.clone().into_owned(),
                direction: Direction::of(&lower).unwrap_or(direction),
                must_be_json: MUST_BE_JSON.contains(&lower.as_str()),
            });
        }
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| may_hold_text(value)) {
                let has_members = value.is_object() || value.is_array();
                let own = if has_members { with_lower(name, Direction::of) } else { None };
                collect(name, value, own.unwrap_or(direction), texts);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(name, element, direction, texts);
            }
        }
        _ => {}
    }
}

fn may_hold_text(value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => text.trim_start().starts_with(['{', '[']),
        other => other.is_object() || other.is_array(),
    }
}

const MUST_BE_JSON: [&str; 3] = ["pipelinedefinition", "jobconfigdocument", "hubcontentdocument"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn documents(parameters: &serde_json::Value) -> Documents {
        let raw =
            json!({"eventSource": "sagemaker.amazonaws.com", "requestParameters": parameters}).to_string();
        Documents::of(&Record::parse(raw.as_bytes()).unwrap())
    }

    fn nested(levels: usize) -> String {
        (1..levels).fold(r#"{"x":1}"#.to_owned(), |inner, _| json!({"inner": inner}).to_string())
    }

    #[test]
    fn documents_are_found_in_texts_at_any_depth_and_in_each_other() {
        for (parameters, expected) in [
            (json!({"pipelineDefinition": r#"{"Steps":[]}"#}), 1),
            (json!({"a": [{"b": " [1, 2]"}, {"c": "[no list"}]}), 1),
            // A step's hyperparameters, in a pipeline, in the document of a hub.
            (json!({"hubContentDocument": nested(3)}), 3),
            (json!({"resourcePolicy": "{}"}), 0),
            (json!({"a": "s3://b/{x}", "n": 1}), 0),
            (json!(null), 0),
        ] {
            let documents = documents(&parameters);
            assert_eq!((documents.iter().count(), documents.is_cut), (expected, false), "{parameters}");
        }
    }

    #[test]
    fn what_is_not_read_is_said() {
        for parameters in [
            json!({"a": nested(MOST_LEVELS + 1)}),
            json!({"a": format!("[\"{}\"]", "x".repeat(MOST_BYTES))}),
            json!({"pipelineDefinition": r#"{"Steps":"#}),
        ] {
            assert!(documents(&parameters).is_cut);
        }
        let filling = format!("[\"{}\"]", "x".repeat(MOST_BYTES));
        for parameters in [json!({"a": filling, "b": "{}"}), json!({"b": "{}", "a": filling})] {
            let documents = documents(&parameters);
            assert_eq!((documents.iter().count(), documents.is_cut), (1, true));
        }
    }
}
