//! What forms share: the title, and texts whose invisible characters can be seen (pure).

use std::borrow::Cow;

use super::report::{Report, Subject};
use crate::templates::visible;

/// The most characters of one text that a form shows.
const LONGEST: usize = 2_000;

/// A record's text as a form may show it: invisible characters visible, and cut where it is very long.
pub fn shown(text: &str) -> Cow<'_, str> {
    visible(text, LONGEST, &[])
}

/// The title of a report.
pub fn title(report: &Report) -> String {
    let what = match report.subject {
        Subject::Incident => "Incident",
        Subject::Principal => "Principal",
        Subject::Resource => "Resource",
    };
    let name = report.incident.as_ref().map_or(report.asked.as_str(), |incident| &incident.id);
    format!("{what} {name}")
}
