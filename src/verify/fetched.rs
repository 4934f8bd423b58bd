//! Fetches digests and files from the bucket, and keeps what could not be read as a finding.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::content;
use super::context::VerifyContext;
use super::digest::{DigestKey, LogFile, ReadDigest};
use super::error::VerifyError;
use crate::config::ContentHash;
use crate::decode::{Limits, Scratch, decode};
use crate::enrich::drill;
use crate::enrich::redact::FingerprintKey;
use crate::record::Record;
use crate::source::bucket::Listed;
use crate::source::notification::ObjectRef;
use crate::source::store::{Object, StoreError};

/// Why an object of the bucket tells nothing.
pub enum Unfetched {
    /// It is not what CloudTrail wrote.
    Broken(String),
    Unread(String),
    Gone,
}

impl VerifyContext {
    /// Reads a digest and checks that it lies where it says and is signed.
    pub async fn read(&self, key: &DigestKey) -> Result<Result<ReadDigest, Unfetched>, VerifyError> {
        let VerifyContext { plan, keys, .. } = self;
        let read = match self.fetch_digest(&plan.bucket, &key.key).await {
            Ok(read) => read,
            unfetched => return Ok(unfetched),
        };
        if read.digest.digest_s3_bucket != plan.bucket || read.digest.digest_s3_object != key.key {
            let problem = format!(
                "it was made for s3://{}/{}",
                read.digest.digest_s3_bucket, read.digest.digest_s3_object
            );
            return Ok(Err(Unfetched::Broken(problem)));
        }
        let region = key.chain.split('_').nth(2).unwrap_or_default();
        let checked = keys.check(&read, [region, &key.home_region]).await?;
        Ok(checked.map(|()| read).map_err(|problem| Unfetched::Broken(problem.to_string())))
    }

    /// Reads a digest as it is.
    pub async fn fetch_digest(&self, bucket: &str, key: &str) -> Result<ReadDigest, Unfetched> {
        let stored = self.fetch(bucket, key).await?;
        let content = content::whole(&stored.bytes, self.limits.uncompressed_bytes)
            .map_err(|problem| Unfetched::Broken(problem.to_string()))?;
        let signature = stored.metadata.get("signature").cloned();
        let generated_at = stored.metadata.get("backfill-generation-timestamp").map(String::as_str);
        match ReadDigest::parse(&content, signature) {
            Ok(read) => Ok(read.generated_at(generated_at)),
            Err(_) => Err(Unfetched::Broken("it is not a digest".to_owned())),
        }
    }

    async fn fetch(&self, bucket: &str, key: &str) -> Result<Object, Unfetched> {
        let VerifyContext { store, plan, allowed_buckets, .. } = self;
        if bucket != plan.bucket
            && !allowed_buckets.is_empty()
            && !allowed_buckets.iter().any(|it| it == bucket)
        {
            return Err(Unfetched::Unread("its bucket is not in source.allowed_buckets".to_owned()));
        }
        match store.get(&object(bucket, key)).await {
            Ok(object) => Ok(object),
            Err(StoreError::Missing { .. } | StoreError::NoSuchBucket { .. }) => Err(Unfetched::Gone),
            Err(error) => Err(Unfetched::Unread(error.to_string())),
        }
    }

    /// Those of some files that no digest names that are of drills.
    pub async fn drills(
        &self,
        files: impl Iterator<Item = &Listed>,
    ) -> Result<BTreeSet<String>, VerifyError> {
        let mut drills = BTreeSet::new();
        for Listed { key, size, .. } in files {
            if self.is_drill(key, *size).await? {
                drills.insert(key.clone());
            }
        }
        Ok(drills)
    }

    /// Whether each record of a file has a mark that holds. One that cannot be read is no drill's.
    async fn is_drill(&self, key: &str, size: u64) -> Result<bool, VerifyError> {
        let Some(fingerprint_key) = self.fingerprint_key.clone().filter(|_| size <= MOST_DRILL_BYTES) else {
            return Ok(false);
        };
        let Ok(stored) = self.fetch(&self.plan.bucket, key).await else { return Ok(false) };
        let limits = self.limits;
        let reading = tokio::task::spawn_blocking(move || is_drill(&stored.bytes, &limits, &fingerprint_key));
        reading.await.map_err(|_| VerifyError::Panicked)
    }

    /// The hash of what is in the bucket.
    pub async fn hash(&self, file: &LogFile) -> Result<Result<String, Unfetched>, VerifyError> {
        let stored = match self.fetch(&file.s3_bucket, &file.s3_object).await {
            Ok(stored) => stored,
            Err(unfetched) => return Ok(Err(unfetched)),
        };
        let limit = self.limits.uncompressed_bytes;
        let hashing = tokio::task::spawn_blocking(move || content::sha256(&stored.bytes, limit));
        let hash = hashing.await.map_err(|_| VerifyError::Panicked)?;
        Ok(hash.map_err(|problem| Unfetched::Broken(problem.to_string())))
    }
}

/// Bytes of a drill's file: a few records.
const MOST_DRILL_BYTES: u64 = 64 << 10;

fn is_drill(file: &[u8], limits: &Limits, key: &FingerprintKey) -> bool {
    let mut all_hold = true;
    let decoded = decode(file, limits, ContentHash::None, &mut Scratch::default(), |raw| {
        all_hold = Record::parse(raw).is_ok_and(|record| drill::of(&record, key).is_some());
        if all_hold { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    all_hold && decoded.records > 0 && decoded.damage.is_none()
}

fn object(bucket: &str, key: &str) -> ObjectRef {
    ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), ..ObjectRef::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::RedactionConfig;

    #[test]
    fn a_file_is_a_drills_only_when_every_record_of_it_is() {
        let key = |text: &str| {
            FingerprintKey::load(&RedactionConfig { key: Some(text.repeat(32).into()), key_file: None })
                .unwrap()
        };
        let marked = |event: &str, made_for: &str, by: &str| json!({"eventID": event, "eventName": "X", "userAgent": drill::user_agent("1", made_for, &key(by))});
        let another = marked("b", "b", "k");
        let (ours, copied, others) = (marked("a", "a", "k"), marked("b", "a", "k"), marked("a", "a", "o"));
        let ordinary = json!({"eventID": "c", "eventName": "X", "userAgent": "Boto3"});
        let limits = Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 20 };
        let cases: [(Vec<&Value>, &str, bool); 8] = [
            (vec![&ours], "", true),
            (vec![&ours, &another], "", true),
            (vec![], "", false),
            (vec![&ordinary], "", false),
            (vec![&ours, &ordinary], "", false),
            (vec![&copied, &ours], "", false),
            (vec![&others], "", false),
            (vec![&ours], "damage", false),
        ];
        for (records, rest, expected) in cases {
            let file = json!({"Records": records}).to_string() + rest;
            assert_eq!(is_drill(file.as_bytes(), &limits, &key("k")), expected, "{file}");
        }
    }
}
