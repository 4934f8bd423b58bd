//! Lists the placeholders of the rules: what their values are made of, with an example, and which rules need them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::config::placeholder::{Form, form};
use crate::enrich::rules::RuleSet;
use crate::templates::{PLAIN, fill};

/// A placeholder that a rule has.
#[derive(Serialize)]
pub struct Placeholder<'r> {
    pub name: &'r str,
    #[serde(flatten)]
    pub form: Form,
    /// The titles of its rules.
    pub rules: BTreeSet<&'r str>,
}

/// All placeholders of the loaded rules, by their names.
pub fn list(rules: &RuleSet) -> Vec<Placeholder<'_>> {
    let mut titles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules.all() {
        for name in &rule.placeholders {
            titles.entry(name).or_default().insert(&rule.title);
        }
    }
    titles.into_iter().map(|(name, rules)| Placeholder { name, form: form(name), rules }).collect()
}

/// The placeholders for a terminal, each as a line of the configuration with what belongs there.
pub fn text(rules: &RuleSet) -> String {
    let placeholders = BTreeMap::from([("placeholders", list(rules))]);
    fill(include_str!("placeholders.txt.j2"), PLAIN, &placeholders)
}
