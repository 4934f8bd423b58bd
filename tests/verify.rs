//! The verification: a trail of three days, two accounts and two regions, whose digests are signed as CloudTrail signs them.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::cloud::{Cloud, QueueSettings};
use support::search::Search;
use support::{Stack, trail};
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

const BEGIN: OffsetDateTime = datetime!(2026-10-01 00:10 UTC);
/// Digests of three days.
const HOURS: i64 = 72;
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// CloudTrail's part: its key, and what it has delivered.
struct Signer {
    pair: RsaKeyPair,
}

/// What was delivered in one account and region.
#[derive(Default)]
struct Delivered {
    files: Vec<(String, Vec<u8>)>,
    digests: Vec<String>,
}

impl Signer {
    fn new() -> Self {
        Self { pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    /// What `aws cloudtrail list-public-keys` would print.
    fn write_keys(&self, path: &Path) {
        let value = STANDARD.encode(self.pair.public_key().as_ref());
        let keys =
            json!({"PublicKeyList": [{"Value": value, "Fingerprint": "31e8b5433410dfb61a9dc45cc65b22ff"}]});
        std::fs::write(path, keys.to_string()).unwrap();
    }

    fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        hex(&signature)
    }

    /// Delivers a file each fourth hour and a digest each hour. The file of the hour `late` holds an event that is hours
    /// old.
    async fn deliver(&self, cloud: &Cloud, account: &str, region: &str, late: Option<i64>) -> Delivered {
        let mut delivered = Delivered::default();
        let mut previous: Option<(String, String, String)> = None;
        for hour in 0..HOURS {
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
                log_files.push(json!({
                    "s3Bucket": cloud.bucket, "s3Object": key, "hashValue": hex(&Sha256::digest(&content)),
                    "hashAlgorithm": "SHA-256", "oldestEventTime": text(at - age), "newestEventTime": text(at)
                }));
                delivered.files.push((key, trail::gzip(content.as_bytes())));
            }
            let key = digest_key(account, region, ended);
            let (name, hash, signature) = previous.clone().unzip3();
            let content = json!({
                "awsAccountId": account, "digestStartTime": text(started), "digestEndTime": text(ended),
                "digestS3Bucket": cloud.bucket, "digestS3Object": key,
                "digestPublicKeyFingerprint": "31e8b5433410dfb61a9dc45cc65b22ff",
                "digestSignatureAlgorithm": "SHA256withRSA",
                "previousDigestS3Bucket": cloud.bucket, "previousDigestS3Object": name,
                "previousDigestHashValue": hash, "previousDigestHashAlgorithm": "SHA-256",
                "previousDigestSignature": signature, "logFiles": log_files
            })
            .to_string();
            let hash = hex(&Sha256::digest(&content));
            let before = signature.as_deref().unwrap_or("null");
            let signed = self.sign(&format!("{}\n{}/{key}\n{hash}\n{before}", text(ended), cloud.bucket));
            cloud.upload_signed(&key, trail::gzip(content.as_bytes()), &signed).await;
            delivered.digests.push(key.clone());
            previous = Some((key, hash, signed));
        }
        delivered
    }
}

trait Unzip3 {
    fn unzip3(self) -> (Option<String>, Option<String>, Option<String>);
}

