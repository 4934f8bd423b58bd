//! The subject: what a rule is evaluated on, which is the record and what was decoded from it or read out of its texts.

use std::borrow::Cow;

use rsigma_eval::{Event, EventValue};

use super::policy::{self, Policy};
use super::script::{self, Script};
use crate::record::Record;

#[derive(Debug, Clone, Copy)]
pub struct Subject<'s, 'a> {
    pub record: &'s Record<'a>,
    pub scripts: &'s [Script],
}

impl Event for Subject<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if path == policy::FIELD {
            let principals = Policy::of(self.record).principals;
            let texts = principals.into_iter().map(|principal| EventValue::Str(Cow::Owned(principal)));
            return Some(EventValue::Array(texts.collect()));
        }
        if path != script::FIELD {
            return self.record.get_field(path);
        }
        match self.scripts {
            [] => None,
            [script] => Some(text(script)),
            scripts => Some(EventValue::Array(scripts.iter().map(text).collect())),
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
