//! The alerts that a monitor would raise: its search as it is, with the trigger's condition as a bucket selector, which
//! is how the alerting plugin itself evaluates it.

use std::collections::BTreeSet;
use std::fmt::Write;

use sagetrail::monitors::Monitor;
use serde_json::json;
use time::OffsetDateTime;

use super::search::Search;

/// Searches in one request.
const AT_ONCE: usize = 400;

/// The bucket keys of the alerts when the monitor runs at each of these times, in an index in place of its own.
pub async fn alerts(
    search: &Search,
    monitor: &Monitor,
    index: &str,
    times: &[OffsetDateTime],
) -> BTreeSet<String> {
    let mut query = monitor.body["inputs"][0]["search"]["query"].clone();
    let condition = &monitor.body["triggers"][0]["bucket_level_trigger"]["condition"];
    query["aggregations"]["composite_agg"]["aggregations"]["fired"] = json!({"bucket_selector": {
        "buckets_path": condition["buckets_path"], "script": condition["script"], "gap_policy": "skip"}});
    let query = query.to_string();
    let mut alerts = BTreeSet::new();
    for times in times.chunks(AT_ONCE) {
        let mut lines = String::new();
        for time in times {
            let millis = (time.unix_timestamp_nanos() / 1_000_000).to_string();
            let query = query.replace("{{period_end}}", &millis);
            writeln!(lines, "{}\n{query}", json!({"index": index})).unwrap();
        }
        let answer = search.send("_msearch", lines).await;
        for answer in answer["responses"].as_array().unwrap() {
            assert_eq!(answer["status"], 200, "{}: {answer}", monitor.id);
            assert_eq!(answer["_shards"]["failed"], 0, "{}: {answer}", monitor.id);
            for bucket in answer["aggregations"]["composite_agg"]["buckets"].as_array().unwrap() {
                let keys: Vec<&str> =
                    bucket["key"].as_object().unwrap().values().map(|key| key.as_str().unwrap()).collect();
                alerts.insert(keys.join(","));
            }
        }
    }
    alerts
}

/// The index that a monitor asks.
pub fn index(monitor: &Monitor) -> &str {
    monitor.body["inputs"][0]["search"]["indices"][0].as_str().unwrap()
}
