//! Reads how incidents are decided: points, factors, limits and times, each with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::assets::Asset;
use crate::enrich::Severity;
use crate::labels::HealthRule;

/// What a site can read in `config/incidents.toml`.
const BUILT_IN: &str = include_str!("../../../../config/incidents.toml");

/// Everything that `config/incidents.toml` says, with the assets of a site where it has some.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    points: Points,
    pub factors: Factors,
    pub limits: Limits,
    pub times: Times,
    health: BTreeMap<HealthRule, HealthWeight>,
    /// What findings count by what they happened to.
    pub assets: Vec<Asset>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    critical: Number,
    high: Number,
    medium: Number,
    low: Number,
}

/// By which factors, in percent, a finding counts more than the points of its level.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// Percent.
    pub rare: Number,
    /// Percent.
    pub spread: Number,
}

/// From how many resources on a finding is spread, and from which score on an incident opens or is critical.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Different resources.
    pub spread_resources: Number,
    /// Points.
    pub opens_at: Number,
    /// Points.
    pub critical_at: Number,
}

/// After which times an incident pages again, falls quiet and closes, and how far back signals and matches count.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Within which signals of an origin count together.
    pub window: Time,
    /// How late a signal may come that still counts.
    pub late: Time,
    /// How far back a rule's matches make it usual at the site.
    pub history: Time,
    pub again_after: Time,
    pub quiet_after: Time,
    pub closes_after: Time,
    pub longest: Time,
}

/// How an incident about the pipeline itself is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthWeight {
    pub title: String,
    pub severity: Severity,
    /// How long it has to be well again.
    #[serde(with = "humantime_serde")]
    pub closes_after: Duration,
    pub reason: String,
    /// What to do first.
    pub next: Vec<String>,
    pub runbook: String,
}

/// A number with the reason for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    pub value: u32,
    pub reason: String,
}

/// A length of time with the reason for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    #[serde(with = "humantime_serde")]
    pub value: Duration,
    pub reason: String,
}

impl Weights {
    /// The weights as the binary has them, with the assets that every site has.
    pub fn built_in() -> Self {
        toml::from_str(BUILT_IN).expect("the file is part of the binary, and a test reads it")
    }

    /// With what a site says of its own resources.
    pub fn with_assets(own: &[Asset]) -> Self {
        let mut weights = Self::built_in();
        weights.assets.extend_from_slice(own);
        weights
    }

    /// How an incident of this rule is told.
    pub fn health(&self, rule: HealthRule) -> &HealthWeight {
        self.health.get(&rule).expect("the file has each rule, and a test reads it")
    }

    /// What a finding of a level counts.
    pub fn points(&self, level: Severity) -> u32 {
        let Points { critical, high, medium, low } = &self.points;
        match level {
            Severity::Critical => critical.value,
            Severity::High => high.value,
            Severity::Medium => medium.value,
            Severity::Low => low.value,
            Severity::Informational => 0,
        }
    }
}
