//! Fetches digests and files from the bucket, and keeps what could not be read as a finding.

use super::content;
use super::digest::{DigestKey, LogFile, ReadDigest};
use super::error::VerifyError;
use super::scene::Scene;
use crate::source::notification::ObjectRef;
use crate::source::store::{Object, StoreError};

/// An object of the bucket, as far as it could be read.
pub enum Fetched<T> {
    Read(T),
    /// It is not what CloudTrail wrote.
    Broken(String),
    Unread(String),
    Gone,
}

impl Scene {
    /// Reads a digest and checks that it lies where it says and is signed.
    pub async fn read(&self, key: &DigestKey) -> Result<Fetched<ReadDigest>, VerifyError> {
        let Scene { plan, keys, .. } = self;
        let read = match self.fetch_digest(&plan.bucket, &key.key).await {
            Fetched::Read(read) => read,
            other => return Ok(other),
        };
        if read.digest.digest_s3_bucket != plan.bucket || read.digest.digest_s3_object != key.key {
            let problem = format!(
                "it was made for s3://{}/{}",
                read.digest.digest_s3_bucket, read.digest.digest_s3_object
            );
            return Ok(Fetched::Broken(problem));
        }
        let region = key.chain.split('_').nth(2).unwrap_or_default();
        let checked = keys.check(&read, [region, &key.home_region]).await?;
        Ok(checked.map_or_else(|problem| Fetched::Broken(problem.to_string()), |()| Fetched::Read(read)))
    }

    /// Reads a digest as it is.
    pub async fn fetch_digest(&self, bucket: &str, key: &str) -> Fetched<ReadDigest> {
        let stored = match self.fetch(bucket, key).await {
            Fetched::Read(stored) => stored,
            Fetched::Broken(problem) => return Fetched::Broken(problem),
            Fetched::Unread(problem) => return Fetched::Unread(problem),
            Fetched::Gone => return Fetched::Gone,
        };
        let content = match content::whole(&stored.bytes, self.limits.uncompressed_bytes) {
            Ok(content) => content,
            Err(problem) => return Fetched::Broken(problem.to_string()),
        };
        let signature = stored.metadata.get("signature").cloned();
        let generated_at = stored.metadata.get("backfill-generation-timestamp").map(String::as_str);
        match ReadDigest::parse(&content, signature) {
            Ok(read) => Fetched::Read(read.generated_at(generated_at)),
            Err(_) => Fetched::Broken("it is not a digest".to_owned()),
        }
    }

    async fn fetch(&self, bucket: &str, key: &str) -> Fetched<Object> {
        let Scene { store, plan, allowed_buckets, .. } = self;
        if bucket != plan.bucket
            && !allowed_buckets.is_empty()
            && !allowed_buckets.iter().any(|it| it == bucket)
        {
            return Fetched::Unread("its bucket is not in source.allowed_buckets".to_owned());
        }
        match store.get(&object(bucket, key)).await {
            Ok(object) => Fetched::Read(object),
            Err(StoreError::Missing { .. } | StoreError::NoSuchBucket { .. }) => Fetched::Gone,
            Err(error) => Fetched::Unread(error.to_string()),
        }
    }

    /// The hash of what is in the bucket.
    pub async fn hash(&self, file: &LogFile) -> Result<Fetched<String>, VerifyError> {
        let stored = match self.fetch(&file.s3_bucket, &file.s3_object).await {
            Fetched::Read(stored) => stored,
            Fetched::Broken(problem) => return Ok(Fetched::Broken(problem)),
            Fetched::Unread(problem) => return Ok(Fetched::Unread(problem)),
            Fetched::Gone => return Ok(Fetched::Gone),
        };
        let limit = self.limits.uncompressed_bytes;
        let hashing = tokio::task::spawn_blocking(move || content::sha256(&stored.bytes, limit));
        let hash = hashing.await.map_err(|_| VerifyError::Panicked)?;
        Ok(hash.map_or_else(|problem| Fetched::Broken(problem.to_string()), Fetched::Read))
    }
}

fn object(bucket: &str, key: &str) -> ObjectRef {
    ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), ..ObjectRef::default() }
}
