//! The chain: whether each digest names the one before it, as it is; pure.

use time::{Duration, OffsetDateTime};

use super::digest::{DigestKey, ReadDigest};
use super::report::{Finding, Kind};

/// Digests come every hour; one that is twice as late does not come.
const PATIENCE: Duration = Duration::hours(2);

/// The last digest of a chain, as far as it could be read.
#[derive(Debug)]
pub struct Link {
    key: String,
    ended_at: OffsetDateTime,
    /// Hash and signature; none when it could not be read.
    read: Option<(String, Option<String>)>,
}

impl Link {
    pub fn new(key: &DigestKey, read: Option<&ReadDigest>) -> Self {
        let read = read.map(|read| (read.sha256.clone(), read.signature.clone()));
        Self { key: key.key.clone(), ended_at: key.ended_at, read }
    }
}

/// What is wrong between a digest and the one before it in the bucket.
pub fn join(before: &Link, bucket: &str, key: &DigestKey, read: &ReadDigest) -> Option<Finding> {
    let digest = &read.digest;
    let Some(named) = digest.previous_digest_s3_object.as_deref() else {
        let detail = format!(
            "it begins a new chain, while the one before ended at {}: logging or validation was off meanwhile",
            before.ended_at
        );
        return Some(Finding::new(Kind::BrokenChain, bucket, &key.key, detail));
    };
    if named != before.key {
        let detail = format!("it is not there, and {} names it as the one before", key.key);
        return Some(Finding::new(Kind::MissingDigest, bucket, named, detail));
    }
    let (sha256, signature) = before.read.as_ref()?;
    if digest.previous_digest_hash_value.as_ref() != Some(sha256)
        || digest.previous_digest_signature.as_ref() != signature.as_ref()
    {
        let detail = format!("it is not the one that {} names as the one before", key.key);
        return Some(Finding::new(Kind::InvalidDigest, bucket, named, detail));
    }
    None
}

/// What is wrong with the end of a chain, when it should reach until then.
pub fn end(last: &Link, bucket: &str, until: OffsetDateTime, now: OffsetDateTime) -> Option<Finding> {
    let until = until.min(now);
    (last.ended_at + PATIENCE < until).then(|| {
        let detail =
            format!("it is the last one, and nothing proves what was delivered after {}", last.ended_at);
        Finding::new(Kind::BrokenChain, bucket, &last.key, detail)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

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
            "previousDigestS3Object": key.key, "previousDigestHashValue": read.sha256,
            "previousDigestSignature": read.signature
        })
    }

    #[test]
    fn a_digest_joins_the_one_that_it_names_and_no_other() {
        let (first_key, first) = digest(1, &json!({}));
        let (second_key, second) = digest(2, &after(&first_key, &first));
        let (third_key, third) = digest(3, &after(&second_key, &second));
        let kind = |before: &Link, key: &DigestKey, read: &ReadDigest| {
            join(before, "b", key, read).map(|finding| (finding.kind, finding.object))
        };
        let link = Link::new(&first_key, Some(&first));
        assert_eq!(kind(&link, &second_key, &second), None);
        let missing = Some((Kind::MissingDigest, format!("s3://b/{}", second_key.key)));
        assert_eq!(kind(&link, &third_key, &third), missing);
        assert_eq!(
            kind(&Link::new(&first_key, None), &second_key, &second),
            None,
            "it is reported by itself"
        );

        let (_, other) = digest(1, &json!({"newestEventTime": "2026-03-01T00:00:00Z"}));
        let invalid = Some((Kind::InvalidDigest, format!("s3://b/{}", first_key.key)));
        assert_eq!(kind(&Link::new(&first_key, Some(&other)), &second_key, &second), invalid);
        let (anew_key, anew) = digest(4, &json!({}));
        let broken = Some((Kind::BrokenChain, format!("s3://b/{}", anew_key.key)));
        assert_eq!(kind(&Link::new(&third_key, Some(&third)), &anew_key, &anew), broken);
    }

    #[test]
    fn a_chain_reaches_until_the_period_ends_or_now() {
        let (key, read) = digest(10, &json!({}));
        let link = Link::new(&key, Some(&read));
        let ends = |until, now| end(&link, "b", until, now).is_none();
        let far = datetime!(2026-04-01 00:00 UTC);
        assert!(ends(datetime!(2026-03-01 12:00 UTC), far));
        assert!(!ends(datetime!(2026-03-01 12:01 UTC), far));
        assert!(ends(far, datetime!(2026-03-01 11:30 UTC)), "the next digest is not due yet");
        assert!(!ends(far, datetime!(2026-03-01 12:30 UTC)));
    }
}
