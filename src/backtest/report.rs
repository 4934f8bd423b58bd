//! What a backtest found: pages, incidents, and how often each rule matched in which week.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::enrich::Severity;
use crate::incident::{Decided, Incident, Page, Signal};
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
    #[serde(skip)]
    since: Option<OffsetDateTime>,
    #[serde(skip)]
    counts: BTreeMap<String, RuleReport>,
}

/// How often a rule matched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleReport {
    pub id: String,
    pub title: String,
    pub level: Severity,
    pub matches: u64,
    /// Incidents that it is a part of.
    pub incidents: u64,
    /// By the Monday that a week begins with, in UTC.
    pub weeks: BTreeMap<String, u64>,
}

/// What other rules would change.
#[derive(Debug, Serialize)]
pub struct Changes {
    pub pages_added: Vec<Page>,
    pub pages_removed: Vec<Page>,
    pub rules: Vec<Change>,
}

/// A rule that matches more or less often.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub id: String,
    pub title: String,
    pub before: u64,
    pub after: u64,
}

impl Report {
    pub(super) fn new(since: Option<OffsetDateTime>) -> Self {
        Self {
            pages: Vec::new(),
            incidents: Vec::new(),
            rules: Vec::new(),
            changes: None,
            since,
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, signal: &Signal) {
        if !self.is_wanted(signal.time) {
            return;
        }
        for finding in &signal.findings {
            let rule = self.counts.entry(finding.id.clone()).or_insert_with(|| RuleReport {
                id: finding.id.clone(),
                title: finding.title.clone(),
                level: finding.level,
                matches: 0,
                incidents: 0,
                weeks: BTreeMap::new(),
            });
            rule.matches += 1;
            *rule.weeks.entry(week(signal.time)).or_default() += 1;
        }
    }

    pub(super) fn end(&mut self, decided: Decided) {
        let Decided { incidents, pages, correlated } = decided;
        for signal in &correlated {
            self.count(signal);
        }
        let wanted = incidents.into_iter().filter(|incident| self.is_wanted(incident.event.end.0));
        self.incidents = wanted.collect();
        self.pages = pages.into_iter().filter(|page| self.is_wanted(page.time.0)).collect();
        for finding in self.incidents.iter().flat_map(|incident| &incident.incident.findings) {
            if let Some(rule) = self.counts.get_mut(&finding.id) {
                rule.incidents += 1;
            }
        }
        self.rules = std::mem::take(&mut self.counts).into_values().collect();
        self.rules.sort_by(|a, b| (b.level, b.matches, &a.title).cmp(&(a.level, a.matches, &b.title)));
    }

    fn is_wanted(&self, time: OffsetDateTime) -> bool {
        self.since.is_none_or(|since| time >= since)
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
    let mut rules: BTreeMap<&str, (&RuleReport, u64, u64)> = BTreeMap::new();
    for rule in &before.rules {
        rules.entry(&rule.id).or_insert((rule, 0, 0)).1 = rule.matches;
    }
    for rule in &after.rules {
        rules.entry(&rule.id).or_insert((rule, 0, 0)).2 = rule.matches;
    }
    let changed = rules.into_values().filter(|(_, before, after)| before != after);
    Changes {
        pages_added: only(&after.pages, &before.pages),
        pages_removed: only(&before.pages, &after.pages),
        rules: changed
            .map(|(rule, before, after)| Change {
                id: rule.id.clone(),
                title: rule.title.clone(),
                before,
                after,
            })
            .collect(),
    }
}

fn week(time: OffsetDateTime) -> String {
    let monday = time - Duration::days(i64::from(time.weekday().number_days_from_monday()));
    timestamp::format(monday)[..10].to_owned()
}

impl Display for Report {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        for page in &self.pages {
            writeln!(text, "{}  {}", timestamp::format(page.time.0), page.sentence)?;
            writeln!(text, "    {}; incident {}", page.reason, page.incident)?;
        }
        let weeks: std::collections::BTreeSet<&String> =
            self.rules.iter().flat_map(|rule| rule.weeks.keys()).collect();
        writeln!(
            text,
            "{} page(s), {} incident(s), {} rule(s) matched in {} week(s)",
            self.pages.len(),
            self.incidents.len(),
            self.rules.len(),
            weeks.len()
        )?;
        if !self.rules.is_empty() {
            writeln!(text, "\n{:>8}  {:>9}  {:<13}  rule", "matches", "incidents", "level")?;
        }
        for RuleReport { title, level, matches, incidents, .. } in &self.rules {
            writeln!(text, "{matches:>8}  {incidents:>9}  {:<13}  {title}", level.name())?;
        }
        match &self.changes {
            Some(changes) => changes.fmt(text),
            None => Ok(()),
        }
    }
}

impl Display for Changes {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages_added, pages_removed, rules } = self;
        writeln!(
            text,
            "\nBeside the present rules: {} page(s) more, {} fewer",
            pages_added.len(),
            pages_removed.len()
        )?;
        for (sign, pages) in [('+', pages_added), ('-', pages_removed)] {
            for page in pages {
                writeln!(text, "{sign} {}  {}", timestamp::format(page.time.0), page.sentence)?;
            }
        }
        for Change { title, before, after, .. } in rules {
            writeln!(text, "  {before} -> {after} matches: {title}")?;
        }
        Ok(())
    }
}
