//! Adds up what the signals of some origins say together. The order in which they are added decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::signal::Signal;
use super::weights::Weights;
use crate::enrich::{Severity, selves};

/// The most names of one kind that an incident keeps. More are said, not shown.
pub const MOST: usize = 50;
/// The most origins, principals and ties: by these it is found who belongs to the incident, and what they did. Few
/// decoys must not hide one.
pub const MOST_ASKED: usize = 1_000;

/// A factor that changes nothing, in percent.
const WHOLE: u64 = super::assets::WHOLE as u64;

/// What signals say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whose signals these are.
    pub origins: Kept,
    pub principals: Kept,
    pub resources: Kept,
    pub ties: Kept,
    pub accounts: Kept,
    pub regions: Kept,
    pub addresses: Kept,
    pub categories: BTreeSet<String>,
    /// By the rule's id.
    pub findings: BTreeMap<String, Finding>,
    pub signals: u64,
    pub succeeded: u64,
    pub first: Option<OffsetDateTime>,
    pub last: Option<OffsetDateTime>,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub title: String,
    /// How worrying its worst match is.
    pub severity: Severity,
    pub reference: Option<String>,
    pub count: u64,
    pub resources: Kept,
    /// How much it counts by what it happened to, in percent: as where that is the most.
    pub asset: u32,
    pub first: Told,
    pub last: OffsetDateTime,
}

/// Where a finding was told first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub time: OffsetDateTime,
    pub id: String,
    pub index: String,
    /// The sentence of the document.
    pub message: String,
    pub principal: String,
    pub resource: Option<String>,
    /// The threat categories of the document.
    pub categories: Vec<String>,
}

impl Told {
    /// As the document of a signal tells it.
    pub fn by(signal: &Signal) -> Self {
        Self {
            time: signal.time,
            id: signal.id.clone(),
            index: signal.index.clone(),
            message: signal.message.clone(),
            principal: signal.principal.clone(),
            resource: signal.resource.clone(),
            categories: signal.categories.clone(),
        }
    }
}

/// Names with when each was seen first: the earliest of them, and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    seen: BTreeMap<String, OffsetDateTime>,
    was_cut: bool,
}

impl Tally {
    /// Adds up these signals.
    pub fn of<'s>(signals: impl IntoIterator<Item = &'s Signal>) -> Self {
        let mut tally = Self::default();
        signals.into_iter().for_each(|signal| tally.add(signal));
        tally
    }

    /// Adds one signal. Each counts anew, so the caller must not add one twice.
    pub fn add(&mut self, signal: &Signal) {
        let Signal { time, .. } = signal;
        self.signals += 1;
        self.succeeded += u64::from(signal.succeeded);
        self.first = Some(self.first.map_or(*time, |first| first.min(*time)));
        self.last = Some(self.last.map_or(*time, |last| last.max(*time)));
        self.origins.add_to(MOST_ASKED, &signal.origin, *time);
        self.principals.add_to(MOST_ASKED, &signal.principal, *time);
        signal.resource.iter().for_each(|resource| self.resources.add(resource, *time));
        signal.ties.iter().for_each(|tie| self.ties.add_to(MOST_ASKED, tie, *time));
        signal.account.iter().for_each(|account| self.accounts.add(account, *time));
        signal.region.iter().for_each(|region| self.regions.add(region, *time));
        signal.address.iter().for_each(|address| self.addresses.add(address, *time));
        self.categories.extend(signal.categories.iter().cloned());
        for found in &signal.findings {
            let told = Told::by(signal);
            let finding = self.findings.entry(found.id.clone()).or_insert_with(|| Finding {
                title: found.title.clone(),
                severity: found.severity(),
                reference: found.reference.clone(),
                count: 0,
                resources: Kept::default(),
                asset: signal.asset,
                first: told.clone(),
                last: *time,
            });
            finding.count += 1;
            finding.asset = finding.asset.max(signal.asset);
            finding.severity = finding.severity.max(found.severity());
            finding.last = finding.last.max(*time);
            finding.first = told.min(finding.first.clone());
            signal.resource.iter().for_each(|resource| finding.resources.add(resource, *time));
        }
    }

    /// What the findings count together. A rule that is usual at the site counts without the factor for rare ones.
    pub fn score(&self, usual: &BTreeSet<String>, weights: &Weights) -> u64 {
        let Weights { factors, limits, .. } = weights;
        let of = |(rule, finding): (&String, &Finding)| {
            let rare = if usual.contains(rule) { WHOLE } else { factors.rare.value.into() };
            let is_spread = finding.resources.len() >= limits.spread_resources.value as usize;
            let spread = if is_spread { factors.spread.value.into() } else { WHOLE };
            u64::from(weights.points(finding.severity)) * rare * spread * u64::from(finding.asset)
        };
        self.findings.iter().map(of).sum::<u64>() / (WHOLE * WHOLE * WHOLE)
    }

    /// The findings, worst first, and of one severity the earliest.
    pub fn worst_first(&self) -> Vec<(&str, &Finding)> {
        let mut findings: Vec<_> =
            self.findings.iter().map(|(rule, finding)| (rule.as_str(), finding)).collect();
        findings.sort_by(|(a_rule, a), (b_rule, b)| {
            b.severity.cmp(&a.severity).then_with(|| a.first.cmp(&b.first)).then_with(|| a_rule.cmp(b_rule))
        });
        findings
    }

    /// What a page is about: of the worst findings the one that came last.
    pub fn newest_of_worst(&self) -> Option<&Finding> {
        self.findings.values().max_by(|a, b| (a.severity, &a.first).cmp(&(b.severity, &b.first)))
    }

    /// The kinds of names of which there were more than are kept.
    pub fn cut(&self) -> Vec<String> {
        [
            ("origins", &self.origins),
            ("principals", &self.principals),
            ("resources", &self.resources),
            ("ties", &self.ties),
            ("accounts", &self.accounts),
            ("regions", &self.regions),
            ("addresses", &self.addresses),
        ]
        .into_iter()
        .filter(|(_, kept)| kept.was_cut())
        .map(|(name, _)| name.to_owned())
        .collect()
    }

    /// The keys by which others can be tied to whoever this is about.
    pub fn selves(&self) -> BTreeSet<String> {
        selves(self.origins.names().chain(self.principals.names()))
    }
}

impl Kept {
    /// Adds a name where [`MOST`] are kept.
    pub fn add(&mut self, name: &str, at: OffsetDateTime) {
        self.add_to(MOST, name, at);
    }

    /// Adds a name where this many are kept.
    pub fn add_to(&mut self, most: usize, name: &str, at: OffsetDateTime) {
        let seen = self.seen.entry(name.to_owned()).or_insert(at);
        *seen = at.min(*seen);
        if self.seen.len() > most {
            self.was_cut = true;
            let latest = self.seen.iter().max_by_key(|(name, at)| (**at, (*name).clone()));
            if let Some(latest) = latest.map(|(name, _)| name.clone()) {
                self.seen.remove(&latest);
            }
        }
    }

    /// The names that are kept, by the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.seen.keys().map(String::as_str)
    }

    /// The names, the earliest first.
    pub fn by_time(&self) -> Vec<String> {
        let mut names: Vec<_> = self.seen.iter().collect();
        names.sort_by_key(|(name, at)| (**at, (*name).clone()));
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// How many names are kept.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no name was added.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Whether there were more than are kept.
    pub fn was_cut(&self) -> bool {
        self.was_cut
    }
}
