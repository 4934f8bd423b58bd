//! Records as AWS really writes them, every one of them into the real OpenSearch.
//!
//! They are not part of the project: the folder that holds them is named by `SAGETRAIL_TEST_RECORDS`, or found beside
//! the checkout. Without it the test skips and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, trail};

#[tokio::test(flavor = "multi_thread")]
async fn no_real_record_is_lost_and_none_is_refused() {
    let Some(stack) = Stack::running() else { return };
    let Some(files) = record_files() else {
        println!("skipped: no folder of real CloudTrail records");
        return;
    };
    let cloud = Cloud::create(&stack, "real-records", QueueSettings::default()).await;
    let mut distinct = BTreeSet::new();
    for (number, path) in files.iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let records = file["Records"].as_array().unwrap();
        distinct.extend(records.iter().map(|record| in_order(record).to_string()));
        cloud.upload(&trail::key("400000000001", number), bytes).await;
    }
    let mut daemon = Daemon::start(
        &stack,
        &cloud,
        &[("select.scope", "all"), ("log.filter", "warn,sagetrail::daemon=info")],
    );
    daemon.until_ready().await;
    cloud.until_empty(Duration::from_mins(3)).await;

    let ours = json!({"wildcard": {"log.file.path": format!("s3://{}/*", cloud.bucket)}});
    let search = Search::new(&stack.opensearch);
    let stored = search.find("sagetrail-events", ours.clone(), &[]).await;
    let rejected = search.find("sagetrail-rejected", ours, &["*"]).await;
    let refused = daemon.count(r#"sagetrail_records_rejected_total{reason="refused_by_opensearch"}"#).await;
    println!(
        "{} files, {} distinct records: {} stored, {} malformed, {refused} refused",
        files.len(),
        distinct.len(),
        stored.len(),
        rejected.len()
    );
    for hit in rejected.values().flatten() {
        println!("rejected: {}", hit.source);
    }
    assert_eq!(cloud.dead_letters().await, 0);
    assert_eq!((rejected.len(), refused), (0, 0), "no real record is rejected");
    assert_eq!(stored.len(), distinct.len());
    daemon.stop().await;
}

/// The record with its members in the order of their names: in another order it says the same, and is stored once.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, Value> =
                members.iter().map(|(name, value)| (name, in_order(value))).collect();
            sorted.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(elements) => elements.iter().map(in_order).collect(),
        other => other.clone(),
    }
}

fn record_files() -> Option<Vec<PathBuf>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cloudtrail");
    let folder =
        std::env::var_os("SAGETRAIL_TEST_RECORDS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".json.gz"))
        .collect();
    files.sort();
    (!files.is_empty()).then_some(files)
}
