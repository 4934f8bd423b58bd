//! A stop loses nothing: what is in flight is finished in the grace time or given back to the queue at once.

use std::time::Duration;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::{Daemon, free_port};
use crate::support::search::Search;
use crate::support::{Stack, eventually, trail};

/// Long enough that a message which is seen again before it is over was given back.
const HIDDEN_FOR_LONG: QueueSettings =
    QueueSettings { visibility_timeout: Duration::from_mins(10), max_receive_count: 100 };

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_flight() {
    let Some(stack) = Stack::running() else { return };
    let account = "500000000001";
    let cloud = Cloud::create(&stack, "stop-finishes", HIDDEN_FOR_LONG).await;
    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all")]);
    daemon.until_ready().await;
    for object in 0..5 {
        let records: Vec<_> =
            (object * 200..(object + 1) * 200).map(|number| trail::record(account, number)).collect();
        cloud.upload(&trail::key(account, object), trail::file(&records)).await;
    }
    eventually(Duration::from_secs(30), async || {
        match daemon.count("sagetrail_messages_received_total").await {
            6.. => Ok(()),
            received => Err(format!("{received} messages were received")),
        }
    })
    .await;
    daemon.stop().await;
    assert_eq!(cloud.backlog().await, (0, 0));
    assert_eq!(Search::new(&stack.opensearch).count(account).await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_back_what_cannot_be_finished_and_a_second_daemon_ships_it() {
    let Some(stack) = Stack::running() else { return };
    let account = "500000000002";
    let cloud = Cloud::create(&stack, "stop-releases", HIDDEN_FOR_LONG).await;
    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all"), ("shutdown.grace", "1s")]);
    daemon.until_ready().await;
    let search = Search::new(&stack.opensearch);
    let blocked = BlockedMonth::new(&search, "2032.07").await;
    blocked.upload(&cloud, account).await;
    blocked.until_refused(&daemon).await;
    daemon.signal("TERM");
    assert!(daemon.until_ended(Duration::from_secs(20)).await.success(), "{}", daemon.log());
    assert!(daemon.log().contains("given back"), "{}", daemon.log());
    assert_eq!(cloud.backlog().await, (1, 0), "the message waits and is not hidden");

    blocked.open().await;
    ship_the_rest(&stack, &cloud, &search, account).await;
}

/// Ships with a second daemon what the first one left, which are the ten records of a blocked month.
async fn ship_the_rest(stack: &Stack, cloud: &Cloud, search: &Search, account: &str) {
    let mut second = Daemon::start(stack, cloud, &[("select.scope", "all")]);
    second.until_ready().await;
    cloud.until_empty(Duration::from_mins(1)).await;
    assert_eq!(search.count(account).await, 10);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_daemon_at_once_and_another_ships_what_was_in_flight() {
    let Some(stack) = Stack::running() else { return };
    let account = "500000000033";
    let cloud = Cloud::create(&stack, "stop-twice", QueueSettings::default()).await;
    let mut daemon = Daemon::start(&stack, &cloud, &[("select.scope", "all"), ("shutdown.grace", "10m")]);
    daemon.until_ready().await;
    let search = Search::new(&stack.opensearch);
    let blocked = BlockedMonth::new(&search, "2032.08").await;
    blocked.upload(&cloud, account).await;
    blocked.until_refused(&daemon).await;
    daemon.signal("INT");
    eventually(Duration::from_secs(20), async || match daemon.log() {
        log if log.contains("stopping") => Ok(()),
        log => Err(log),
    })
    .await;
    daemon.signal("INT");
    let status = daemon.until_ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("a second signal"), "{}", daemon.log());

    blocked.open().await;
    ship_the_rest(&stack, &cloud, &search, account).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_waits_for_opensearch_and_stops_cleanly_meanwhile() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "stop-waiting", HIDDEN_FOR_LONG).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let daemon = Daemon::start(&stack, &cloud, &[("sink.url", &nobody)]);
    eventually(Duration::from_secs(30), async || match daemon.get("readyz").await {
        Ok((503, _)) if daemon.log().contains("waiting for OpenSearch") => Ok(()),
        Ok((status, body)) => Err(format!("{status} {body}")),
        Err(error) => Err(error.to_string()),
    })
    .await;
    daemon.stop().await;
}

/// A month whose index refuses every write for now, so that a message with its records stays in flight.
struct BlockedMonth<'s> {
    search: &'s Search,
    month: &'static str,
}

impl<'s> BlockedMonth<'s> {
    async fn new(search: &'s Search, month: &'static str) -> Self {
        let blocked = Self { search, month };
        assert_eq!(search.request("PUT", &format!("sagetrail-events-{month}"), None).await.0, 200);
        blocked.set(true).await;
        blocked
    }

    async fn set(&self, on: bool) {
        let settings = serde_json::json!({"index.blocks.write": on});
        let path = format!("sagetrail-events-{}/_settings", self.month);
        assert_eq!(self.search.request("PUT", &path, Some(settings)).await.0, 200);
    }

    async fn open(&self) {
        self.set(false).await;
    }

    /// Uploads ten records of the month.
    async fn upload(&self, cloud: &Cloud, account: &str) {
        let time = format!("{}-01T00:00:00Z", self.month.replace('.', "-"));
        let records: Vec<_> = (0..10)
            .map(|number| {
                let mut record = trail::record(account, number);
                record["eventTime"] = time.as_str().into();
                record
            })
            .collect();
        cloud.upload(&trail::key(account, 0), trail::file(&records)).await;
    }

    async fn until_refused(&self, daemon: &Daemon) {
        eventually(Duration::from_secs(30), async || {
            match daemon.count(r#"sagetrail_retries_total{what="bulk_item"}"#).await {
                0 => Err("nothing was refused yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }
}
