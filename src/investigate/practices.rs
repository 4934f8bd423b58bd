//! Tells which best practices were not followed, and which control would have prevented each step (pure).

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::answers::counted;
use super::entry::{Entry, Named};
use super::report::{Practice, Sentence};
use crate::guard::{Guardrail, Verdict, guardrails};
use crate::posture::is_posture;

const CONFIG_RULES: &str = include_str!("../../deploy/guardrails/config-rules.json");

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

/// The rules of posture that matched, and then the policies that would have denied other calls.
pub fn practices(entries: &[Entry]) -> Vec<Practice> {
    let mut breaches: BTreeMap<&str, Breach<'_>> = BTreeMap::new();
    for entry in entries {
        for finding in entry.findings.iter().filter(|finding| is_posture(&finding.id)) {
            let breach = breaches.entry(&finding.id).or_default();
            breach.title.clone_from(&finding.title);
            breach.reference.clone_from(&finding.reference);
            breach.entries.push(entry);
        }
    }
    let mut told: Vec<Practice> =
        breaches.into_iter().filter_map(|(id, breach)| of_rule(id, breach)).collect();
    told.sort_by(|a, b| {
        (a.control.is_none(), &a.sentence.at, &a.rule).cmp(&(b.control.is_none(), &b.sentence.at, &b.rule))
    });
    told.extend(guardrails().iter().filter_map(|guardrail| of_policy(guardrail, entries)));
    told
}

fn of_rule(id: &str, breach: Breach<'_>) -> Option<Practice> {
    let policy = guardrails().iter().find(|policy| policy.rules.iter().any(|rule| rule.id == id));
    let remedy = policy.map_or_else(
        || "no policy in deploy/guardrails is about it".to_owned(),
        |policy| remedy(policy, &Sorted::of(policy, &breach.entries)),
    );
    let text = format!("{}: {}; {remedy}.", breach.title, about(&breach.entries));
    Some(Practice {
        sentence: Sentence::of(text, &breach.entries)?,
        rule: Some(id.to_owned()),
        control: policy.map(|policy| policy.name.clone()),
        config_rules: config_rules(id),
        reference: breach.reference,
    })
}

/// The calls that a policy would have denied though no rule of posture that goes with it matched.
fn of_policy(policy: &Guardrail, entries: &[Entry]) -> Option<Practice> {
    let is_told = |entry: &Entry| {
        let is_of_policy = |id: &str| policy.rules.iter().any(|rule| rule.id == id);
        entry.findings.iter().any(|found| is_posture(&found.id) && is_of_policy(&found.id))
    };
    let others: Vec<&Entry> = entries.iter().filter(|entry| !is_told(entry)).collect();
    let sorted = Sorted::of(policy, &others);
    let denied = sorted.denied;
    let text = format!(
        "The policy {} ({}) would have denied {} that succeeded.",
        policy.name,
        policy.title,
        about(&denied)
    );
    Some(Practice {
        sentence: Sentence::of(text, &denied)?,
        rule: None,
        control: Some(policy.name.clone()),
        config_rules: Vec::new(),
        reference: None,
    })
}

/// Calls by what a policy would have done with them.
#[derive(Default)]
struct Sorted<'e> {
    denied: Vec<&'e Entry>,
    undecided: usize,
    allowed: usize,
    failed: usize,
}

impl<'e> Sorted<'e> {
    fn of(policy: &Guardrail, entries: &[&'e Entry]) -> Self {
        let mut sorted = Self::default();
        for entry in entries {
            let judged =
                entry.guarded.iter().find(|(name, _)| *name == policy.name).map(|(_, verdict)| *verdict);
            match judged {
                _ if !entry.succeeded => sorted.failed += 1,
                Some(Verdict::Denied) => sorted.denied.push(entry),
                Some(Verdict::Allowed) => sorted.allowed += 1,
                Some(Verdict::Undecided) | None => sorted.undecided += 1,
            }
        }
        sorted
    }
}

fn remedy(policy: &Guardrail, sorted: &Sorted<'_>) -> String {
    let Sorted { denied, undecided, allowed, failed } = sorted;
    let what = format!("the policy {} ({})", policy.name, policy.title);
    let calls = |count: usize| counted(count, "call");
    let mut parts = Vec::new();
    match (denied.len(), undecided + allowed + failed) {
        (0, _) => {}
        (1, 0) => return format!("{what} would have denied it"),
        (count, 0) => return format!("{what} would have denied these {}", calls(count)),
        (count, _) => parts.push(format!("would have denied {}", calls(count))),
    }
    if *undecided > 0 {
        parts.push(format!("may have denied {}, whose records do not show what decides", calls(*undecided)));
    }
    if *allowed > 0 {
        parts.push(format!("would have allowed {}", calls(*allowed)));
    }
    if *failed > 0 {
        parts.push(format!("had nothing to deny in {} that failed without it", calls(*failed)));
    }
    format!("{what} {}", parts.join(", and "))
}

fn config_rules(id: &str) -> Vec<String> {
    let rules: Vec<ConfigRule> = serde_json::from_str(CONFIG_RULES).expect("the file is checked in");
    let of_it = rules.into_iter().filter(|rule| rule.rules.iter().any(|it| it.id == id));
    of_it.map(|rule| rule.name).collect()
}

/// The changing calls that no policy of ours would have denied.
pub fn not_prevented(entries: &[Entry]) -> Option<Sentence> {
    let is_stopped = |entry: &Entry| entry.guarded.iter().any(|(_, verdict)| *verdict == Verdict::Denied);
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
        let failed = if entry.succeeded { "" } else { ", which failed" };
        let name = match entry.about() {
            Some(thing) => format!("{} of {}{failed}", entry.action, Named::words(thing)),
            None => format!("{}{failed}", entry.action),
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
