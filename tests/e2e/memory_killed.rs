//! The memory of a set of records is a function of the set: daemons that share a shuffled history, get each object
//! twice and are killed again and again leave the same indices as one daemon that read it in order.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use sagetrail::memory::Remembered;
use sagetrail::opensearch::Page;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use crate::memory_daemon::install_script;
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, examples, trail};

const PATIENCE: Duration = Duration::from_mins(10);
const ACCOUNT: &str = "940000000001";
/// Records in one object, and how often each daemon is killed.
const TOGETHER: usize = 16;
const KILLS: usize = 2;
/// How long a message that was received may be away.
const RETURN: Duration = Duration::from_secs(15);
/// Of the examples, one of so many is in the history.
const ONE_OF: usize = 4;
/// The longest that a daemon lives on once it has messages, in milliseconds.
const LONGEST_LIFE: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_are_killed_remember_what_one_did_that_read_in_order() {
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    let seed = std::env::var("SAGETRAIL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SAGETRAIL_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut records: Vec<Value> = examples::all()
        .into_iter()
        .step_by(ONE_OF)
        .flat_map(|example| example.history.into_iter().chain([example.record]))
        .collect();
    records.sort_by_cached_key(|record| record["eventTime"].to_string());

    let prefix = "memoneinorder";
    clear(&search, prefix).await;
    install_script(&stack, prefix).await;
    let cloud = Cloud::create(&stack, "memory-in-order", QueueSettings::default()).await;
    upload(&cloud, &records).await;
    let settings = [settings(prefix).as_slice(), &[("source.in_flight_messages", "1")]].concat();
    let mut one = Daemon::start(&stack, &cloud, &settings);
    one.until_ready().await;
    cloud.until_empty(PATIENCE).await;
    one.stop().await;
    let in_order = memory(&stack, &search, prefix).await;
    assert!(in_order.len() > 100, "{} documents", in_order.len());

    let prefix = "memkilled";
    clear(&search, prefix).await;
    install_script(&stack, prefix).await;
    let cloud = Cloud::create(&stack, "memory-killed", QueueSettings::default()).await;
    random.shuffle(&mut records);
    let again = upload(&cloud, &records).await;
    cloud.send(again).await;
    let lives: Vec<[u64; KILLS]> =
        (0..3).map(|_| std::array::from_fn(|_| random.u64(..LONGEST_LIFE))).collect();
    let [a, b, c] = [&lives[0], &lives[1], &lives[2]].map(|lives| kill(&stack, &cloud, prefix, lives));
    let (a, b, c) = tokio::join!(a, b, c);
    println!("{} messages were in flight when daemons were killed", a + b + c);
    assert!(a + b + c > 0, "no kill met a message in flight, so nothing was shown");
    let mut three = [(); 3].map(|()| Daemon::start(&stack, &cloud, &self::settings(prefix)));
    for daemon in &mut three {
        daemon.until_ready().await;
    }
    cloud.until_empty(PATIENCE).await;
    for daemon in three {
        daemon.stop().await;
    }
    let killed = memory(&stack, &search, prefix).await;
    assert_eq!(killed.keys().collect::<Vec<_>>(), in_order.keys().collect::<Vec<_>>());
    for (key, text) in &in_order {
        assert_eq!(&killed[key], text, "{key:?}");
    }
}

fn settings(prefix: &str) -> Vec<(&'static str, &str)> {
    // One key for all, so that a secret has one fingerprint.
    let key = ("redaction.key", "0123456789abcdef0123456789abcdef");
    vec![("sink.index_prefix", prefix), ("select.scope", "all"), ("correlate.enabled", "false"), key]
}

/// Uploads the records in objects of some, each of which notifies the queue, and returns the notifications for a second
/// time.
async fn upload(cloud: &Cloud, records: &[Value]) -> Vec<String> {
    let mut notifications = Vec::new();
    for (number, records) in records.chunks(TOGETHER).enumerate() {
        let key = trail::key(ACCOUNT, number);
        cloud.upload(&key, trail::file(records)).await;
        notifications.push(cloud.notification(&key));
    }
    notifications
}

/// Starts a daemon once for each of these lives, in milliseconds, and kills it at its end. Returns how many messages
/// that met.
async fn kill(stack: &Stack, cloud: &Cloud, prefix: &str, lives: &[u64]) -> u64 {
    let mut met = 0;
    for life in lives {
        let mut daemon = Daemon::start(stack, cloud, &settings(prefix));
        daemon.until_ready().await;
        // Messages of a daemon that was killed come back after their visibility timeout.
        let in_flight = async || daemon.count("sagetrail_messages_in_flight").await;
        let began = Instant::now();
        while in_flight().await == 0 && began.elapsed() < RETURN {
            sleep(Duration::from_millis(20)).await;
        }
        // A kill is a moment in time and no condition, so this waits by the clock.
        sleep(Duration::from_millis(*life)).await;
        met += in_flight().await;
        daemon.kill();
    }
    met
}

async fn clear(search: &Search, prefix: &str) {
    for index in ["events-*", "objects-*", "resources", "identities", "sessions-*", "rejected"] {
        search.request("DELETE", &format!("{prefix}-{index}?ignore_unavailable=true"), None).await;
    }
}

/// What the indices of memory hold, as it is stored, by index and key.
async fn memory(stack: &Stack, search: &Search, prefix: &str) -> BTreeMap<(String, String), String> {
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_index")]
        index: String,
        #[serde(rename = "_source")]
        source: Box<RawValue>,
    }
    let indices = format!("{prefix}-resources,{prefix}-identities,{prefix}-sessions-*");
    search.request("POST", &format!("{indices}/_refresh"), None).await;
    let url = format!("{}/{indices}/_search?size=10000", stack.opensearch.trim_end_matches('/'));
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let found: Page<Hit> = serde_json::from_str(&text).unwrap();
    let named = |hit: Hit| {
        let Remembered { key, .. } = serde_json::from_str(hit.source.get()).unwrap();
        ((hit.index.trim_start_matches(prefix).to_owned(), key), hit.source.get().to_owned())
    };
    found.hits.hits.into_iter().map(named).collect()
}
