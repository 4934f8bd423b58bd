//! What somebody can do to a trail, each in an account of its own, and what a verification says about it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::search::Search;
use crate::support::{Stack, trail};
use crate::verify::signer::{BEGIN, Before, Delivered, Making, Signer, file_key, named};
use crate::verify::{FINGERPRINT, REGIONS, findings, sagetrail};

/// A day and the digest after it.
const HOURS: i64 = 24;
const DAY: [&str; 4] = ["--from", "2026-10-01", "--to", "2026-10-01"];

/// What the account of each number suffers.
fn account(number: usize) -> String {
    format!("6100000001{number:02}")
}

async fn bytes_of(cloud: &Cloud, key: &str) -> (Vec<u8>, String) {
    let object = cloud.s3.get_object().bucket(&cloud.bucket).key(key).send().await.unwrap();
    let signature = object.metadata.as_ref().and_then(|it| it.get("signature")).cloned().unwrap_or_default();
    (object.body.collect().await.unwrap().to_vec(), signature)
}

async fn remove_all(cloud: &Cloud, of: &Delivered) {
    for key in of.digests.iter().chain(of.files.iter().map(|(key, _)| key)) {
        cloud.remove(key).await;
    }
}

fn base(account: &str, region: &str) -> String {
    format!("AWSLogs/{account}/CloudTrail-Digest/{region}/")
}

/// The name of a digest of the same chain that ended some minutes later.
fn later(key: &str) -> String {
    key.replace("1000Z.json.gz", "4500Z.json.gz")
}

/// What a verification should find.
type Expected = BTreeSet<(String, String)>;

/// A trail of many accounts, of which all but one file is shipped.
struct Scene {
    stack: Stack,
    cloud: Cloud,
    signer: Signer,
    folder: tempfile::TempDir,
    accounts: Vec<String>,
    delivered: Vec<[Delivered; 2]>,
}

