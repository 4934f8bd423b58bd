//! Parses one CloudTrail event as AWS wrote it, once; from then on it is only read.
//!
//! Strings borrow from the raw bytes, so a record costs little more than its structure. Sigma rules are evaluated on
//! it as it stands, under CloudTrail's own field names.

mod canonical;
mod omission;
mod partition;
mod repair;

use std::borrow::Cow;

use rsigma_eval::{Event, EventValue};
use serde_json_borrow::{ObjectAsVec, Value};

pub use canonical::canonical;
pub use omission::{HIDDEN, is_omission, omissions};
pub use partition::{commercial_name, is_service_domain, without_domain};
pub use repair::repaired;

/// A parsed record that borrows from its raw bytes.
#[derive(Debug)]
pub struct Record<'a> {
    root: Value<'a>,
    /// For each slot of names, where their search begins. A record is asked for a hundred members, many of them absent.
    starts: [u32; SLOTS],
    is_sagemaker: bool,
    /// The operation, which everything asks for, where it is written without escapes.
    event_name: Option<&'a str>,
    /// The name of the service in the commercial partition. None where it is written with escapes and is that already.
    event_source: Option<Cow<'a, str>>,
}

/// Slots that names fall into, which tell nearly all of CloudTrail's apart.
const SLOTS: usize = 64;
/// Stands for a slot that no member's name is in.
const NONE: u32 = u32::MAX;

/// Why the bytes between two braces are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("the record is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

impl<'a> Record<'a> {
    /// Parses one record. Nesting deeper than serde's 128 levels is refused, which bounds every recursion after it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, RecordError> {
        Self::parse_text(std::str::from_utf8(raw)?)
    }

    fn parse_text(text: &'a str) -> Result<Self, RecordError> {
        let root: Value<'a> = serde_json::from_str(text)?;
        let mut starts = [NONE; SLOTS];
        for ((name, _), position) in root.as_object().into_iter().flat_map(ObjectAsVec::iter).zip(0..NONE) {
            let start = &mut starts[slot(name)];
            *start = position.min(*start);
        }
        let mut record = Self { root, starts, is_sagemaker: false, event_name: None, event_source: None };
        if let Some(Value::Str(Cow::Borrowed(name))) = record.member("eventName") {
            record.event_name = Some(name);
        }
        record.event_source = match record.member("eventSource") {
            Some(Value::Str(Cow::Borrowed(source))) => Some(commercial_name(source)),
            Some(Value::Str(Cow::Owned(source))) => match commercial_name(source) {
                Cow::Owned(name) => Some(Cow::Owned(name)),
                Cow::Borrowed(_) => None,
            },
            _ => None,
        };
        record.is_sagemaker = is_sagemaker_family(record.event_source());
        Ok(record)
    }

    /// Parses one record, and where single characters make it no JSON, what is left without them, for which there must
    /// be room. Returns it with the text that it was parsed from.
    pub fn parse_repaired(raw: &'a [u8], room: &'a mut String) -> Result<(Self, &'a str), RecordError> {
        let parse = || {
            let text = std::str::from_utf8(raw)?;
            Ok((Self::parse_text(text)?, text))
        };
        let error = match parse() {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        *room = repaired(raw);
        Self::parse(room.as_bytes()).map(|record| (record, room.as_str())).map_err(|_| error)
    }

    /// The record as one value, for whoever walks through all of it.
    pub fn root(&self) -> &Value<'a> {
        &self.root
    }

    /// The value at a path of member names, or null when there is none.
    pub fn at(&self, path: &[&str]) -> &Value<'a> {
        match path {
            [] => &self.root,
            [first, rest @ ..] => {
                let value = self.member(first).unwrap_or(&Value::Null);
                rest.iter().fold(value, |value, name| member(value, name))
            }
        }
    }

    fn member(&self, name: &str) -> Option<&Value<'a>> {
        let start = self.starts[slot(name)];
        if start == NONE {
            return None;
        }
        let mut members = self.root.as_object()?.iter().skip(start as usize);
        members.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The text at a path. Empty strings count as absent: some services write `""` for a parameter that was not given.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path).as_str().filter(|text| !text.is_empty())
    }

    /// The service, under the name that it has in the commercial partition.
    pub fn event_source(&self) -> &str {
        self.event_source.as_deref().or_else(|| self.text(&["eventSource"])).unwrap_or_default()
    }

    /// The name of the call; empty where the record has none.
    pub fn event_name(&self) -> &str {
        self.event_name.or_else(|| self.text(&["eventName"])).unwrap_or_default()
    }

    /// Whether it is of a service of the SageMaker family.
    pub fn is_sagemaker(&self) -> bool {
        self.is_sagemaker
    }
}

