//! The main promise under load: every distinct record is in OpenSearch exactly once, whatever happens to the daemons.

mod correlating;
mod dashboards;
mod remembering;
#[allow(dead_code, reason = "the benchmark of speed uses more of it")]
#[path = "../../benches/performance/trail.rs"]
mod ordinary;
#[allow(dead_code, reason = "the tests of panels look at answers")]
#[path = "../e2e/dashboards/request.rs"]
mod request;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use support::cloud::{Cloud, QueueSettings};
use support::daemon::Daemon;
use support::search::Search;
use support::server::Server;
use support::{Stack, eventually, trail};
use tokio::sync::Mutex;
use tokio::time::sleep;

const OBJECTS: usize = 100;
const RECORDS_PER_OBJECT: usize = 500;
const RECORDS: usize = OBJECTS * RECORDS_PER_OBJECT;
const PATIENCE: Duration = Duration::from_mins(15);
/// What a daemon may take in memory, however much waits and whatever is down.
const MOST_MEMORY: u64 = 150 << 20;
const SHIP_ALL: &[(&str, &str)] = &[("select.scope", "all"), ("log.filter", "warn,sagetrail::daemon=info")];

/// Each of these tests fills both processors, so they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

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
    let indices: BTreeSet<&str> = found.values().flatten().map(|hit| hit.index.as_str()).collect();
    assert_eq!(indices.len(), 1, "all records are of one month: {indices:?}");
    assert_eq!(documents, RECORDS, "documents");
    assert_eq!(event_ids.len(), documents, "distinct records");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_ship_every_record_once_though_every_object_is_notified_twice() {
    let Some(stack) = Stack::running() else { return };
    let _turn = TURN.lock().await;
    let account = "100000000001";
    let cloud = Cloud::create(&stack, "load-twice", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch);
    upload_twice_notified(&cloud, account).await;

    let mut daemons = [(); 2].map(|()| Daemon::start(&stack, &cloud, SHIP_ALL));
    for daemon in &mut daemons {
        daemon.until_ready().await;
    }
    cloud.until_empty(PATIENCE).await;

    assert_each_record_once(&search, account).await;
    assert_eq!(cloud.dead_letters().await, 0);
    let (mut indexed, mut duplicate) = (0, 0);
    for daemon in daemons {
        let share = daemon.count("sagetrail_records_indexed_total").await;
        println!("one daemon indexed {share} records, {} MiB at most", daemon.peak_memory() >> 20);
        assert!(share > 0, "both daemons had a share");
        indexed += share;
        duplicate += daemon.count("sagetrail_records_duplicate_total").await;
        daemon.stop().await;
    }
    // SQS delivers at least once: on a busy machine a message can come a third time before its delete has arrived.
    println!("{duplicate} duplicates met {indexed} records");
    assert_eq!(indexed, RECORDS as u64);
    assert!(duplicate >= RECORDS as u64, "each object was notified twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_ten_times_ships_every_record_once() {
    let Some(stack) = Stack::running() else { return };
    let _turn = TURN.lock().await;
    let account = "100000000002";
    let cloud = Cloud::create(&stack, "load-killed", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch);
    upload_twice_notified(&cloud, account).await;

    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut interrupted = 0;
    for _ in 0..10 {
        let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
        daemon.until_ready().await;
        // A kill is a moment in time and no condition, so this waits by the clock.
        let moment = Duration::from_millis(u64::from(random.next_u32() % 4_000));
        sleep(moment).await;
        let in_flight = daemon.count("sagetrail_messages_in_flight").await;
        daemon.kill();
        println!("killed after {moment:?} with {in_flight} messages in flight");
        interrupted += in_flight;
    }
    assert!(interrupted > 0, "no kill met a message in flight, so nothing was shown");

    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;
    cloud.until_empty(PATIENCE).await;
    assert_each_record_once(&search, account).await;
    assert_eq!(cloud.dead_letters().await, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_opensearch_loses_nothing_and_memory_stays_bounded() {
    let Some(stack) = Stack::running() else { return };
    let _turn = TURN.lock().await;
    let account = "100000000003";
    let node = Server::start("opensearch.sh", "outage");
    let stack = Stack { opensearch: node.url(), ..stack };
    let cloud = Cloud::create(&stack, "load-outage", QueueSettings::default()).await;
    let search = Search::new(&stack.opensearch);
    upload_twice_notified(&cloud, account).await;

    let mut daemon = Daemon::start(&stack, &cloud, SHIP_ALL);
    daemon.until_ready().await;
    let before = eventually(PATIENCE, async || match daemon.count("sagetrail_records_indexed_total").await {
        0..2_000 => Err("the load has not begun".to_owned()),
        indexed => Ok(indexed),
    })
    .await;
    node.run("stop");
    sleep(Duration::from_secs(30)).await;
    let (status, body) = daemon.get("readyz").await.expect("the daemon is there");
    assert_eq!(status, 503);
    assert!(body.starts_with("OpenSearch does not answer: "), "it says why: {body}");
    node.run("start");
    assert!(before < RECORDS as u64, "the outage came too late to show anything");

    cloud.until_empty(PATIENCE).await;
    assert_each_record_once(&search, account).await;
    assert_eq!(cloud.dead_letters().await, 0);
    let peak = daemon.peak_memory();
    println!("{before} records were stored before the outage; {} MiB at most", peak >> 20);
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    daemon.stop().await;
}
