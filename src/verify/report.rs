//! Collects the findings of a verification, for people and for machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use time::Date;

use super::day_status::DayStatus;
use super::finding::{Finding, advice, words};
use crate::labels::{FindingKind, Label};
use crate::templates::{PLAIN, fill};

/// Findings of one kind that are kept; all are counted.
const MOST_FINDINGS: usize = 10_000;

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub place: String,
    pub from: Date,
    pub to: Date,
    pub chains: u64,
    pub digests: u64,
    /// Files that valid digests name.
    pub delivered: u64,
    /// Those that the ledger has with the content that was signed.
    pub shipped: u64,
    /// Files that were missing and are shipped now.
    pub repaired: u64,
    /// Files of `sagetrail drill`, which no digest names.
    pub drills: u64,
    pub counts: BTreeMap<FindingKind, u64>,
    /// What to do about the kinds that were found.
    pub advice: BTreeMap<FindingKind, &'static str>,
    pub findings: Vec<Finding>,
    /// The same for each day, without what is found.
    #[serde(skip)]
    pub day_status: DayStatus,
}

impl Report {
    /// A report without findings, in which each kind has a count of zero.
    pub fn new(place: String, from: Date, to: Date) -> Self {
        Self {
            place,
            from,
            to,
            chains: 0,
            digests: 0,
            delivered: 0,
            shipped: 0,
            repaired: 0,
            drills: 0,
            counts: FindingKind::ALL.iter().copied().map(|kind| (kind, 0)).collect(),
            advice: BTreeMap::new(),
            findings: Vec::new(),
            day_status: DayStatus::default(),
        }
    }

    /// This digest is valid.
    pub fn prove(&mut self, digest: &str) {
        self.day_status.prove(digest, self.to);
    }

    /// A valid digest names this object.
    pub fn deliver(&mut self, object: &str) {
        self.delivered += 1;
        self.day_status.deliver(object, self.to);
    }

    /// The ledger has this object, with the content that was signed.
    pub fn ship(&mut self, object: &str) {
        self.shipped += 1;
        self.day_status.ship(object, self.to);
    }

    /// Counts a finding, and keeps it as long as there are not too many of its kind.
    pub fn find(&mut self, finding: Finding) {
        self.day_status.find(&finding, self.from, self.to);
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if usize::try_from(*count).is_ok_and(|count| count <= MOST_FINDINGS) {
            self.findings.push(finding);
        }
    }

    /// How many findings of this kind there are, also of those that were not kept.
    pub fn count(&self, kind: FindingKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// How many findings leave something unproven, which decides on the exit code.
    pub fn gaps(&self) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.is_gap()).map(|(_, count)| count).sum()
    }

    /// Adds the findings of another part of the trail.
    pub fn merge(&mut self, other: Self) {
        self.chains += other.chains;
        self.digests += other.digests;
        self.delivered += other.delivered;
        self.shipped += other.shipped;
        self.drills += other.drills;
        self.day_status.merge(other.day_status);
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        for finding in other.findings {
            let kept = self.findings.iter().filter(|known| known.kind == finding.kind).count();
            if kept < MOST_FINDINGS {
                self.findings.push(finding);
            }
        }
    }

    /// The findings in the order of their kinds and objects.
    pub fn sort(&mut self) {
        self.advice =
            self.counts.iter().filter(|it| *it.1 > 0).map(|(kind, _)| (*kind, advice(*kind))).collect();
        self.findings.sort_by(|left, right| (left.kind, &left.object).cmp(&(right.kind, &right.object)));
    }

    /// Missing files that are in the bucket as they were signed.
    pub fn repairable(&self) -> Vec<String> {
        let spoilt: BTreeSet<&str> = self
            .findings
            .iter()
            .filter(|it| {
                matches!(
                    it.kind,
                    FindingKind::DeletedFile | FindingKind::AlteredFile | FindingKind::UnreadObject
                )
            })
            .map(|finding| finding.object.as_str())
            .collect();
        self.findings
            .iter()
            .filter(|it| it.kind == FindingKind::MissingFile && !spoilt.contains(it.object.as_str()))
            .map(|finding| finding.object.clone())
            .collect()
    }

    /// A file that was missing has been shipped, with the content that was signed.
    pub fn repair(&mut self, object: &str) {
        let before = self.findings.len();
        self.findings
            .retain(|finding| !(finding.kind == FindingKind::MissingFile && finding.object == object));
        if self.findings.len() < before {
            *self.counts.entry(FindingKind::MissingFile).or_default() -= 1;
            self.repaired += 1;
            self.shipped += 1;
            self.day_status.repair(object, self.to);
        }
    }
}

#[derive(Serialize)]
struct Text<'r> {
    #[serde(flatten)]
    report: &'r Report,
    /// The kinds in their order, with their names and what to do about them.
    kinds: Vec<(FindingKind, String, &'static str)>,
    days: String,
    gaps: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = FindingKind::ALL.iter().map(|kind| (*kind, words(*kind), advice(*kind))).collect();
        let days = format!("{} to {}", self.from, self.to);
        let values = Text { report: self, kinds, days, gaps: self.gaps() };
        formatter.write_str(&fill(include_str!("report.txt.j2"), PLAIN, &values))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn what_is_late_is_no_gap_and_what_is_repaired_is_none_any_more() {
        let mut report = Report::new("s3://b/".to_owned(), date!(2026 - 01 - 01), date!(2026 - 01 - 02));
        report.find(Finding::new(FindingKind::LateFile, "b", "late", String::new()));
        assert_eq!(report.gaps(), 0);
        report.find(Finding::new(FindingKind::MissingFile, "b", "missing", String::new()));
        report.find(Finding::new(FindingKind::DeletedFile, "b", "missing", String::new()));
        assert_eq!(report.gaps(), 2);
        assert_eq!(report.repairable(), [""; 0], "what was deleted cannot be shipped");
        report.find(Finding::new(FindingKind::MissingFile, "b", "unread", String::new()));
        report.find(Finding::new(FindingKind::UnreadObject, "b", "unread", String::new()));
        assert_eq!(report.repairable(), [""; 0], "nobody knows whether it is what was signed");
        report.repair("s3://b/unread");
        report.repair("s3://b/missing");
        report.repair("s3://b/missing");
        assert_eq!((report.gaps(), report.repaired, report.count(FindingKind::MissingFile)), (2, 2, 0));
        report.find(Finding::new(FindingKind::UnknownPeriod, "b", "digest", String::new()));
        assert_eq!(report.gaps(), 2, "what cannot be known is told and is no gap");
        assert!(report.to_string().contains("unread objects: grant s3:GetObject"));
        assert!(report.to_string().contains("deleted files: s3://b/missing"));
    }
}
