//! Reads off a record what IAM was given when it judged the call (pure).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

/// A recorded call, as policies see it.
#[derive(Debug)]
pub struct Call {
    /// The service and the call, in small letters.
    pub action: String,
    /// The ARN of what it is about; none where policies do not ask for it or the record does not say.
    pub resource: Option<String>,
    /// The values of the keys that the request does not give.
    around: BTreeMap<String, Known>,
    /// The values of the others: one set, or one for each definition of a tuning job.
    readings: Vec<BTreeMap<String, Known>>,
}

/// What is known of the value of a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Values(Vec<String>),
    Absent,
    /// The record does not show it.
    Unknown,
}

static KEYS: LazyLock<BTreeMap<String, Key>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/condition-keys.toml")).expect("a test reads the file")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    from: Option<From>,
    #[serde(default)]
    members: Vec<String>,
    below: Option<String>,
    #[serde(default)]
    at: BTreeMap<String, String>,
    #[serde(default)]
    several: bool,
    #[serde(default)]
    presence: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Principal,
    Address,
    Service,
}

impl Call {
    /// Reads a record. `is_whole` says whether CloudTrail left nothing out of it.
    pub fn read(record: &Value, is_whole: bool) -> Self {
        let name = record["eventName"].as_str().unwrap_or_default();
        let service =
            record["eventSource"].as_str().unwrap_or_default().split('.').next().unwrap_or_default();
        let request = &record["requestParameters"];
        let several = request["trainingJobDefinitions"].as_array().filter(|several| !several.is_empty());
        let each: Vec<&Value> = several.map_or_else(|| vec![request], |several| several.iter().collect());
        let mut around = BTreeMap::new();
        for (key, from) in KEYS.iter().filter_map(|(key, it)| Some((key, it.from?))) {
            around.insert(key.clone(), from.of(record));
        }
        let readings = each.into_iter().map(|one| {
            let asked = KEYS.iter().filter(|(_, it)| it.from.is_none());
            let value = |it: &Key| it.of(request, one, name, several.is_some(), is_whole);
            asked.map(|(key, it)| (key.clone(), value(it))).collect()
        });
        Self {
            action: format!("{service}:{name}").to_ascii_lowercase(),
            resource: resource(record),
            around,
            readings: readings.collect(),
        }
    }

    #[cfg(test)]
    /// One of which only what is told is known, and everything else is absent.
    pub fn told(action: &str, resource: Option<&str>, told: &BTreeMap<String, Vec<String>>) -> Self {
        let known = |values: &Vec<String>| Known::Values(values.clone());
        Self {
            action: action.to_ascii_lowercase(),
            resource: resource.map(str::to_owned),
            around: told.iter().map(|(key, values)| (key.clone(), known(values))).collect(),
            readings: vec![BTreeMap::new()],
        }
    }

    /// The ways in which the call may be read, by their numbers.
    pub fn readings(&self) -> std::ops::Range<usize> {
        0..self.readings.len()
    }

    /// What a condition key had when IAM judged the call, in one of the ways in which the call may be read.
    pub fn value(&self, key: &str, reading: usize) -> Known {
        let known = self.around.get(key).or_else(|| self.readings[reading].get(key));
        known.cloned().unwrap_or(Known::Absent)
    }
}

/// Whether a record can give a key its value.
pub fn is_known(key: &str) -> bool {
    KEYS.contains_key(key)
}

impl Known {
    fn one(value: Option<&str>) -> Self {
        value.map_or(Self::Absent, |value| Self::Values(vec![value.to_owned()]))
    }
}

impl From {
    fn of(self, record: &Value) -> Known {
        let identity = &record["userIdentity"];
        let address = record["sourceIPAddress"].as_str().filter(|text| text.parse::<IpAddr>().is_ok());
        match self {
            Self::Principal => {
                let issuer = identity["sessionContext"]["sessionIssuer"]["arn"].as_str();
                match issuer.or(identity["arn"].as_str()) {
                    Some(arn) => Known::one(Some(arn)),
                    None => Known::Unknown,
                }
            }
            Self::Address if record["vpcEndpointId"].is_string() => Known::Absent,
            Self::Address => Known::one(address),
            Self::Service => {
                let is_by_service = identity["invokedBy"].is_string() || address.is_none();
                Known::one(Some(if is_by_service { "true" } else { "false" }))
            }
        }
    }
}

impl Key {
    /// The value in a whole request, of which `one` is the definition that is looked at.
    fn of(&self, request: &Value, one: &Value, call: &str, is_several: bool, is_whole: bool) -> Known {
        if request.is_null() {
            return Known::Unknown;
        }
        let mut found = Vec::new();
        let place = if self.several { request } else { one };
        let place = self.below.as_ref().map_or(place, |below| &request[below]);
        collect(place, &self.members, &mut found);
        if let Some(path) = self.at.get(call).filter(|_| !is_several) {
            let value = path.split('.').fold(request, |value, member| &value[member]);
            if self.presence {
                found.extend((!value.is_null()).then(|| "true".to_owned()));
            } else {
                texts(value, &mut found);
            }
        }
        if !self.several {
            found.truncate(1);
        }
        match (found.is_empty(), is_whole) {
            (false, _) => Known::Values(found),
            (true, true) => Known::Absent,
            // It may be among what was left out.
            (true, false) => Known::Unknown,
        }
    }
}

/// The texts of all members with one of these names; what is null or empty was not given.
fn collect(value: &Value, names: &[String], found: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| collect(one, names, found)),
        Value::Object(members) => {
            for (name, inner) in members {
                if names.contains(name) {
                    texts(inner, found);
                } else {
                    collect(inner, names, found);
                }
            }
        }
        _ => {}
    }
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| texts(one, found)),
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Bool(truth) => found.push(truth.to_string()),
        Value::Number(number) => found.push(number.to_string()),
        Value::String(_) | Value::Null | Value::Object(_) => {}
    }
}

/// The role that a call of IAM is about: the only resource that a policy here asks for.
fn resource(record: &Value) -> Option<String> {
    if let Some(arn) = record["responseElements"]["role"]["arn"].as_str() {
        return Some(arn.to_owned());
    }
    let role = record["requestParameters"]["roleName"].as_str()?;
    let account = record["recipientAccountId"].as_str().or(record["userIdentity"]["accountId"].as_str())?;
    Some(format!("arn:aws:iam::{account}:role/{role}"))
}
