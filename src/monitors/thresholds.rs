//! Reads the thresholds of the monitors: the defaults, and a site's own values in place of them.

use std::collections::BTreeMap;

use regex::Regex;
use sagetrail_core::nearest::nearest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::MonitorsError;
use super::retired;

const DEFAULTS: &str = include_str!("../../config/monitors.toml");

/// A threshold as its file documents it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub default: toml::Value,
    pub reason: String,
}

/// Every threshold with its default and the reason for it.
pub fn documented() -> BTreeMap<String, Threshold> {
    toml::from_str(DEFAULTS).expect("a test reads the file")
}

/// A value for each threshold.
pub(super) struct Thresholds {
    values: BTreeMap<String, toml::Value>,
    placeholder: Regex,
}

impl Thresholds {
    /// Lays a site's values over the defaults, and refuses what could not work.
    pub(super) fn of(own: &BTreeMap<String, toml::Value>) -> Result<Self, MonitorsError> {
        let mut values: BTreeMap<String, toml::Value> =
            documented().into_iter().map(|(name, threshold)| (name, threshold.default)).collect();
        for (name, value) in own {
            if let Some(went) = retired::threshold(name) {
                return Err(MonitorsError::RetiredThreshold { name: name.clone(), went });
            }
            let Some(default) = values.get_mut(name) else {
                return Err(MonitorsError::UnknownThreshold {
                    name: name.clone(),
                    nearest: nearest(name, values.keys().map(String::as_str)).map(str::to_owned),
                });
            };
            let unfit = if name.ends_with("_repeat_minutes") {
                misfit_throttle(value)
            } else {
                misfit(default, value)
            };
            if let Some(expected) = unfit {
                return Err(MonitorsError::Threshold { name: name.clone(), expected });
            }
            *default = value.clone();
        }
        let placeholder = Regex::new(r"\$\{([a-z_]+)\}").expect("the pattern is well-formed");
        Ok(Self { values, placeholder })
    }

    /// Fills every string of a body. A string that is one placeholder alone becomes the value itself.
    pub(super) fn fill(&self, body: &mut Value) {
        match body {
            Value::String(text) => {
                let alone = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
                *body = match alone.and_then(|name| self.values.get(name)) {
                    Some(value) => json!(value),
                    None => Value::String(self.fill_text(text)),
                };
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.fill(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Fills a text; placeholders of other meaning stay.
    pub(super) fn fill_text(&self, text: &str) -> String {
        let fill = |found: &regex::Captures<'_>| match self.values.get(&found[1]) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => found[0].to_owned(),
        };
        self.placeholder.replace_all(text, fill).into_owned()
    }
}

/// What a value should have been, where it does not fit its default.
fn misfit(default: &toml::Value, value: &toml::Value) -> Option<&'static str> {
    let fits = match (default, value) {
        (toml::Value::Integer(_), toml::Value::Integer(value)) => (1..=MOST).contains(value),
        (toml::Value::String(_), toml::Value::String(value)) => is_duration(value),
        _ => false,
    };
    match default {
        _ if fits => None,
        toml::Value::Integer(_) => Some("a whole number above zero, such as 20, and at most 2147483647"),
        _ => Some("a duration such as \"15m\", \"24h\" or \"7d\", and at most ten years"),
    }
}

/// The plugin takes no throttle of more than a day.
fn misfit_throttle(value: &toml::Value) -> Option<&'static str> {
    let fits = value.as_integer().is_some_and(|minutes| (1..=1_440).contains(&minutes));
    (!fits).then_some("a whole number of minutes, from 1 to 1440")
}

/// The largest number that a condition compares with.
const MOST: i64 = 2_147_483_647;
/// Seconds of ten years, before which there are no records.
const LONGEST: u64 = 10 * 366 * 86_400;

/// A number and a unit of OpenSearch's date math.
fn is_duration(text: &str) -> bool {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    units.iter().any(|(unit, seconds)| {
        let digits = text.strip_suffix(*unit).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse::<u32>().ok());
        number.is_some_and(|number| number > 0 && u64::from(number) * seconds <= LONGEST)
    })
}
