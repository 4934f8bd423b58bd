//! The matches that a document tells, as a report counts them: also those that the site has muted.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::enrich::Severity;
use crate::timestamp;

/// A match of a rule or of a correlation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub time: OffsetDateTime,
    /// Of the rule.
    pub id: String,
    pub title: String,
    pub level: Severity,
    /// What muted it: a filter or an override.
    pub muted_by: Option<String>,
}

impl Counted {
    /// The findings, attempts and muted matches of a document.
    pub fn all_of(document: &Value) -> Vec<Self> {
        let Some(time) = document["@timestamp"].as_str().and_then(timestamp::parse) else {
            return Vec::new();
        };
        let list = |member: &str| document["sagemaker"][member].as_array().into_iter().flatten();
        let read = |found: &Value| {
            let text = |member: &str| found[member].as_str().map(str::to_owned);
            Some(Self {
                time,
                id: text("id")?,
                title: text("title")?,
                level: Severity::deserialize(&found["level"]).ok()?,
                muted_by: text("by"),
            })
        };
        ["findings", "attempts", "muted"].into_iter().flat_map(list).filter_map(read).collect()
    }
}
