//! Tells which best practices were not followed, and which control would have prevented each step (pure).

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::answers::severity;
use super::entry::{Entry, Named};
use super::report::{Practice, Sentence};

const GUARDRAILS: &str = include_str!("../../deploy/guardrails/guardrails.json");
const CONFIG_RULES: &str = include_str!("../../deploy/guardrails/config-rules.json");

#[derive(Deserialize)]
struct Guardrails {
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
struct Policy {
    name: String,
    title: String,
    rules: Vec<RuleRef>,
}

#[derive(Deserialize)]
struct ConfigRule {
    name: String,
    rules: Vec<RuleRef>,
}

#[derive(Deserialize)]
struct RuleRef {
    id: String,
}

/// What is said of one rule.
#[derive(Default)]
struct Breach<'e> {
    title: String,
    reference: Option<String>,
    entries: Vec<&'e Entry>,
}

pub fn practices(entries: &[Entry]) -> Vec<Practice> {
    let Guardrails { policies } = serde_json::from_str(GUARDRAILS).expect("the file is checked in");
    let config_rules: Vec<ConfigRule> = serde_json::from_str(CONFIG_RULES).expect("the file is checked in");
    let policy_of = |id: &str| policies.iter().find(|policy| policy.rules.iter().any(|rule| rule.id == id));
    let mut breaches: BTreeMap<&str, Breach<'_>> = BTreeMap::new();
    for entry in entries {
        for finding in &entry.findings {
            // Rules of posture are of these levels; a policy of ours may go with a higher one.
            if severity(Some(&finding.level)) > 2 && policy_of(&finding.id).is_none() {
                continue;
            }
            let breach = breaches.entry(&finding.id).or_default();
            breach.title.clone_from(&finding.title);
            breach.reference.clone_from(&finding.reference);
            breach.entries.push(entry);
        }
    }
    let mut told: Vec<Practice> = breaches
        .into_iter()
        .filter_map(|(id, breach)| {
            let policy = policy_of(id);
            let about = about(&breach.entries);
            let remedy = policy.map_or_else(
                || "; no policy in deploy/guardrails denies it".to_owned(),
                |policy| match breach.entries.iter().filter(|entry| entry.succeeded).count() {
                    0 => format!(
                        "; it failed, and the policy {} ({}) denies it always",
                        policy.name, policy.title
                    ),
                    _ => format!("; the policy {} ({}) would have denied it", policy.name, policy.title),
                },
            );
            Some(Practice {
                sentence: Sentence::of(format!("{}: {about}{remedy}.", breach.title), &breach.entries)?,
                rule: id.to_owned(),
                control: policy.map(|policy| policy.name.clone()),
                config_rules: config_rules
                    .iter()
                    .filter(|rule| rule.rules.iter().any(|it| it.id == id))
                    .map(|rule| rule.name.clone())
                    .collect(),
                reference: breach.reference,
            })
        })
        .collect();
    told.sort_by(|a, b| {
        (a.control.is_none(), &a.sentence.at, &a.rule).cmp(&(b.control.is_none(), &b.sentence.at, &b.rule))
    });
    told
}

/// The changing calls that no policy of ours would have denied.
pub fn not_prevented(entries: &[Entry]) -> Option<Sentence> {
    let Guardrails { policies } = serde_json::from_str(GUARDRAILS).expect("the file is checked in");
    let is_stopped = |entry: &Entry| {
        entry
            .findings
            .iter()
            .any(|found| policies.iter().any(|it| it.rules.iter().any(|rule| rule.id == found.id)))
    };
    let changing: Vec<&Entry> = entries.iter().filter(|entry| entry.succeeded && entry.changes()).collect();
    let rest: Vec<&Entry> = changing.iter().copied().filter(|entry| !is_stopped(entry)).collect();
    let text = format!(
        "No policy in deploy/guardrails would have denied {} of {} changing calls that succeeded: {}.",
        rest.len(),
        changing.len(),
        super::answers::calls(&rest)
    );
    Sentence::of(text, &rest)
}

fn about(entries: &[&Entry]) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for entry in entries {
        let name = match entry.resource.as_ref().or(entry.related.first()) {
            Some(thing) => format!("{} of {}", entry.action, Named::words(thing)),
            None => entry.action.clone(),
        };
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
