//! The verdict: what the rules that matched a record say about it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::attack::Named;
use super::rule::{Rule, Severity};

/// The level of the most worrying match.
pub fn highest_level(matches: &[&Rule]) -> Option<Severity> {
    matches.iter().map(|rule| rule.level).max()
}

/// The rules that matched, one value per rule and field, in one order.
#[derive(Serialize)]
pub struct MatchedRules<'e> {
    id: Vec<&'e str>,
    name: Vec<&'e str>,
    level: Vec<Severity>,
}

impl<'e> MatchedRules<'e> {
    pub fn of(matches: &[&'e Rule]) -> Self {
        Self {
            id: matches.iter().map(|rule| rule.id.as_str()).collect(),
            name: matches.iter().map(|rule| rule.title.as_str()).collect(),
            level: matches.iter().map(|rule| rule.level).collect(),
        }
    }
}

#[derive(Serialize)]
pub struct Threat<'e> {
    framework: &'static str,
    tactic: NamedFields<'e>,
    technique: NamedFields<'e>,
}

impl<'e> Threat<'e> {
    pub fn of(matches: &[&'e Rule]) -> Self {
        Self {
            framework: "MITRE ATT&CK",
            tactic: NamedFields::of(matches.iter().flat_map(|rule| &rule.tactics)),
            technique: NamedFields::of(matches.iter().flat_map(|rule| &rule.techniques)),
        }
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

/// What the rules say: categories are tags; findings are the matches that ask for a look.
#[derive(Serialize)]
pub struct Verdict<'e> {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    categories: BTreeSet<&'e str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
}

#[derive(Serialize)]
struct Finding<'e> {
    id: &'e str,
    title: &'e str,
    level: Severity,
}

impl<'e> Verdict<'e> {
    pub fn of(matches: &[&'e Rule]) -> Self {
        let findings = matches.iter().filter(|rule| rule.level > Severity::Informational);
        Self {
            categories: matches.iter().flat_map(|rule| &rule.categories).map(String::as_str).collect(),
            findings: findings
                .map(|rule| Finding { id: &rule.id, title: &rule.title, level: rule.level })
                .collect(),
            severity: highest_level(matches),
        }
    }
}
