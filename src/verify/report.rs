//! The report: what was found, for people and for machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use time::Date;

use super::standing::Standing;
use crate::metrics::Label;

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
    pub counts: BTreeMap<Kind, u64>,
    pub findings: Vec<Finding>,
    /// The same for each day, without what is found.
    #[serde(skip)]
    pub standing: Standing,
}

/// What can be wrong, or worth to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Delivered, and not in the ledger.
    MissingFile,
    /// Delivered, and no longer in the bucket.
    DeletedFile,
    /// Its content is not what CloudTrail has signed: that in the bucket, or that which was shipped.
    AlteredFile,
    /// In the bucket, and named by no digest.
    UnprovenFile,
    /// Named by the digest after it, and not in the bucket.
    MissingDigest,
    /// Its signature, its place or its form is wrong.
    InvalidDigest,
    /// A chain that begins anew or ends early.
    BrokenChain,
    /// Delivered or shipped late; it is no gap.
    LateFile,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    /// Its S3 URI.
    pub object: String,
    pub detail: String,
}

impl Label for Kind {
    fn label(&self) -> &'static str {
        match self {
            Self::MissingFile => "missing_file",
            Self::DeletedFile => "deleted_file",
            Self::AlteredFile => "altered_file",
            Self::UnprovenFile => "unproven_file",
            Self::MissingDigest => "missing_digest",
            Self::InvalidDigest => "invalid_digest",
            Self::BrokenChain => "broken_chain",
            Self::LateFile => "late_file",
        }
    }
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::MissingFile,
        Self::DeletedFile,
        Self::AlteredFile,
        Self::UnprovenFile,
        Self::MissingDigest,
        Self::InvalidDigest,
        Self::BrokenChain,
        Self::LateFile,
    ];

    /// Those that leave something unproven.
    pub const GAPS: &[Self] = &[
        Self::MissingFile,
        Self::DeletedFile,
        Self::AlteredFile,
        Self::UnprovenFile,
        Self::MissingDigest,
        Self::InvalidDigest,
        Self::BrokenChain,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MissingFile => "missing files",
            Self::DeletedFile => "deleted files",
            Self::AlteredFile => "altered files",
            Self::UnprovenFile => "unproven files",
            Self::MissingDigest => "missing digests",
            Self::InvalidDigest => "invalid digests",
            Self::BrokenChain => "broken chains",
            Self::LateFile => "late files",
        }
    }

    /// Its name in documents.
    pub fn field(self) -> &'static str {
        match self {
            Self::MissingFile => "missing_files",
            Self::DeletedFile => "deleted_files",
            Self::AlteredFile => "altered_files",
            Self::UnprovenFile => "unproven_files",
            Self::MissingDigest => "missing_digests",
            Self::InvalidDigest => "invalid_digests",
            Self::BrokenChain => "broken_chains",
            Self::LateFile => "late_files",
        }
    }

    /// Whether something is not proven to be there and right.
    pub fn is_gap(self) -> bool {
        Self::GAPS.contains(&self)
    }
}

impl Finding {
    pub fn new(kind: Kind, bucket: &str, key: &str, detail: String) -> Self {
        Self { kind, object: format!("s3://{bucket}/{key}"), detail }
    }
}

impl Report {
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
            counts: Kind::ALL.into_iter().map(|kind| (kind, 0)).collect(),
            findings: Vec::new(),
            standing: Standing::default(),
        }
    }

    /// A valid digest names this object.
    pub fn deliver(&mut self, object: &str) {
        self.delivered += 1;
        self.standing.deliver(object, self.to);
    }

    /// The ledger has this object, with the content that was signed.
    pub fn ship(&mut self, object: &str) {
        self.shipped += 1;
        self.standing.ship(object, self.to);
    }

    pub fn find(&mut self, finding: Finding) {
        self.standing.find(&finding, self.from, self.to);
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if usize::try_from(*count).is_ok_and(|count| count <= MOST_FINDINGS) {
            self.findings.push(finding);
        }
    }

    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    pub fn gaps(&self) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.is_gap()).map(|(_, count)| count).sum()
    }

    /// Takes over what another part of the trail came to.
    pub fn merge(&mut self, other: Self) {
        self.chains += other.chains;
        self.digests += other.digests;
        self.delivered += other.delivered;
        self.shipped += other.shipped;
        self.standing.merge(other.standing);
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
        self.findings.sort_by(|left, right| (left.kind, &left.object).cmp(&(right.kind, &right.object)));
    }

    /// Missing files that are in the bucket as they were signed.
    pub fn repairable(&self) -> Vec<String> {
        let spoilt: BTreeSet<&str> = self
            .findings
            .iter()
            .filter(|finding| matches!(finding.kind, Kind::DeletedFile | Kind::AlteredFile))
            .map(|finding| finding.object.as_str())
            .collect();
        self.findings
            .iter()
            .filter(|it| it.kind == Kind::MissingFile && !spoilt.contains(it.object.as_str()))
            .map(|finding| finding.object.clone())
            .collect()
    }

    /// A file that was missing has been shipped, with the content that was signed.
    pub fn repair(&mut self, object: &str) {
        let before = self.findings.len();
        self.findings.retain(|finding| !(finding.kind == Kind::MissingFile && finding.object == object));
        if self.findings.len() < before {
            *self.counts.entry(Kind::MissingFile).or_default() -= 1;
            self.repaired += 1;
            self.shipped += 1;
            self.standing.repair(object, self.to);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, delivered from {} to {}", self.place, self.from, self.to)?;
        let rows = [
            ("digests read", self.digests),
            ("chains", self.chains),
            ("delivered files", self.delivered),
            ("shipped files", self.shipped),
            ("repaired files", self.repaired),
        ];
        let counts = Kind::ALL.map(|kind| (kind.name(), self.count(kind)));
        for (name, count) in rows.into_iter().chain(counts) {
            writeln!(formatter, "{name:<16} {count}")?;
        }
        for Finding { kind, object, detail } in &self.findings {
            writeln!(formatter, "{}: {object}: {detail}", kind.name())?;
        }
        match self.gaps() {
            0 => writeln!(formatter, "everything that was delivered was shipped, as it was signed"),
            gaps => writeln!(formatter, "{gaps} gaps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn what_is_late_is_no_gap_and_what_is_repaired_is_none_any_more() {
        let mut report = Report::new("s3://b/".to_owned(), date!(2026 - 01 - 01), date!(2026 - 01 - 02));
        report.find(Finding::new(Kind::LateFile, "b", "late", String::new()));
        assert_eq!(report.gaps(), 0);
        report.find(Finding::new(Kind::MissingFile, "b", "missing", String::new()));
        report.find(Finding::new(Kind::DeletedFile, "b", "missing", String::new()));
        assert_eq!(report.gaps(), 2);
        assert_eq!(report.repairable(), [""; 0], "what was deleted cannot be shipped");
        report.repair("s3://b/missing");
        report.repair("s3://b/missing");
        assert_eq!((report.gaps(), report.repaired, report.count(Kind::MissingFile)), (1, 1, 0));
        assert!(report.to_string().contains("deleted files: s3://b/missing"));
    }
}
