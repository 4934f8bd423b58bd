//! Alerting: monitors, with the traps of the real plugin as complaints.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::setup::fake::{Answer, Plugins, Request, Stored, error};
use crate::setup::rewritten;
use crate::support::search::Search;

pub(crate) async fn answer(plugins: &Mutex<Plugins>, node: &Search, request: &Request<'_>) -> Answer {
    let is_write = matches!((request.method, request.path.as_slice()), ("POST", ["monitors"]) | ("PUT", _));
    if is_write && let Some(refusal) = refusal(plugins, node, &request.body).await {
        return refusal;
    }
    if let ("GET", ["monitors", "alerts"]) = (request.method, request.path.as_slice())
        && request.query.contains_key("sortString")
    {
        return alerts(plugins, node, request).await;
    }
    let mut plugins = plugins.lock().unwrap();
    match (request.method, request.path.as_slice()) {
        ("POST", ["monitors"]) => {
            let sequence = plugins.next_sequence();
            let id = format!("server-made-{sequence}");
            let body = kept(&mut plugins, &request.body);
            plugins.monitors.insert(id.clone(), Stored { body, sequence });
            (201, shown(&id, &plugins.monitors[&id]))
        }
        ("POST", ["monitors", "_search"]) => search(&mut plugins, &request.body),
        ("GET", ["monitors", "alerts"]) => {
            let asked = ["alertState", "size", "monitorId"].map(|name| request.query.get(name).cloned());
            let [Some(state), Some(_), Some(monitor)] = asked else {
                plugins.complain(format!("an unknown search for alerts: {:?}", request.query));
                return error(400, "unknown query");
            };
            let number = usize::from(state == "ERROR" && plugins.stuck.contains(&monitor));
            (200, json!({"alerts": vec![json!({"monitor_id": monitor}); number], "totalAlerts": number}))
        }
        (_, ["monitors", id]) if !plugins.monitors.contains_key(*id) => error(404, "Monitor not found."),
        // What an editor keeps in a monitor is for Dashboards alone.
        ("GET", ["monitors", id]) => {
            let mut monitor = shown(id, &plugins.monitors[*id]);
            monitor["monitor"].as_object_mut().unwrap().remove("ui_metadata");
            (200, monitor)
        }
        ("PUT", ["monitors", id]) => {
            if request.condition() != Some((plugins.monitors[*id].sequence, 1)) {
                return error(409, "version conflict");
            }
            let sequence = plugins.next_sequence();
            let body = kept(&mut plugins, &request.body);
            plugins.monitors.insert((*id).to_owned(), Stored { body, sequence });
            (200, shown(id, &plugins.monitors[*id]))
        }
        ("DELETE", ["monitors", id]) => {
            plugins.monitors.remove(*id);
            // Its alerts are moved to their history. A monitor that is changed keeps them, as long as its trigger has
            // its id.
            plugins.stuck.remove(*id);
            (200, json!({"_id": id, "_version": 2}))
        }
        _ => {
            plugins.complain(format!("_alerting: {} {:?}", request.method, request.path));
            error(405, "unknown request")
        }
    }
}

/// The alerts that a monitor raises when it runs at this moment; the plugin runs it each minute. Its actions run for
/// each, and what their channels answer is nowhere in an alert.
async fn alerts(plugins: &Mutex<Plugins>, node: &Search, request: &Request<'_>) -> Answer {
    let asked = ["monitorId", "size", "sortString", "sortOrder"].map(|name| request.query.get(name));
    let [Some(monitor), Some(_), Some(sort), Some(order)] = asked.map(|it| it.map(String::as_str)) else {
        plugins.lock().unwrap().complain(format!("an unknown search for alerts: {:?}", request.query));
        return error(400, "unknown query");
    };
    if (sort, order) != ("start_time", "desc") {
        plugins.lock().unwrap().complain(format!("alerts that are sorted by {sort}, {order}"));
    }
    let body = plugins.lock().unwrap().monitors.get(monitor).map(|stored| stored.body.clone());
    let Some(body) = body.filter(|body| body["enabled"] == true) else {
        return (200, json!({"alerts": [], "totalAlerts": 0}));
    };
    let search = &body["inputs"][0]["search"];
    let (query, buckets) = (&search["query"]["query"], &search["query"]["aggregations"]);
    let path = format!("{}/_search", search["indices"][0].as_str().unwrap());
    let question = json!({"size": 0, "query": query, "aggregations": buckets});
    let (status, answer) = node.request("POST", &path, Some(question)).await;
    assert_eq!(status, 200, "{answer}");
    let actions = &body["triggers"][0]["bucket_level_trigger"]["actions"];
    let is_of_new = |action: &&Value| action["action_execution_policy"].to_string().contains("NEW");
    let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000;
    let ran =
        |action: &Value| json!({"action_id": action["id"], "last_execution_time": now, "throttled_count": 0});
    let ran: Vec<Value> = actions.as_array().unwrap().iter().filter(is_of_new).map(ran).collect();
    let buckets = answer["aggregations"]["composite_agg"]["buckets"].as_array().unwrap();
    let alerts: Vec<Value> = buckets
        .iter()
        .map(|bucket| {
            let keys: Vec<&Value> = bucket["key"].as_object().unwrap().values().collect();
            json!({"id": "server-made", "version": -1, "monitor_id": monitor, "state": "ACTIVE", "error_message": null,
                "severity": "1", "action_execution_results": ran, "start_time": now, "last_notification_time": now,
                "end_time": null, "acknowledged_time": null,
                "agg_alert_content": {"parent_bucket_path": "composite_agg", "bucket_keys": keys, "bucket": bucket}})
        })
        .collect();
    (200, json!({"totalAlerts": alerts.len(), "alerts": alerts}))
}

