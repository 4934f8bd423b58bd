//! Lists the placeholders of the rules: what their values are made of, with an example, and which rules need them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::config::placeholder::{Form, form};
use crate::enrich::rules::RuleSet;

/// A placeholder that a rule has.
pub struct Placeholder<'r> {
    pub name: &'r str,
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
    let mut text = String::new();
    for Placeholder { name, form: Form { is, example, about, .. }, rules } in list(rules) {
        let about = if about.is_empty() { String::new() } else { format!("{about}: ") };
        let _ = writeln!(text, "# {about}{is}");
        for title in rules {
            let _ = writeln!(text, "#   for \"{title}\"");
        }
        let _ = writeln!(text, "rules.placeholders.{name} = [\"{example}\"]\n");
    }
    text
}

/// The placeholders as a table of a page.
pub fn markdown(rules: &RuleSet) -> String {
    let mut text = "\n## Placeholders\n\nA value is checked when the configuration is read. `*` and `?` are Sigma's wildcards.\n\n\
        | placeholder | what it is for | kind | a value is | such as | rules |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for Placeholder { name, form: Form { kind, is, example, about, .. }, rules } in list(rules) {
        let kind = kind.unwrap_or("of its own");
        let rules: Vec<&str> = rules.into_iter().collect();
        let _ = writeln!(text, "| `{name}` | {about} | {kind} | {is} | `{example}` | {} |", rules.join("; "));
    }
    text
}
