//! Writes a report for people, as HTML without references outside of it and as Markdown for a ticket (pure).
//!
//! What stands where is in the templates beside this file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::picture::{Lineage, Timeline};
use super::report::Report;
use super::shown::{shown, title};
use crate::templates::fill;

/// The most numbers of records behind one sentence.
const MOST_NUMBERS: usize = 12;
/// What is said of verdicts and presences where that is not their name.
const WORDS: [(&str, &str); 3] =
    [("not-shown", "no record read shows harm"), ("at-risk", "at risk"), ("absent", "not there")];

/// The report as one HTML file that needs nothing else; texts of records are escaped.
pub fn html(report: &Report) -> String {
    fill(include_str!("report.html.j2"), text_of_html, &Page::of(report))
}

/// The report as Markdown, in which texts of records form no markup.
pub fn markdown(report: &Report) -> String {
    fill(include_str!("report.md.j2"), text_of_markdown, &Page::of(report))
}

#[derive(Serialize)]
struct Page<'r> {
    report: &'r Report,
    title: String,
    /// The number under which each record is cited.
    numbers: HashMap<&'r str, usize>,
    most: usize,
    words: BTreeMap<&'static str, &'static str>,
    style: &'static str,
    timeline: Option<Timeline>,
    lineage: Option<Lineage>,
}

impl<'r> Page<'r> {
    fn of(report: &'r Report) -> Self {
        let numbers = report.records.iter().enumerate().map(|(place, cited)| (cited.id.as_str(), place + 1));
        Self {
            report,
            title: title(report),
            numbers: numbers.collect(),
            most: MOST_NUMBERS,
            words: BTreeMap::from(WORDS),
            style: include_str!("investigate.css"),
            timeline: Timeline::of(report),
            lineage: Lineage::of(report),
        }
    }
}

fn text_of_html(text: &str) -> Cow<'_, str> {
    let shown = shown(text);
    if !shown.contains(['&', '<', '>', '"', '\'']) {
        return shown;
    }
    let escaped = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(escaped.replace('"', "&quot;").replace('\'', "&#39;"))
}

/// The text on one line, with a backslash before whatever could become markup, a link, a mention or a reference.
fn text_of_markdown(text: &str) -> Cow<'_, str> {
    let shown = shown(text);
    let mut escaped = String::with_capacity(shown.len() + 16);
    for (place, character) in shown.char_indices() {
        // Written as it is, it would move what belongs to this item of a list out of it.
        if place == 0 && character == ' ' {
            escaped.push_str("&#32;");
            continue;
        }
        let (before, after) = (&shown[..place], &shown[place + character.len_utf8()..]);
        let is_markup = match character {
            ':' => after.starts_with("//"),
            '.' if before.to_ascii_lowercase().ends_with("www") => true,
            '.' | ')' => before.bytes().all(|it| it.is_ascii_digit()),
            '-' | '+' | '=' => before.is_empty(),
            other => "\\`*_[]<>#|~&!@$^{}".contains(other),
        };
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    Cow::Owned(escaped)
}
