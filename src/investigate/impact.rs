//! Judges what was done to confidentiality, integrity and availability, by the rules of `config/impact.toml` (pure).

use serde::Deserialize;

use super::answers::calls;
use super::entry::{Entry, Named};
use super::report::{Impact, Sentence, Verdict};
use crate::enrich::removes;

const RULES: &str = include_str!("../../config/impact.toml");
const SIDES: [&str; 3] = ["confidentiality", "integrity", "availability"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    side: String,
    verdict: Verdict,
    text: String,
    calls: Option<Vec<String>>,
    services: Option<Vec<String>>,
    categories: Option<Vec<String>>,
    tactics: Option<Vec<String>>,
    levels: Option<Vec<String>>,
    shares: Option<bool>,
    parts: Option<bool>,
}

/// Judges each side, the sides in a fixed order. One that no record touches is `NotShown`.
pub fn impact(entries: &[Entry]) -> Vec<Impact> {
    let File { rule: rules } = toml::from_str(RULES).expect("the file is checked in");
    SIDES.iter().map(|side| judge(side, &rules, entries)).collect()
}

fn judge(side: &str, rules: &[Rule], entries: &[Entry]) -> Impact {
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.side == side).collect();
    let mut done: Vec<Vec<&Entry>> = rules.iter().map(|_| Vec::new()).collect();
    let mut tried = done.clone();
    for entry in entries {
        if let Some(place) = rules.iter().position(|rule| rule.holds(entry)) {
            let counted = if entry.succeeded { &mut done } else { &mut tried };
            counted[place].push(entry);
        }
    }
    let mut verdict = Verdict::NotShown;
    let mut sentences = Vec::new();
    for (rule, (done, tried)) in rules.iter().zip(done.iter().zip(&tried)) {
        if let Some(sentence) = tell(rule, "", done) {
            verdict = verdict.max(rule.verdict);
            sentences.push(sentence);
        }
        if let Some(sentence) = tell(rule, "Attempted only: ", tried) {
            verdict = verdict.max(Verdict::Attempted);
            sentences.push(sentence);
        }
    }
    Impact { side: side.to_owned(), verdict, sentences }
}

fn tell(rule: &Rule, before: &str, entries: &[&Entry]) -> Option<Sentence> {
    let mut names: Vec<String> = Vec::new();
    for name in entries.iter().filter_map(|entry| entry.about()).map(Named::words) {
        if !names.contains(&name) && names.len() < 10 {
            names.push(name);
        }
    }
    let about = if names.is_empty() { String::new() } else { format!(", about {}", names.join(", ")) };
    Sentence::of(format!("{before}{}: {}{about}.", rule.text, calls(entries)), entries)
}

impl Rule {
    fn holds(&self, entry: &Entry) -> bool {
        let is_one = |wanted: &Option<Vec<String>>, has: &dyn Fn(&str) -> bool| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|it| has(it)))
        };
        let is_call = |call: &str| match call.strip_suffix('*') {
            Some(beginning) => entry.action.starts_with(beginning),
            None => entry.action == call,
        };
        is_one(&self.calls, &is_call)
            && is_one(&self.services, &|service| match service {
                "sagemaker" => entry.service.starts_with(service),
                _ => entry.service == service,
            })
            && is_one(&self.categories, &|it| entry.categories.iter().any(|has| has == it))
            && is_one(&self.tactics, &|it| entry.tactics.iter().any(|has| has == it))
            && is_one(&self.levels, &|it| entry.level.as_deref() == Some(it))
            && (self.parts != Some(false) || !entry.action.starts_with("Delete") || removes(&entry.action))
            && self.shares.is_none_or(|shares| shares != entry.foreign_accounts.is_empty())
    }
}