impl Unzip3 for Option<(String, String, String)> {
    fn unzip3(self) -> (Option<String>, Option<String>, Option<String>) {
        self.map_or((None, None, None), |(first, second, third)| (Some(first), Some(second), Some(third)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

fn file_key(account: &str, region: &str, at: OffsetDateTime) -> String {
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

fn sagetrail(stack: &Stack, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(arguments)
        .args(["--format", "json"])
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// The kinds and keys of what was found.
fn findings(report: &Value) -> BTreeSet<(String, String)> {
    let findings = report["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["kind"]), text(&finding["object"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gap_in_three_days_is_found_and_nothing_else_and_repair_ships_what_is_missing() {
    let Some(stack) = Stack::running() else { return };
    let (ours, other) = ("610000000001", "610000000002");
    let cloud = Cloud::create(&stack, "verify", QueueSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let signer = Signer::new();
    signer.write_keys(&keys);
    let mut delivered = Vec::new();
    for (account, late) in [(ours, Some(8)), (other, None)] {
        for region in REGIONS {
            let late = late.filter(|_| region == REGIONS[0]);
            delivered.push(signer.deliver(&cloud, account, region, late).await);
        }
    }
    let [first, second, third, fourth] = &delivered[..] else { unreachable!("two accounts in two regions") };
    // One file of the other account is delivered and never shipped.
    let lost = &third.files[5];
    for (key, bytes) in delivered.iter().flat_map(|delivered| &delivered.files) {
        if *key != lost.0 {
            cloud.upload(key, bytes.clone()).await;
        }
    }
    let place = format!("s3://{}/", cloud.bucket);
    let (code, shipped) = sagetrail(&stack, &["replay", &place]);
    assert_eq!((code, &shipped["objects"]), (Some(0), &json!(71)), "{shipped}");
    cloud.upload(&lost.0, lost.1.clone()).await;

    let verify = |more: &[&str]| {
        let period = ["--from", "2026-10-01", "--to", "2026-10-03", "--keys", keys.to_str().unwrap()];
        sagetrail(&stack, &[&["verify", &place], &period[..], more].concat())
    };
    let found = |kind: &str, key: &str| (kind.to_owned(), format!("s3://{}/{key}", cloud.bucket));

    // What is late is told and is no gap; what is missing is one, until it is repaired.
    let late = found("late_file", &first.files[2].0);
    let (code, report) = verify(&["--account", ours]);
    assert_eq!((code, findings(&report)), (Some(0), BTreeSet::from([late.clone()])), "{report}");
    assert_eq!((&report["digests"], &report["chains"]), (&json!(144), &json!(2)));
    assert_eq!((&report["delivered"], &report["shipped"]), (&json!(36), &json!(36)));
    let (code, report) = verify(&["--account", other]);
    assert_eq!((code, findings(&report)), (Some(3), BTreeSet::from([found("missing_file", &lost.0)])));
    let (code, report) = verify(&["--account", other, "--repair"]);
    assert_eq!((code, &report["repaired"], findings(&report)), (Some(0), &json!(1), BTreeSet::new()));
    let (code, report) = verify(&["--account", other]);
    assert_eq!((code, &report["shipped"]), (Some(0), &json!(36)), "{report}");
    assert_eq!(Search::new(&stack.opensearch).count(other).await, 108);

    // Somebody covers their tracks.
    cloud.remove(&first.files[4].0).await;
    cloud.upload(&second.files[6].0, trail::file(&[trail::record(ours, 1)])).await;
    cloud.remove(&fourth.digests[30]).await;
    cloud.upload_signed(&second.digests[41], trail::gzip(b"{}"), "00").await;
    let forged = file_key(other, REGIONS[1], BEGIN + Duration::hours(33));
    cloud.upload(&forged, trail::file(&[trail::record(other, 2)])).await;
    let (code, report) = verify(&[]);
    let expected = BTreeSet::from([
        late,
        found("deleted_file", &first.files[4].0),
        found("altered_file", &second.files[6].0),
        found("missing_digest", &fourth.digests[30]),
        found("invalid_digest", &second.digests[41]),
        found("unproven_file", &forged),
    ]);
    assert_eq!((code, findings(&report)), (Some(3), expected), "{report:#}");

    // With other keys nothing is proven at all.
    Signer::new().write_keys(&keys);
    let (code, report) = verify(&["--account", ours]);
    assert_eq!(
        (code, &report["delivered"], &report["counts"]["invalid_digest"]),
        (Some(3), &json!(0), &json!(144))
    );

    let recorded = Search::new(&stack.opensearch)
        .find("sagetrail-verification", json!({"term": {"verification.place": place}}), &["*"])
        .await;
    assert_eq!(recorded.len(), 6, "each verification leaves a document");
    let gaps = recorded.values().flatten().filter(|hit| hit.source["verification"]["outcome"] == "gap");
    assert_eq!(gaps.count(), 3);
}
