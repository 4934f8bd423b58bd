//! Decides what is wrong with one delivered file, from what the digest, the ledger and the bucket say (pure).

use time::Duration;

use super::digest::LogFile;
use super::finding::Finding;
use super::shipped::Entry;
use crate::labels::FindingKind;
use crate::source::bucket::Listed;
use crate::source::key;

/// The facts about a file that a judgement needs.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    pub file: &'e LogFile,
    pub entry: Option<&'e Entry>,
    /// None when it is no longer in the bucket.
    pub listed: Option<&'e Listed>,
    pub content: Content<'e>,
}

/// Which files to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Those of which the ledger and the `ETag` do not prove that they are what was signed.
    WhatIsUnproven,
    Everything,
}

/// What is known of the content that is in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'e> {
    /// Nothing, because it did not have to be read or is not there.
    NotRead,
    /// Its hash.
    Hash(&'e str),
    /// It cannot be what CloudTrail wrote.
    Broken(&'e str),
    /// It is there and could not be read.
    Unread(&'e str),
}

impl Evidence<'_> {
    /// Whether what is in the bucket may be something else than what was shipped, so that it has to be read.
    pub fn needs_content(&self, reread: Reread) -> bool {
        match (self.entry, self.listed) {
            (_, None) => false,
            (_, Some(_)) if reread == Reread::Everything => true,
            (Some(entry), Some(listed)) => {
                !entry.proves(&self.file.hash_value) || entry.etag.is_none() || entry.etag != listed.etag
            }
            (None, Some(_)) => true,
        }
    }

    /// Whether what was shipped is proven to be what CloudTrail signed.
    pub fn is_shipped(&self) -> bool {
        self.shipped() == Shipped::AsSigned
    }

    /// What was shipped, as far as the ledger and the bucket prove it.
    fn shipped(&self) -> Shipped {
        let Some(entry) = self.entry else { return Shipped::Nothing };
        let is_as_signed = match (&entry.sha256, self.listed, self.content) {
            (Some(sha256), _, _) => *sha256 == self.file.hash_value,
            // With the ETag of what was shipped, the bucket still holds just that.
            (None, Some(listed), Content::Hash(content))
                if entry.etag.is_some() && entry.etag == listed.etag =>
            {
                content == self.file.hash_value
            }
            (None, _, _) => return Shipped::Unproven,
        };
        if is_as_signed { Shipped::AsSigned } else { Shipped::Altered }
    }

    /// Everything that is wrong or late with the file.
    pub fn findings(&self, late: Duration) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |kind, detail: String| {
            findings.push(Finding::new(kind, &self.file.s3_bucket, &self.file.s3_object, detail));
        };
        if self.entry.is_none() {
            find(FindingKind::MissingFile, "it was delivered but not shipped".to_owned());
        }
        if self.listed.is_none() {
            find(FindingKind::DeletedFile, "it is no longer in the bucket".to_owned());
        }
        let is_shipped_altered = self.shipped() == Shipped::Altered;
        let is_altered = match self.content {
            Content::Hash(content) => content != self.file.hash_value,
            Content::Broken(_) => true,
            Content::NotRead | Content::Unread(_) => false,
        };
        let altered = match (is_altered, is_shipped_altered) {
            (true, true) => Some("what is in the bucket and what was shipped"),
            (true, false) => Some("what is in the bucket"),
            (false, true) => Some("what was shipped"),
            (false, false) => None,
        };
        if let Some(what) = altered {
            let why = match self.content {
                Content::Broken(problem) => format!(": {problem}"),
                Content::NotRead | Content::Hash(_) | Content::Unread(_) => String::new(),
            };
            find(FindingKind::AlteredFile, format!("{what} differs from what CloudTrail signed{why}"));
        }
        if let Content::Unread(problem) = self.content {
            find(FindingKind::UnreadObject, problem.to_owned());
        } else if self.shipped() == Shipped::Unproven && self.listed.is_some() && !is_altered {
            let text =
                "it was written again since it was shipped, and the ledger has no hash of what was shipped";
            find(FindingKind::AlteredFile, text.to_owned());
        }
        if let Some(text) = self.lateness(late) {
            find(FindingKind::LateFile, text);
        }
        findings
    }

    fn lateness(&self, late: Duration) -> Option<String> {
        let delivered_at = key::classify(&self.file.s3_object).ok()?.delivered_at;
        if let Some(oldest) = self.file.oldest_event()
            && delivered_at - oldest > late
        {
            let minutes = (delivered_at - oldest).whole_minutes();
            return Some(format!("CloudTrail delivered it {minutes} minutes after its oldest event"));
        }
        let entry = self.entry?;
        let written_at = entry.created.unwrap_or(delivered_at);
        let took = entry.ingested? - written_at;
        (took > late).then(|| format!("it was shipped {} minutes after it was written", took.whole_minutes()))
    }
}

