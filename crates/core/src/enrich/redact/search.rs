//! Finds secrets in a text, by their shapes and by the names before them.

use std::ops::Range;

use super::assignment;
use super::budget::Budget;
use super::members::Tone;
use super::secrets::SECRETS;

/// Where in a text secrets stand. None when the budget ends before the text does.
pub fn find(text: &str, tone: Tone, budget: &mut Budget) -> Option<Vec<Range<usize>>> {
    if tone != Tone::Code && !SECRETS.hint_in(text) {
        return Some(Vec::new());
    }
    let mut found: Vec<Range<usize>> =
        SECRETS.shaped(text, tone, budget)?.into_iter().map(|found| found.secret).collect();
    if !budget.spend(text.len()) {
        return None;
    }
    found.extend(assignment::find(text, tone, &SECRETS));
    Some(found)
}
