//! The main promise under load: every distinct record is in OpenSearch exactly once, whatever happens to the daemons.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::cloud::{Cloud, QueueSettings};
use support::daemon::Daemon;
use support::search::Search;
use support::{Stack, trail};

const OBJECTS: usize = 200;
const RECORDS_PER_OBJECT: usize = 500;
const PATIENCE: Duration = Duration::from_secs(300);

/// Uploads the objects, each of which notifies the queue, and notifies each a second time.
async fn upload_twice_notified(cloud: &Cloud, account: &str) {
    let mut notifications = Vec::new();
    for object in 0..OBJECTS {
        let first = object * RECORDS_PER_OBJECT;
        let records: Vec<_> =
            (first..first + RECORDS_PER_OBJECT).map(|number| trail::record(account, number)).collect();
        let key = trail::key(account, object);
        cloud.upload(&key, trail::file(&records)).await;
        notifications.push(cloud.notification(&key));
    }
    cloud.send(notifications).await;
}

async fn assert_each_record_once(search: &Search, account: &str) {
    let found = search.of_account(account).await;
    let event_ids: BTreeSet<&str> =
        found.values().flatten().filter_map(|hit| hit.source["event"]["id"].as_str()).collect();
    let documents: usize = found.values().map(Vec::len).sum();
    assert_eq!(documents, OBJECTS * RECORDS_PER_OBJECT, "documents");
    assert_eq!(event_ids.len(), documents, "distinct records");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_ship_every_record_once_though_every_object_is_notified_twice() {
    let Some(stack) = Stack::running() else { return };
    let account = "100000000001";
    let cloud = Cloud::create(&stack, "load-twice", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch_url);
    upload_twice_notified(&cloud, account).await;

    let mut daemons =
        [(); 2].map(|()| Daemon::start(&stack, &cloud, &[("select.scope", "all"), ("log.filter", "warn")]));
    for daemon in &mut daemons {
        daemon.until_ready().await;
    }
    cloud.until_empty(PATIENCE).await;

    assert_each_record_once(&search, account).await;
    assert_eq!(cloud.dead_letters().await, 0);
    let (mut indexed, mut duplicate) = (0.0, 0.0);
    for daemon in daemons {
        indexed += daemon.metric("sagetrail_records_indexed_total").await;
        duplicate += daemon.metric("sagetrail_records_duplicate_total").await;
        assert!(daemon.metric("sagetrail_records_indexed_total").await > 0.0, "both daemons had a share");
        daemon.stop().await;
    }
    let total = (OBJECTS * RECORDS_PER_OBJECT) as f64;
    assert_eq!((indexed, duplicate), (total, total));
}
