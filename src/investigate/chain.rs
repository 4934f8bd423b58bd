//! Finds the signed digest that names a file, with the digests around it and the keys that signed them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_config::SdkConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::out::{EvidenceError, Out};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::source::bucket::Bucket;
use crate::source::key::classify;
use crate::source::notification::ObjectRef;
use crate::source::store::{Object, Store};
use crate::verify::content;
use crate::verify::digest::{DigestKey, ReadDigest};
use crate::verify::expected::base_of;
use crate::verify::keys::Keys;

/// Digests that are read for one file: it is named in that of the hour of its delivery, or of the next.
const MOST_READ: usize = 12;
/// Digests after the one that names the file which are kept, each of which names the one before it.
const AFTER: usize = 2;

/// How the bucket and the keys are asked.
pub struct Trail {
    aws: SdkConfig,
    config: Config,
    store: Store,
    keys: Keys,
}

impl Trail {
    /// `keys` come from a file or from CloudTrail.
    pub async fn new(config: &Config, aws: &SdkConfig, keys: Keys) -> Self {
        let store = Store::new(aws, &config.source, Arc::new(Metrics::new())).await;
        Self { aws: aws.clone(), config: config.clone(), store, keys }
    }
}

/// The digests that were read, in the order in which they were.
pub(super) struct Chains {
    trail: Trail,
    /// By bucket and key.
    numbers: HashMap<(String, String), usize>,
    read: Vec<ReadDigest>,
    keys: BTreeMap<String, String>,
}

impl Chains {
    pub(super) fn new(trail: Trail) -> Self {
        Self { trail, numbers: HashMap::new(), read: Vec::new(), keys: BTreeMap::new() }
    }

    pub(super) async fn fetch(&self, object: &ObjectRef) -> Result<Object, String> {
        let allowed = &self.trail.config.source.allowed_buckets;
        if !allowed.is_empty() && !allowed.contains(&object.bucket) {
            return Err("its bucket is not in source.allowed_buckets".to_owned());
        }
        self.trail.store.get(object).await.map_err(|error| error.to_string())
    }

    /// The number of the digest that names a file with its hash, or why there is none.
    pub(super) async fn covering(
        &mut self,
        file: &ObjectRef,
        sha256: &str,
        out: &Out<'_>,
    ) -> Result<Result<usize, String>, EvidenceError> {
        let (Ok(named), Some(base)) = (classify(&file.key), base_of(&file.key)) else {
            return Ok(Err("its file's name is not that of a trail".to_owned()));
        };
        let digests = match self.listed(&file.bucket, &base, named.delivered_at).await {
            Ok(digests) => digests,
            Err(problem) => return Ok(Err(problem)),
        };
        for (place, key) in digests.iter().enumerate().take(MOST_READ) {
            let Ok(number) = self.number(&file.bucket, key, out).await? else { continue };
            let digest = &self.read[number].digest;
            let Some(found) = digest.log_files.iter().find(|it| it.s3_object == file.key) else { continue };
            if found.hash_value != sha256 {
                return Ok(Err("a signed digest names its file with another hash".to_owned()));
            }
            self.link(number, &digests[place..], &file.bucket, out).await?;
            return Ok(Ok(number));
        }
        Ok(Err("no digest that could be read names its file".to_owned()))
    }

    /// Keeps the digest before and those after.
    async fn link(
        &mut self,
        number: usize,
        later: &[DigestKey],
        bucket: &str,
        out: &Out<'_>,
    ) -> Result<(), EvidenceError> {
        let previous = self.read[number].previous().map(|(bucket, key)| (bucket.to_owned(), key.to_owned()));
        if let Some((bucket, key)) = previous
            && let Some(key) = DigestKey::read(&key)
        {
            // One that cannot be read is not there, and whoever checks the evidence is told so.
            let _unread = self.number(&bucket, &key, out).await?;
        }
        let mut last = number;
        let Some((own, later)) = later.split_first() else { return Ok(()) };
        for key in later.iter().filter(|key| key.chain == own.chain).take(AFTER) {
            let Ok(next) = self.number(bucket, key, out).await? else { break };
            if !self.read[last].is_named_by(&self.read[next]) {
                break;
            }
            last = next;
        }
        Ok(())
    }

