//! Rules that are ready to judge records.

use std::collections::BTreeMap;

use super::conditions::Conditions;
use super::error::BrokenRule;
use super::tuning::Tuning;
use crate::correlation::Correlations;
use crate::enrich::dispatch::Dispatch;
use crate::enrich::rule::Rule;

/// Every loaded rule and the index that finds the few that could match a record.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) rules: Vec<Rule>,
    pub(super) inactive: Vec<InactiveRule>,
    pub(super) broken: Vec<BrokenRule>,
    pub(super) dispatch: Dispatch,
    /// Of the rules, and behind them of the filters.
    pub(super) conditions: Conditions,
    pub(super) tuning: Tuning,
    pub(super) correlations: Correlations,
    pub(super) values: BTreeMap<String, Vec<String>>,
    pub(super) version: String,
}

/// A rule that cannot match, because it compares with values that nobody has configured.
#[derive(Debug)]
pub struct InactiveRule {
    pub rule: Rule,
    /// The placeholders without values.
    pub missing: Vec<String>,
}
