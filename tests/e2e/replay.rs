//! The replay as an operator runs it: whole trails, parts of them, files, and what happens when it is stopped or
//! killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::search::Search;
use crate::support::{Stack, eventually, trail};

const PATIENCE: Duration = Duration::from_mins(2);

/// The command with the servers of the test; it ships every record.
fn sagetrail(stack: &Stack, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .stdin(Stdio::null());
    command
}

/// Runs a replay to its end and reads its summary.
fn replay(stack: &Stack, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments = [&["replay", "--format", "json"], arguments].concat();
    let output = sagetrail(stack, &arguments).output().expect("the binary runs");
    (output.status.code(), report(&output))
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {}\n{complaint}", String::from_utf8_lossy(&output.stdout))
    })
}

/// A file of a trail, with its records.
struct TrailFile {
    key: String,
    records: Vec<Value>,
}

/// Files of one account and region on one day, one an hour.
fn day(root: &str, account: &str, region: &str, day: u8, files: usize, records: usize) -> Vec<TrailFile> {
    (0..files)
        .map(|file| {
            let key = format!(
                "{root}AWSLogs/{account}/CloudTrail/{region}/2026/11/{day:02}/{account}_CloudTrail_{region}_202611{day:02}T{:02}{:02}Z_{file:016}.json.gz",
                file % 24,
                file / 24
            );
            let place = region.bytes().map(usize::from).sum::<usize>() * 100 + usize::from(day);
            let first = (place * 1_000 + file) * records;
            let records = (first..first + records)
                .map(|number| {
                    let mut record = trail::record(account, number);
                    record["awsRegion"] = json!(region);
                    record["eventTime"] = json!(format!("2026-11-{day:02}T{:02}:00:00Z", file % 24));
                    record
                })
                .collect();
            TrailFile { key, records }
        })
        .collect()
}

