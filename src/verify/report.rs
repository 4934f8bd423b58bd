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
    /// What to do about the kinds that were found.
    pub advice: BTreeMap<Kind, &'static str>,
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
    /// Delivered, by a digest or by the ledger, and no longer in the bucket.
    DeletedFile,
    /// Its content is not what CloudTrail has signed: that in the bucket, or that which was shipped.
    AlteredFile,
    /// In the bucket, and named by no digest.
    UnprovenFile,
    /// Named by the digest after it, or certainly made for its region, and not in the bucket.
    MissingDigest,
    /// Its signature, its place or its form is wrong.
    InvalidDigest,
    /// A chain that begins anew or ends early.
    BrokenChain,
    /// In the bucket, and nobody let it be read, so nothing is known of it.
    UnreadObject,
    /// Delivered or shipped late; it is no gap.
    LateFile,
    /// Time before a chain began, of which nothing else is known; it is no gap.
    UnknownPeriod,
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
            Self::UnreadObject => "unread_object",
            Self::LateFile => "late_file",
            Self::UnknownPeriod => "unknown_period",
        }
    }
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::MissingFile,
        Self::DeletedFile,
        Self::AlteredFile,
        Self::UnprovenFile,
        Self::MissingDigest,
        Self::InvalidDigest,
        Self::BrokenChain,
        Self::UnreadObject,
        Self::LateFile,
        Self::UnknownPeriod,
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
        Self::UnreadObject,
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
            Self::UnreadObject => "unread objects",
            Self::LateFile => "late files",
            Self::UnknownPeriod => "unknown periods",
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
            Self::UnreadObject => "unread_objects",
            Self::LateFile => "late_files",
            Self::UnknownPeriod => "unknown_periods",
        }
    }

    /// What an operator does about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::MissingFile => {
                "ship them: run the same command with --repair; then look why the queue did not hear of them"
            }
            Self::DeletedFile => {
                "find out who deleted them (s3:DeleteObject* and lifecycle rules); restore a version or a copy"
            }
            Self::AlteredFile => {
                "keep them as evidence and find out who wrote them; restore the version that was signed"
            }
            Self::UnprovenFile => {
                "find out who put them there, or restore the digest that names them; do not trust what they hold"
            }
            Self::MissingDigest => {
                "find out who deleted it, or who switched off logging or validation; restore a version of it"
            }
            Self::InvalidDigest => {
                "keep it as evidence and find out who wrote it; restore the version that was signed"
            }
            Self::BrokenChain => {
                "look for StopLogging, UpdateTrail and DeleteTrail at that time; switch logging and validation on"
            }
            Self::UnreadObject => {
                "grant s3:GetObject and kms:Decrypt on it, or restore it from an archive class, and verify again"
            }
            Self::LateFile => "nothing is missing; look at the daemon's backlog if there are many",
            Self::UnknownPeriod => {
                "ask when the trail was created; if earlier, its digests were removed, or validation was off"
            }
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
            advice: BTreeMap::new(),
            findings: Vec::new(),
            standing: Standing::default(),
        }
    }

    /// This digest is valid.
    pub fn prove(&mut self, digest: &str) {
        self.standing.prove(digest, self.to);
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
        self.advice =
            self.counts.iter().filter(|it| *it.1 > 0).map(|(kind, _)| (*kind, kind.advice())).collect();
        self.findings.sort_by(|left, right| (left.kind, &left.object).cmp(&(right.kind, &right.object)));
    }

    /// Missing files that are in the bucket as they were signed.
    pub fn repairable(&self) -> Vec<String> {
        let spoilt: BTreeSet<&str> = self
            .findings
            .iter()
            .filter(|it| matches!(it.kind, Kind::DeletedFile | Kind::AlteredFile | Kind::UnreadObject))
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
        for kind in Kind::ALL.into_iter().filter(|kind| self.count(*kind) > 0) {
            writeln!(formatter, "{}: {}", kind.name(), kind.advice())?;
        }
        match (self.gaps(), self.count(Kind::UnknownPeriod)) {
            (0, 0) => writeln!(formatter, "everything that was delivered was shipped, as it was signed"),
            (0, periods) => writeln!(
                formatter,
                "what is proven to be delivered was shipped, as it was signed; {periods} periods are not known"
            ),
            (gaps, _) => writeln!(formatter, "{gaps} gaps"),
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
        report.find(Finding::new(Kind::MissingFile, "b", "unread", String::new()));
        report.find(Finding::new(Kind::UnreadObject, "b", "unread", String::new()));
        assert_eq!(report.repairable(), [""; 0], "nobody knows whether it is what was signed");
        report.repair("s3://b/unread");
        report.repair("s3://b/missing");
        report.repair("s3://b/missing");
        assert_eq!((report.gaps(), report.repaired, report.count(Kind::MissingFile)), (2, 2, 0));
        report.find(Finding::new(Kind::UnknownPeriod, "b", "digest", String::new()));
        assert_eq!(report.gaps(), 2, "what cannot be known is told and is no gap");
        assert!(report.to_string().contains("unread objects: grant s3:GetObject"));
        assert!(report.to_string().contains("deleted files: s3://b/missing"));
    }
}
