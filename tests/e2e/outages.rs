//! Outages of real parts: a daemon that is frozen, an index that a full disk made read-only, an OpenSearch that is
//! killed or has no room for more writes, and a queue that is away for a while.

use std::time::Duration;

use serde_json::json;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::server::Server;
use crate::support::{Stack, eventually, trail};

/// A frozen daemon's messages come back soon, and none is given up.
const SHORT: QueueSettings =
    QueueSettings { visibility_timeout: Duration::from_secs(4), max_receive_count: 1_000 };
const PATIENCE: Duration = Duration::from_mins(2);
const SHIP_ALL: &[(&str, &str)] = &[("select.scope", "all")];
const OBJECTS: usize = 4;
const RECORDS_PER_OBJECT: usize = 50;
/// So many that a kill meets some in flight.
const MANY_OBJECTS: usize = 100;

/// An index of a month of its own, which takes writes or does not.
struct Month<'s> {
    search: &'s Search,
    name: &'static str,
    block: &'static str,
}

impl Month<'_> {
    async fn block(&self) {
        assert_eq!(self.search.request("PUT", self.name, None).await.0, 200);
        self.set(true).await;
    }

    async fn set(&self, is_blocked: bool) {
        let settings = json!({ self.block: is_blocked });
        let path = format!("{}/_settings", self.name);
        assert_eq!(self.search.request("PUT", &path, Some(settings)).await.0, 200);
    }
}

/// More writes in one bulk than the tiny queue holds.
const MONTHS: usize = 4;
const SOME_OBJECTS: usize = 20;
/// One write at a time, and one that waits.
const TINY_WRITE_QUEUE: &[(&str, &str)] =
    &[("OPENSEARCH_SETTINGS", "node.processors=1 thread_pool.write.queue_size=1")];

async fn upload(cloud: &Cloud, account: &str, month: &str, objects: usize) {
    for object in 0..objects {
        let first = object * RECORDS_PER_OBJECT;
        let records: Vec<_> = (first..first + RECORDS_PER_OBJECT)
            .map(|number| {
                let mut record = trail::record(account, number);
                record["eventTime"] = format!("{month}-01T00:00:00Z").into();
                record
            })
            .collect();
        cloud.upload(&trail::key(account, object), trail::file(&records)).await;
    }
}

async fn until_refused(daemon: &Daemon) {
    eventually(PATIENCE, async || match daemon.count(r#"sagetrail_retries_total{what="bulk_item"}"#).await {
        0 => Err("nothing was refused yet".to_owned()),
        _ => Ok(()),
    })
    .await;
}

async fn assert_each_record_once(search: &Search, account: &str, objects: usize) {
    let found = search.of_account(account).await;
    let documents: usize = found.values().map(Vec::len).sum();
    let records = objects * RECORDS_PER_OBJECT;
    assert_eq!((found.len(), documents), (records, records));
}

