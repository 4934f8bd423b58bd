//! The subject: what a rule is evaluated on, which is the record and what was decoded from it or read out of its texts.

use std::borrow::Cow;

use rsigma_eval::{Event, EventValue};

use super::cut;
use super::policy::{self, Policy};
use super::script::{self, Script};
use crate::record::{Record, commercial_name, omissions};

/// The name under which rules find what CloudTrail left out, which is also its field in a document.
pub const OMITTED: &str = "sagemaker.omitted";

/// Fields that hold the name of a service, which differs between the partitions of AWS.
const SERVICES: [&str; 3] = ["eventSource", "userIdentity.invokedBy", "sourceIPAddress"];

#[derive(Debug, Clone, Copy)]
pub struct Subject<'s, 'a> {
    pub record: &'s Record<'a>,
    pub scripts: &'s [Script],
}

impl Event for Subject<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match path {
            policy::FIELD => Some(owned(Policy::of(self.record).principals)),
            OMITTED => Some(owned(omissions(self.record))),
            cut::FIELD => {
                let fields = cut::fields(self.scripts, &Policy::of(self.record));
                Some(owned(fields.into_iter().map(str::to_owned).collect()))
            }
            script::FIELD => match self.scripts {
                [] => None,
                [script] => Some(text(script)),
                scripts => Some(EventValue::Array(scripts.iter().map(text).collect())),
            },
            _ => {
                let value = self.record.get_field(path)?;
                Some(if SERVICES.contains(&path) { in_commercial_partition(value) } else { value })
            }
        }
    }

    fn any_string_value(&self, predicate: &dyn Fn(&str) -> bool) -> bool {
        self.record.any_string_value(predicate) || self.scripts.iter().any(|script| predicate(&script.text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = self.record.all_string_values();
        all.extend(self.scripts.iter().map(|script| Cow::Borrowed(script.text.as_str())));
        all
    }

    fn to_json(&self) -> serde_json::Value {
        self.record.to_json()
    }
}

fn text(script: &Script) -> EventValue<'_> {
    EventValue::Str(Cow::Borrowed(&script.text))
}

fn owned<'v>(texts: Vec<String>) -> EventValue<'v> {
    EventValue::Array(texts.into_iter().map(|text| EventValue::Str(Cow::Owned(text))).collect())
}

fn in_commercial_partition(value: EventValue<'_>) -> EventValue<'_> {
    match value {
        EventValue::Str(Cow::Borrowed(text)) => EventValue::Str(commercial_name(text)),
        other => other,
    }
}
