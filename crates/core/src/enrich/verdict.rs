//! Writes what the rules that matched a record say about it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use super::attack::Named;
use super::rule::{Rule, Severity};
use crate::record::Record;

/// The rules that matched, one value per rule and field, in one order.
#[derive(Serialize)]
pub struct MatchedRules<'e> {
    id: Vec<&'e str>,
    name: Vec<&'e str>,
    level: Vec<Severity>,
}

impl<'e> MatchedRules<'e> {
    /// Takes the ids, titles and levels of the matches, in their order.
    pub fn of(matches: &[&'e Rule]) -> Self {
        Self {
            id: matches.iter().map(|rule| rule.id.as_str()).collect(),
            name: matches.iter().map(|rule| rule.title.as_str()).collect(),
            level: matches.iter().map(|rule| rule.level).collect(),
        }
    }
}

/// ECS `threat`: the tactics and techniques of what is worth a look.
#[derive(Serialize)]
pub struct Threat<'e> {
    framework: &'static str,
    tactic: NamedFields<'e>,
    technique: NamedFields<'e>,
}

impl<'e> Threat<'e> {
    /// Of the rules that ask for a look; none where none does.
    pub fn of(matches: &[&'e Rule]) -> Option<Self> {
        let worth_a_look = || matches.iter().filter(|rule| rule.asks_for_a_look());
        worth_a_look().next().is_some().then(|| Self {
            framework: "MITRE ATT&CK",
            tactic: NamedFields::of(worth_a_look().flat_map(|rule| &rule.tactics)),
            technique: NamedFields::of(worth_a_look().flat_map(|rule| &rule.techniques)),
        })
    }
}

/// What the call can be part of, as the rules say that only tag it. It stands apart, so that a count of techniques
/// counts what is worth a look and not everyday work.
#[derive(Serialize)]
pub struct Possible<'e> {
    tactic: NamedFields<'e>,
    technique: NamedFields<'e>,
}

impl<'e> Possible<'e> {
    /// Takes the rules that only tag. None where none of these matched; base rules of correlations do not count.
    pub fn of(matches: &[&'e Rule]) -> Option<Self> {
        let tagging = || matches.iter().filter(|rule| !rule.asks_for_a_look() && !rule.is_base());
        tagging().next().is_some().then(|| Self {
            tactic: NamedFields::of(tagging().flat_map(|rule| &rule.tactics)),
            technique: NamedFields::of(tagging().flat_map(|rule| &rule.techniques)),
        })
    }
}

#[derive(Serialize)]
struct NamedFields<'e> {
    id: Vec<&'e str>,
    name: Vec<&'e str>,
}

impl<'e> NamedFields<'e> {
    fn of(named: impl Iterator<Item = &'e Named>) -> Self {
        let distinct: BTreeSet<&Named> = named.collect();
        Self {
            id: distinct.iter().map(|named| named.id.as_str()).collect(),
            name: distinct.iter().map(|named| named.name.as_str()).collect(),
        }
    }
}

/// What the rules say: categories are tags; findings are the matches that ask for a look, the most worrying first. A
/// match on a call that failed is an attempt, unless the failure is what the rule is about.
#[derive(Serialize)]
pub struct Verdict<'e> {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<&'e str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Finding<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
}

/// A match that asks for a look, as a document has it.
#[derive(Serialize)]
pub struct Finding<'e> {
    id: &'e str,
    pub title: &'e str,
    pub level: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'e str>,
}

/// How the call ended, as far as it changes what a match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    Succeeded,
    Failed,
}

impl<'e> Verdict<'e> {
    /// Sorts the matches on a call that ended like this.
    pub fn of(matches: &[&'e Rule], outcome: CallOutcome) -> Self {
        let mut worth_a_look: Vec<&'e Rule> =
            matches.iter().copied().filter(|rule| rule.asks_for_a_look()).collect();
        worth_a_look.sort_by_key(|rule| Reverse(rule.level));
        let (attempts, findings): (Vec<&Rule>, Vec<&Rule>) =
            worth_a_look.into_iter().partition(|rule| is_attempt(rule, outcome));
        Self {
            categories: matches.iter().flat_map(|rule| &rule.categories).map(String::as_str).collect(),
            findings: findings.into_iter().map(Finding::of).collect(),
            attempts: attempts.into_iter().map(Finding::of).collect(),
            severity: severity(matches, outcome),
        }
    }
}

impl<'e> Verdict<'e> {
    /// The findings and attempts of the highest level.
    pub fn most_worrying(&self) -> impl Iterator<Item = &Finding<'e>> {
        let all = || self.findings.iter().chain(&self.attempts);
        let highest = all().map(|finding| finding.level).max();
        all().filter(move |finding| Some(finding.level) == highest)
    }
}

impl<'e> Finding<'e> {
    fn of(rule: &'e Rule) -> Self {
        let reference = rule.references.first().map(String::as_str);
        Self { id: &rule.id, title: &rule.title, level: rule.level, reference }
    }
}

/// The level of the most worrying match that says something by itself, where an attempt counts one step less than a
/// success.
pub fn severity(matches: &[&Rule], outcome: CallOutcome) -> Option<Severity> {
    let level = |rule: &&Rule| if is_attempt(rule, outcome) { rule.level.reduced() } else { rule.level };
    matches.iter().filter(|rule| !rule.is_base()).map(level).max()
}

fn is_attempt(rule: &Rule, outcome: CallOutcome) -> bool {
    outcome == CallOutcome::Failed && !rule.judges_failure
}

/// A failed call has an error code, but for the console's sign-in, which says so in its response.
pub fn outcome(record: &Record<'_>) -> CallOutcome {
    let sign_in = record.text(&["responseElements", "ConsoleLogin"]);
    if record.text(&["errorCode"]).is_some() || sign_in == Some("Failure") {
        CallOutcome::Failed
    } else {
        CallOutcome::Succeeded
    }
}
