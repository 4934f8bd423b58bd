//! Writes a simulation for people: first how much there is to read, then the policies that would have denied somebody
//! (pure).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::simulate::Report;
use crate::templates::fill;

#[derive(Serialize)]
struct Text<'r> {
    #[serde(flatten)]
    report: &'r Report,
    /// Lists of which the example's values were tried.
    examples: BTreeSet<&'r String>,
}

impl Display for Report {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let examples = self.policies.iter().flat_map(|policy| &policy.example_values).collect();
        text.write_str(&fill(include_str!("report.txt.j2"), shown, &Text { report: self, examples }))
    }
}

/// A record's text for a terminal.
fn shown(text: &str) -> Cow<'_, str> {
    text.chars().filter(|character| !sagetrail_core::enrich::is_invisible(*character)).collect()
}
