//! Lists the rules, for operators and other tools.

pub mod markdown;
pub mod navigator;
pub mod placeholders;
pub mod table;
mod tuned;

use serde::Serialize;
use time::OffsetDateTime;

use crate::enrich::rules::{Folder, RuleSet};
use crate::enrich::{Named, Rule, Severity};
pub use tuned::Tuned;

/// All loaded rules, inactive ones included, by folder and from the highest level down.
///
/// The time says which overrides apply.
pub fn list(rules: &RuleSet, at: OffsetDateTime) -> Vec<Listed<'_>> {
    let listed = |rule, missing| Listed::of(rule, missing, tuned::tuned(rule, rules.tuning(), at));
    let speaking = rules.rules().iter().map(|rule| listed(rule, &[][..]));
    let inactive =
        rules.inactive().iter().map(|inactive| listed(&inactive.rule, inactive.missing.as_slice()));
    let mut listed: Vec<Listed<'_>> = speaking.chain(inactive).collect();
    listed.sort_by(|left, right| {
        (left.folder, right.level, left.title).cmp(&(right.folder, left.level, right.title))
    });
    listed
}

/// The rules as JSON. Its members are stable: a change or removal needs an entry in the changelog.
pub fn json(rules: &RuleSet, at: OffsetDateTime) -> String {
    #[derive(Serialize)]
    struct Rules<'r> {
        rules: Vec<Listed<'r>>,
    }
    let mut text = serde_json::to_string_pretty(&Rules { rules: list(rules, at) })
        .expect("texts and lists can be written as JSON");
    text.push('\n');
    text
}

/// How many rules there are of each level, as one line.
pub fn summary(rules: &RuleSet, at: OffsetDateTime) -> String {
    let listed = list(rules, at);
    let levels = Severity::ALL.iter().rev().filter_map(|level| {
        let count = listed.iter().filter(|rule| rule.level == *level).count();
        (count > 0).then(|| format!("{count} {}", level.name()))
    });
    let levels: Vec<String> = levels.collect();
    let mut parts = vec![format!("{} rules: {}", listed.len(), levels.join(", "))];
    if !rules.inactive().is_empty() {
        parts.push(format!("{} of them inactive", rules.inactive().len()));
    }
    let tuned = rules.tuned(at);
    if tuned > 0 {
        parts.push(format!("{tuned} of them tuned"));
    }
    if !rules.broken().is_empty() {
        parts.push(format!("{} more broken and not loaded", rules.broken().len()));
    }
    parts.join("; ")
}

/// What the listing says about one rule.
#[derive(Serialize)]
pub struct Listed<'r> {
    pub id: &'r str,
    pub title: &'r str,
    pub description: &'r str,
    pub folder: Folder,
    /// The one that counts, which may be another than the rule's own.
    pub level: Severity,
    pub categories: &'r [String],
    pub tactics: Vec<Id<'r>>,
    pub techniques: Vec<Id<'r>>,
    pub false_positives: &'r [String],
    pub references: &'r [String],
    pub file: &'r str,
    pub line: usize,
    /// Whether the rule is inactive because a placeholder has no values.
    #[serde(rename = "silent")]
    pub inactive: bool,
    /// The placeholders without values.
    pub missing_placeholders: &'r [String],
    /// What the site has changed about the rule, and where.
    pub tuned: Vec<Tuned<'r>>,
}

/// An ATT&CK or ATLAS id with its name.
#[derive(Serialize)]
pub struct Id<'r> {
    pub id: &'r str,
    pub name: &'r str,
}

impl<'r> Listed<'r> {
    fn of(rule: &'r Rule, missing: &'r [String], tuned: Vec<Tuned<'r>>) -> Self {
        let ids = |named: &'r [Named]| named.iter().map(|Named { id, name }| Id { id, name }).collect();
        Self {
            id: &rule.id,
            title: &rule.title,
            description: rule.description.trim(),
            folder: rule.place.folder,
            level: tuned.iter().find_map(Tuned::level).unwrap_or(rule.level),
            categories: &rule.categories,
            tactics: ids(&rule.tactics),
            techniques: ids(&rule.techniques),
            false_positives: &rule.false_positives,
            references: &rule.references,
            file: &rule.place.file,
            line: rule.place.line,
            inactive: !missing.is_empty(),
            missing_placeholders: missing,
            tuned,
        }
    }

    fn technique_ids(&self) -> Vec<&'r str> {
        self.techniques.iter().map(|technique| technique.id).collect()
    }
}
