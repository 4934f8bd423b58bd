//! Each kind of bad input: which counter tells of it, and where its records and its message are afterwards.

mod records;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, eventually, trail};

/// Two deliveries, two seconds apart, then the dead-letter queue.
const IMPATIENT: QueueSettings =
    QueueSettings { visibility_timeout: Duration::from_secs(2), max_receive_count: 2 };
const PATIENCE: Duration = Duration::from_mins(2);

/// A test's own cloud, daemon and account.
struct Scene {
    cloud: Cloud,
    daemon: Daemon,
    search: Search,
    account: String,
}

impl Scene {
    async fn set(name: &str, account: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let stack = Stack::running()?;
        let cloud = Cloud::create(&stack, name, IMPATIENT).await;
        let settings = [&[("select.scope", "all")], settings].concat();
        let mut daemon = Daemon::start(&stack, &cloud, &settings);
        daemon.until_ready().await;
        let search = Search::new(&stack.opensearch);
        Some(Self { cloud, daemon, search, account: account.to_owned() })
    }

    fn records(&self, count: usize) -> Vec<Value> {
        (0..count).map(|number| trail::record(&self.account, number)).collect()
    }

    async fn upload(&self, bytes: Vec<u8>) {
        self.cloud.upload(&trail::key(&self.account, 0), bytes).await;
    }

    async fn until_counted(&self, series: &str, least: u64) {
        eventually(PATIENCE, async || match self.daemon.count(series).await {
            count if count >= least => Ok(()),
            count => Err(format!("{series} is {count}\n{}", self.daemon.log())),
        })
        .await;
    }

    async fn until_dead_letters(&self, expected: u64) {
        eventually(PATIENCE, async || match self.cloud.dead_letters().await {
            count if count == expected => Ok(()),
            count => Err(format!("{count} messages are in the dead-letter queue\n{}", self.daemon.log())),
        })
        .await;
        self.cloud.until_empty(PATIENCE).await;
    }

