//! Says what a site has changed about a rule, and where it did.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;

use crate::enrich::Severity;
use crate::enrich::rules::{Effect, Tuning};

/// One change.
#[derive(Debug, Serialize)]
pub struct Tuned<'r> {
    pub change: Change,
    /// The section of the configuration, or the title of the filter.
    pub by: String,
    /// The file and the line of a filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    pub reason: &'r str,
    /// The last day on which it applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether it has an effect: an override has ended after its last day, and a filter needs its placeholders.
    pub active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_level: Option<Severity>,
    #[serde(skip)]
    level: Option<Severity>,
}

/// What a change does to the matches of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Disabled,
    Level,
    Filtered,
}

/// The changes of the rule or correlation with an id and a level, those without an effect among them.
pub fn tuned<'r>(id: &str, level: Severity, tuning: &'r Tuning, at: OffsetDateTime) -> Vec<Tuned<'r>> {
    let by_override = tuning.override_of(id).map(|change| Tuned {
        change: match change.effect {
            Effect::Disable => Change::Disabled,
            Effect::Level(_) | Effect::LevelOfSilent(_) => Change::Level,
        },
        by: format!("rules.override.{id}"),
        place: None,
        reason: &change.reason,
        until: Some(change.until.to_string()),
        active: change.applies_at(at),
        original_level: change.level().map(|_| level),
        level: change.level(),
    });
    let by_filters = tuning.filters_for(id).map(|filter| Tuned {
        change: Change::Filtered,
        by: filter.title.clone(),
        place: Some(format!("{}:{}", filter.file, filter.line)),
        reason: &filter.reason,
        until: None,
        active: filter.missing.is_empty(),
        original_level: None,
        level: None,
    });
    by_override.into_iter().chain(by_filters).collect()
}

impl Tuned<'_> {
    /// The level that the rule has by it.
    pub fn level(&self) -> Option<Severity> {
        self.level.filter(|_| self.active)
    }
}

impl fmt::Display for Tuned<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.change, &self.until) {
            (Change::Filtered, _) if self.active => write!(formatter, "filtered by ")?,
            (Change::Filtered, _) => write!(formatter, "not filtered, for want of placeholders, by ")?,
            (_, Some(until)) if !self.active => {
                write!(formatter, "changed until {until}, which is over, by ")?;
            }
            (Change::Disabled, Some(until)) => write!(formatter, "disabled until {until} by ")?,
            (Change::Level, Some(until)) => {
                let original = self.original_level.map_or("unknown", Severity::name);
                write!(formatter, "level {original} changed until {until} by ")?;
            }
            (Change::Disabled | Change::Level, None) => write!(formatter, "changed by ")?,
        }
        match &self.place {
            Some(place) => write!(formatter, "\"{}\" ({place})", self.by)?,
            None => write!(formatter, "{}", self.by)?,
        }
        write!(formatter, ": {}", self.reason)
    }
}
