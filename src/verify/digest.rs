//! Parses a digest: CloudTrail's signed list of the files that it delivered in an hour, chained to the one before
//! (pure).

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::timestamp;

/// What the name of a digest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestKey {
    pub key: String,
    /// Region and name of the trail and the trail's home region: digests that agree in them are one chain.
    pub chain: String,
    pub home_region: String,
    pub ended_at: OffsetDateTime,
    /// A list of files that earlier digests lack. These are chains of their own, which may begin anywhere.
    pub is_backfill: bool,
}

/// One list, with the names that CloudTrail gives its parts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    pub digest_start_time: String,
    pub digest_end_time: String,
    pub digest_s3_bucket: String,
    pub digest_s3_object: String,
    pub digest_public_key_fingerprint: String,
    /// Another bucket where the trail's was exchanged.
    pub previous_digest_s3_bucket: Option<String>,
    /// None in the first digest after logging or validation was switched on.
    pub previous_digest_s3_object: Option<String>,
    pub previous_digest_hash_value: Option<String>,
    pub previous_digest_signature: Option<String>,
    #[serde(default)]
    pub log_files: Vec<LogFile>,
}

/// A file that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogFile {
    pub s3_bucket: String,
    pub s3_object: String,
    /// SHA-256 of the uncompressed content, in hexadecimal digits.
    pub hash_value: String,
    pub oldest_event_time: Option<String>,
}

/// A digest as it was read.
#[derive(Debug, Clone)]
pub struct ReadDigest {
    pub digest: Digest,
    /// Of the uncompressed content.
    pub sha256: String,
    /// From the metadata of its object.
    pub signature: Option<String>,
    /// When it was made and signed, where that is not its end: a backfill digest is made long after.
    pub generated_at: Option<OffsetDateTime>,
}

impl DigestKey {
    /// Reads `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHmmssZ[_backfill].json.gz`. A trail's name
    /// may hold underscores too.
    pub fn read(key: &str) -> Option<Self> {
        let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
        let stem = name.strip_suffix(".json.gz")?;
        let (stem, is_backfill) = match stem.strip_suffix("_backfill") {
            Some(stem) => (stem, true),
            None => (stem, false),
        };
        let (chain, ended) = stem.rsplit_once('_')?;
        let (_, home_region) = chain.rsplit_once('_')?;
        if chain.split('_').nth(1) != Some("CloudTrail-Digest") {
            return None;
        }
        Some(Self {
            key: key.to_owned(),
            chain: if is_backfill { format!("{chain}_backfill") } else { chain.to_owned() },
            home_region: home_region.to_owned(),
            ended_at: PrimitiveDateTime::parse(ended, ENDED).ok()?.assume_utc(),
            is_backfill,
        })
    }
}

const ENDED: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

impl ReadDigest {
    /// Parses the uncompressed content of a digest, and keeps its hash; the signature is not checked here.
    pub fn parse(content: &[u8], signature: Option<String>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            digest: serde_json::from_slice(content)?,
            sha256: hex::encode(Sha256::digest(content)),
            signature,
            generated_at: None,
        })
    }

    /// What its object's metadata says beside the signature.
    #[must_use]
    pub fn generated_at(self, time: Option<&str>) -> Self {
        Self { generated_at: time.and_then(timestamp::parse), ..self }
    }

    /// The digest before this one, as it is named: bucket and key. None where the chain begins.
    pub fn previous(&self) -> Option<(&str, &str)> {
        let Digest { previous_digest_s3_bucket, previous_digest_s3_object, digest_s3_bucket, .. } =
            &self.digest;
        let key = previous_digest_s3_object.as_deref()?;
        Some((previous_digest_s3_bucket.as_deref().unwrap_or(digest_s3_bucket), key))
    }

    /// Whether this is what the next digest names as the one before it, by content and signature.
    pub fn is_named_by(&self, next: &Self) -> bool {
        next.digest.previous_digest_hash_value.as_ref() == Some(&self.sha256)
            && next.digest.previous_digest_signature.as_ref() == self.signature.as_ref()
    }

    /// What CloudTrail has signed.
    pub fn signed_text(&self) -> String {
        let Digest { digest_end_time, digest_s3_bucket, digest_s3_object, previous_digest_signature, .. } =
            &self.digest;
        let previous = previous_digest_signature.as_deref().unwrap_or("null");
        format!("{digest_end_time}\n{digest_s3_bucket}/{digest_s3_object}\n{}\n{previous}", self.sha256)
    }

    /// When the hour began that the digest covers. None where the text is no time.
    pub fn started_at(&self) -> Option<OffsetDateTime> {
        timestamp::parse(&self.digest.digest_start_time)
    }

    /// When the hour ended that the digest covers. None where the text is no time.
    pub fn ended_at(&self) -> Option<OffsetDateTime> {
        timestamp::parse(&self.digest.digest_end_time)
    }
}

