//! Classifies an object by its key, before anything of it is read (pure).
//!
//! CloudTrail puts its kinds of files under sibling folders of one bucket:
//! `[prefix/]AWSLogs/[o-ID/]ACCOUNT/KIND/REGION/YYYY/MM/DD/ACCOUNT_KIND_REGION_YYYYMMDDTHHmmZ_RANDOM.json.gz`. The
//! file's name alone identifies a record file, so one that was moved or copied by hand still counts. The folder decides
//! on digests and Insights, which hold no records.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::config::KeyPatterns;
use crate::labels::ObjectSkip;
use crate::record::{is_account, is_region};

/// Decides which objects are read: those with CloudTrail's own names, and those that the configuration names.
#[derive(Debug, Default)]
pub struct Readable {
    also: KeyPatterns,
}

impl Readable {
    /// By patterns of keys, in which `*` and `?` stand for what is within a folder and `**` for anything.
    pub fn new(patterns: &[String]) -> Result<Self, regex::Error> {
        Ok(Self { also: KeyPatterns::new(patterns)? })
    }

    /// Decides whether the object of this (decoded) key is read, and what its name tells: nothing, where it was not
    /// CloudTrail that gave it. No pattern makes a digest or an Insights file one of records.
    pub fn classify(&self, key: &str) -> Result<Option<TrailKey>, ObjectSkip> {
        match classify(key) {
            Ok(trail_key) => Ok(Some(trail_key)),
            Err(ObjectSkip::Foreign | ObjectSkip::OtherKind) if self.also.matches(key) => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Whether any patterns are configured.
    pub fn has_patterns(&self) -> bool {
        !self.also.is_empty()
    }
}

/// Where a key lies, as far as it says of what kind its neighbours are: the first folder, or in AWS's own tree the one
/// that names the kind.
pub fn neighbourhood(key: &str) -> String {
    let folders = key.rsplit_once('/').map_or("", |(folders, _)| folders);
    match (kind_folder(folders), folders.split('/').next()) {
        (Some(kind), _) => format!("AWSLogs/…/{kind}/"),
        (None, Some(first)) if !first.is_empty() => format!("{first}/"),
        _ => "/".to_owned(),
    }
}

/// Decides by its (decoded) key whether an object is a record file of CloudTrail.
pub fn classify(key: &str) -> Result<TrailKey, ObjectSkip> {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    let kind = kind_folder(folders).map(Kind::of);
    match kind {
        Some(Kind::Digest) => return Err(ObjectSkip::Digest),
        Some(Kind::Insight) => return Err(ObjectSkip::Insight),
        Some(Kind::Records | Kind::Foreign) | None => {}
    }
    // AWS's own tree has the logs of other services, and entries for its folders themselves.
    let foreign = match kind {
        Some(Kind::Foreign) => ObjectSkip::OtherKind,
        _ if name.is_empty() => ObjectSkip::OtherKind,
        _ => ObjectSkip::Foreign,
    };
    // A digest's name goes on differently after its kind, so the kind is looked at before the rest.
    let mut parts = name.splitn(3, '_');
    let (Some(account), Some(kind), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(foreign);
    };
    match Kind::of(kind) {
        Kind::Records => trail_key(account, rest).ok_or(foreign),
        Kind::Digest => Err(ObjectSkip::Digest),
        Kind::Insight => Err(ObjectSkip::Insight),
        Kind::Foreign => Err(foreign),
    }
}

/// What the name of a record file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailKey {
    /// The account whose API calls the file holds.
    pub account: String,
    /// The region that the calls were made in.
    pub region: String,
    /// When CloudTrail delivered the file, to the minute; each of its events is older.
    pub delivered_at: OffsetDateTime,
}

/// The kinds of files that CloudTrail delivers.
#[derive(Clone, Copy)]
enum Kind {
    /// Management, data and network activity events: one record for each call.
    Records,
    Digest,
    Insight,
    /// Among others `CloudTrail-Aggregated`: five-minute sums over records, which are not records themselves.
    Foreign,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "CloudTrail" | "CloudTrail-NetworkActivity" => Self::Records,
            "CloudTrail-Digest" => Self::Digest,
            "CloudTrail-Insight" => Self::Insight,
            _ => Self::Foreign,
        }
    }
}

/// The folder that names the kind: the one after `AWSLogs/[o-ID/]ACCOUNT`, so that no prefix is taken for it.
fn kind_folder(folders: &str) -> Option<&str> {
    let segments: Vec<&str> = folders.split('/').collect();
    (0..segments.len()).rev().find_map(|at| match &segments[at..] {
        ["AWSLogs", account, kind, ..] if is_account(account) => Some(*kind),
        ["AWSLogs", organisation, account, kind, ..]
            if organisation.starts_with("o-") && is_account(account) =>
        {
            Some(*kind)
        }
        _ => None,
    })
}

