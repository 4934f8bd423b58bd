//! Describes one object that `sagetrail setup` installs, as it should be.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::canonical::canonical;

/// The version of the content as a whole. An older sagetrail leaves alone what a newer one has installed.
pub const CONTENT_VERSION: u64 = 1;

/// What kind of thing it is, in the order in which one kind needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    ComponentTemplate,
    IndexTemplate,
    /// A policy of index state management.
    Policy,
    /// An index of data, which is made once and never changed or removed.
    Index,
    IndexPattern,
    Search,
    Visualization,
    Dashboard,
    Channel,
    Monitor,
}

/// What serves a kind of objects, and may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    OpenSearch,
    /// A plugin of OpenSearch, by the name that it is listed under.
    Plugin(&'static str),
    Dashboards,
}

impl Kind {
    pub fn server(self) -> Server {
        match self {
            Self::ComponentTemplate | Self::IndexTemplate | Self::Index => Server::OpenSearch,
            Self::Policy => Server::Plugin("opensearch-index-management"),
            Self::IndexPattern | Self::Search | Self::Visualization | Self::Dashboard => Server::Dashboards,
            Self::Channel => Server::Plugin("opensearch-notifications"),
            Self::Monitor => Server::Plugin("opensearch-alerting"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::ComponentTemplate => "component-template",
            Self::IndexTemplate => "index-template",
            Self::Index => "index",
            Self::Policy => "policy",
            Self::IndexPattern => "index-pattern",
            Self::Visualization => "visualization",
            Self::Search => "search",
            Self::Dashboard => "dashboard",
            Self::Channel => "channel",
            Self::Monitor => "monitor",
        }
    }

    /// The kind of a saved object of Dashboards, by its type.
    pub fn of_saved_object(name: &str) -> Option<Self> {
        [Self::IndexPattern, Self::Search, Self::Visualization, Self::Dashboard]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

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
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), fingerprints(value))).collect()
        }
        Value::Array(items) => items.iter().map(fingerprints).collect(),
        scalar => text(scalar).map_or(Value::Null, |text| {
            let mut fingerprint = String::new();
            for byte in &Sha256::digest(text.as_bytes())[..LENGTH] {
                write!(fingerprint, "{byte:02x}").expect("writing to a String cannot fail");
            }
            Value::String(fingerprint)
        }),
    }
}

/// Reduces an installed body to the members that ours has, without what a server adds by itself. Members of these
/// names are kept whole, and so is a list of another length, because a person changed it.
pub fn projected(theirs: &Value, ours: &Value, whole: &[&str]) -> Value {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let kept = ours.iter().filter_map(|(name, ours)| {
                let theirs = theirs.get(name)?;
                let is_whole = whole.contains(&name.as_str());
                Some((name.clone(), if is_whole { theirs.clone() } else { projected(theirs, ours, whole) }))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            theirs.iter().zip(ours).map(|(theirs, ours)| projected(theirs, ours, whole)).collect()
        }
        _ => theirs.clone(),
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
