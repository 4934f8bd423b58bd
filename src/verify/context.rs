//! What is to be verified, and what the verification of one region needs.

use std::path::PathBuf;
use std::sync::Arc;

use aws_config::SdkConfig;
use time::{Date, Duration, OffsetDateTime, Time};

use super::error::VerifyError;
use super::judge::Reread;
use super::keys::Keys;
use crate::config::Config;
use crate::decode::Limits;
use crate::enrich::redact::FingerprintKey;
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearch};
use crate::source::bucket::Bucket;
use crate::source::store::Store;

/// What is to be verified.
#[derive(Debug, Clone)]
pub struct Plan {
    pub bucket: String,
    pub prefix: String,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    /// The first and the last day of delivery, in UTC.
    pub from: Date,
    pub to: Date,
    /// What took longer than this is late.
    pub late: Duration,
    /// A file of public keys in place of the API.
    pub keys: Option<PathBuf>,
    pub reread: Reread,
}

/// Everything that the verification of one region needs.
pub struct VerifyContext {
    pub plan: Plan,
    pub bucket: Bucket,
    pub store: Store,
    pub opensearch: OpenSearch,
    pub keys: Keys,
    /// The only buckets that may be read; all, if there are none.
    pub allowed_buckets: Vec<String>,
    pub limits: Limits,
    /// By which the files of drills are known; none where the site has no key of its own.
    pub fingerprint_key: Option<FingerprintKey>,
}

impl VerifyContext {
    /// Makes the clients, and reads the public keys and the key of fingerprints where these are in files. Nothing is
    /// asked of OpenSearch yet.
    pub async fn new(config: &Config, plan: Plan, aws: &SdkConfig) -> Result<Self, VerifyError> {
        let keys = match &plan.keys {
            Some(path) => Keys::of_file(path)?,
            None => {
                // A digest is signed with a key that is valid at its end, and no digest has an end in the future.
                let midnight = |day: Date| day.with_time(Time::MIDNIGHT).assume_utc();
                let from = midnight(plan.from);
                let to = (midnight(plan.to) + Duration::days(2)).min(OffsetDateTime::now_utc());
                Keys::of_api(aws, from, to.max(from))
            }
        };
        let has_key = config.redaction.key.is_some() || config.redaction.key_file.is_some();
        Ok(Self {
            bucket: Bucket::new(aws, &config.source, plan.bucket.clone()).await,
            store: Store::new(aws, &config.source, Arc::new(Metrics::new())).await,
            opensearch: opensearch::connect(config, Some(aws)).await?,
            keys,
            allowed_buckets: config.source.allowed_buckets.clone(),
            limits: config.source.limits(),
            fingerprint_key: has_key.then(|| FingerprintKey::load(&config.redaction)).transpose()?,
            plan,
        })
    }
}
