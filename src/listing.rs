//! Lists the rules, for operators and other tools.

pub mod markdown;
pub mod navigator;
pub mod placeholders;
pub mod table;
mod tuned;

use serde::Serialize;
use time::OffsetDateTime;

use crate::correlation::Correlation;
use crate::enrich::rules::{Folder, RuleSet};
use crate::enrich::{Named, Rule, Severity};
pub use tuned::Tuned;

/// All loaded rules, inactive ones included, by folder and from the highest level down.
///
/// The time says which overrides apply.
pub fn list<'r>(rules: &'r RuleSet, at: OffsetDateTime) -> Vec<Listed<'r>> {
    let tuned = |id: &str, level| tuned::tuned(id, level, rules.tuning(), at);
    let rule = |rule: &'r Rule, missing| Listed::of(rule, missing, tuned(&rule.id, rule.level));
    let correlation =
        |it: &'r Correlation, missing| Listed::of_correlation(it, missing, tuned(&it.id, it.level));
    let mut listed: Vec<Listed<'r>> = rules.rules().iter().map(|it| rule(it, &[][..])).collect();
    listed.extend(rules.inactive().iter().map(|it| rule(&it.rule, it.missing.as_slice())));
    let correlations = rules.correlations();
    listed.extend(correlations.iter().map(|it| correlation(it, &[][..])));
    listed
        .extend(correlations.inactive().iter().map(|it| correlation(&it.correlation, it.missing.as_slice())));
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
    let inactive = listed.iter().filter(|rule| rule.inactive).count();
    if inactive > 0 {
        parts.push(format!("{inactive} of them inactive"));
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
    /// What a correlation looks at; none for a rule that judges single records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlating<'r>>,
}

/// What a correlation counts, and where.
#[derive(Serialize)]
pub struct Correlating<'r> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The ids of its base rules.
    pub rules: Vec<&'r str>,
    pub group_by: Vec<&'r str>,
    pub timespan_seconds: i64,
    /// In words.
    #[serde(skip)]
    pub timespan: String,
}

/// An ATT&CK or ATLAS id with its name.
#[derive(Serialize)]
pub struct Id<'r> {
    pub id: &'r str,
    pub name: &'r str,
}

impl<'r> Listed<'r> {
    fn of(rule: &'r Rule, missing: &'r [String], tuned: Vec<Tuned<'r>>) -> Self {
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
            correlation: None,
        }
    }

    fn of_correlation(it: &'r Correlation, missing: &'r [String], tuned: Vec<Tuned<'r>>) -> Self {
        Self {
            id: &it.id,
            title: &it.title,
            description: it.description.trim(),
            folder: it.place.folder,
            level: tuned.iter().find_map(Tuned::level).unwrap_or(it.level),
            categories: &it.categories,
            tactics: ids(&it.tactics),
            techniques: ids(&it.techniques),
            false_positives: &it.false_positives,
            references: &it.references,
            file: &it.place.file,
            line: it.place.line,
            inactive: !missing.is_empty(),
            missing_placeholders: missing,
            tuned,
            correlation: Some(Correlating {
                kind: it.kind(),
                rules: it.base().iter().map(|base| base.id.as_str()).collect(),
                group_by: it.group_by().collect(),
                timespan_seconds: it.timespan().whole_seconds(),
                timespan: it.timespan_text(),
            }),
        }
    }

    fn technique_ids(&self) -> Vec<&'r str> {
        self.techniques.iter().map(|technique| technique.id).collect()
    }
}

fn ids(named: &[Named]) -> Vec<Id<'_>> {
    named.iter().map(|Named { id, name }| Id { id, name }).collect()
}
