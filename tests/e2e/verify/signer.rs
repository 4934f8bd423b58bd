//! The signer: CloudTrail's part, which delivers files and signs digests about them.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

use crate::support::cloud::Cloud;
use crate::support::trail;

/// When the first file and the first digest are due.
pub const BEGIN: OffsetDateTime = datetime!(2026-10-01 00:10 UTC);

/// CloudTrail's part: its key, and what it has delivered.
pub struct Signer {
    pub fingerprint: &'static str,
    pair: RsaKeyPair,
}

/// What was delivered in one account and region.
#[derive(Default)]
pub struct Delivered {
    pub files: Vec<(String, Vec<u8>)>,
    pub digests: Vec<String>,
    /// The last digest, which the next one would name.
    pub last: Option<Before>,
}

/// The digest before another one: its bucket, its key, the hash of its content and its signature.
pub type Before = (String, String, String, String);

/// A digest that is to be made.
pub struct Making<'m> {
    /// Account and region.
    pub of: (&'m str, &'m str),
    pub started: OffsetDateTime,
    pub ended: OffsetDateTime,
    pub before: Option<Before>,
    pub files: Vec<Value>,
    /// When it is made, where it is a backfill.
    pub made_at: Option<OffsetDateTime>,
}

impl Signer {
    pub fn new(fingerprint: &'static str) -> Self {
        Self { fingerprint, pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    /// The key as CloudTrail gives it away: base64 of PKCS#1 in DER.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// What `aws cloudtrail list-public-keys` would print.
    pub fn write_keys(&self, path: &Path) {
        let keys = json!({"PublicKeyList": [{"Value": self.public_key(), "Fingerprint": self.fingerprint}]});
        std::fs::write(path, keys.to_string()).unwrap();
    }

    fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        hex(&signature)
    }

    /// Delivers a file each fourth hour and a digest each hour. The file of the hour `late` holds an event that is
    /// hours old.
    pub async fn deliver(
        &self,
        cloud: &Cloud,
        (account, region): (&str, &str),
        hours: i64,
        late: Option<i64>,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        for hour in 0..hours {
            let started = BEGIN + Duration::hours(hour);
            let ended = started + Duration::hours(1);
            let mut log_files = Vec::new();
            if hour % 4 == 0 {
                let at = started + Duration::minutes(20);
                let key = file_key(account, region, at);
                let number = usize::try_from(hour).unwrap() * 10 + region.len() * 10_000;
                let records: Vec<Value> =
                    (number..number + 3).map(|number| trail::record(account, number)).collect();
                let content = json!({ "Records": records }).to_string();
                let age = if late == Some(hour) { Duration::hours(3) } else { Duration::minutes(12) };
                log_files.push(named(cloud, &key, &content, (at - age, at)));
                delivered.files.push((key, trail::gzip(content.as_bytes())));
            }
            let made = Making {
                of: (account, region),
                started,
                ended,
                before: delivered.last.take(),
                files: log_files,
                made_at: None,
            };
            let before = self.make(cloud, made).await;
            delivered.digests.push(before.1.clone());
            delivered.last = Some(before);
        }
        delivered
    }

    /// Signs a digest and delivers it.
    pub async fn make(&self, cloud: &Cloud, making: Making<'_>) -> Before {
        let Making { of: (account, region), started, ended, before, files, made_at } = making;
        let mut key = digest_key(account, region, ended);
        if made_at.is_some() {
            key = key.replace(".json.gz", "_backfill.json.gz");
        }
        let [bucket, name, hash, signature] = match before {
            Some((bucket, name, hash, signature)) => [Some(bucket), Some(name), Some(hash), Some(signature)],
            None => [const { None }; 4],
        };
        let content = json!({
            "awsAccountId": account, "digestStartTime": text(started), "digestEndTime": text(ended),
            "digestS3Bucket": cloud.bucket, "digestS3Object": key,
            "digestPublicKeyFingerprint": self.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Bucket": bucket, "previousDigestS3Object": name,
            "previousDigestHashValue": hash, "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": signature, "logFiles": files
        })
        .to_string();
        let hash = hex(&Sha256::digest(&content));
        let before = signature.as_deref().unwrap_or("null");
        let signed = self.sign(&format!("{}\n{}/{key}\n{hash}\n{before}", text(ended), cloud.bucket));
        let made_at = made_at.map(text);
        cloud.upload_made_at(&key, trail::gzip(content.as_bytes()), &signed, made_at.as_deref()).await;
        (cloud.bucket.clone(), key, hash, signed)
    }
}

/// A file as a digest names it, with the times of its events.
pub fn named(
    cloud: &Cloud,
    key: &str,
    content: &str,
    (oldest, newest): (OffsetDateTime, OffsetDateTime),
) -> Value {
    json!({
        "s3Bucket": cloud.bucket, "s3Object": key, "hashValue": hex(&Sha256::digest(content)),
        "hashAlgorithm": "SHA-256", "oldestEventTime": text(oldest), "newestEventTime": text(newest)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

pub fn file_key(account: &str, region: &str, at: OffsetDateTime) -> String {
    let day = at.format(format_description!("[year]/[month]/[day]")).unwrap();
    let stamp = at.format(format_description!("[year][month][day]T[hour][minute]Z")).unwrap();
    format!(
        "AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{stamp}_Mu0KsOhtH1ar15ZZ.json.gz"
    )
}

fn digest_key(account: &str, region: &str, at: OffsetDateTime) -> String {
    let day = at.format(format_description!("[year]/[month]/[day]")).unwrap();
    let stamp = at.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
    format!(
        "AWSLogs/{account}/CloudTrail-Digest/{region}/{day}/{account}_CloudTrail-Digest_{region}_my_trail_eu-central-1_{stamp}.json.gz"
    )
}
