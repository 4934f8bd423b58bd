//! What a correlation sees of one stored document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use crate::timestamp;

/// A stored document that base rules matched. The order is that of time, and total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub time: OffsetDateTime,
    /// The id of the document.
    pub id: String,
    /// The ids of the rules that matched it.
    pub rules: Vec<String>,
    /// Fields of the document with their values.
    pub values: BTreeMap<String, Vec<String>>,
}

/// The fields of points that the document of a match is written from.
pub const TOLD_FIELDS: &[&str] = &[
    "cloud.account.id",
    "cloud.region",
    "event.action",
    "event.outcome",
    "event.provider",
    "sagemaker.alert.identity",
    "sagemaker.alert.origin",
    "sagemaker.alert.principal",
    "sagemaker.alert.resource",
    "sagemaker.alert.ties",
    "sagemaker.resource.type",
    "source.ip",
    "user.name",
];

/// Fields that searches find in lower case, because SageMaker writes some names so.
const IN_LOWER_CASE: [&str; 3] =
    ["sagemaker.resource.arn", "sagemaker.resource.id", "sagemaker.resource.name"];

const ORIGIN: &str = "sagemaker.alert.origin";
const IDENTITY: &str = "sagemaker.alert.identity";

impl Point {
    /// Reads a stored document, with the values of these fields. None for one without a time.
    pub fn of_document(id: &str, document: &Value, fields: &BTreeSet<String>) -> Option<Self> {
        let time = document["@timestamp"].as_str().and_then(timestamp::parse)?;
        let mut values: BTreeMap<String, Vec<String>> = fields
            .iter()
            .map(|field| (field.clone(), values_of(document, field)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        for field in IN_LOWER_CASE {
            for value in values.get_mut(field).into_iter().flatten() {
                *value = value.to_lowercase();
            }
        }
        // Documents that older releases wrote have no origin.
        if fields.contains(ORIGIN) && !values.contains_key(ORIGIN) {
            let identity = values_of(document, IDENTITY);
            if !identity.is_empty() {
                values.insert(ORIGIN.to_owned(), identity);
            }
        }
        Some(Self { time, id: id.to_owned(), rules: values_of(document, "rule.id"), values })
    }

    /// The values of a field; none where the document lacks it.
    pub fn values(&self, field: &str) -> &[String] {
        self.values.get(field).map_or(&[], Vec::as_slice)
    }
}

/// The values of a field by its dotted path, those of lists and of objects in lists among them, each once.
fn values_of(document: &Value, path: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    collect(document, path, &mut found);
    found.into_iter().collect()
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, path, found)),
        Value::Object(members) if !path.is_empty() => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(member) = members.get(name) {
                collect(member, rest, found);
            }
        }
        Value::String(text) if path.is_empty() => drop(found.insert(text.clone())),
        Value::Number(_) | Value::Bool(_) if path.is_empty() => drop(found.insert(value.to_string())),
        _ => {}
    }
}
