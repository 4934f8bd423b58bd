//! Memory does not grow with what waits: the queue holds the backlog, not the daemon.

mod support;

use std::time::Duration;

use support::cloud::{Cloud, QueueSettings};
use support::daemon::Daemon;
use support::{Stack, eventually, trail};

const WAITING: usize = 100_000;
const MOST_MEMORY: u64 = 150 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_while_a_hundred_thousand_messages_wait() {
    let Some(stack) = Stack::running() else { return };
    let account = "200000000001";
    let settings = QueueSettings { visibility_timeout: Duration::from_mins(10), ..QueueSettings::default() };
    let cloud = Cloud::create(&stack, "backlog", settings).await;
    let records: Vec<_> = (0..500).map(|number| trail::record(account, number)).collect();
    let key = trail::key(account, 0);
    cloud.upload(&key, trail::file(&records)).await;
    cloud.send((0..WAITING).map(|_| cloud.notification(&key))).await;

    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all"), ("log.filter", "warn")]);
    daemon.until_ready().await;
    eventually(Duration::from_mins(3), async || {
        match daemon.count(r#"sagetrail_messages_total{outcome="deleted"}"#).await {
            deleted @ 0..400 => Err(format!("{deleted} messages were worked on")),
            _ => Ok(()),
        }
    })
    .await;
    let (waiting, _) = cloud.backlog().await;
    let peak = daemon.peak_memory();
    println!("{waiting} messages still wait; {} MiB at most", peak >> 20);
    assert!(waiting > 90_000, "only {waiting} messages were left, so this shows nothing");
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    daemon.stop().await;
}
