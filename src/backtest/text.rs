//! Writes the report of a backtest for people, from the template beside this file.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::report::{Report, RuleReport};
use crate::templates::{PLAIN, fill};

/// Weeks that have a column of their own, the latest ones. JSON has all.
const MOST_WEEKS: usize = 6;

#[derive(Serialize)]
struct Text<'r> {
    #[serde(flatten)]
    report: &'r Report,
    /// The weeks in which a rule matched.
    weeks: BTreeSet<&'r str>,
    most_weeks: usize,
}

impl Display for Report {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let weeks = self.rules.iter().flat_map(RuleReport::weeks).collect();
        let values = Text { report: self, weeks, most_weeks: MOST_WEEKS };
        text.write_str(&fill(include_str!("report.txt.j2"), PLAIN, &values))
    }
}

impl RuleReport {
    fn weeks(&self) -> impl Iterator<Item = &str> {
        self.weeks.keys().chain(self.muted_weeks.keys()).map(String::as_str)
    }
}
