//! Follows paths to the values of a record, as the knowledge under `config/` writes them.

use std::borrow::Cow;

use serde_json_borrow::Value;

use super::arn::Arn;
use crate::record::{Record, member};

/// A place in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Members under `requestParameters`, from the outside in.
    Request(Vec<String>),
    /// Members under `responseElements`.
    Response(Vec<String>),
    /// The ARNs of the record's own list `resources`.
    Listed,
}

impl Path {
    /// Reads `requestParameters.a.b`, `responseElements.a` or `resources`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (root, rest) = text.split_once('.').unwrap_or((text, ""));
        let members: Vec<String> = rest.split('.').map(str::to_owned).collect();
        match root {
            "resources" if rest.is_empty() => Ok(Self::Listed),
            _ if members.iter().any(String::is_empty) => {
                Err(format!("the path \"{text}\" leads to no member"))
            }
            "requestParameters" => Ok(Self::Request(members)),
            "responseElements" => Ok(Self::Response(members)),
            _ => Err(format!(
                "the path \"{text}\" begins with none of requestParameters, responseElements and resources"
            )),
        }
    }

    /// The first text at the place; a number counts as its text.
    pub fn text<'r>(&self, record: &'r Record<'_>) -> Option<Cow<'r, str>> {
        match self {
            Self::Request(members) => first_text(record.at(&["requestParameters"]), members),
            Self::Response(members) => first_text(record.at(&["responseElements"]), members),
            Self::Listed => listed_arns(record).find(Arn::is_sagemaker).map(|arn| Cow::Borrowed(arn.text)),
        }
    }

    /// The name of the member that the path ends in.
    pub fn last_member(&self) -> Option<&str> {
        match self {
            Self::Request(members) | Self::Response(members) => members.last().map(String::as_str),
            Self::Listed => None,
        }
    }
}

/// The ARNs of the record's own list. CloudTrail writes the member as `ARN`, services that deliver through it as `arn`.
pub fn listed_arns<'r>(record: &'r Record<'_>) -> impl Iterator<Item = Arn<'r>> {
    let listed = record.at(&["resources"]).as_array().unwrap_or_default();
    listed.iter().filter_map(|resource| {
        Arn::parse(member(resource, "ARN").as_str().or_else(|| member(resource, "arn").as_str())?)
    })
}

fn first_text<'r>(value: &'r Value<'_>, members: &[String]) -> Option<Cow<'r, str>> {
    match (value, members) {
        (Value::Array(elements), _) => elements.iter().find_map(|element| first_text(element, members)),
        (Value::Object(object), [first, rest @ ..]) => first_text(object.get(first)?, rest),
        (Value::Str(text), []) => (!text.is_empty()).then_some(Cow::Borrowed(&**text)),
        (Value::Number(number), []) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{
        "requestParameters": {"version": 3, "empty": "", "devices": [{"x": 1}, {"deviceName": "cam"}], "names": ["a", "b"]},
        "responseElements": null,
        "resources": [
            {"ARN": "arn:aws:s3:::bucket"},
            {"ARN": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"}
        ]
    }"#;

    #[test]
    fn a_path_leads_through_arrays_to_the_first_text() {
        let record = Record::parse(RECORD.as_bytes()).unwrap();
        for (path, expected) in [
            ("requestParameters.version", Some("3")),
            ("requestParameters.devices.deviceName", Some("cam")),
            ("requestParameters.names", Some("a")),
            ("requestParameters.empty", None),
            ("requestParameters.devices", None),
            ("requestParameters.version.deeper", None),
            ("responseElements.arn", None),
            ("resources", Some("arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn")),
        ] {
            assert_eq!(Path::parse(path).unwrap().text(&record).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_begins_or_ends_nowhere_is_refused() {
        for path in
            ["", "userIdentity.arn", "requestParameters", "requestParameters.", "requestParameters.a..b"]
        {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
