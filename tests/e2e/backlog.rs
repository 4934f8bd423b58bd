//! Memory does not grow with what waits: the queue holds the backlog, not the daemon.

use std::time::Duration;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::sqs::Sqs;
use crate::support::{Stack, eventually, trail};

const WAITING: usize = 100_000;
const MOST_MEMORY: u64 = 150 << 20;
/// The work takes seconds, where nothing else fills the processors.
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_while_a_hundred_thousand_messages_wait() {
    let Some(stack) = Stack::running() else { return };
    let account = "200000000001";
    let cloud = Cloud::create(&stack, "backlog-bucket", QueueSettings::default()).await;
    let records: Vec<_> = (0..500).map(|number| trail::record(account, number)).collect();
    let key = trail::key(account, 0);
    cloud.upload(&key, trail::file(&records)).await;
    let sqs = Sqs::serve(Duration::from_mins(5)).await;
    sqs.send((0..WAITING).map(|_| cloud.notification(&key)));

    let stack = Stack { sqs: Some(sqs.url.clone()), ..stack };
    let settings = [
        ("select.scope", "all"),
        ("log.filter", "warn,sagetrail::daemon=info"),
        ("source.queue_url", &sqs.queue_url()),
    ];
    let mut daemon = Daemon::start(&stack, &cloud, &settings);
    daemon.until_ready().await;
    eventually(PATIENCE, async || {
        match daemon.count(r#"sagetrail_messages_total{outcome="deleted"}"#).await {
            deleted @ 0..300 => Err(format!("{deleted} messages were worked on\n{}", daemon.log())),
            _ => Ok(()),
        }
    })
    .await;
    let (waiting, hidden) = sqs.depth();
    let peak = daemon.peak_memory();
    println!(
        "{} requests for messages; {waiting} still wait and {hidden} are in flight; {} MiB at most",
        sqs.receives(),
        peak >> 20
    );
    assert!(waiting > 90_000, "only {waiting} messages were left, so this shows nothing");
    assert!(hidden <= 32 + 20, "{hidden} messages are hidden, more than there is room for");
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    daemon.stop().await;
}