impl LogFile {
    /// The time of the file's first event. None where the digest does not say it.
    pub fn oldest_event(&self) -> Option<OffsetDateTime> {
        self.oldest_event_time.as_deref().and_then(timestamp::parse)
    }
}

#[cfg(test)]
pub mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_name_of_a_digest_says_its_chain_and_its_end() {
        let folder = "p/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01";
        let name = "111122223333_CloudTrail-Digest_eu-west-1_my_own_trail_us-east-1_20260301T021011Z";
        let key = DigestKey::read(&format!("{folder}/{name}.json.gz")).unwrap();
        assert_eq!(key.chain, "111122223333_CloudTrail-Digest_eu-west-1_my_own_trail_us-east-1");
        assert_eq!(key.home_region, "us-east-1");
        assert_eq!(key.ended_at, datetime!(2026-03-01 02:10:11 UTC));
        assert!(!key.is_backfill);
        let backfill = DigestKey::read(&format!("{folder}/{name}_backfill.json.gz")).unwrap();
        assert!(backfill.is_backfill);
        assert_eq!(backfill.chain, format!("{}_backfill", key.chain));
        for name in
            ["", "x.json.gz", "111122223333_CloudTrail_eu-west-1_20260301T0210Z_a.json.gz", "a_b_c_d.json.gz"]
        {
            assert_eq!(DigestKey::read(name), None, "{name}");
        }
    }

    #[test]
    fn a_digest_names_the_one_before_by_bucket_key_content_and_signature() {
        let read = |previous: &str| {
            let content = format!(
                r#"{{"digestStartTime":"s","digestEndTime":"e","digestS3Bucket":"b","digestS3Object":"k",
                "digestPublicKeyFingerprint":"f"{previous}}}"#
            );
            ReadDigest::parse(content.as_bytes(), Some("5a".to_owned())).unwrap()
        };
        let first = read("");
        assert_eq!(first.previous(), None);
        let hash = first.sha256.clone();
        let next = |bucket: &str, hash: &str, signature: &str| {
            read(&format!(
                r#",{bucket}"previousDigestS3Object":"k","previousDigestHashValue":"{hash}","previousDigestSignature":"{signature}""#
            ))
        };
        let right = next(r#""previousDigestS3Bucket":"other","#, &hash, "5a");
        assert_eq!(right.previous(), Some(("other", "k")));
        assert_eq!(next("", &hash, "5a").previous(), Some(("b", "k")));
        assert!(first.is_named_by(&right));
        assert!(!first.is_named_by(&next("", "00", "5a")), "another content");
        assert!(!first.is_named_by(&next("", &hash, "5b")), "another signature");
    }

    #[test]
    fn the_signed_text_is_end_place_hash_and_the_signature_before() {
        let content = br#"{"digestStartTime":"2026-03-01T01:10:11Z","digestEndTime":"2026-03-01T02:10:11Z",
            "digestS3Bucket":"b","digestS3Object":"k","digestPublicKeyFingerprint":"f","previousDigestS3Object":null,
            "previousDigestHashValue":null,"previousDigestSignature":null,"logFiles":[]}"#;
        let first = ReadDigest::parse(content, None).unwrap();
        let hash = &first.sha256;
        assert_eq!(first.signed_text(), format!("2026-03-01T02:10:11Z\nb/k\n{hash}\nnull"));
        assert_eq!(first.ended_at(), Some(datetime!(2026-03-01 02:10:11 UTC)));
        let text = String::from_utf8_lossy(content)
            .replace(r#""previousDigestSignature":null"#, r#""previousDigestSignature":"abcd""#);
        let second = ReadDigest::parse(text.as_bytes(), None).unwrap();
        assert!(second.signed_text().ends_with("\nabcd"));
    }
}
