//! Tells what was learned: for a person, as a snippet of the configuration, and as JSON.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use super::effect::Effect;
use super::evidence::Evidence;
use super::history::{MOST_DOCUMENTS, MOST_VALUES, Period};
use super::judge::Judgement;
use crate::timestamp;

/// What the history suggests for one placeholder.
#[derive(Debug, Serialize)]
pub struct Learned {
    pub placeholder: String,
    pub configured: Vec<String>,
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Whether there are more values than were read.
    #[serde(rename = "cap_reached")]
    pub more: bool,
    /// Values that are left out, because they are not of the placeholder's kind.
    pub other_form: usize,
}

/// A placeholder that is not learned.
#[derive(Debug, Serialize)]
pub struct NotLearned {
    pub placeholder: String,
    pub reason: String,
}

/// What the rules find in the documents that were evaluated again.
#[derive(Debug, Serialize)]
pub struct Evaluated {
    pub documents: u64,
    /// How many documents there are in the period.
    pub of: u64,
    /// Documents without a text that can be read.
    pub unreadable: u64,
    #[serde(rename = "rules")]
    pub effects: Vec<Effect>,
}

/// What the history of a period suggests, and what the suggestions would change.
#[derive(Debug, Serialize)]
pub struct Report {
    from: String,
    to: String,
    days: u16,
    placeholders: Vec<Learned>,
    not_learned: Vec<NotLearned>,
    evaluated: Evaluated,
    /// The section of the configuration with the values of now and the suggested ones.
    toml: String,
}

impl Report {
    /// Puts the report together, with the placeholders in the order of their names.
    pub fn new(
        period: Period,
        days: u16,
        mut placeholders: Vec<Learned>,
        not_learned: Vec<NotLearned>,
        evaluated: Evaluated,
    ) -> Self {
        placeholders.sort_by(|left, right| left.placeholder.cmp(&right.placeholder));
        let toml = snippet(&placeholders);
        let (from, to) = (timestamp::format(period.from), timestamp::format(period.to));
        Self { from, to, days, placeholders, not_learned, evaluated, toml }
    }
}

/// Each value on its line, so that one is easily left out.
fn snippet(placeholders: &[Learned]) -> String {
    let mut text = "[rules.placeholders]\n".to_owned();
    for Learned { placeholder, configured, judgement, .. } in placeholders {
        let suggested = judgement.suggested.iter().map(|suggestion| &suggestion.value);
        let values: Vec<String> =
            configured.iter().chain(suggested).map(|value| format!("    {},\n", quoted(value))).collect();
        if !judgement.suggested.is_empty() {
            let _ = write!(text, "{placeholder} = [\n{}]\n", values.concat());
        }
    }
    text
}

/// A text in TOML, whose basic strings are those of JSON.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, days, placeholders, not_learned, evaluated, toml } = self;
        writeln!(formatter, "What {days} days suggest ({from} to {to}); nothing was changed.")?;
        for learned in placeholders {
            write_placeholder(formatter, learned, evaluated)?;
        }
        for NotLearned { placeholder, reason } in not_learned {
            writeln!(formatter, "\n{placeholder} is not learned: {reason}")?;
        }
        let Evaluated { documents, of, unreadable, .. } = evaluated;
        writeln!(formatter, "\nThe rules were evaluated on {documents} of {of} documents.")?;
        if documents < of {
            writeln!(
                formatter,
                "No more than {MOST_DOCUMENTS} are read, the latest first; give fewer days to see all."
            )?;
        }
        if *unreadable > 0 {
            writeln!(formatter, "{unreadable} of them have no text that can be read.")?;
        }
        writeln!(
            formatter,
            "\nRead each value before you take it; then into the configuration:\n\n{}",
            toml.trim_end()
        )
    }
}

fn write_placeholder(
    formatter: &mut fmt::Formatter<'_>,
    learned: &Learned,
    evaluated: &Evaluated,
) -> fmt::Result {
    let Learned { placeholder, configured, judgement: Judgement { suggested, flagged }, more, other_form } =
        learned;
    writeln!(formatter, "\n{placeholder} ({} configured)", configured.len())?;
    for suggestion in suggested {
        writeln!(formatter, "  {}: {}", suggestion.value, told(&suggestion.evidence))?;
    }
    if suggested.is_empty() {
        writeln!(formatter, "  nothing is suggested")?;
    }
    for value in flagged {
        let reasons: Vec<&str> = value.reasons.iter().map(Into::into).collect();
        writeln!(formatter, "  LOOK AT {}: {}; {}", value.value, reasons.join(", "), told(&value.evidence))?;
    }
    if *more {
        writeln!(formatter, "  There are more than the {MOST_VALUES} values that are read.")?;
    }
    if *other_form > 0 {
        writeln!(formatter, "  {other_form} values are of another kind and left out.")?;
    }
    for effect in evaluated.effects.iter().filter(|effect| effect.placeholders.contains(placeholder)) {
        let count = |count: Option<u64>| count.map_or("inactive".to_owned(), |count| count.to_string());
        let (now, then) = (count(effect.now), count(effect.with_suggestions));
        writeln!(formatter, "  {} \"{}\": {now} now, {then} with them", effect.level.name(), effect.title)?;
    }
    Ok(())
}

fn told(evidence: &Evidence) -> String {
    let Evidence { records, days, who, principals, worrying, findings, .. } = evidence;
    let mut who: Vec<(&String, &u64)> = who.iter().collect();
    who.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let who: Vec<&str> = who.into_iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("{records} records on {} days by {principals} principals", days.len());
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        let _ = write!(text, ", {first} to {last}");
    }
    if !who.is_empty() {
        let _ = write!(text, " ({})", who.join(", "));
    }
    if *worrying > 0 {
        let titles: Vec<&str> = findings.iter().map(String::as_str).collect();
        let _ = write!(text, "; {worrying} of them beside {}", titles.join(", "));
    }
    text
}