/// Reads `REGION_YYYYMMDDTHHmmZ_RANDOM.json[.gz]`.
fn trail_key(account: &str, rest: &str) -> Option<TrailKey> {
    let stem = rest.strip_suffix(".gz").unwrap_or(rest).strip_suffix(".json")?;
    let mut parts = stem.splitn(3, '_');
    let (region, delivered, random) = (parts.next()?, parts.next()?, parts.next()?);
    if !is_account(account) || !is_region(region) || random.is_empty() {
        return None;
    }
    let delivered_at = PrimitiveDateTime::parse(delivered, DELIVERED).ok()?.assume_utc();
    Some(TrailKey { account: account.to_owned(), region: region.to_owned(), delivered_at })
}

const DELIVERED: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute]Z");

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const FILE: &str = "111122223333_CloudTrail_eu-central-1_20260301T0210Z_Mu0KsOhtH1ar15ZZ.json.gz";

    #[test]
    fn a_record_files_name_says_whose_calls_it_holds_where_and_when() {
        let key = format!("AWSLogs/111122223333/CloudTrail/eu-central-1/2026/03/01/{FILE}");
        let expected = TrailKey {
            account: "111122223333".to_owned(),
            region: "eu-central-1".to_owned(),
            delivered_at: datetime!(2026-03-01 02:10 UTC),
        };
        assert_eq!(classify(&key), Ok(expected));
    }

    #[test]
    fn record_files_are_recognised_wherever_they_lie() {
        for key in [
            FILE.to_owned(),
            format!("by-hand/{FILE}"),
            format!("/AWSLogs//{FILE}"),
            format!("a/b/c/AWSLogs/111122223333/CloudTrail/eu-central-1/2026/03/01/{FILE}"),
            format!("my CloudTrail/CloudTrail-Digest/AWSLogs/111122223333/CloudTrail/eu-central-1/2026/{FILE}"),
            format!("AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail/eu-central-1/2026/03/01/{FILE}"),
            format!("o-a1b2c3d4e5/AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail/eu-central-1/2026/03/01/{FILE}"),
            format!("replica/AWSLogs/444455556666/Config/AWSLogs/111122223333/CloudTrail/eu-central-1/{FILE}"),
            FILE.replace("eu-central-1", "us-gov-west-1"),
            FILE.replace("eu-central-1", "cn-north-1"),
            FILE.replace("eu-central-1", "eusc-de-east-1"),
            FILE.replace(".json.gz", ".json"),
            FILE.replace("Mu0KsOhtH1ar15ZZ", "a_b-c (copy 2)"),
            "AWSLogs/111122223333/CloudTrail-NetworkActivity/eu-central-1/2026/03/01/111122223333_CloudTrail-NetworkActivity_eu-central-1_20260301T0210Z_Mu0KsOhtH1ar15ZZ.json.gz".to_owned(),
        ] {
            assert!(classify(&key).is_ok(), "{key}");
        }
    }

    #[test]
    fn files_without_records_are_skipped_each_for_its_reason() {
        let folder = "AWSLogs/111122223333";
        for (key, reason) in [
            (format!("{folder}/CloudTrail-Digest/eu-central-1/2026/03/01/111122223333_CloudTrail-Digest_eu-central-1_trail_eu-central-1_20260301T021011Z.json.gz"), ObjectSkip::Digest),
            (format!("p/AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail-Digest/eu-central-1/2026/03/01/{FILE}"), ObjectSkip::Digest),
            ("moved/111122223333_CloudTrail-Digest_eu-central-1_my_trail_eu-central-1_20260301T021011Z.json.gz".to_owned(), ObjectSkip::Digest),
            (format!("{folder}/CloudTrail-Digest/"), ObjectSkip::Digest),
            (format!("{folder}/CloudTrail-Insight/eu-central-1/2026/03/01/111122223333_CloudTrail-Insight_eu-central-1_20260301T0210Z_KL5e9VCV2SS7IqzB.json.gz"), ObjectSkip::Insight),
            ("moved/111122223333_CloudTrail-Insight_eu-central-1_20260301T0210Z_KL5e9VCV2SS7IqzB.json.gz".to_owned(), ObjectSkip::Insight),
            (format!("{folder}/CloudTrail-Aggregated/eu-central-1/2026/03/01/111122223333_CloudTrail-Aggregated_eu-central-1_20260301T0210Z_KL5e9VCV2SS7IqzB.json.gz"), ObjectSkip::OtherKind),
            (format!("{folder}/CloudTrail/"), ObjectSkip::OtherKind),
            (format!("{folder}/CloudTrail/eu-central-1/2026/03/01/readme.txt"), ObjectSkip::Foreign),
            (format!("{folder}/Config/ConfigWritabilityCheckFile"), ObjectSkip::OtherKind),
            (format!("{folder}/Config/eu-central-1/2026/3/1/ConfigSnapshot/111122223333_Config_eu-central-1_ConfigSnapshot_20260301T021011Z_2d0c.json.gz"), ObjectSkip::OtherKind),
            (format!("{folder}/elasticloadbalancing/eu-central-1/2026/03/01/111122223333_elasticloadbalancing_eu-central-1_app.lb.0a1b_20260301T0210Z_10.0.0.1_2d0c.log.gz"), ObjectSkip::OtherKind),
            (format!("{folder}/vpcflowlogs/eu-central-1/2026/03/01/111122223333_vpcflowlogs_eu-central-1_fl-0a1b_20260301T0210Z_2d0c.log.gz"), ObjectSkip::OtherKind),
            (FILE.replace(".json.gz", ".txt"), ObjectSkip::Foreign),
            (FILE.replace(".json.gz", ".gz"), ObjectSkip::Foreign),
            (FILE.replace("_Mu0KsOhtH1ar15ZZ", ""), ObjectSkip::Foreign),
            (FILE.replace("111122223333", "1111"), ObjectSkip::Foreign),
            (FILE.replace("eu-central-1", "somewhere"), ObjectSkip::Foreign),
            (FILE.replace("20260301", "20261301"), ObjectSkip::Foreign),
            (String::new(), ObjectSkip::OtherKind),
            ("/".to_owned(), ObjectSkip::OtherKind),
            ("___".to_owned(), ObjectSkip::Foreign),
        ] {
            assert_eq!(classify(&key), Err(reason), "{key}");
        }
    }

    #[test]
    fn patterns_add_keys_that_cloudtrail_did_not_give_and_never_digests_or_insights() {
        let cases = [
            ("firehose/**", "firehose/2026/11/03/01/trail-1-2026-11-03-01-00-00-0a1b", true),
            ("firehose/**", "firehose", false),
            ("firehose/**", "other/firehose/x", false),
            ("archive/*.json.gz", "archive/a.json.gz", true),
            ("archive/*.json.gz", "archive/2026/a.json.gz", false),
            ("archive/*.json.gz", "archive/a.json.gz.tmp", false),
            ("archive/*.json.gz", "archive/aXjson.gz", false),
            ("part-?", "part-1", true),
            ("part-?", "part-12", false),
            ("**/records-*", "a/b/records-1", true),
            ("a+(b)[c]{d}^$|\\.", "a+(b)[c]{d}^$|\\.", true),
            ("ü*", "üä\n", true),
            ("**", "AWSLogs/111122223333/Config/x.json.gz", true),
            ("**", "AWSLogs/111122223333/CloudTrail-Digest/x.json.gz", false),
            (
                "**",
                "moved/111122223333_CloudTrail-Insight_eu-central-1_20260301T0210Z_KL5e9VCV2SS7IqzB.json.gz",
                false,
            ),
        ];
        for (pattern, key, is_read) in cases {
            let readable = Readable::new(&[pattern.to_owned()]).unwrap();
            assert_eq!(readable.classify(key).is_ok(), is_read, "{pattern} {key}");
        }
        let key = format!("firehose/{FILE}");
        let readable = Readable::new(&["firehose/**".to_owned()]).unwrap();
        assert!(readable.classify(&key).unwrap().is_some(), "CloudTrail's own names tell as much as ever");
        assert_eq!(Readable::default().classify("firehose/x"), Err(ObjectSkip::Foreign));
    }

    #[test]
    fn keys_of_one_kind_have_one_neighbourhood() {
        for (key, expected) in [
            ("firehose/2026/11/x", "firehose/"),
            ("x.json", "/"),
            ("/x.json", "/"),
            ("AWSLogs/111122223333/Config/eu-central-1/x.json.gz", "AWSLogs/…/Config/"),
            ("p/AWSLogs/o-a1b2c3d4e5/111122223333/vpcflowlogs/x.gz", "AWSLogs/…/vpcflowlogs/"),
        ] {
            assert_eq!(neighbourhood(key), expected, "{key}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_key_makes_it_panic(key in ".*") {
            let _ = classify(&key);
        }

        #[test]
        fn no_folders_hide_a_record_file_but_those_of_digests_and_insights(
            folders in "(AWSLogs/|o-abc/|111122223333/|CloudTrail/|ü/|/){0,6}"
        ) {
            let key = format!("{folders}{FILE}");
            proptest::prop_assert!(classify(&key).is_ok());
        }
    }
}
