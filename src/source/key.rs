//! The object key: what it says about the file behind it, before anything is read.
//!
//! CloudTrail puts its kinds of files under sibling folders of one bucket:
//! `[prefix/]AWSLogs/[o-ID/]ACCOUNT/KIND/REGION/YYYY/MM/DD/ACCOUNT_KIND_REGION_YYYYMMDDTHHmmZ_RANDOM.json.gz`.
//! The file's name alone tells a record file, so that one that was moved or copied by hand still counts; the folder
//! has the last word on digests and Insights, which hold no records.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::metrics::ObjectSkip;

/// Decides whether the object of this (decoded) key is read.
pub fn classify(key: &str) -> Result<TrailKey, ObjectSkip> {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    match kind_folder(folders).map(Kind::of) {
        Some(Kind::Digest) => return Err(ObjectSkip::Digest),
        Some(Kind::Insight) => return Err(ObjectSkip::Insight),
        Some(Kind::Records | Kind::Foreign) | None => {}
    }
    // A digest's name goes on differently after its kind, so the kind is looked at before the rest.
    let mut parts = name.splitn(3, '_');
    let (Some(account), Some(kind), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(ObjectSkip::Foreign);
    };
    match Kind::of(kind) {
        Kind::Records => trail_key(account, rest).ok_or(ObjectSkip::Foreign),
        Kind::Digest => Err(ObjectSkip::Digest),
        Kind::Insight => Err(ObjectSkip::Insight),
        Kind::Foreign => Err(ObjectSkip::Foreign),
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

/// Twelve digits.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The shape of every partition's regions: `us-east-1`, `us-gov-west-1`, `cn-north-1`, `eusc-de-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    /// Characters; the longest known has fourteen.
    const LONGEST: usize = 32;
    text.len() <= LONGEST
        && text.contains('-')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.ends_with(|last: char| last.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
