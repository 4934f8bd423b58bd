//! What the history says of one value.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::Date;

/// How often, when, by whom and beside what a value was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub records: u64,
    #[serde(serialize_with = "number")]
    pub days: BTreeSet<Date>,
    /// The principals with the most records, by their alert keys.
    pub who: BTreeMap<String, u64>,
    /// How many principals there are; of a network, at least so many.
    pub principals: u64,
    /// Records with the value of any kind, of which those above are the ones that are meant.
    pub all_records: u64,
    /// Of all, those with a finding of level high or above that no learned placeholder decides.
    pub worrying: u64,
    /// The titles of these findings.
    pub findings: BTreeSet<String>,
    /// Of all, those with a finding of level medium or above that no learned placeholder decides.
    pub with_finding: u64,
}

/// Principals that are named.
pub const NAMED: usize = 5;

impl Evidence {
    /// Adds what was seen of another value that stands for the same, such as an address of the same network.
    ///
    /// Principals of both are not told apart, so their number becomes the larger of the two, or that of the named ones.
    pub fn add(&mut self, other: Self) {
        let Self { records, days, who, principals, all_records, worrying, findings, with_finding } = other;
        self.records += records;
        self.all_records += all_records;
        self.days.extend(days);
        for (name, count) in who {
            *self.who.entry(name).or_default() += count;
        }
        self.principals = self.principals.max(principals).max(self.who.len() as u64);
        self.worrying += worrying;
        self.findings.extend(findings);
        self.with_finding += with_finding;
        let mut counts: Vec<u64> = self.who.values().copied().collect();
        counts.sort_unstable();
        if let Some(least) = counts.iter().rev().nth(NAMED - 1) {
            self.who.retain(|_, count| *count >= *least);
        }
    }
}

fn number<S: serde::Serializer>(days: &BTreeSet<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(days.len() as u64)
}
