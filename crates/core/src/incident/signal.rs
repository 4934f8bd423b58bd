//! Reads signals: what a stored document, or a match of a correlation, says to incidents.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::assets::WHOLE;
use crate::enrich::{NO_KEY, Severity};
use crate::timestamp;

/// A record with findings or attempts, as an incident sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub id: String,
    pub index: String,
    pub time: OffsetDateTime,
    pub origin: String,
    pub principal: String,
    /// The key of the resource.
    pub resource: Option<String>,
    pub ties: Vec<String>,
    /// Of the resource, as `key=value`.
    pub tags: Vec<String>,
    /// How much its findings count by what they happened to, in percent.
    pub asset: u32,
    pub account: Option<String>,
    pub region: Option<String>,
    pub address: Option<String>,
    pub succeeded: bool,
    /// The sentence of the document.
    pub message: String,
    pub categories: Vec<String>,
    pub findings: Vec<SignalFinding>,
}

/// A match that asks for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalFinding {
    /// Of the rule.
    pub id: String,
    pub title: String,
    pub level: Severity,
    /// Whether the call failed, and the failure is not what the rule is about.
    pub is_attempt: bool,
    /// Where to read how to contain it.
    pub reference: Option<String>,
}

impl Signal {
    /// The fields of a document that are read.
    pub const FIELDS: [&str; 16] = [
        "@timestamp",
        "message",
        "event.outcome",
        "cloud.account.id",
        "cloud.region",
        "source.address",
        "source.ip",
        "sagemaker.alert.origin",
        "sagemaker.alert.principal",
        "sagemaker.alert.resource",
        "sagemaker.alert.ties",
        "sagemaker.resource.tags",
        "sagemaker.tags",
        "sagemaker.categories",
        "sagemaker.findings",
        "sagemaker.attempts",
    ];

    /// Reads the source of a document. None for one that asks for no look, or that an earlier version wrote, which
    /// names no origin.
    pub fn read(index: &str, id: &str, source: &Value) -> Option<Self> {
        // A match of a correlation has lists, of which the first value is the most frequent.
        let first = |value: &'_ Value| {
            value.as_array().map_or(value, |list| list.first().unwrap_or(value)).as_str().map(str::to_owned)
        };
        let text = |pointer: &str| source.pointer(pointer).and_then(first);
        let texts = |pointer: &str| -> Vec<String> {
            let list = source.pointer(pointer).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let findings: Vec<SignalFinding> = [("/sagemaker/findings", false), ("/sagemaker/attempts", true)]
            .into_iter()
            .flat_map(|(pointer, is_attempt)| {
                let list = source.pointer(pointer).and_then(Value::as_array);
                list.into_iter().flatten().filter_map(move |finding| SignalFinding::read(finding, is_attempt))
            })
            .collect();
        if findings.is_empty() {
            return None;
        }
        Some(Self {
            id: id.to_owned(),
            index: index.to_owned(),
            time: timestamp::parse(source.get("@timestamp")?.as_str()?)?,
            origin: text("/sagemaker/alert/origin")?,
            principal: text("/sagemaker/alert/principal")?,
            resource: text("/sagemaker/alert/resource").filter(|resource| resource != NO_KEY),
            ties: texts("/sagemaker/alert/ties"),
            tags: [texts("/sagemaker/resource/tags"), texts("/sagemaker/tags")].concat(),
            asset: WHOLE,
            account: text("/cloud/account/id"),
            region: text("/cloud/region"),
            address: text("/source/address").or_else(|| text("/source/ip")),
            succeeded: text("/event/outcome").as_deref() != Some("failure"),
            message: text("/message").unwrap_or_default(),
            categories: texts("/sagemaker/categories"),
            findings,
        })
    }
}

impl SignalFinding {
    fn read(finding: &Value, is_attempt: bool) -> Option<Self> {
        let text = |member: &str| finding[member].as_str().map(str::to_owned);
        Some(Self {
            id: text("id")?,
            title: text("title")?,
            level: Severity::deserialize(&finding["level"]).ok()?,
            is_attempt,
            reference: text("reference"),
        })
    }

    /// How worrying it is: a failed call one step less.
    pub fn severity(&self) -> Severity {
        if self.is_attempt { self.level.reduced() } else { self.level }
    }
}