    /// The object is damaged, so its message is delivered twice and then redriven, and what could be read is stored.
    async fn expect_damaged(self, bytes: Vec<u8>, reason: &str, stored: u64) {
        self.upload(bytes).await;
        self.until_dead_letters(1).await;
        self.until_counted(&format!(r#"sagetrail_object_failures_total{{reason="{reason}"}}"#), 2).await;
        assert_eq!(self.search.count(&self.account).await, stored);
        assert_eq!(self.daemon.count("sagetrail_records_indexed_total").await, stored);
        assert!(self.daemon.log().contains(&trail::key(&self.account, 0)), "the log names the object");
        self.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_gzip_keeps_the_records_before_the_cut_and_its_message() {
    let Some(scene) = Scene::set("bad-truncated", "300000000001", &[]).await else { return };
    // Stored blocks are as long as their content, so the cut falls behind a known record.
    let file = json!({ "Records": scene.records(100) }).to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, file.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let readable = file[..whole.len() / 2 - 64].matches(r#""eventVersion""#).count() as u64;
    scene.upload(whole[..whole.len() / 2].to_vec()).await;
    scene.until_dead_letters(1).await;
    scene.until_counted(r#"sagetrail_object_failures_total{reason="truncated_gzip"}"#, 2).await;
    let stored = scene.search.count(&scene.account).await;
    assert!(stored + 2 >= readable && stored <= readable, "{stored} of about {readable} records");
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_gzip_keeps_the_readable_records_and_its_message() {
    let Some(scene) = Scene::set("bad-corrupt", "300000000002", &[]).await else { return };
    let mut bytes = trail::file(&scene.records(100));
    let checksum = bytes.len() - 6;
    bytes[checksum] ^= 0xff;
    scene.expect_damaged(bytes, "corrupt_gzip", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_records_keeps_its_message() {
    let Some(scene) = Scene::set("bad-norecords", "300000000003", &[]).await else { return };
    scene.expect_damaged(trail::gzip(br#"{"records":[{}]}"#), "no_records", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_plain_json_that_is_cut_keeps_the_records_before_the_cut_and_its_message() {
    let Some(scene) = Scene::set("bad-cut", "300000000012", &[]).await else { return };
    let mut file = json!({ "Records": scene.records(10) }).to_string();
    file.truncate(file.len() - 40);
    scene.expect_damaged(file.into_bytes(), "malformed_json", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_keeps_its_message_and_those_before_it_are_stored() {
    let settings = [("source.max_record_bytes", "4000")];
    let Some(scene) = Scene::set("bad-record", "300000000013", &settings).await else { return };
    let mut records = scene.records(10);
    records[9]["requestParameters"] = json!({"nameContains": "x".repeat(4_000)});
    scene.expect_damaged(trail::file(&records), "record_too_large", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_that_is_no_object_keeps_its_message_and_the_others_are_stored() {
    let Some(scene) = Scene::set("bad-element", "300000000004", &[]).await else { return };
    let mut records = scene.records(10);
    records.insert(5, json!("not a record"));
    scene.expect_damaged(trail::file(&records), "record_not_an_object", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_stopped_at_the_cap_and_keeps_its_message() {
    let settings = [("source.max_uncompressed_bytes", "1000000")];
    let Some(scene) = Scene::set("bad-bomb", "300000000005", &settings).await else { return };
    let mut file = json!({ "Records": scene.records(10) }).to_string();
    file.truncate(file.len() - 2);
    file.push_str(&" ".repeat(50_000_000));
    scene.expect_damaged(trail::gzip(file.as_bytes()), "uncompressed_too_large", 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_too_large_keeps_its_message() {
    let settings = [("source.max_object_bytes", "1000")];
    let Some(scene) = Scene::set("bad-large", "300000000006", &settings).await else { return };
    let bytes = trail::file(&scene.records(200));
    assert!(bytes.len() > 1_000);
    scene.expect_damaged(bytes, "too_large", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_keeps_its_message() {
    let Some(scene) = Scene::set("bad-missing", "300000000007", &[]).await else { return };
    let key = trail::key(&scene.account, 0);
    scene.cloud.send([scene.cloud.notification(&key)]).await;
    scene.until_dead_letters(1).await;
    scene.until_counted(r#"sagetrail_object_failures_total{reason="missing"}"#, 2).await;
    let log = scene.daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a message failed")).collect();
    assert_eq!(lines.len(), 2, "one for each delivery: {log}");
    for line in &lines {
        let is_whole = [" WARN ", "message{id=", "receive_count=", key.as_str(), "no such object"];
        assert!(is_whole.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(lines[0].contains("it stays in the queue and comes back within"), "{}", lines[0]);
    assert!(lines[1].contains("goes to the dead-letter queue arn:aws:sqs:"), "{}", lines[2]);
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_may_not_be_read_keeps_its_message() {
    let Some(scene) = Scene::set("bad-forbidden", "300000000014", &[]).await else { return };
    let key = trail::key(&scene.account, 0);
    scene.cloud.forbid(&key).await;
    let file = trail::file(&scene.records(3));
    scene.expect_damaged(file, "forbidden", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_object_of_a_message_does_not_keep_the_others_from_being_stored_once() {
    let Some(scene) = Scene::set("bad-among-good", "300000000015", &[]).await else { return };
    let (gone, good) = (trail::key(&scene.account, 0), trail::key(&scene.account, 1));
    scene.cloud.upload(&good, trail::file(&scene.records(10))).await;
    let notification = json!({"s3Bucket": scene.cloud.bucket, "s3ObjectKey": [gone, good]});
    scene.cloud.send([notification.to_string()]).await;
    scene.until_dead_letters(1).await;
    scene.until_counted(r#"sagetrail_object_failures_total{reason="missing"}"#, 2).await;
    assert_eq!(scene.search.count(&scene.account).await, 10);
    assert_eq!(scene.daemon.count("sagetrail_records_indexed_total").await, 10);
    assert_eq!(scene.daemon.count("sagetrail_records_duplicate_total").await, 20, "two more deliveries");
    let log = scene.daemon.log();
    // On a busy machine the second delivery can come before the first is stored.
    let is_of_the_first = |line: &&str| line.contains("an object was shipped") && line.contains("created=10");
    let line = log.lines().find(is_of_the_first).expect("INFO tells it");
    let parts =
        [" INFO ", good.as_str(), "records=10", "selected=10", "created=10", "duplicate=0", "rejected=0"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_understands_is_left_to_the_redrive_policy() {
    let Some(scene) = Scene::set("bad-message", "300000000008", &[]).await else { return };
    scene.cloud.send(["not JSON".to_owned(), r#"{"hello":"world"}"#.to_owned()]).await;
    scene.until_dead_letters(2).await;
    scene.until_counted(r#"sagetrail_messages_total{outcome="not_understood"}"#, 4).await;
    let log = scene.daemon.log();
    let line = log.lines().find(|line| line.contains("stays for the queue's redrive policy"));
    assert!(line.is_some_and(|line| line.contains("message{id=")), "the log names the message: {line:?}");
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_no_record_files_are_skipped_by_key_and_their_messages_deleted() {
    let Some(scene) = Scene::set("bad-foreign", "300000000009", &[]).await else { return };
    let account = &scene.account;
    let digest = format!(
        "AWSLogs/{account}/CloudTrail-Digest/eu-central-1/2026/11/01/{account}_CloudTrail-Digest_eu-central-1_trail_eu-central-1_20261101T120000Z.json.gz"
    );
    let insight = format!(
        "AWSLogs/{account}/CloudTrail-Insight/eu-central-1/2026/11/01/{account}_CloudTrail-Insight_eu-central-1_20261101T1200Z_0000000000000000.json.gz"
    );
    for key in [digest.as_str(), insight.as_str(), "reports/november.csv"] {
        scene.cloud.upload(key, b"not read".to_vec()).await;
    }
    let removal = scene.cloud.notification(&trail::key(account, 0));
    scene.cloud.send([removal.replace("ObjectCreated:Put", "ObjectRemoved:Delete")]).await;
    for reason in ["digest", "insight", "foreign_key", "object_removed"] {
        scene.until_counted(&format!(r#"sagetrail_objects_skipped_total{{reason="{reason}"}}"#), 1).await;
    }
    scene.cloud.until_empty(PATIENCE).await;
    assert_eq!(scene.cloud.dead_letters().await, 0);
    // S3 sent it when the bucket was wired to the queue.
    assert_eq!(scene.daemon.count(r#"sagetrail_notifications_total{form="test"}"#).await, 1);
    assert_eq!(scene.daemon.count("sagetrail_objects_read_total").await, 0);
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_under_foreign_names_are_told_of_once_for_each_folder_and_read_where_a_setting_says_so() {
    let settings = [("source.also_read", r#"["firehose/**"]"#)];
    let Some(scene) = Scene::set("bad-names", "300000000018", &settings).await else { return };
    let lines: Vec<String> = scene.records(5).iter().map(Value::to_string).collect();
    let file = trail::gzip(lines.join("\n").as_bytes());
    scene.cloud.upload("firehose/2026/11/03/01/trail-1-2026-11-03-01-00-00-0a1b", file.clone()).await;
    for number in 0..3 {
        scene.cloud.upload(&format!("other/{number}"), file.clone()).await;
    }
    scene.cloud.upload("AWSLogs/300000000018/Config/eu-central-1/x.json.gz", file).await;
    scene.until_counted(r#"sagetrail_objects_skipped_total{reason="foreign_key"}"#, 3).await;
    scene.until_counted(r#"sagetrail_objects_skipped_total{reason="other_kind"}"#, 1).await;
    scene.until_counted("sagetrail_records_indexed_total", 5).await;
    scene.cloud.until_empty(PATIENCE).await;
    assert_eq!(scene.search.count(&scene.account).await, 5);
    let log = scene.daemon.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("source.also_read")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("other/") && told[0].contains("WARN"), "{told:?}");
    let entry = json!({"term": {"object.key": "firehose/2026/11/03/01/trail-1-2026-11-03-01-00-00-0a1b"}});
    let entries = scene.search.find("sagetrail-objects", entry, &["*"]).await;
    let entry = &entries.values().flatten().next().expect("it is in the ledger").source;
    assert_eq!((&entry["records"]["read"], &entry["cloud"]), (&json!(5), &Value::Null));
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_is_shipped_although_it_was_overwritten_or_deleted_before_it_was_read() {
    let Some(stack) = Stack::running() else { return };
    let account = "300000000019";
    let cloud = Cloud::create(&stack, "bad-versions", IMPATIENT).await;
    cloud.keep_versions().await;
    let records: Vec<Value> = (0..20).map(|number| trail::record(account, number)).collect();
    let (overwritten, deleted) = (trail::key(account, 0), trail::key(account, 1));
    let first = cloud.upload_version(&overwritten, trail::file(&records[..10])).await;
    cloud.upload_version(&overwritten, trail::file(&[])).await;
    let second = cloud.upload_version(&deleted, trail::file(&records[10..])).await;
    cloud.remove(&deleted).await;
    let notifications = [(&overwritten, &first), (&deleted, &second)]
        .map(|(key, version)| cloud.notification_of_version(key, version));
    cloud.send(notifications).await;

    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all")]);
    daemon.until_ready().await;
    cloud.until_empty(PATIENCE).await;
    assert_eq!(cloud.dead_letters().await, 0, "{}", daemon.log());
    let search = Search::new(&stack.opensearch);
    assert_eq!(search.count(account).await, 20);
    assert_eq!(daemon.count("sagetrail_records_indexed_total").await, 20);
    for (key, version) in [(overwritten, first), (deleted, second)] {
        let query = json!({"term": {"object.key": key}});
        let entries = search.find("sagetrail-objects", query, &["*"]).await;
        let entry = &entries.values().flatten().next().expect("it is in the ledger").source["object"];
        assert_eq!((&entry["version"], &entry["announced_version"]), (&json!(version), &Value::Null));
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_allowed_is_never_read_and_its_message_is_kept() {
    let settings = [("source.allowed_buckets", "[the-bucket-of-somebody-else]")];
    let Some(scene) = Scene::set("bad-bucket", "300000000011", &settings).await else { return };
    scene.upload(trail::file(&scene.records(3))).await;
    scene.until_dead_letters(1).await;
    scene.until_counted(r#"sagetrail_object_failures_total{reason="not_allowed"}"#, 2).await;
    assert_eq!(scene.daemon.count("sagetrail_object_bytes_total").await, 0);
    assert_eq!(scene.search.count(&scene.account).await, 0);
    assert!(scene.daemon.log().contains("add it there if it is yours"), "the log says what to do");
    scene.daemon.stop().await;
}