async fn assert_no_message_deleted(daemon: &Daemon) {
    let deleted = daemon.count(r#"sagetrail_messages_total{outcome="deleted"}"#).await;
    assert!(deleted <= 1, "nothing but S3's test message was deleted");
}

/// Each record is stored once and none rejected, no message was given up, and the daemon stops.
async fn assert_nothing_lost(daemon: Daemon, cloud: &Cloud, search: &Search, account: &str, objects: usize) {
    assert_each_record_once(search, account, objects).await;
    assert_eq!(cloud.dead_letters().await, 0);
    assert_eq!(daemon.count(r#"sagetrail_records_rejected_total{reason="refused_by_opensearch"}"#).await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_frozen_until_its_messages_are_somebody_elses_doubles_nothing() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000001";
    let cloud = Cloud::create(&stack, "outage-frozen", SHORT).await;
    let search = Search::new(&stack.opensearch);
    let month = Month { search: &search, name: "sagetrail-events-2031.08", block: "index.blocks.write" };
    let mut frozen = Daemon::start(&stack, &cloud, SHIP_ALL);
    frozen.until_ready().await;
    month.block().await;
    upload(&cloud, account, "2031-08", OBJECTS).await;
    until_refused(&frozen).await;

    // Its messages are in its hands when it is stopped, and come back while it is.
    frozen.signal("STOP");
    eventually(PATIENCE, async || match cloud.backlog().await {
        (1.., 0) => Ok(()),
        (_, hidden) => Err(format!("{hidden} messages are still hidden")),
    })
    .await;
    month.set(false).await;
    let mut second = Daemon::start(&stack, &cloud, SHIP_ALL);
    second.until_ready().await;
    cloud.until_empty(PATIENCE).await;
    assert_each_record_once(&search, account, OBJECTS).await;

    frozen.signal("CONT");
    eventually(PATIENCE, async || match frozen.count("sagetrail_messages_in_flight").await {
        0 => Ok(()),
        messages => Err(format!("{messages} messages are in flight")),
    })
    .await;
    assert_each_record_once(&search, account, OBJECTS).await;
    assert_eq!(cloud.dead_letters().await, 0);
    assert_eq!(cloud.backlog().await, (0, 0));
    frozen.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_a_full_disk_made_read_only_is_waited_for() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000002";
    let cloud = Cloud::create(&stack, "outage-disk", SHORT).await;
    let search = Search::new(&stack.opensearch);
    // What OpenSearch sets by itself at the flood stage of its disk.
    let block = "index.blocks.read_only_allow_delete";
    let month = Month { search: &search, name: "sagetrail-events-2031.09", block };
    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;
    month.block().await;
    upload(&cloud, account, "2031-09", OBJECTS).await;
    until_refused(&daemon).await;
    assert_no_message_deleted(&daemon).await;

    month.set(false).await;
    cloud.until_empty(PATIENCE).await;
    assert_nothing_lost(daemon, &cloud, &search, account, OBJECTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_index_under_the_name_of_the_alias_is_waited_for_and_nothing_is_rejected() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000006";
    let node = Server::start("opensearch.sh", "taken");
    let stack = Stack { opensearch: node.url(), ..stack };
    let cloud = Cloud::create(&stack, "outage-taken", SHORT).await;
    let search = Search::new(&stack.opensearch);
    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;
    // No month's index is left, so the alias is nobody's.
    assert_eq!(search.request("PUT", "sagetrail-events", None).await.0, 200);
    upload(&cloud, account, "2031-07", OBJECTS).await;
    until_refused(&daemon).await;
    assert_no_message_deleted(&daemon).await;
    let log = daemon.log();
    let told = log.lines().filter(|line| line.contains("ERROR") && line.contains("a name is taken")).count();
    assert_eq!(told, 1, "{log}");

    assert_eq!(search.request("DELETE", "sagetrail-events", None).await.0, 200);
    cloud.until_empty(PATIENCE).await;
    assert_nothing_lost(daemon, &cloud, &search, account, OBJECTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opensearch_that_is_killed_while_it_stores_has_each_record_once_in_the_end() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000003";
    let node = Server::start("opensearch.sh", "killed");
    let stack = Stack { opensearch: node.url(), ..stack };
    let cloud = Cloud::create(&stack, "outage-killed", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch);
    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;
    upload(&cloud, account, "2031-10", MANY_OBJECTS).await;
    let before = eventually(PATIENCE, async || match daemon.count("sagetrail_records_indexed_total").await {
        0..500 => Err("the load has not begun".to_owned()),
        indexed => Ok(indexed),
    })
    .await;
    node.kill();
    node.run("start");
    cloud.until_empty(PATIENCE).await;
    println!("killed when {before} records were stored");
    assert!(before < (MANY_OBJECTS * RECORDS_PER_OBJECT) as u64, "the kill came too late to show anything");
    assert_nothing_lost(daemon, &cloud, &search, account, MANY_OBJECTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_write_queue_is_full_pushes_back_and_has_each_record_once_in_the_end() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000005";
    let node = Server::start_with("opensearch.sh", "queue", TINY_WRITE_QUEUE);
    let stack = Stack { opensearch: node.url(), ..stack };
    let cloud = Cloud::create(&stack, "outage-writes", SHORT).await;
    let search = Search::new(&stack.opensearch);
    let settings = [SHIP_ALL, &[("sink.in_flight_bulks", "8")]].concat();
    let mut daemon = Daemon::start(&stack, &cloud, &settings);
    daemon.until_ready().await;
    let full_size = daemon.count("sagetrail_bulk_size_limit_bytes").await;
    // A bulk is one write for each index, so one over all months is more than the node has room for.
    for object in 0..SOME_OBJECTS {
        let first = object * RECORDS_PER_OBJECT;
        let records: Vec<_> = (first..first + RECORDS_PER_OBJECT)
            .map(|number| {
                let mut record = trail::record(account, number);
                record["eventTime"] = format!("2030-{:02}-01T00:00:00Z", number % MONTHS + 1).into();
                record
            })
            .collect();
        cloud.upload(&trail::key(account, object), trail::file(&records)).await;
    }
    eventually(PATIENCE, async || match daemon.count("sagetrail_bulk_size_limit_bytes").await {
        size if size < full_size => Ok(()),
        size => Err(format!("bulks may still hold {size} bytes")),
    })
    .await;
    cloud.until_empty(PATIENCE).await;

    let (_, stats) = search.request("GET", "_nodes/stats/thread_pool", None).await;
    let nodes = stats["nodes"].as_object().expect("the node tells of itself").values();
    let rejected: u64 = nodes.map(|node| node["thread_pool"]["write"]["rejected"].as_u64().unwrap()).sum();
    let again = daemon.count(r#"sagetrail_retries_total{what="bulk_item"}"#).await;
    println!("the node rejected {rejected} writes, and {again} documents were sent again");
    assert!(rejected > 0 && again > 0, "the queue was never full");
    assert_nothing_lost(daemon, &cloud, &search, account, SOME_OBJECTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_queue_was_away_goes_on_by_itself_when_it_is_back() {
    let Some(stack) = Stack::running() else { return };
    let account = "700000000004";
    let aws = Server::start("moto.sh", "away");
    let stack = Stack { aws: aws.url(), ..stack };
    let cloud = Cloud::create(&stack, "outage-queue", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch);
    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;

    aws.run("stop");
    eventually(PATIENCE, async || match daemon.count("sagetrail_receive_failures_total").await {
        0 => Err("no receive has failed yet".to_owned()),
        _ => Ok(()),
    })
    .await;
    // moto remembers nothing, so the queue and the bucket are made again under their names.
    aws.run("start");
    let cloud = Cloud::create(&stack, "outage-queue", QueueSettings::default()).await;
    upload(&cloud, account, "2031-11", OBJECTS).await;
    cloud.until_empty(PATIENCE).await;
    assert_each_record_once(&search, account, OBJECTS).await;
    daemon.stop().await;
}
