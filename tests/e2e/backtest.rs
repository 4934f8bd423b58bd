//! A backtest over what is in a bucket and in the index tells what it tells over the files of the same records.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::search::Search;
use crate::support::{Stack, trail};

const ACCOUNT: &str = "111122223333";

/// The command beside the servers of the test, which selects every record.
fn sagetrail(stack: &Stack, prefix: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .env_remove("SAGETRAIL_CONFIG")
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SINK__INDEX_PREFIX", prefix)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .env("SAGETRAIL__REDACTION__KEY", "5b1f0d9c8e7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a")
        // One file after the other, so that memory is told in the order of time.
        .env("SAGETRAIL__REPLAY__IN_FLIGHT_OBJECTS", "1")
        .stdin(Stdio::null());
    command.output().expect("the binary runs")
}

fn report(stack: &Stack, prefix: &str, arguments: &[&str]) -> Value {
    let output = sagetrail(stack, prefix, &[&["backtest", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}

/// The records of the fixtures of a day's work and of an attack, in order.
fn records() -> Vec<Value> {
    let of = |name: &str| -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/src/{name}.json"));
        let mut file: Value =
            serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("JSON");
        serde_json::from_value(file["Records"].take()).expect("a list of records")
    };
    let mut records = [of("quiet-day"), of("playbook-calls"), of("attack-story")].concat();
    records.sort_by_key(|record| record["eventTime"].as_str().expect("a time").to_owned());
    records
}

/// Files with some records each.
fn files(folder: &Path, records: &[Value]) -> Vec<String> {
    let write = |(number, records): (usize, &[Value])| {
        let path: PathBuf = folder.join(format!("{number:02}.json.gz"));
        std::fs::write(&path, trail::file(records)).expect("it can be written");
        path.display().to_string()
    };
    records.chunks(12).enumerate().map(write).collect()
}

/// Puts every other record into the folders of another region, where CloudTrail would deliver them.
async fn upload(cloud: &Cloud, records: &[Value]) {
    for (number, record) in records.iter().enumerate() {
        let region = ["us-east-1", "eu-central-1"][number % 2];
        let time = record["eventTime"].as_str().expect("a time");
        let (day, clock) = (time[..10].replace('-', "/"), format!("{}T{}Z", &time[..10], &time[11..16]));
        let clock = clock.replace(['-', ':'], "");
        let key = format!(
            "AWSLogs/{ACCOUNT}/CloudTrail/{region}/{day}/{ACCOUNT}_CloudTrail_{region}_{clock}_{number:016}.json.gz"
        );
        cloud.upload(&key, trail::file(std::slice::from_ref(record))).await;
    }
}

fn told(report: &Value) -> Value {
    json!({"pages": report["pages"], "incidents": report["incidents"], "rules": report["rules"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_and_the_index_tell_what_the_files_of_the_same_records_tell() {
    const PREFIX: &str = "backtested";
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    let of_events = format!("{PREFIX}-events-2026.10,{PREFIX}-events-2026.11?ignore_unavailable=true");
    for index in
        [of_events.as_str(), "backtested-resources", "backtested-identities", "backtested-sessions-2026.11"]
    {
        search.request("DELETE", index, None).await;
    }
    let cloud = Cloud::create(&stack, "backtested", QueueSettings::default()).await;
    let folder = tempfile::tempdir().expect("there is room");
    let records = records();
    let files = files(folder.path(), &records);
    let of_files: Vec<&str> = files.iter().map(String::as_str).collect();
    upload(&cloud, &records).await;

    let expected = report(&stack, PREFIX, &of_files);
    assert!(expected["pages"].as_array().is_some_and(|pages| pages.len() > 1), "{expected:#}");
    let bucket = format!("s3://{}/", cloud.bucket);
    let in_bucket = report(&stack, PREFIX, &[&bucket]);
    assert_eq!(told(&in_bucket), told(&expected), "the bucket");
    assert_eq!(in_bucket["records"]["records"], json!(records.len()));
    let prefix = format!("{bucket}AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/");
    assert_eq!(report(&stack, PREFIX, &[&prefix])["records"]["records"], json!(records.len() / 2));

    assert_eq!(report(&stack, PREFIX, &["--index"])["records"]["stored"], 0, "nothing is stored yet");
    // The plugins that page and that remove old indices are not there.
    let set_up = sagetrail(&stack, PREFIX, &["setup"]);
    assert!(matches!(set_up.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&set_up.stderr));
    let shipped = sagetrail(&stack, PREFIX, &[&["replay"], &of_files[..]].concat());
    assert_eq!(shipped.status.code(), Some(0), "{}", String::from_utf8_lossy(&shipped.stderr));
    search.request("POST", &format!("{PREFIX}-events-*/_refresh"), None).await;
    let stored = report(&stack, PREFIX, &["--index"]);
    assert_eq!(told(&stored), told(&expected), "the index");
    assert_eq!(stored["records"]["stored"], expected["records"]["selected"]);
    assert!(stored["records"]["redacted"].as_u64() > Some(0), "{:#}", stored["records"]);
    assert_eq!(stored["records"]["unreadable"], 0);

    let mixed = report(&stack, PREFIX, &[&of_files[..], &[&bucket, "--index"]].concat());
    assert_eq!(told(&mixed), told(&expected), "all of them");
    let met_again = mixed["records"]["duplicates"].as_u64();
    assert_eq!(met_again, expected["records"]["selected"].as_u64().map(|selected| 2 * selected));

    let since = ["--index", "--since", "2026-12-20"];
    assert_eq!(report(&stack, PREFIX, &since)["records"]["stored"], 0, "what is older than its history");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_damaged_or_not_allowed_is_told_and_the_others_are_judged() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "backtest-damaged", QueueSettings::default()).await;
    let whole = trail::file(&records());
    cloud.upload(&trail::key(ACCOUNT, 1), whole[..whole.len() / 2].to_vec()).await;
    cloud.upload(&trail::key(ACCOUNT, 2), trail::file(&[trail::record(ACCOUNT, 0)])).await;
    let bucket = format!("s3://{}/", cloud.bucket);
    let output = sagetrail(&stack, "backtest-damaged", &["backtest", &bucket]);
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(text.contains("that could be read: ") && text.contains("1 only in part"), "{text}");
    assert!(said.contains("is damaged: the gzip data ends too early"), "{said}");

    let output = sagetrail(&stack, "backtest-damaged", &["backtest", "s3://no-such-bucket-anywhere/"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no such bucket"), "{said}");
}
