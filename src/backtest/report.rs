//! What a backtest found: pages, incidents, and how often each rule matched, and was muted, in which week.

use std::collections::BTreeMap;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::job::Read;
use crate::enrich::Severity;
use crate::incident::{Counted, Decided, Incident, Page};
use crate::timestamp;

/// Its members are stable: a change or removal needs an entry in the changelog.
#[derive(Debug, Serialize)]
pub struct Report {
    pub pages: Vec<Page>,
    pub incidents: Vec<Incident>,
    /// The rules that matched, the most worrying first.
    pub rules: Vec<RuleReport>,
    /// What differs from the present rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    pub records: RecordsReport,
    #[serde(skip)]
    since: Option<OffsetDateTime>,
    #[serde(skip)]
    counts: BTreeMap<String, RuleReport>,
}

/// What was read, and what became of it.
#[derive(Debug, Serialize)]
pub struct RecordsReport {
    #[serde(flatten)]
    pub read: Read,
    #[serde(flatten)]
    pub judged: Judged,
}

/// What became of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Each once, however often it was read.
    pub selected: u64,
    pub malformed: u64,
    /// Records that were read again from another place.
    pub duplicates: u64,
    /// Stored events whose text has lost values to redaction: rules that ask for these see their fingerprints.
    pub redacted: u64,
    /// Of these, those that keep what their text no longer shows, such as a finding.
    pub carried: u64,
    /// Stored events without a readable text, which are not judged.
    pub unreadable: u64,
}

/// How often a rule matched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleReport {
    pub id: String,
    pub title: String,
    pub level: Severity,
    /// But for those that are muted.
    pub matches: u64,
    /// Matches that a filter or an override of the site has muted.
    pub muted: u64,
    /// Incidents that it is a part of.
    pub incidents: u64,
    /// Matches by the Monday that a week begins with, in UTC.
    pub weeks: BTreeMap<String, u64>,
    pub muted_weeks: BTreeMap<String, u64>,
    /// Muted matches by what mutes them: `filter` or `override`.
    pub muted_by: BTreeMap<String, u64>,
}

/// What other rules would change.
#[derive(Debug, Serialize)]
pub struct Changes {
    pub pages_added: Vec<Page>,
    pub pages_removed: Vec<Page>,
    pub rules: Vec<Change>,
}

/// A rule that matches, or is muted, more or less often.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub id: String,
    pub title: String,
    pub before: u64,
    pub after: u64,
    pub muted_before: u64,
    pub muted_after: u64,
}

impl Report {
    pub(super) fn new(since: Option<OffsetDateTime>, read: Read) -> Self {
        Self {
            pages: Vec::new(),
            incidents: Vec::new(),
            rules: Vec::new(),
            changes: None,
            records: RecordsReport { read, judged: Judged::default() },
            since,
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, matches: impl IntoIterator<Item = Counted>) {
        for Counted { time, id, title, level, muted_by } in matches {
            if !self.is_wanted(time) {
                continue;
            }
            let rule = self.counts.entry(id).or_insert_with_key(|id| RuleReport::new(id, title, level));
            match muted_by {
                Some(by) => {
                    rule.muted += 1;
                    *rule.muted_weeks.entry(week(time)).or_default() += 1;
                    *rule.muted_by.entry(by).or_default() += 1;
                }
                None => {
                    rule.matches += 1;
                    *rule.weeks.entry(week(time)).or_default() += 1;
                }
            }
        }
    }

    pub(super) fn end(&mut self, judged: Judged, decided: Decided) {
        let Decided { incidents, pages, correlated } = decided;
        self.records.judged = judged;
        self.count(correlated);
        let wanted = incidents.into_iter().filter(|incident| self.is_wanted(incident.event.end.0));
        self.incidents = wanted.collect();
        self.pages = pages.into_iter().filter(|page| self.is_wanted(page.time.0)).collect();
        for finding in self.incidents.iter().flat_map(|incident| &incident.incident.findings) {
            if let Some(rule) = self.counts.get_mut(&finding.id) {
                rule.incidents += 1;
            }
        }
        self.rules = std::mem::take(&mut self.counts).into_values().collect();
        self.rules.sort_by(|a, b| {
            (b.level, b.matches, b.muted, &a.title).cmp(&(a.level, a.matches, a.muted, &b.title))
        });
    }

    fn is_wanted(&self, time: OffsetDateTime) -> bool {
        self.since.is_none_or(|since| time >= since)
    }
}

impl RuleReport {
    fn new(id: &str, title: String, level: Severity) -> Self {
        Self {
            id: id.to_owned(),
            title,
            level,
            matches: 0,
            muted: 0,
            incidents: 0,
            weeks: BTreeMap::new(),
            muted_weeks: BTreeMap::new(),
            muted_by: BTreeMap::new(),
        }
    }
}

/// What the second set of rules changes about the first.
pub fn compare(before: &Report, after: &Report) -> Changes {
    let is_among = |page: &Page, pages: &[Page]| {
        pages.iter().any(|known| {
            (&known.incident, known.severity, known.time) == (&page.incident, page.severity, page.time)
        })
    };
    let only = |pages: &[Page], others: &[Page]| {
        pages.iter().filter(|page| !is_among(page, others)).cloned().collect()
    };
    let mut changes: BTreeMap<&str, Change> = BTreeMap::new();
    let known = [(before, false), (after, true)];
    for (rule, is_after) in known.iter().flat_map(|(of, after)| of.rules.iter().map(|rule| (rule, *after))) {
        let change = changes.entry(&rule.id).or_insert_with(|| Change::of(rule));
        let (matches, muted) = if is_after {
            (&mut change.after, &mut change.muted_after)
        } else {
            (&mut change.before, &mut change.muted_before)
        };
        (*matches, *muted) = (rule.matches, rule.muted);
    }
    Changes {
        pages_added: only(&after.pages, &before.pages),
        pages_removed: only(&before.pages, &after.pages),
        rules: changes.into_values().filter(Change::is_one).collect(),
    }
}

impl Change {
    fn of(rule: &RuleReport) -> Self {
        let (id, title) = (rule.id.clone(), rule.title.clone());
        Self { id, title, before: 0, after: 0, muted_before: 0, muted_after: 0 }
    }

    fn is_one(&self) -> bool {
        (self.before, self.muted_before) != (self.after, self.muted_after)
    }
}

fn week(time: OffsetDateTime) -> String {
    let monday = time - Duration::days(i64::from(time.weekday().number_days_from_monday()));
    timestamp::format(monday)[..10].to_owned()
}