/// The answer for a body that the plugin does not take. What it takes, and never alerts on, is a complaint.
async fn refusal(plugins: &Mutex<Plugins>, node: &Search, body: &Value) -> Option<Answer> {
    let complain =
        |complaint: String| plugins.lock().unwrap().complain(format!("{}: {complaint}", body["name"]));
    for member in ["type", "name", "monitor_type", "enabled", "schedule", "inputs", "triggers"] {
        if body[member].is_null() {
            return Some(error(400, format!("Monitor {member} is null")));
        }
    }
    let search = &body["inputs"][0]["search"];
    let index = search["indices"][0].as_str().unwrap_or_default();
    let (status, _) = node.request("GET", &format!("{index}/_settings"), None).await;
    if status != 200 {
        return Some(error(404, format!("no such index [{index}]")));
    }
    if body["monitor_type"] != "bucket_level_monitor" {
        complain("no bucket monitor".to_owned());
    }
    let aggregations = &search["query"]["aggregations"];
    for source in aggregations["composite_agg"]["composite"]["sources"].as_array().into_iter().flatten() {
        let (name, source) = source.as_object().unwrap().iter().next().unwrap();
        if !["principal", "resource", "finding"].contains(&name.as_str()) {
            complain(format!("the source {name} does not fit the bucket keys of the other monitors"));
        }
        let source = &source["terms"];
        let is_text = match (source["field"].as_str(), source["script"]["source"].as_str()) {
            (Some(field), None) => is_keyword(node, index, field).await,
            (None, Some(script)) => script.starts_with("String "),
            _ => false,
        };
        if source["missing_bucket"] == true || !is_text {
            complain(format!("the source {name} has keys that are no strings"));
        }
        // Each page of buckets is a script, of which a node compiles seventy-five in five minutes.
        if source["field"] == "event.id" {
            complain(format!("the source {name} has a bucket for each record"));
        }
    }
    let path = &body["triggers"][0]["bucket_level_trigger"]["condition"]["parent_bucket_path"];
    if aggregations.as_object().map(serde_json::Map::len) != Some(1) || path != "composite_agg" {
        complain("the shape of its buckets is not that of the other monitors".to_owned());
    }
    let size = &aggregations["composite_agg"]["composite"]["size"];
    if size.as_u64().is_none_or(|size| size < 300) {
        complain(
            "each page of buckets is a script, of which a node compiles seventy-five in five minutes"
                .to_owned(),
        );
    }
    let query = &search["query"]["query"]["bool"];
    if !query["must"].is_null() || !query["should"].is_null() {
        complain("a range there says which months are asked, and a late record lies in another".to_owned());
    }
    for action in body["triggers"][0]["bucket_level_trigger"]["actions"].as_array().into_iter().flatten() {
        if let Some(refusal) = action_refusal(action) {
            return Some(refusal);
        }
        does_nothing(action).into_iter().for_each(&complain);
        let channel = action["destination_id"].as_str().unwrap_or_default();
        if !plugins.lock().unwrap().channels.contains_key(channel) {
            complain(format!("it pages {channel}, which is not there"));
        }
    }
    None
}

