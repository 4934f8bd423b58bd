//! What recall takes, and what a daemon holds, beside a memory of many resources. The benchmarks print what they
//! measure and demand nothing, so they run only when they are asked for: `make bench-memory`, with `RESOURCES=100000`
//! for fewer.

use std::fmt::Write;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sagetrail::memory::Key;
use sagetrail::setup::object::Kind;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::TURN;
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, asked_for, eventually, install, mixed, place, send_bulk, trail};

/// How many resources are known, where the environment says nothing else.
const RESOURCES: u64 = 1_000_000;
const PREFIX: &str = "bench-memory";
const ACCOUNT: &str = "950000000002";
/// The records of a burst and of one of its objects.
const BURST: u64 = 20_000;
const OF_BURST: u64 = 500;
/// The ordinary pace: an object of so many records each so often, for so long.
const OF_PACE: u64 = 25;
const BETWEEN: Duration = Duration::from_millis(250);
const LASTING: Duration = Duration::from_mins(2);
/// What a daemon may take in memory in the build of the tests, which is 10 MiB larger than a release.
const MOST_MEMORY: u64 = 140 << 20;
/// Documents in one bulk.
const BULK: u64 = 5_000;
const PATIENCE: Duration = Duration::from_mins(15);

/// The number of the first record of what is measured next. No event comes twice.
static EVENTS: AtomicU64 = AtomicU64::new(0);

