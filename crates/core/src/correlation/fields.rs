//! Knows the fields of stored documents that a correlation can group by or count.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::nearest::nearest;

/// The field of documents that a name stands for: itself, or that of a name of CloudTrail. The error is what a person
/// must change.
pub fn document_field(name: &str) -> Result<&str, String> {
    match FIELDS.get(name) {
        Some(Field::Usable | Field::Number) => Ok(name),
        Some(Field::Alias(field)) if matches!(FIELDS.get(field), Some(Field::Usable | Field::Number)) => {
            Ok(field)
        }
        Some(_) => Err(format!(
            "documents have \"{name}\" as text or as an object, which has no values to group by or to count"
        )),
        None if name.starts_with("requestParameters.") || name.starts_with("responseElements.") => {
            Err(format!(
                "\"{name}\" is no field of its own in documents; ask for what the daemon reads out of it, such as \
             sagemaker.resource.name or sagemaker.execution_role.arn"
            ))
        }
        None => Err(match nearest(name, FIELDS.keys().map(String::as_str)) {
            Some(right) => format!("documents have no field \"{name}\"; did you mean \"{right}\"?"),
            None => format!("documents have no field \"{name}\"; docs/documents.md lists them"),
        }),
    }
}

/// Whether the values of a field of documents are numbers.
pub fn is_number(field: &str) -> bool {
    FIELDS.get(field) == Some(&Field::Number)
}

#[derive(Debug, PartialEq, Eq)]
enum Field {
    Usable,
    /// Usable too.
    Number,
    Unusable,
    Alias(String),
}

/// Fields whose values stand for themselves.
const TYPES: &[&str] = &["keyword", "ip", "boolean", "long", "date"];

/// Every field and alias of the template of events.
static FIELDS: LazyLock<BTreeMap<String, Field>> = LazyLock::new(|| {
    let template: Value =
        serde_json::from_str(include_str!("../../../../mappings/component-events-mappings.json"))
            .expect("the mapping is checked in as valid JSON");
    let mut fields = BTreeMap::new();
    collect(&template["template"]["mappings"]["properties"], "", &mut fields);
    fields.insert("recipientAccountId".to_owned(), Field::Alias("cloud.account.id".to_owned()));
    fields
});

fn collect(properties: &Value, path: &str, fields: &mut BTreeMap<String, Field>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        match (field["type"].as_str(), field["path"].as_str()) {
            (Some("alias"), Some(target)) => {
                fields.insert(path, Field::Alias(target.to_owned()));
            }
            (Some(kind), _) => {
                let is_usable = TYPES.contains(&kind) && field["doc_values"] != false;
                let field = match (is_usable, kind) {
                    (true, "long") => Field::Number,
                    (true, _) => Field::Usable,
                    (false, _) => Field::Unusable,
                };
                fields.insert(path, field);
            }
            (None, _) => collect(&field["properties"], &format!("{path}."), fields),
        }
    }
}