/// What is known of what was shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shipped {
    Nothing,
    /// What CloudTrail has signed.
    AsSigned,
    Altered,
    /// It was shipped without a hash, and the bucket no longer holds it.
    Unproven,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const KEY: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T1200Z_a.json.gz";

    fn file() -> LogFile {
        LogFile {
            s3_bucket: "b".to_owned(),
            s3_object: KEY.to_owned(),
            hash_value: "signed".to_owned(),
            oldest_event_time: Some("2026-03-01T11:50:00Z".to_owned()),
        }
    }

    fn entry(sha256: &str) -> Entry {
        Entry {
            sha256: Some(sha256.to_owned()),
            etag: Some("e".to_owned()),
            created: Some(datetime!(2026-03-01 12:00 UTC)),
            ingested: Some(datetime!(2026-03-01 12:05 UTC)),
        }
    }

    fn listed(etag: &str) -> Listed {
        Listed { key: KEY.to_owned(), size: 1, etag: Some(etag.to_owned()) }
    }

    fn kinds(evidence: &Evidence<'_>) -> Vec<FindingKind> {
        evidence.findings(Duration::hours(1)).into_iter().map(|finding| finding.kind).collect()
    }

    /// Entry, listing and content; whether it has to be read; what is found.
    type Case<'c> = (Option<&'c Entry>, Option<&'c Listed>, Content<'c>, bool, Vec<FindingKind>);

    #[test]
    fn each_way_to_be_wrong_is_found_and_what_is_right_is_not() {
        use FindingKind::{AlteredFile, DeletedFile, MissingFile, UnreadObject};
        let (file, right, wrong) = (file(), entry("signed"), entry("other"));
        let (same, changed) = (listed("e"), listed("f"));
        let unhashed = Entry { sha256: None, ..entry("") };
        let (signed, other) = (Content::Hash("signed"), Content::Hash("other"));
        let (broken, unread) = (Content::Broken("x"), Content::Unread("x"));
        let none = Content::NotRead;
        let table: [Case<'_>; 19] = [
            (Some(&right), Some(&same), none, false, vec![]),
            (Some(&right), Some(&changed), signed, true, vec![]),
            (Some(&right), Some(&changed), other, true, vec![AlteredFile]),
            (Some(&right), Some(&changed), broken, true, vec![AlteredFile]),
            (Some(&right), Some(&changed), unread, true, vec![UnreadObject]),
            (Some(&right), None, none, false, vec![DeletedFile]),
            (Some(&wrong), Some(&same), other, true, vec![AlteredFile]),
            (Some(&wrong), Some(&same), signed, true, vec![AlteredFile]),
            (Some(&wrong), Some(&same), unread, true, vec![AlteredFile, UnreadObject]),
            (None, Some(&same), signed, true, vec![MissingFile]),
            (None, Some(&same), other, true, vec![MissingFile, AlteredFile]),
            (None, Some(&same), unread, true, vec![MissingFile, UnreadObject]),
            (None, None, none, false, vec![MissingFile, DeletedFile]),
            (Some(&unhashed), Some(&same), signed, true, vec![]),
            (Some(&unhashed), Some(&same), other, true, vec![AlteredFile]),
            (Some(&unhashed), Some(&same), broken, true, vec![AlteredFile]),
            (Some(&unhashed), Some(&same), unread, true, vec![UnreadObject]),
            (Some(&unhashed), Some(&changed), signed, true, vec![AlteredFile]),
            (Some(&unhashed), None, none, false, vec![DeletedFile]),
        ];
        for (entry, listed, content, needs_content, expected) in table {
            let evidence = Evidence { file: &file, entry, listed, content };
            assert_eq!(evidence.needs_content(Reread::WhatIsUnproven), needs_content, "{evidence:?}");
            assert_eq!(evidence.needs_content(Reread::Everything), listed.is_some(), "{evidence:?}");
            assert_eq!(kinds(&evidence), expected, "{evidence:?}");
        }
    }

    #[test]
    fn a_file_is_late_by_its_delivery_or_by_its_shipping() {
        let (mut file, mut entry, listed) = (file(), entry("signed"), listed("e"));
        entry.ingested = Some(datetime!(2026-03-01 13:01 UTC));
        let evidence =
            Evidence { file: &file, entry: Some(&entry), listed: Some(&listed), content: Content::NotRead };
        assert_eq!(kinds(&evidence), [FindingKind::LateFile]);
        entry.ingested = Some(datetime!(2026-03-01 13:00 UTC));
        let evidence =
            Evidence { file: &file, entry: Some(&entry), listed: Some(&listed), content: Content::NotRead };
        assert_eq!(kinds(&evidence), []);
        file.oldest_event_time = Some("2026-03-01T10:59:00Z".to_owned());
        let evidence =
            Evidence { file: &file, entry: Some(&entry), listed: Some(&listed), content: Content::NotRead };
        assert_eq!(kinds(&evidence), [FindingKind::LateFile]);
    }
}
