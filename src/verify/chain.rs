//! Checks that each digest names the one before it, unchanged (pure).
//!
//! Only digests with a valid signature are links. Whatever else lies between them is reported by itself and joins
//! nothing.

use time::{Date, Duration, OffsetDateTime, Time};

use super::digest::{DigestKey, ReadDigest};
use super::finding::Finding;
use crate::labels::FindingKind;

/// Digests come every hour; one that is twice as late does not come.
pub const PATIENCE: Duration = Duration::hours(2);

/// The last digest of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    key: String,
    ended_at: OffsetDateTime,
    /// None when only its name is known.
    read: Option<ReadDigest>,
}

/// How a digest joins the last one of its chain.
#[derive(Debug, PartialEq, Eq)]
pub enum Joint {
    /// It names the last one, as it is.
    Whole,
    /// It names none, and none is known.
    Begins,
    /// It names one that is not the last one known, and that has to be looked at.
    Names {
        bucket: String,
        key: String,
    },
    Wrong(Finding),
}

/// What is where a digest says that the one before it is.
#[derive(Debug)]
pub enum Before {
    Read(Box<ReadDigest>),
    /// It is no digest.
    Broken,
    /// It could not be read.
    Unread(String),
    Gone,
}

impl Link {
    /// A digest that was read and has a valid signature.
    pub fn new(key: &DigestKey, read: &ReadDigest) -> Self {
        Self { key: key.key.clone(), ended_at: key.ended_at, read: Some(read.clone()) }
    }

    /// One that is only known by its name.
    pub fn named(key: &DigestKey) -> Self {
        Self { key: key.key.clone(), ended_at: key.ended_at, read: None }
    }
}

/// Joins a digest to the last one of its chain. Backfill digests may begin a chain anywhere.
pub fn join(last: Option<&Link>, bucket: &str, key: &DigestKey, read: &ReadDigest) -> Joint {
    match (read.previous(), last) {
        (None, None) => Joint::Begins,
        (None, Some(_)) if key.is_backfill => Joint::Whole,
        (None, Some(before)) => {
            let detail = format!(
                "it begins a new chain, while the one before ended at {}: logging or validation was off meanwhile, or \
                 the trail was made anew",
                before.ended_at
            );
            Joint::Wrong(Finding::new(FindingKind::BrokenChain, bucket, &key.key, detail))
        }
        (Some((named_bucket, named)), Some(Link { key: last, read: Some(before), .. }))
            if named_bucket == bucket && named == last =>
        {
            if before.is_named_by(read) {
                Joint::Whole
            } else {
                Joint::Wrong(not_the_one(bucket, named, key))
            }
        }
        (Some((bucket, key)), _) => Joint::Names { bucket: bucket.to_owned(), key: key.to_owned() },
    }
}

/// What is wrong with the digest that another one names as the one before it.
pub fn judge(
    before: &Before,
    (bucket, named): (&str, &str),
    last: Option<&Link>,
    (key, read): (&DigestKey, &ReadDigest),
) -> Option<Finding> {
    match before {
        Before::Gone => {
            let since = last.map_or_else(String::new, |last| format!("from {} ", last.ended_at));
            let detail = format!(
                "it is not there, and {} names it as the one before: nothing proves what was delivered {since}until {}",
                key.key, read.digest.digest_start_time
            );
            Some(Finding::new(FindingKind::MissingDigest, bucket, named, detail))
        }
        Before::Unread(problem) => {
            let detail =
                format!("{} names it as the one before, and it could not be read: {problem}", key.key);
            Some(Finding::new(FindingKind::UnreadObject, bucket, named, detail))
        }
        Before::Broken => Some(not_the_one(bucket, named, key)),
        Before::Read(before) if !before.is_named_by(read) => Some(not_the_one(bucket, named, key)),
        Before::Read(before) => {
            // What is signed and did not end before that should stand between the two, or in its place.
            let last = last.filter(|last| {
                last.read.is_some() && before.ended_at().is_some_and(|ended| ended <= last.ended_at)
            })?;
            let detail = format!(
                "its signature is valid, but {} names s3://{bucket}/{named} as the one before",
                key.key
            );
            Some(Finding::new(FindingKind::BrokenChain, &read.digest.digest_s3_bucket, &last.key, detail))
        }
    }
}