/// How fast records come.
#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    Ordinary,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_about_many_resources_stays_within_its_memory() {
    let Some(stack) = Stack::running() else { return };
    let _turn = TURN.lock().await;
    let peak = measure(&stack, BURST, BURST, Pace::AtOnce).await;
    assert!(peak < MOST_MEMORY, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and takes minutes"]
async fn recall_beside_many_known_resources() {
    let Some(stack) = Stack::running() else { return };
    let known = asked_for("SAGETRAIL_BENCH_RESOURCES").unwrap_or(RESOURCES);
    for (about, pace) in [(known, Pace::AtOnce), (50, Pace::AtOnce), (known, Pace::Ordinary)] {
        measure(&stack, known, about, pace).await;
    }
}

/// Lets a daemon ship records about some of the known resources, prints what that took, and returns its peak memory.
async fn measure(stack: &Stack, known: u64, about: u64, pace: Pace) -> u64 {
    let search = Search::new(&stack.opensearch);
    let cloud = Cloud::create(stack, PREFIX, QueueSettings::default()).await;
    prepare(stack, &cloud, &search, known).await;
    let daemon = start(stack, &cloud).await;
    let (began, at_start) = (Instant::now(), daemon.peak_memory());
    let of_object = match pace {
        Pace::AtOnce => OF_BURST,
        Pace::Ordinary => OF_PACE,
    };
    let first = EVENTS.fetch_add(1_000_000, Ordering::Relaxed);
    let mut ticks = tokio::time::interval(BETWEEN);
    for object in 1.. {
        match pace {
            Pace::AtOnce if (object - 1) * of_object >= BURST => break,
            Pace::Ordinary if began.elapsed() >= LASTING => break,
            Pace::AtOnce => {}
            Pace::Ordinary => drop(ticks.tick().await),
        }
        let numbers = first + object * of_object..first + (object + 1) * of_object;
        let about_one = |number| record(number, "DescribeNotebookInstance", mixed(number) % about);
        let records: Vec<Value> = numbers.map(about_one).collect();
        cloud.upload(&trail::key(ACCOUNT, place(object)), trail::file(&records)).await;
    }
    cloud.until_empty(PATIENCE).await;
    let (_, metrics) = daemon.get("metrics").await.expect("the metrics are served");
    let (took, peak) = (began.elapsed(), daemon.peak_memory());
    println!(
        "{known} known, {} records about {about} in {took:.1?}: {} MiB at most, {} when it started",
        daemon.count("sagetrail_records_indexed_total").await,
        peak >> 20,
        at_start >> 20
    );
    for (name, share) in [("median", 0.5), ("99th percentile", 0.99), ("longest", 1.0)] {
        println!("  recall, {name}: at most {} s", quantile(&metrics, share));
    }
    for outcome in ["answered", "timed_out", "failed", "paused"] {
        let series = format!("sagetrail_memory_recalls_total{{outcome=\"{outcome}\"}}");
        println!("  recalls, {outcome}: {}", daemon.count(&series).await);
    }
    daemon.stop().await;
    forget(&search, &["events-*"]).await;
    peak
}

async fn start(stack: &Stack, cloud: &Cloud) -> Daemon {
    let binary = std::env::var("SAGETRAIL_BENCH_BINARY").ok().filter(|path| !path.is_empty());
    let command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_sagetrail")));
    let settings = [("sink.index_prefix", PREFIX), ("correlate.enabled", "false")];
    let mut daemon = Daemon::start_by(command, stack, cloud, &settings);
    daemon.until_ready().await;
    daemon
}

/// Fills memory with so many resources, unless it has them.
async fn prepare(stack: &Stack, cloud: &Cloud, search: &Search, known: u64) {
    let (_, count) = search.request("GET", &format!("{PREFIX}-resources/_count"), None).await;
    if count["count"].as_u64().is_some_and(|stored| stored >= known) {
        return;
    }
    let began = Instant::now();
    forget(search, &["events-*", "resources", "identities", "sessions-*"]).await;
    install(stack, PREFIX, &[Kind::Script]).await;
    fill(stack, cloud, search, known).await;
    println!("{known} resources were stored in {:.0?}", began.elapsed());
}

async fn forget(search: &Search, indices: &[&str]) {
    for index in indices {
        let path = format!("{PREFIX}-{index}?ignore_unavailable=true");
        search.request("DELETE", &path, None).await;
    }
}

/// Teaches memory one notebook by its record, and then stores as many as that with other names.
async fn fill(stack: &Stack, cloud: &Cloud, search: &Search, count: u64) {
    let daemon = start(stack, cloud).await;
    let first = trail::file(&[record(u64::MAX, "CreateNotebookInstance", 0)]);
    cloud.upload(&trail::key(ACCOUNT, 0), first).await;
    cloud.until_empty(PATIENCE).await;
    daemon.stop().await;
    let path = format!("{PREFIX}-resources/_doc/{}", key(0).document_id());
    let model = eventually(PATIENCE, async || {
        let (status, found) = search.request("GET", &path, None).await;
        if status == 200 { Ok(found["_source"].to_string()) } else { Err(format!("{status}: {found}")) }
    })
    .await;
    let http = reqwest::Client::new();
    for begin in (1..count).step_by(place(BULK)) {
        let mut lines = String::new();
        for number in begin..(begin + BULK).min(count) {
            let action =
                json!({"index": {"_index": format!("{PREFIX}-resources"), "_id": key(number).document_id()}});
            writeln!(lines, "{action}\n{}", model.replace(&name(0), &name(number)))
                .expect("memory can be written");
        }
        send_bulk(stack, &http, lines).await;
    }
    search.request("POST", &format!("{PREFIX}-resources/_refresh"), None).await;
}

fn name(number: u64) -> String {
    format!("remembered-{number:07}")
}

fn key(number: u64) -> Key {
    Key::resource(&format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:notebook-instance/{}", name(number)))
}

/// What one of a hundred people does to a notebook.
fn record(number: u64, call: &str, notebook: u64) -> Value {
    let role = format!("Team{}", number % 100);
    let mut record = trail::record(ACCOUNT, 0);
    record["eventID"] = json!(format!("95000000-0000-4000-8000-{:012}", number % 1_000_000_000_000));
    record["eventName"] = json!(call);
    record["requestParameters"] = json!({"notebookInstanceName": name(notebook)});
    record["userIdentity"] = json!({
        "type": "AssumedRole", "principalId": format!("AROA{role}:s"), "accountId": ACCOUNT,
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s"), "accessKeyId": format!("ASIA{role}"),
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "principalId": format!("AROA{role}"), "accountId": ACCOUNT,
            "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "userName": role
        }}
    });
    record
}

/// The upper bound of the bucket in which such a share of recalls ended, in seconds.
fn quantile(metrics: &str, share: f64) -> String {
    let bucket = |line: &str| {
        let rest = line.strip_prefix("sagetrail_memory_recall_duration_seconds_bucket{le=\"")?;
        let (bound, count) = rest.split_once("\"} ")?;
        Some((bound.to_owned(), count.parse::<f64>().ok()?))
    };
    let buckets: Vec<(String, f64)> = metrics.lines().filter_map(bucket).collect();
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    let reached = buckets.iter().find(|(_, count)| *count >= all * share);
    reached.map_or_else(|| "unknown".to_owned(), |(bound, _)| bound.clone())
}
