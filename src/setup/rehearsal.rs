//! Runs the search of each monitor once and renders the page that each alert would send. Nothing is sent or stored.
//!
//! It evaluates a trigger as the alerting plugin does, with a bucket selector, and renders a message with OpenSearch's
//! own mustache. So thresholds can be tried before they page anybody, and on a cluster without the plugin.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answer::{SetupError, accepted};
use super::object::{Kind, Object};
use crate::config::{Channel, Config, Target};
use crate::monitors::{self, Monitor};
use crate::opensearch::{Method, OpenSearch};

/// What one monitor would do now.
pub struct Rehearsed {
    pub monitor: Monitor,
    /// The text of each page.
    pub pages: Vec<String>,
}

/// Runs every monitor that the configuration asks for, as at this time.
pub async fn rehearse(
    opensearch: &OpenSearch,
    config: &Config,
    at: OffsetDateTime,
) -> Result<Vec<Rehearsed>, SetupError> {
    let mut rehearsed = Vec::new();
    for monitor in
        monitors::built_in(opensearch.names(), &config.monitors, &audience(), config.dashboards.link_url())?
    {
        let mut pages = Vec::new();
        for alert in alerts(opensearch, &monitor, at).await? {
            pages.push(page(opensearch, &monitor, alert).await?);
        }
        rehearsed.push(Rehearsed { monitor, pages });
    }
    Ok(rehearsed)
}

/// A channel that takes every page, in the form in which the rendered text can be read back.
fn audience() -> BTreeMap<String, Channel> {
    let target = Target::Webhook { url: String::new().into(), headers: BTreeMap::new() };
    BTreeMap::from([("rehearsal".to_owned(), Channel { severities: None, target })])
}

/// The alerts that a monitor would raise, as its message sees them.
async fn alerts(
    opensearch: &OpenSearch,
    monitor: &Monitor,
    at: OffsetDateTime,
) -> Result<Vec<Value>, SetupError> {
    let search = &monitor.body["inputs"][0]["search"];
    let trigger = &monitor.body["triggers"][0]["bucket_level_trigger"];
    let condition = &trigger["condition"];
    let mut query = search["query"].clone();
    let by_key = &mut query["aggregations"]["composite_agg"];
    // The plugin brings sample documents only where a monitor has no aggregations of its own.
    if by_key["aggregations"].is_null() {
        let fields = monitors::sampled_fields(message_of(monitor));
        by_key["aggregations"] = json!({"samples": {"top_hits": {"size": 1, "_source": fields}}});
    }
    by_key["aggregations"]["fired"] = json!({"bucket_selector": {
        "buckets_path": condition["buckets_path"], "script": condition["script"], "gap_policy": "skip"}});
    let millis = at.unix_timestamp() * 1_000 + i64::from(at.millisecond());
    let path = format!("{}/_search", search["indices"][0].as_str().unwrap_or_default());
    let mut buckets: Vec<Value> = Vec::new();
    loop {
        let text = query.to_string().replace("{{period_end}}", &millis.to_string());
        let answer = ask(opensearch, monitor, &path, text).await?;
        let page = &answer["aggregations"]["composite_agg"];
        buckets.extend(page["buckets"].as_array().into_iter().flatten().cloned());
        if page["after_key"].is_null() {
            break;
        }
        query["aggregations"]["composite_agg"]["composite"]["after"] = page["after_key"].clone();
    }
    let alert = |(number, bucket): (usize, Value)| {
        let keys: Vec<&str> =
            bucket["key"].as_object().into_iter().flatten().filter_map(|(_, key)| key.as_str()).collect();
        json!({
            "id": format!("rehearsal-{}", number + 1),
            "bucket_keys": keys.join(","),
            "state": "ACTIVE",
            "severity": trigger["severity"],
            "start_time": millis,
            "sample_documents": bucket["samples"]["hits"]["hits"],
        })
    };
    Ok(buckets.into_iter().enumerate().map(alert).collect())
}

fn message_of(monitor: &Monitor) -> &str {
    let trigger = &monitor.body["triggers"][0]["bucket_level_trigger"];
    trigger["actions"][0]["message_template"]["source"].as_str().unwrap_or_default()
}

async fn page(opensearch: &OpenSearch, monitor: &Monitor, alert: Value) -> Result<String, SetupError> {
    let trigger = &monitor.body["triggers"][0]["bucket_level_trigger"];
    let request = json!({
        "source": message_of(monitor),
        "params": {"ctx": {
            "monitor": {"name": monitor.body["name"]},
            "trigger": {"name": trigger["name"]},
            "newAlerts": [alert]}}});
    let answer = ask(opensearch, monitor, "_render/template", request.to_string()).await?;
    Ok(answer["template_output"]["text"].as_str().unwrap_or_default().to_owned())
}

async fn ask(
    opensearch: &OpenSearch,
    monitor: &Monitor,
    path: &str,
    body: String,
) -> Result<Value, SetupError> {
    let object = Object { kind: Kind::Monitor, id: monitor.id.clone(), body: Value::Null };
    accepted(&object, &opensearch.request(Method::POST, path, Some(Bytes::from(body))).await?)
}
