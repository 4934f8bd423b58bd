//! SIGHUP exchanges the rules of a running daemon: what comes after it meets the new ones, and a broken set changes
//! nothing.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, eventually, trail};

const RULE: &str = "title: Anything read at the site\nid: 5d0f4a8e-7f0d-4c58-9d1c-6c8a3d0f7b21\nlogsource:\n  \
    product: aws\n  service: cloudtrail\ndetection:\n  call:\n    eventName: DescribeEndpoint\n  condition: call\n\
    level: low\n";
const RULE_ID: &str = "5d0f4a8e-7f0d-4c58-9d1c-6c8a3d0f7b21";

/// Records of one file, of which every fourth is a `DescribeEndpoint`.
const RECORDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_added_in_the_folder_is_used_after_the_signal_and_a_broken_file_changes_nothing() {
    let Some(stack) = Stack::running() else { return };
    let account = "500000000003";
    let cloud = Cloud::create(&stack, "reload", QueueSettings::default()).await;
    let rules = tempfile::tempdir().unwrap();
    let folder = rules.path().display().to_string();
    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all"), ("rules.folder", &folder)]);
    daemon.until_ready().await;
    let loaded = daemon.count("sagetrail_rules_loaded").await;

    ship(&cloud, account, 0).await;
    write(rules.path(), "site.yml", RULE);
    daemon.signal("HUP");
    until_reloads(&daemon, "reloaded", 1).await;
    assert_eq!(daemon.count("sagetrail_rules_loaded").await, loaded + 1);

    ship(&cloud, account, 1).await;
    write(rules.path(), "broken.yml", "title: [");
    daemon.signal("HUP");
    until_reloads(&daemon, "refused", 1).await;
    assert!(daemon.log().contains("the old ones stay in use"), "{}", daemon.log());

    ship(&cloud, account, 2).await;
    let search = Search::new(&stack.opensearch);
    assert_eq!(search.count(account).await, 3 * RECORDS as u64, "no record is lost");
    for (file, tagged) in [(0, 0), (1, RECORDS / 4), (2, RECORDS / 4)] {
        let path = format!("s3://{}/{}", cloud.bucket, trail::key(account, file));
        let query = json!({"bool": {"filter": [
            {"term": {"log.file.path": path}}, {"term": {"rule.id": RULE_ID}}
        ]}});
        assert_eq!(search.find("sagetrail-events", query, &[]).await.len(), tagged, "file {file}");
    }
    daemon.stop().await;
}

/// Uploads the file with this number and waits until it is done.
async fn ship(cloud: &Cloud, account: &str, number: usize) {
    let records: Vec<_> =
        (number * RECORDS..(number + 1) * RECORDS).map(|record| trail::record(account, record)).collect();
    cloud.upload(&trail::key(account, number), trail::file(&records)).await;
    cloud.until_empty(Duration::from_mins(1)).await;
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).unwrap();
}

async fn until_reloads(daemon: &Daemon, outcome: &str, expected: u64) {
    let series = format!("sagetrail_rules_reloads_total{{outcome=\"{outcome}\"}}");
    eventually(Duration::from_secs(30), async || match daemon.count(&series).await {
        count if count == expected => Ok(()),
        count => Err(format!("{series} is {count}")),
    })
    .await;
}