    /// The digests of the days around a delivery that end after it, in the order of their ends.
    async fn listed(
        &self,
        bucket: &str,
        base: &str,
        delivered: OffsetDateTime,
    ) -> Result<Vec<DigestKey>, String> {
        let bucket = Bucket::new(&self.trail.aws, &self.trail.config.source, bucket.to_owned()).await;
        let mut found = Vec::new();
        let next = delivered + Duration::days(1);
        for day in [delivered.date(), next.date()] {
            let (year, month, day) = (day.year(), u8::from(day.month()), day.day());
            let prefix = format!("{base}{year:04}/{month:02}/{day:02}/");
            let mut after: Option<String> = None;
            loop {
                let page = bucket.page(&prefix, after.as_deref()).await.map_err(|error| error.to_string())?;
                found.extend(page.objects.iter().filter_map(|object| DigestKey::read(&object.key)));
                after = page.objects.last().map(|object| object.key.clone());
                if page.is_last || after.is_none() {
                    break;
                }
            }
        }
        found.retain(|key| !key.is_backfill && key.ended_at >= delivered - Duration::minutes(10));
        found.sort_by(|a, b| (a.ended_at, &a.key).cmp(&(b.ended_at, &b.key)));
        Ok(found)
    }

    /// Reads a digest once, checks it and keeps it with its key.
    async fn number(
        &mut self,
        bucket: &str,
        key: &DigestKey,
        out: &Out<'_>,
    ) -> Result<Result<usize, String>, EvidenceError> {
        let place = (bucket.to_owned(), key.key.clone());
        if let Some(number) = self.numbers.get(&place) {
            return Ok(Ok(*number));
        }
        let object = ObjectRef { bucket: bucket.to_owned(), key: key.key.clone(), ..ObjectRef::default() };
        let stored = match self.fetch(&object).await {
            Ok(stored) => stored,
            Err(problem) => return Ok(Err(problem)),
        };
        let content = match content::whole(&stored.bytes, self.trail.config.source.max_uncompressed_bytes) {
            Ok(content) => content,
            Err(problem) => return Ok(Err(problem.to_string())),
        };
        let signature = stored.metadata.get("signature").cloned();
        let Ok(read) = ReadDigest::parse(&content, signature) else {
            return Ok(Err("it is not a digest".to_owned()));
        };
        let region = key.chain.split('_').nth(2).unwrap_or_default();
        match self.trail.keys.key_of(&read, [region, &key.home_region]).await? {
            Ok(key) => drop(
                self.keys.insert(read.digest.digest_public_key_fingerprint.clone(), STANDARD.encode(key)),
            ),
            Err(problem) => return Ok(Err(problem.to_string())),
        }
        let number = self.read.len();
        out.write(&format!("digests/{number}.json"), &content)?;
        self.read.push(read);
        self.numbers.insert(place, number);
        Ok(Ok(number))
    }

    /// The digests as the index of evidence lists them, each with the one before it where that is here.
    pub(super) fn index(&self) -> Value {
        let one = |(number, read): (usize, &ReadDigest)| {
            let place = read.previous().map(|(bucket, key)| (bucket.to_owned(), key.to_owned()));
            let previous = place.and_then(|place| self.numbers.get(&place));
            json!({
                "content": format!("digests/{number}.json"), "signature": read.signature, "previous": previous,
            })
        };
        self.read.iter().enumerate().map(one).collect()
    }

    /// The public keys by their fingerprints: base64 of PKCS#1 in DER, as CloudTrail gives them away.
    pub(super) fn keys(&self) -> Value {
        json!(self.keys)
    }
}
