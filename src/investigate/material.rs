//! What a report is made of: values alone, wherever they were read (pure).

use std::collections::HashMap;

use time::OffsetDateTime;

use super::entry::{Entry, Named};
use super::report::{IncidentFacts, Subject};
use crate::contain::Policies;
use crate::memory::{Key, State};

/// The most records of one report.
pub const MOST_RECORDS: usize = 20_000;

/// Everything that is known when a report is written.
#[derive(Debug, Clone)]
pub struct Material {
    pub asked: String,
    pub subject: Subject,
    pub since: Option<OffsetDateTime>,
    pub until: Option<OffsetDateTime>,
    pub incident: Option<IncidentFacts>,
    /// In the order of their times, and of their ids where these are the same.
    pub entries: Vec<Entry>,
    /// Records out of the range that memory names.
    pub beyond: Vec<Entry>,
    pub memory: HashMap<Key, State>,
    /// What is known of the time before the range, of long-term keys that were used in it.
    pub used_before: HashMap<String, UsedBefore>,
    /// What policies were before somebody of these records set or removed them.
    pub policies: Policies,
    pub source: Source,
    /// Records of the range that were not read, because there are too many.
    pub left_out: Option<u64>,
    pub rejected: u64,
    /// What is wrong with each file that was not read, or only in part.
    pub flaws: Vec<String>,
    /// The earliest record of all that there are.
    pub oldest: Option<OffsetDateTime>,
    /// The longest that a record took from its event until it was stored.
    pub slowest_seconds: Option<i64>,
    pub verification: Verification,
}

/// How a key was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedBefore {
    pub first: OffsetDateTime,
    pub calls: usize,
    /// At most [`MOST_ADDRESSES`].
    pub addresses: Vec<String>,
    /// The record of the last time.
    pub last: String,
}

/// Addresses that a key was used from before.
pub const MOST_ADDRESSES: usize = 5;

/// Where the records were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    OpenSearch,
    Files,
}

/// What verifications found of the days in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Nobody asked, because only files were read.
    NotAsked,
    Never,
    Found {
        days: u64,
        gaps: u64,
        last: String,
    },
}

impl Material {
    /// Sorts the entries and drops copies; everything else is as when only files were read, for the reader to fill in.
    pub fn new(asked: &str, subject: Subject, mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        entries.dedup_by(|a, b| a.id == b.id);
        // A name alone may be that of either; the records tell.
        let subject = if subject == Subject::Principal && is_thing(asked, &entries) {
            Subject::Resource
        } else {
            subject
        };
        Self {
            asked: asked.to_owned(),
            subject,
            since: None,
            until: None,
            incident: None,
            entries,
            beyond: Vec::new(),
            memory: HashMap::new(),
            used_before: HashMap::new(),
            policies: Policies::default(),
            source: Source::Files,
            left_out: None,
            rejected: 0,
            flaws: Vec::new(),
            oldest: None,
            slowest_seconds: None,
            verification: Verification::NotAsked,
        }
    }
}

/// Whether records name what is asked as what they are about, and none as who called.
fn is_thing(asked: &str, entries: &[Entry]) -> bool {
    let asked = asked.to_lowercase();
    let is = |text: &str| text.to_lowercase() == asked;
    let of_role = format!(":assumed-role/{}/", asked.rsplit('/').next().unwrap_or_default());
    let called = |entry: &Entry| {
        let names = [&entry.principal, &entry.origin, &entry.actor].into_iter();
        let mut names = names.chain(&entry.key).chain(&entry.chain).map(|name| name.to_lowercase());
        names.any(|name| name == asked || name.contains(&of_role))
    };
    let about = |thing: &Named| is(&thing.name) || thing.arn.as_deref().is_some_and(is);
    entries.iter().any(|entry| entry.things().any(about)) && !entries.iter().any(called)
}