/// Many names are as long as others and begin and end as they do, such as `eventName`, `eventTime` and `eventType`; the
/// letter before the last two differs. With these factors no two of the names that CloudTrail has share a slot.
fn slot(name: &str) -> usize {
    let letter = |at: usize| name.as_bytes().get(at).map_or(0, |letter| usize::from(*letter));
    (name.len() + 11 * letter(0) + 45 * letter(name.len().wrapping_sub(3))) % SLOTS
}

/// The member of an object, or null when the value is no object or has no such member.
pub fn member<'v, 'a>(value: &'v Value<'a>, name: &str) -> &'v Value<'a> {
    value.as_object().and_then(|object| object.get(name)).unwrap_or(&Value::Null)
}

/// A truth value as CloudTrail writes it: as one, or, in session attributes, as text.
pub fn truth(value: &Value<'_>) -> Option<bool> {
    let text = || match value.as_str()? {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    value.as_bool().or_else(text)
}

/// Whether a text is the id of an account, which has twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The shape of every partition's regions: `us-east-1`, `us-gov-west-1`, `cn-north-1`, `eusc-de-east-1`.
pub fn is_region(text: &str) -> bool {
    /// Characters; the longest known has fourteen.
    const LONGEST: usize = 32;
    text.len() <= LONGEST
        && text.contains('-')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.ends_with(|last: char| last.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether the service is one of the SageMaker family, by its name in the commercial partition.
pub fn is_sagemaker_family(event_source: &str) -> bool {
    event_source.contains("sagemaker") && event_source.ends_with(".amazonaws.com")
}

impl Event for Record<'_> {
    /// Follows a dotted path; where it crosses an array, every element is followed and all values found are returned,
    /// so that a rule matches when any of them does.
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if let Some(value) = self.member(path) {
            return Some(event_value(value));
        }
        let (first, mut rest) = path.split_once('.')?;
        let mut value = self.member(first)?;
        // Down to the value or the first array, behind which there may be several.
        while let Value::Object(object) = value {
            if let Some(value) = object.get(rest) {
                return Some(event_value(value));
            }
            let (first, behind) = rest.split_once('.')?;
            (value, rest) = (object.get(first)?, behind);
        }
        let mut found = Vec::new();
        collect(value, rest, &mut found);
        match found.len() {
            0 => None,
            1 => found.pop(),
            _ => Some(EventValue::Array(found)),
        }
    }

    fn any_string_value(&self, predicate: &dyn Fn(&str) -> bool) -> bool {
        any_string(&self.root, &mut |text| predicate(text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = Vec::new();
        collect_strings(&self.root, &mut all);
        all
    }

    fn to_json(&self) -> serde_json::Value {
        (&self.root).into()
    }
}

fn collect<'v>(value: &'v Value<'_>, path: &str, found: &mut Vec<EventValue<'v>>) {
    match value {
        Value::Array(elements) => {
            for element in elements {
                collect(element, path, found);
            }
        }
        Value::Object(object) => {
            if let Some(value) = object.get(path) {
                found.push(event_value(value));
            } else if let Some((first, rest)) = path.split_once('.')
                && let Some(value) = object.get(first)
            {
                collect(value, rest, found);
            }
        }
        _ => {}
    }
}

fn event_value<'v>(value: &'v Value<'_>) -> EventValue<'v> {
    match value {
        Value::Null => EventValue::Null,
        Value::Bool(value) => EventValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => EventValue::Int(integer),
            None => EventValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Str(text) => EventValue::Str(Cow::Borrowed(text)),
        Value::Array(elements) => EventValue::Array(elements.iter().map(event_value).collect()),
        Value::Object(object) => EventValue::Map(
            object.iter().map(|(name, value)| (Cow::Borrowed(name), event_value(value))).collect(),
        ),
    }
}

fn any_string(value: &Value<'_>, predicate: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        Value::Str(text) => predicate(text),
        Value::Array(elements) => elements.iter().any(|element| any_string(element, predicate)),
        Value::Object(object) => object.iter().any(|(_, value)| any_string(value, predicate)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn collect_strings<'v>(value: &'v Value<'_>, all: &mut Vec<Cow<'v, str>>) {
    match value {
        Value::Str(text) => all.push(Cow::Borrowed(text)),
        Value::Array(elements) => elements.iter().for_each(|element| collect_strings(element, all)),
        Value::Object(object) => object.iter().for_each(|(_, value)| collect_strings(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use rsigma_eval::JsonEvent;

    use super::*;

    const RECORD: &str = r#"{
        "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateEndpointConfig", "empty": "", "a.b": 1,
        "requestParameters": {
            "productionVariants": [
                {"variantName": "one", "initialInstanceCount": 2, "tags": [{"key": "x"}]},
                {"variantName": "two", "tags": [{"key": "y"}, {"key": "z"}]}
            ],
            "dataCaptureConfig": {"enableCapture": false, "percentage": 0.5, "kms": null}
        }
    }"#;

    #[test]
    fn a_field_is_found_as_the_reference_implementation_of_sigma_finds_it() {
        let record = Record::parse(RECORD.as_bytes()).unwrap();
        let reference: serde_json::Value = serde_json::from_str(RECORD).unwrap();
        let reference = JsonEvent::borrow(&reference);
        for path in [
            "eventName",
            "a.b",
            "empty",
            "absent",
            "absent.too",
            "eventName.too",
            "requestParameters.productionVariants",
            "requestParameters.productionVariants.variantName",
            "requestParameters.productionVariants.initialInstanceCount",
            "requestParameters.productionVariants.tags.key",
            "requestParameters.dataCaptureConfig",
            "requestParameters.dataCaptureConfig.enableCapture",
            "requestParameters.dataCaptureConfig.percentage",
            "requestParameters.dataCaptureConfig.kms",
        ] {
            let ours = record.get_field(path).map(|value| value.to_json());
            let theirs = reference.get_field(path).map(|value| value.to_json());
            assert_eq!(ours, theirs, "{path}");
        }
        assert_eq!(record.all_string_values().len(), reference.all_string_values().len());
        assert!(record.any_string_value(&|text| text == "two"));
        assert!(!record.any_string_value(&|text| text == "three"));
    }

    #[test]
    fn absent_members_read_as_null_and_empty_text_as_absent() {
        let record = Record::parse(RECORD.as_bytes()).unwrap();
        assert_eq!(record.text(&["empty"]), None);
        assert_eq!(record.text(&["eventName", "no", "such", "path"]), None);
        assert_eq!(record.event_name(), "CreateEndpointConfig");
    }

    #[test]
    fn the_first_member_of_a_name_is_found_whatever_stands_before_it() {
        let long = "n".repeat(SLOTS + 8);
        let raw = format!(r#"{{"aa":1,"bb":2,"aa":3,"":4,"{long}":5,"{long}n":6,"cc":{{"dd":7}}}}"#);
        let record = Record::parse(raw.as_bytes()).unwrap();
        let number = |path: &[&str]| record.at(path).as_u64();
        assert_eq!([number(&["aa"]), number(&["bb"]), number(&[""])], [Some(1), Some(2), Some(4)]);
        assert_eq!([number(&[&long]), number(&[&format!("{long}n")])], [Some(5), Some(6)]);
        assert_eq!([number(&["cc", "dd"]), number(&["zz"]), number(&["zzz"])], [Some(7), None, None]);
        assert!(record.at(&[]).is_object());
        assert!(Record::parse(b"[1]").unwrap().at(&["aa"]).is_null());
    }

    #[test]
    fn the_sagemaker_family_is_told_from_others_by_name_and_domain() {
        for source in [
            "sagemaker.amazonaws.com",
            "metrics-sagemaker.amazonaws.com",
            "sagemaker-unified-studio-mcp.amazonaws.com",
            "sagemaker.amazonaws.com.cn",
            "sagemaker.amazonaws.eu",
            "sagemaker.c2s.ic.gov",
        ] {
            assert!(is_sagemaker(source), "{source}");
        }
        for source in
            ["amplify.amazonaws.com", "s3.amazonaws.com", "aws:sagemaker", "sagemaker.example.com", ""]
        {
            assert!(!is_sagemaker(source), "{source}");
        }
    }

    fn is_sagemaker(source: &str) -> bool {
        Record::parse(format!(r#"{{"eventSource":"{source}"}}"#).as_bytes()).unwrap().is_sagemaker()
    }

    #[test]
    fn what_is_no_json_or_nested_without_end_is_refused() {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for raw in [b"{\"a\":}".as_slice(), b"{\"a\":\"\xff\"}", b"{\"a\":1e400}", nested.as_bytes()] {
            assert!(Record::parse(raw).is_err());
        }
    }
}