fn action_refusal(action: &Value) -> Option<Answer> {
    let known = [
        "id",
        "name",
        "destination_id",
        "subject_template",
        "message_template",
        "throttle",
        "throttle_enabled",
        "action_execution_policy",
    ];
    let unknown = action.as_object().unwrap().keys().find(|name| !known.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Some(error(500, format!("Unexpected field: {name}, while parsing action")));
    }
    if action["throttle_enabled"] == true && action["throttle"].is_null() {
        return Some(error(400, "Action throttle enabled but not set throttle value"));
    }
    let throttle = &action["throttle"];
    if !throttle.is_null() {
        if throttle["unit"] != "MINUTES" {
            return Some(error(400, "Only support MINUTES throttle unit currently"));
        }
        if throttle["value"].as_u64().is_none_or(|minutes| !(1..=1_440).contains(&minutes)) {
            return Some(error(400, "Can only set throttle period less than or equal to 24 hours"));
        }
    }
    let is_mustache = |name: &str| action[name]["lang"] == "mustache";
    if !is_mustache("message_template") || !is_mustache("subject_template") {
        return Some(error(400, "a template must be a mustache script"));
    }
    // A script takes this one option and no other.
    let options = action["message_template"]["options"].as_object();
    options
        .is_some_and(|options| !options.keys().eq(["content_type"]))
        .then(|| error(400, "illegal compiler options specified"))
}

/// What the plugin takes in an action, and what then has no effect.
fn does_nothing(action: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let scope = &action["action_execution_policy"]["action_execution_scope"]["per_alert"];
    let sent = scope["actionable_alerts"].as_array().cloned().unwrap_or_default();
    if action["throttle_enabled"] == true && sent == [json!("NEW")] {
        complaints.push("a new alert has nothing that a throttle could count from".to_owned());
    }
    if action["throttle_enabled"] != true && sent.contains(&json!("DEDUPED")) {
        complaints.push("an alert that goes on is sent each minute".to_owned());
    }
    // A run that failed sends every action without an alert, each minute.
    let source = action["message_template"]["source"].as_str().unwrap_or_default();
    let is_within_alerts =
        source.starts_with("{{#ctx.completedAlerts}}") && source.ends_with("{{/ctx.completedAlerts}}");
    if sent == [json!("COMPLETED")] && !is_within_alerts {
        complaints.push("a run that failed would tell of the end of nothing".to_owned());
    }
    let event: Value = serde_json::from_str(source).unwrap_or_default();
    if event["dedup_key"]
        .as_str()
        .is_some_and(|key| !key.contains("{{^ctx.newAlerts}}") || !key.contains("{{^ctx.dedupedAlerts}}"))
    {
        complaints.push(
            "the page of a run that failed would have no key, and so be a new one each minute".to_owned(),
        );
    }
    // Of a sample document come only the fields that a tag between those of the block names by their whole names.
    let block = source.split_once("{{#sample_documents}}").map_or("", |(_, rest)| rest);
    let block = block.split_once("{{/sample_documents}}").map_or("", |(block, _)| block);
    for section in block.split("{{#_source.").skip(1).filter_map(|rest| rest.split_once("}}")) {
        if !block.contains(&format!("{{{{_source.{}}}}}", section.0)) {
            complaints.push(format!("the section over {} would be empty", section.0));
        }
    }
    complaints
}

async fn is_keyword(node: &Search, index: &str, field: &str) -> bool {
    let (_, answer) = node.request("GET", &format!("{index}/_mapping/field/{field}"), None).await;
    let leaf = field.rsplit('.').next().unwrap();
    let mut indices = answer.as_object().unwrap().values();
    indices.all(|index| index["mappings"][field]["mapping"][leaf]["type"] == "keyword")
}

/// Only the query that is asked here, and only once there is an index to ask.
fn search(plugins: &mut Plugins, body: &Value) -> Answer {
    let Some(name) = body["query"]["term"]["monitor.name.keyword"].as_str() else {
        plugins.complain(format!("an unknown search for monitors: {body}"));
        return error(400, "unknown query");
    };
    if plugins.monitors.is_empty() {
        return error(404, "no such index [.opendistro-alerting-config]");
    }
    let found = plugins.monitors.iter().filter(|(_, stored)| stored.body["name"] == *name);
    let hits: Vec<Value> = found.map(|(id, stored)| json!({"_id": id, "_source": stored.body})).collect();
    (200, json!({"hits": {"total": {"value": hits.len(), "relation": "eq"}, "hits": hits}}))
}

/// A monitor as the plugin answers with it.
fn shown(id: &str, stored: &Stored) -> Value {
    json!({"_id": id, "_version": 1, "_seq_no": stored.sequence, "_primary_term": 1, "monitor": stored.body,
           "associated_workflows": []})
}

/// What is kept of a monitor that was sent.
fn kept(plugins: &mut Plugins, sent: &Value) -> Value {
    let name = sent["name"].to_string();
    rewritten::monitor(sent, &mut |complaint| plugins.complain(format!("{name}: {complaint}")))
}
