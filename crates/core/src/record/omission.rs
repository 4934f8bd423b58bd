//! Finds what CloudTrail left out of a record, so that nobody takes it for what was not there.
//!
//! A part that is too large becomes `{"omitted": true, "originalSize": …, "reason": …}`, which a caller can bring about
//! by padding, and a value that is not for logs becomes a text that says so.

use serde_json_borrow::Value;

use super::{Record, member};

/// The text in place of a value that CloudTrail does not show.
pub const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// The parts of a record that say what was asked and answered.
const PARTS: [&str; 4] =
    ["requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"];

/// The paths of what was left out, such as `requestParameters` or `requestParameters.policyDocument`, each once.
/// Elements of a list have the path of the list.
pub fn omissions(record: &Record<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for part in PARTS {
        walk(record.at(&[part]), &mut vec![part], &mut found);
    }
    if lacks_parameters(record) {
        found.push(PARAMETERS.to_owned());
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a call must have had parameters and the record shows none. A refused one may have been refused before they
/// were read.
fn lacks_parameters(record: &Record<'_>) -> bool {
    let has_succeeded = || record.text(&["errorCode"]).is_none() && record.text(&["errorMessage"]).is_none();
    let is_call = || record.text(&["eventType"]) == Some("AwsApiCall");
    match record.at(&[PARAMETERS]) {
        // Parameters are an object; a text stands in their place.
        Value::Str(text) => !text.is_empty(),
        Value::Null => {
            record.is_sagemaker()
                && is_call()
                && has_succeeded()
                && NEED_PARAMETERS.iter().any(|verb| record.event_name().starts_with(verb))
        }
        _ => false,
    }
}

const PARAMETERS: &str = "requestParameters";

/// How the names of operations of SageMaker begin that all take parameters.
const NEED_PARAMETERS: [&str; 11] = [
    "Add",
    "Associate",
    "Attach",
    "Create",
    "Delete",
    "Import",
    "Put",
    "Register",
    "Start",
    "Stop",
    "Update",
];

/// Whether the value stands in place of another that was left out.
pub fn is_omission(value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => text == HIDDEN,
        Value::Object(_) => member(value, "omitted").as_bool() == Some(true),
        _ => false,
    }
}

fn walk<'v>(value: &'v Value<'_>, path: &mut Vec<&'v str>, found: &mut Vec<String>) {
    if is_omission(value) {
        found.push(path.join("."));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| may_hold(value)) {
                path.push(name);
                walk(value, path, found);
                path.pop();
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, path, found)),
        _ => {}
    }
}

fn may_hold(value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => text == HIDDEN,
        other => other.is_object() || other.is_array(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_found_at_any_depth_and_nothing_else_is() {
        for (raw, expected) in [
            (r#"{"requestParameters":{"omitted":true,"originalSize":131072}}"#, vec!["requestParameters"]),
            (r#"{"requestParameters":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#, vec!["requestParameters"]),
            (
                r#"{"requestParameters":{"a":[{"b":{"omitted":true}},{"b":{"omitted":true}}]},"responseElements":{"omitted":true}}"#,
                vec!["requestParameters.a.b", "responseElements"],
            ),
            (
                r#"{"requestParameters":{"userName":"HIDDEN_DUE_TO_SECURITY_REASONS","x":1}}"#,
                vec!["requestParameters.userName"],
            ),
            (r#"{"requestParameters":"left out"}"#, vec!["requestParameters"]),
            (
                r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"CreateModel","eventType":"AwsApiCall"}"#,
                vec!["requestParameters"],
            ),
            (
                r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"CreateModel","eventType":"AwsApiCall","errorCode":"AccessDenied"}"#,
                vec![],
            ),
            (
                r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"ListModels","eventType":"AwsApiCall"}"#,
                vec![],
            ),
            (
                r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey","eventType":"AwsApiCall"}"#,
                vec![],
            ),
            (r#"{"requestParameters":{"omitted":false},"responseElements":null}"#, vec![]),
            (r#"{"requestParameters":{"omitted":"true","a":"omitted"},"omitted":true}"#, vec![]),
        ] {
            assert_eq!(omissions(&Record::parse(raw.as_bytes()).unwrap()), expected, "{raw}");
        }
    }

    #[test]
    fn each_operation_of_the_api_that_must_have_parameters_has_some() {
        let shapes: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/api/sagemaker-shapes.json")).unwrap();
        let named = shapes
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| NEED_PARAMETERS.iter().any(|verb| name.starts_with(verb)));
        let mut operations = 0;
        for (name, shape) in named {
            operations += 1;
            assert!(!shape["input"].as_array().unwrap().is_empty(), "{name}");
        }
        assert!(operations > 150, "{operations}");
    }
}
