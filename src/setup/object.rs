//! Describes one object that `sagetrail setup` installs, as it should be.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::canonical::{canonical, changed};
pub use super::kind::{Kind, Server};

/// The version of the content as a whole. An older sagetrail leaves alone what a newer one has installed.
pub const CONTENT_VERSION: u64 = 1;

/// One thing, with the body that its API takes.
#[derive(Debug, Clone)]
pub struct Object {
    pub kind: Kind,
    pub id: String,
    pub body: Value,
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.name(), self.id)
    }
}

impl Object {
    /// What has to be there, in the form in which it is compared.
    pub fn expected(&self) -> Value {
        canonical(self.kind, &self.body)
    }

    /// The secrets in it, which a server may quote when it refuses it.
    pub fn secrets(&self) -> Vec<&str> {
        let Kind::Channel = self.kind else { return Vec::new() };
        let kind = self.body["config"]["config_type"].as_str().unwrap_or_default();
        let target = &self.body["config"][kind];
        let headers = target["header_params"].as_object();
        let headers = headers.into_iter().flatten().filter(|(name, _)| *name != "Content-Type");
        target["url"].as_str().into_iter().chain(headers.filter_map(|(_, value)| value.as_str())).collect()
    }
}

/// Replaces each value by a fingerprint. They show that a value changed, and reveal no secret of a channel or a
/// monitor.
pub fn fingerprints(value: &Value) -> Value {
    /// Bytes of the SHA-256. They detect changes, and need not resist an attacker.
    const LENGTH: usize = 12;
    match value {
        Value::Object(_) | Value::Array(_) => changed(value, |_, value| fingerprints(value)),
        scalar => {
            text(scalar).map_or(Value::Null, |text| hex::encode(&Sha256::digest(text)[..LENGTH]).into())
        }
    }
}

/// Whether two values are equal. Some servers return numbers and booleans as texts.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (left, right) => left == right || text(left).is_some_and(|left| Some(left) == text(right)),
    }
}

/// A scalar as a server may give it back.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canonical::projected;
    use super::*;

    #[test]
    fn what_a_server_adds_is_no_difference_and_what_a_person_changes_is() {
        let ours = json!({"name": "a", "shards": 1, "list": [{"x": 1}], "nested": {"on": true}});
        let cases = [
            (
                json!({"name": "a", "shards": "1", "list": [{"x": 1, "added": 0}], "nested": {"on": true}, "seq": 9}),
                true,
            ),
            (json!({"name": "b", "shards": 1, "list": [{"x": 1}], "nested": {"on": true}}), false),
            (json!({"name": "a", "shards": 1, "list": [{"x": 1}, {"x": 2}], "nested": {"on": true}}), false),
            (json!({"name": "a", "shards": 1, "list": [{"x": 1}], "nested": {}}), false),
            (json!({"name": "a", "shards": 1, "list": [{"x": 1}], "nested": {"on": "false"}}), false),
        ];
        for (theirs, expected) in cases {
            assert_eq!(same(&projected(&theirs, &ours, &[]), &ours), expected, "{theirs}");
        }
    }
}