async fn upload(cloud: &Cloud, files: &[TrailFile]) {
    for file in files {
        cloud.upload(&file.key, trail::file(&file.records)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_trail_is_shipped_by_its_folders_and_shipping_it_again_changes_nothing() {
    let Some(stack) = Stack::running() else { return };
    let (ours, other) = ("600000000001", "600000000002");
    let cloud = Cloud::create(&stack, "replay-parts", QueueSettings::default()).await;
    for region in ["eu-central-1", "us-east-1"] {
        for number in 1..=3 {
            for account in [ours, other] {
                upload(&cloud, &day("", account, region, number, 3, 10)).await;
            }
        }
    }
    let digest = format!(
        "AWSLogs/{ours}/CloudTrail-Digest/eu-central-1/2026/11/02/{ours}_CloudTrail-Digest_eu-central-1_t_eu-central-1_20261102T000000Z.json.gz"
    );
    cloud.upload(&digest, trail::gzip(b"{}")).await;
    let place = format!("s3://{}", cloud.bucket);
    let part = [place.as_str(), "--account", ours, "--region", "eu-central-1", "--from", "2026-11-02"];

    let (code, count) = replay(&stack, &[&part[..], &["--dry-run"]].concat());
    assert_eq!((code, &count["objects"]), (Some(0), &json!(6)), "{count}");
    assert!(count["bytes"].as_u64() > Some(1_000));

    let (code, first) = replay(&stack, &part);
    assert_eq!(code, Some(0), "{first}");
    assert_eq!(
        (&first["objects"], &first["records"], &first["created"]),
        (&json!(6), &json!(60), &json!(60))
    );
    let search = Search::new(&stack.opensearch);
    assert_eq!(search.count(ours).await, 60);
    let marked =
        json!({"bool": {"filter": [{"term": {"cloud.account.id": ours}}, {"term": {"tags": "replay"}}]}});
    assert_eq!(search.find("sagetrail-events-*", marked, &["tags"]).await.len(), 60);
    assert_eq!(search.count(other).await, 0);

    let (code, whole) = replay(&stack, &[&place, "--account", ours, "--to", "2026-11-03"]);
    assert_eq!(code, Some(0), "{whole}");
    assert_eq!((&whole["created"], &whole["duplicate"]), (&json!(120), &json!(60)), "{whole}");
    assert_eq!(search.count(ours).await, 180);

    let entries = search.find("sagetrail-objects", json!({"term": {"cloud.account.id": ours}}), &["*"]).await;
    assert_eq!(entries.len(), 18, "each object has one entry in the ledger");
    for entry in entries.values().flatten() {
        assert_eq!(entry.source["records"]["read"], 10, "{}", entry.source);
        assert_eq!(entry.index, "sagetrail-objects-2026.11");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_of_an_organisation_is_found_below_its_prefix() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000003";
    let cloud = Cloud::create(&stack, "replay-organisation", QueueSettings::default()).await;
    let files = day("audit/logs/", account, "eu-west-1", 5, 2, 5);
    let moved: Vec<TrailFile> = files
        .into_iter()
        .map(|file| TrailFile {
            key: file.key.replace("AWSLogs/", "AWSLogs/o-a1b2c3d4e5/"),
            records: file.records,
        })
        .collect();
    upload(&cloud, &moved).await;

    let (code, summary) = replay(&stack, &[&format!("s3://{}/audit/logs/", cloud.bucket)]);
    assert_eq!((code, &summary["created"]), (Some(0), &json!(10)), "{summary}");

    let place = format!("s3://{}/", cloud.bucket);
    let output = sagetrail(&stack, &["replay", &place]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains("has no folder AWSLogs/") && complaint.contains("audit/"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_folders_and_standard_input_are_shipped_like_objects() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000004";
    let folder = tempfile::tempdir().unwrap();
    let files = day("", account, "eu-central-1", 7, 3, 4);
    for file in &files[..2] {
        let path = folder.path().join(&file.key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, trail::file(&file.records)).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "no records").unwrap();
    let (code, summary) = replay(&stack, &[folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!((&summary["created"], &summary["skipped"]), (&json!(8), &json!(1)));

    let mut child = sagetrail(&stack, &["replay", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&trail::file(&files[2].records)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(report(&output)["created"], 4);
    assert_eq!(Search::new(&stack.opensearch).count(account).await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_listed_and_tried_again_by_the_next_run() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000005";
    let cloud = Cloud::create(&stack, "replay-failed", QueueSettings::default()).await;
    let files = day("", account, "eu-central-1", 9, 4, 5);
    upload(&cloud, &files).await;
    cloud.upload(&files[1].key, b"no gzip at all".to_vec()).await;
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.json");
    let arguments = [&format!("s3://{}/", cloud.bucket), "--checkpoint", checkpoint.to_str().unwrap()];

    let (code, summary) = replay(&stack, &arguments);
    assert_eq!(code, Some(1), "{summary}");
    assert_eq!((&summary["objects"], &summary["created"]), (&json!(3), &json!(15)), "{summary}");
    let failed = summary["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["object"], format!("s3://{}/{}", cloud.bucket, files[1].key));

    cloud.upload(&files[1].key, trail::file(&files[1].records)).await;
    let (code, summary) = replay(&stack, &arguments);
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!(
        (&summary["objects"], &summary["created"]),
        (&json!(1), &json!(5)),
        "only what failed: {summary}"
    );
    assert!(!checkpoint.exists(), "a job that has ended leaves no checkpoint");
}

/// A replay that takes a while, so that something can happen meanwhile.
fn slow_replay(stack: &Stack, place: &str, checkpoint: &Path) -> Child {
    let arguments = ["replay", place, "--documents-per-second", "300", "--format", "json", "--checkpoint"];
    sagetrail(stack, &arguments)
        .arg(checkpoint)
        .env("SAGETRAIL__SINK__BULK_MAX_DOCUMENTS", "50")
        .env("SAGETRAIL__REPLAY__IN_FLIGHT_OBJECTS", "4")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// The last key up to which everything has ended, as the checkpoint says it.
fn done(checkpoint: &Path) -> Option<String> {
    let state: Value =
        serde_json::from_slice(&std::fs::read(checkpoint).ok()?).expect("it is never half written");
    state["done"]["key"].as_str().map(str::to_owned)
}

async fn until_begun(checkpoint: &Path, after: Option<&str>) {
    eventually(PATIENCE, async || match done(checkpoint) {
        Some(key) if Some(key.as_str()) != after => Ok(()),
        _ => Err("nothing more has ended yet".to_owned()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_again_and_again_ships_every_record_once() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000006";
    let cloud = Cloud::create(&stack, "replay-killed", QueueSettings::default()).await;
    let files: Vec<TrailFile> =
        (1..=3).flat_map(|number| day("", account, "eu-central-1", number, 40, 50)).collect();
    upload(&cloud, &files).await;
    let place = format!("s3://{}/", cloud.bucket);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.json");

    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut last = None;
    for _ in 0..4 {
        let mut child = slow_replay(&stack, &place, &checkpoint);
        until_begun(&checkpoint, last.as_deref()).await;
        // A kill is a moment in time and no condition, so this waits by the clock.
        let moment = Duration::from_millis(u64::from(random.next_u32() % 1_500));
        sleep(moment).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let now = done(&checkpoint);
        println!("killed {moment:?} after {now:?}");
        assert!(now > last, "each run goes on where the last one was");
        last = now;
    }
    assert!(last.as_deref() < files.last().map(|file| file.key.as_str()), "no kill came in time");

    let output = slow_replay(&stack, &place, &checkpoint).wait_with_output().unwrap();
    let summary = report(&output);
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(summary["resumed"], true);
    assert!(summary["objects"].as_u64() < Some(120), "{summary}");
    let found = Search::new(&stack.opensearch).of_account(account).await;
    assert_eq!(found.len(), 6_000);
    assert_eq!(found.values().map(Vec::len).sum::<usize>(), 6_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_finishes_what_is_in_flight_and_the_next_run_does_the_rest() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000007";
    let cloud = Cloud::create(&stack, "replay-interrupted", QueueSettings::default()).await;
    let files = day("", account, "eu-central-1", 11, 60, 50);
    upload(&cloud, &files).await;
    let place = format!("s3://{}/", cloud.bucket);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.json");

    let mut child = slow_replay(&stack, &place, &checkpoint);
    until_begun(&checkpoint, None).await;
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let complaint = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let complaint: Vec<String> = complaint.collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{complaint:?}");
    assert!(
        complaint.iter().any(|line| line.contains("run the same command again to go on from")),
        "{complaint:?}"
    );
    let first = report(&output);
    assert_eq!(first["interrupted"], true);
    assert_eq!(first["duplicate"], 0);

    let output = slow_replay(&stack, &place, &checkpoint).wait_with_output().unwrap();
    let second = report(&output);
    assert_eq!(output.status.code(), Some(0), "{second}");
    assert_eq!(second["duplicate"], 0, "what was in flight at the stop was finished: {second}");
    let created = |summary: &Value| summary["created"].as_u64().unwrap();
    assert_eq!(created(&first) + created(&second), 3_000);
    assert_eq!(Search::new(&stack.opensearch).count(account).await, 3_000);

    // Another job must not go on from this one's checkpoint.
    std::fs::write(
        &checkpoint,
        json!({"version": 1, "job": "s3://x/", "done": null, "failed": []}).to_string(),
    )
    .unwrap();
    let output = slow_replay(&stack, &place, &checkpoint).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another job"));
}