fn not_the_one(bucket: &str, named: &str, key: &DigestKey) -> Finding {
    let detail = format!("{} names another digest before it", key.key);
    Finding::new(FindingKind::InvalidDigest, bucket, named, detail)
}

/// What is not known before a chain that begins within the period.
pub fn begin(
    bucket: &str,
    key: &DigestKey,
    read: &ReadDigest,
    from: Date,
    known: Option<&str>,
) -> Option<Finding> {
    let started = read.started_at()?;
    if started <= from.with_time(Time::MIDNIGHT).assume_utc() + PATIENCE {
        return None;
    }
    let begins = format!("the chain begins with it at {started}; nothing proves what was delivered before");
    Some(match known {
        Some(known) => {
            Finding::new(FindingKind::BrokenChain, bucket, &key.key, format!("{begins}, although {known}"))
        }
        None => Finding::new(FindingKind::UnknownPeriod, bucket, &key.key, begins),
    })
}

/// What is wrong with the end of a chain, when it should reach until then.
pub fn end(last: &Link, bucket: &str, until: OffsetDateTime, now: OffsetDateTime) -> Option<Finding> {
    let until = until.min(now);
    (last.ended_at + PATIENCE < until).then(|| {
        let detail =
            format!("it is the last one, and nothing proves what was delivered after {}", last.ended_at);
        Finding::new(FindingKind::BrokenChain, bucket, &last.key, detail)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::{date, datetime};

    use super::*;

    fn digest(hour: u8, previous: &Value) -> (DigestKey, ReadDigest) {
        let name =
            |hour: u8| format!("1_CloudTrail-Digest_eu-west-1_t_eu-west-1_20260301T{hour:02}0000Z.json.gz");
        let mut content = json!({
            "digestStartTime": format!("2026-03-01T{:02}:00:00Z", hour - 1),
            "digestEndTime": format!("2026-03-01T{hour:02}:00:00Z"),
            "digestS3Bucket": "b", "digestS3Object": name(hour), "digestPublicKeyFingerprint": "f"
        });
        for (member, value) in previous.as_object().unwrap() {
            content[member] = value.clone();
        }
        let read =
            ReadDigest::parse(content.to_string().as_bytes(), Some(format!("signature {hour}"))).unwrap();
        (DigestKey::read(&name(hour)).unwrap(), read)
    }

    fn after(key: &DigestKey, read: &ReadDigest) -> Value {
        json!({
            "previousDigestS3Bucket": "b", "previousDigestS3Object": key.key,
            "previousDigestHashValue": read.sha256, "previousDigestSignature": read.signature
        })
    }

    fn uri(key: &DigestKey) -> String {
        format!("s3://b/{}", key.key)
    }

    fn told(finding: Option<Finding>) -> Option<(FindingKind, String)> {
        finding.map(|finding| (finding.kind, finding.object))
    }

    #[test]
    fn a_digest_joins_the_one_that_it_names_and_no_other() {
        let (first_key, first) = digest(1, &json!({}));
        let (second_key, second) = digest(2, &after(&first_key, &first));
        let (third_key, third) = digest(3, &after(&second_key, &second));
        let wrong = |joint: Joint| match joint {
            Joint::Wrong(finding) => told(Some(finding)),
            other => panic!("{other:?}"),
        };
        let link = Link::new(&first_key, &first);
        assert_eq!(join(None, "b", &first_key, &first), Joint::Begins);
        assert_eq!(join(Some(&link), "b", &second_key, &second), Joint::Whole);
        let names =
            |key: &DigestKey, bucket: &str| Joint::Names { bucket: bucket.to_owned(), key: key.key.clone() };
        assert_eq!(join(Some(&link), "b", &third_key, &third), names(&second_key, "b"));
        assert_eq!(join(None, "b", &third_key, &third), names(&second_key, "b"), "the first of a period");
        assert_eq!(join(Some(&Link::named(&first_key)), "b", &second_key, &second), names(&first_key, "b"));
        assert_eq!(join(Some(&link), "c", &second_key, &second), names(&first_key, "b"), "of another bucket");

        let (_, other) = digest(1, &json!({"newestEventTime": "2026-03-01T00:00:00Z"}));
        let invalid = Some((FindingKind::InvalidDigest, uri(&first_key)));
        assert_eq!(wrong(join(Some(&Link::new(&first_key, &other)), "b", &second_key, &second)), invalid);
        let resigned = ReadDigest { signature: Some("another signature".to_owned()), ..first.clone() };
        assert_eq!(wrong(join(Some(&Link::new(&first_key, &resigned)), "b", &second_key, &second)), invalid);
        let (anew_key, anew) = digest(4, &json!({}));
        let broken = Some((FindingKind::BrokenChain, uri(&anew_key)));
        assert_eq!(wrong(join(Some(&Link::new(&third_key, &third)), "b", &anew_key, &anew)), broken);
        let backfill = DigestKey { is_backfill: true, ..anew_key };
        assert_eq!(join(Some(&Link::new(&third_key, &third)), "b", &backfill, &anew), Joint::Whole);
    }

    #[test]
    fn the_one_that_a_digest_names_is_judged_by_what_is_there() {
        let (first_key, first) = digest(1, &json!({}));
        let (second_key, second) = digest(2, &after(&first_key, &first));
        let (third_key, third) = digest(3, &after(&first_key, &first));
        let judged = |before: Before, last: Option<&Link>, next: (&DigestKey, &ReadDigest)| {
            told(judge(&before, ("b", &first_key.key), last, next))
        };
        let next = (&second_key, &second);
        let read = |digest: &ReadDigest| Before::Read(Box::new(digest.clone()));
        assert_eq!(judged(read(&first), None, next), None);
        assert_eq!(judged(Before::Gone, None, next), Some((FindingKind::MissingDigest, uri(&first_key))));
        let unread = Before::Unread("denied".to_owned());
        assert_eq!(judged(unread, None, next), Some((FindingKind::UnreadObject, uri(&first_key))));
        let invalid = Some((FindingKind::InvalidDigest, uri(&first_key)));
        assert_eq!(judged(Before::Broken, None, next), invalid);
        assert_eq!(judged(read(&second), None, next), invalid);
        let resigned = ReadDigest { signature: None, ..first.clone() };
        assert_eq!(judged(read(&resigned), None, next), invalid);
        // One that is signed and that the next one passes over.
        let passed = Link::new(&second_key, &second);
        let broken = Some((FindingKind::BrokenChain, uri(&second_key)));
        assert_eq!(judged(read(&first), Some(&passed), (&third_key, &third)), broken);
        let elsewhere = judge(&read(&first), ("old", &first_key.key), Some(&passed), (&third_key, &third));
        assert_eq!(told(elsewhere), broken, "it lies in the bucket of the trail");
        assert_eq!(judged(read(&first), Some(&Link::named(&second_key)), (&third_key, &third)), None);
    }

    #[test]
    fn what_lies_before_a_chain_is_unknown_and_a_gap_where_something_is_known_of_it() {
        let (key, read) = digest(5, &json!({}));
        let begun = |from, known| begin("b", &key, &read, from, known).map(|finding| finding.kind);
        assert_eq!(begun(date!(2026 - 03 - 01), None), Some(FindingKind::UnknownPeriod));
        let known = Some("an earlier verification found digests");
        assert_eq!(begun(date!(2026 - 03 - 01), known), Some(FindingKind::BrokenChain));
        assert_eq!(begun(date!(2026 - 03 - 02), known), None);
        let (key, read) = digest(3, &json!({}));
        assert_eq!(begin("b", &key, &read, date!(2026 - 03 - 01), known), None, "within two hours");
    }

    #[test]
    fn a_chain_reaches_until_the_period_ends_or_now() {
        let (key, read) = digest(10, &json!({}));
        let link = Link::new(&key, &read);
        let ends = |until, now| end(&link, "b", until, now).is_none();
        let far = datetime!(2026-04-01 00:00 UTC);
        assert!(ends(datetime!(2026-03-01 12:00 UTC), far));
        assert!(!ends(datetime!(2026-03-01 12:01 UTC), far));
        assert!(ends(far, datetime!(2026-03-01 11:30 UTC)), "the next digest is not due yet");
        assert!(!ends(far, datetime!(2026-03-01 12:30 UTC)));
    }
}
