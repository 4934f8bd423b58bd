//! Lists the rules as Markdown, by folder and level; `docs/rules.md` is made by it.

use serde::Serialize;
use time::OffsetDateTime;

use super::placeholders::{self, Placeholder};
use super::{Listed, list, summary};
use crate::enrich::rules::RuleSet;
use crate::templates::{PLAIN, fill};

/// Writes the page for a set of rules, with the overrides that apply at this time.
pub fn markdown(rules: &RuleSet, at: OffsetDateTime) -> String {
    let page = Page {
        summary: summary(rules, at),
        placeholders: placeholders::list(rules),
        rules: list(rules, at).into_iter().map(Shown::of).collect(),
    };
    fill(include_str!("rules.md.j2"), PLAIN, &page)
}

#[derive(Serialize)]
struct Page<'r> {
    summary: String,
    placeholders: Vec<Placeholder<'r>>,
    rules: Vec<Shown<'r>>,
}

/// A rule with what is said in words.
#[derive(Serialize)]
struct Shown<'r> {
    #[serde(flatten)]
    rule: Listed<'r>,
    timespan: Option<String>,
    changes: Vec<String>,
}

impl<'r> Shown<'r> {
    fn of(rule: Listed<'r>) -> Self {
        let timespan = rule.correlation.as_ref().map(|correlation| correlation.timespan.clone());
        let changes = rule.tuned.iter().map(ToString::to_string).collect();
        Self { rule, timespan, changes }
    }
}
