//! What forms share: texts whose invisible characters can be seen, and the numbers of records (pure).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use super::report::Report;
use crate::enrich::is_invisible;

/// The most characters of one text that a form shows.
const LONGEST: usize = 2_000;

/// The text with an escape for what nobody sees, such as a character that turns the direction of the rest.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for (place, character) in text.chars().enumerate() {
        if place == LONGEST {
            shown.push('…');
            break;
        }
        if is_hidden(character) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// The number under which each record is cited.
pub struct Numbers<'r>(HashMap<&'r str, usize>);

impl<'r> Numbers<'r> {
    pub fn of(report: &'r Report) -> Self {
        Self(report.records.iter().enumerate().map(|(place, cited)| (cited.id.as_str(), place + 1)).collect())
    }

    pub fn get(&self, id: &str) -> usize {
        self.0.get(id).copied().unwrap_or_default()
    }
}

/// The title of a report.
pub fn title(report: &Report) -> String {
    let what = match report.subject {
        super::report::Subject::Incident => "Incident",
        super::report::Subject::Principal => "Principal",
        super::report::Subject::Resource => "Resource",
    };
    let name = report.incident.as_ref().map_or(report.asked.as_str(), |incident| &incident.id);
    format!("{what} {name}")
}