impl Scene {
    async fn delivered() -> Option<Self> {
        let stack = Stack::running()?;
        let cloud = Cloud::create(&stack, "verify-tampered", QueueSettings::default()).await;
        let signer = Signer::new(FINGERPRINT);
        let accounts: Vec<String> = (0..11).map(account).collect();
        let mut delivered: Vec<[Delivered; 2]> = Vec::new();
        for account in &accounts {
            let mut regions = [Delivered::default(), Delivered::default()];
            let many = if account.ends_with("02") { 2 } else { 1 };
            for (region, of) in REGIONS.iter().zip(&mut regions).take(many) {
                *of = signer.deliver(&cloud, (account, region), HOURS, None).await;
            }
            delivered.push(regions);
        }
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { stack, cloud, signer, folder, accounts, delivered };
        scene.signer.write_keys(&scene.keys());
        let unread = scene.unread();
        let files = scene.delivered.iter().flatten().flat_map(|of| &of.files);
        for (key, bytes) in files.filter(|(key, _)| *key != unread.0) {
            scene.cloud.upload(key, bytes.clone()).await;
        }
        let (code, shipped) = sagetrail(&scene.stack, &["replay", &scene.place()]);
        assert_eq!((code, &shipped["objects"]), (Some(0), &json!(71)), "{shipped}");
        scene.cloud.upload(&unread.0, unread.1.clone()).await;
        Some(scene)
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn place(&self) -> String {
        format!("s3://{}/", self.cloud.bucket)
    }

    /// The last file of the sixth account, which nobody ships.
    fn unread(&self) -> &(String, Vec<u8>) {
        &self.delivered[5][0].files[5]
    }

    fn verify(&self, more: &[&str]) -> (Option<i32>, Value) {
        let (place, keys) = (self.place(), self.keys());
        sagetrail(&self.stack, &[&["verify", &place, "--keys", keys.to_str().unwrap()], more].concat())
    }

    fn found(&self, kind: &str, key: &str) -> (String, String) {
        (kind.to_owned(), format!("s3://{}/{key}", self.cloud.bucket))
    }

    async fn remove_parts(&self) -> Expected {
        let mut expected = Expected::new();
        // 0: the first hours, with their digests.
        let of = &self.delivered[0][0];
        for key in of.digests[..5].iter().chain(of.files[..2].iter().map(|(key, _)| key)) {
            self.cloud.remove(key).await;
        }
        expected.insert(self.found("missing_digest", &of.digests[4]));
        expected.extend(of.files[..2].iter().map(|(key, _)| self.found("deleted_file", key)));
        // 1: the whole first day.
        let of = &self.delivered[1][0];
        for key in of.digests[..23].iter().chain(of.files.iter().map(|(key, _)| key)) {
            self.cloud.remove(key).await;
        }
        expected.insert(self.found("missing_digest", &of.digests[22]));
        expected.extend(of.files.iter().map(|(key, _)| self.found("deleted_file", key)));
        // 2: a whole region, of which another one is left.
        remove_all(&self.cloud, &self.delivered[2][1]).await;
        // What lies there in its place proves nothing.
        let note = format!("{}2026/10/01/notes.txt", base(&self.accounts[2], REGIONS[1]));
        self.cloud.upload(&note, b"nothing to see".to_vec()).await;
        expected.insert(self.found("missing_digest", &base(&self.accounts[2], REGIONS[1])));
        expected.extend(self.delivered[2][1].files.iter().map(|(key, _)| self.found("deleted_file", key)));
        // 3: a file in the middle, with the digest that names it.
        let of = &self.delivered[3][0];
        self.cloud.remove(&of.digests[12]).await;
        self.cloud.remove(&of.files[3].0).await;
        expected.insert(self.found("missing_digest", &of.digests[12]));
        expected.insert(self.found("deleted_file", &of.files[3].0));
        expected
    }

    async fn alter(&self) -> Expected {
        let mut expected = Expected::new();
        // 4: bytes after the gzip of a file and of a digest, whose content and signature are right.
        let of = &self.delivered[4][0];
        for key in [&of.files[1].0, &of.digests[7]] {
            let (mut bytes, signature) = bytes_of(&self.cloud, key).await;
            bytes.extend_from_slice(b"and more");
            self.cloud.upload_signed(key, bytes, &signature).await;
        }
        expected.insert(self.found("altered_file", &of.files[1].0));
        expected.insert(self.found("invalid_digest", &of.digests[7]));
        // 5: a file that was not shipped and may not be read.
        self.cloud.forbid(&self.unread().0).await;
        expected.insert(self.found("unread_object", &self.unread().0));
        // 6: junk between two digests, and a digest with its signature at another place. The chain goes on around them.
        let of = &self.delivered[6][0];
        self.cloud.upload_signed(&later(&of.digests[3]), trail::gzip(b"junk"), "00").await;
        let (bytes, signature) = bytes_of(&self.cloud, &of.digests[8]).await;
        self.cloud.upload_signed(&later(&of.digests[8]), bytes, &signature).await;
        expected.insert(self.found("invalid_digest", &later(&of.digests[3])));
        expected.insert(self.found("invalid_digest", &later(&of.digests[8])));
        // 9: a digest of the chain that is signed anew without its place in it.
        let of = &self.delivered[9][0];
        let before = making(&self.accounts[9], BEGIN + Duration::hours(5), None, vec![], None);
        self.signer.make(&self.cloud, before).await;
        expected.insert(self.found("broken_chain", &of.digests[4 + 1]));
        expected.insert(self.found("invalid_digest", &of.digests[4 + 1]));
        expected
    }

    async fn fill_back(&self) -> Expected {
        let mut expected = Expected::new();
        // 7: a backfill digest, which is right, of a file that no other digest names.
        let hour = BEGIN + Duration::hours(9);
        let (late, content) =
            (file_key(&self.accounts[7], REGIONS[0], hour), json!({"Records": []}).to_string());
        self.cloud.upload(&late, trail::gzip(content.as_bytes())).await;
        let files = vec![named(&self.cloud, &late, &content, (hour, hour))];
        let backfill = making(&self.accounts[7], hour, None, files, Some(hour + Duration::days(20)));
        let first = self.signer.make(&self.cloud, backfill).await;
        let second = making(
            &self.accounts[7],
            hour + Duration::hours(1),
            Some(first),
            vec![],
            Some(hour + Duration::days(20)),
        );
        self.signer.make(&self.cloud, second).await;
        expected.insert(self.found("missing_file", &late));
        // 8: a backfill digest that names one which is not there.
        let gone = digest_before(&self.cloud, &self.accounts[8]);
        let broken =
            making(&self.accounts[8], hour, Some(gone.clone()), vec![], Some(hour + Duration::days(20)));
        self.signer.make(&self.cloud, broken).await;
        expected.insert(self.found("missing_digest", &gone.1));
        expected
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_a_trail_is_told_and_nothing_else_is() {
    let Some(scene) = Scene::delivered().await else { return };
    let Scene { stack, cloud, accounts, delivered, .. } = &scene;
    let search = Search::new(&stack.opensearch);
    search.request("POST", "sagetrail-objects*/_refresh", None).await;
    let verify = |more: &[&str]| scene.verify(more);
    let found = |kind: &str, key: &str| scene.found(kind, key);
    let unread = scene.unread();

    // Before, all is well, but for the file that nobody shipped.
    let (code, report) = verify(&DAY);
    let missing = found("missing_file", &unread.0);
    assert_eq!((code, findings(&report)), (Some(3), BTreeSet::from([missing.clone()])), "{report:#}");
    assert!(report["advice"]["missing_file"].to_string().contains("--repair"), "{report:#}");
    // What was before a chain cannot be known, which is said and is no gap.
    let (code, report) = verify(&["--account", &accounts[0], "--from", "2026-09-30", "--to", "2026-10-01"]);
    let unknown = found("unknown_period", &delivered[0][0].digests[0]);
    assert_eq!((code, findings(&report)), (Some(0), BTreeSet::from([unknown])), "{report:#}");

    let mut expected = BTreeSet::from([missing]);
    expected.extend(scene.remove_parts().await);
    expected.extend(scene.alter().await);
    expected.extend(scene.fill_back().await);
    let (code, report) = verify(&DAY);
    assert_eq!((code, findings(&report)), (Some(3), expected), "{report:#}");
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        findings(&report).len(),
        "each thing is told once"
    );
    for (kind, key, detail) in [
        ("altered_file", &delivered[4][0].files[1].0, "8 bytes follow after its gzip"),
        ("invalid_digest", &delivered[4][0].digests[7], "8 bytes follow after its gzip"),
        ("invalid_digest", &later(&delivered[6][0].digests[8]), "it was made for"),
        ("unread_object", &unread.0, "grant s3:GetObject"),
        ("missing_digest", &delivered[0][0].digests[4], "until 2026-10-01T05:10:00Z"),
    ] {
        let mut findings = report["findings"].as_array().unwrap().iter();
        let of = findings.find(|it| it["kind"] == kind && it["object"].to_string().contains(key)).unwrap();
        assert!(of["detail"].as_str().unwrap().contains(detail), "{of}");
    }
    // What may not be read is not repaired: nobody knows whether it is what was signed.
    let (_, repaired) = verify(&[&DAY[..], &["--repair", "--account", &accounts[5]]].concat());
    assert_eq!(repaired["repaired"], 0, "{repaired:#}");

    // The day after: what an earlier verification has found of a region is known, also when nothing else is left of it.
    remove_all(cloud, &delivered[10][0]).await;
    let ledger = json!({"query": {"term": {"cloud.account.id": accounts[10]}}});
    let (status, _) =
        search.request("POST", "sagetrail-objects/_delete_by_query?refresh=true", Some(ledger)).await;
    assert_eq!(status, 200);
    let (code, report) = verify(&["--from", "2026-10-02", "--to", "2026-10-02", "--account", &accounts[10]]);
    let lost = BTreeSet::from([found("missing_digest", &base(&accounts[10], REGIONS[0]))]);
    assert_eq!((code, findings(&report)), (Some(3), lost), "{report:#}");

    // A bucket that somebody emptied is a gap and no usage error.
    for key in all_keys(cloud).await {
        cloud.remove(&key).await;
    }
    let (code, report) = verify(&DAY);
    assert_eq!((code, &report["digests"]), (Some(3), &json!(0)), "{report:#}");
    for account in &accounts[..10] {
        assert!(
            findings(&report).contains(&found("missing_digest", &base(account, REGIONS[0]))),
            "{account}"
        );
    }
    let standing = json!({"bool": {"filter": [
        {"term": {"cloud.account.id": accounts[9]}}, {"term": {"verification.day": "2026-10-01"}}
    ]}});
    let standing = search.find("sagetrail-verified", standing, &["*"]).await;
    let document = &standing.values().next().unwrap()[0].source["verification"];
    assert_eq!(
        (&document["outcome"], &document["missing_digests"]),
        (&json!("gap"), &json!(1)),
        "{document}"
    );
    let named = document["objects"].to_string();
    assert!(named.contains("missing digests: s3://") && named.contains("deleted files: s3://"), "{document}");
}

fn making(
    account: &str,
    started: OffsetDateTime,
    before: Option<Before>,
    files: Vec<Value>,
    made_at: Option<OffsetDateTime>,
) -> Making<'_> {
    Making { of: (account, REGIONS[0]), started, ended: started + Duration::hours(1), before, files, made_at }
}

/// A digest that was never there.
fn digest_before(cloud: &Cloud, account: &str) -> Before {
    let key = format!(
        "{}2026/10/01/{account}_CloudTrail-Digest_{}_my_trail_eu-central-1_20261001T051000Z_backfill.json.gz",
        base(account, REGIONS[0]),
        REGIONS[0]
    );
    (cloud.bucket.clone(), key, "00".repeat(32), "00".to_owned())
}

async fn all_keys(cloud: &Cloud) -> Vec<String> {
    let mut pages = cloud.s3.list_objects_v2().bucket(&cloud.bucket).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_comes_from_another_bucket_is_followed_there() {
    let Some(stack) = Stack::running() else { return };
    let account = "610000000120";
    let cloud = Cloud::create(&stack, "verify-moved", QueueSettings::default()).await;
    let old = Cloud::create(&stack, "verify-moved-from", QueueSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let signer = Signer::new(FINGERPRINT);
    signer.write_keys(&keys);
    let before = signer.make(&old, making(account, BEGIN - Duration::hours(1), None, vec![], None)).await;
    // The same key in the new bucket is another digest.
    signer.make(&cloud, making(account, BEGIN - Duration::hours(1), None, vec![], None)).await;
    let mut last = Some(before.clone());
    for hour in 0..24 {
        last = Some(
            signer.make(&cloud, making(account, BEGIN + Duration::hours(hour), last, vec![], None)).await,
        );
    }
    let place = format!("s3://{}/", cloud.bucket);
    let verify = || {
        let period = ["--from", "2026-10-01", "--to", "2026-10-01", "--keys", keys.to_str().unwrap()];
        sagetrail(&stack, &[&["verify", &place], &period[..]].concat())
    };
    let (code, report) = verify();
    let passed_over = ("broken_chain".to_owned(), format!("{place}{}", before.1));
    assert_eq!((code, findings(&report)), (Some(3), BTreeSet::from([passed_over])), "{report:#}");
    cloud.remove(&before.1).await;
    let (code, report) = verify();
    assert_eq!((code, findings(&report)), (Some(0), BTreeSet::new()), "{report:#}");
    old.remove(&before.1).await;
    let (code, report) = verify();
    let missing = ("missing_digest".to_owned(), format!("s3://{}/{}", old.bucket, before.1));
    assert_eq!((code, findings(&report)), (Some(3), BTreeSet::from([missing])), "{report:#}");
}
