//! Notifications: channels.

use serde_json::{Value, json};

use crate::setup::fake::{Answer, Plugins, Request, error};

pub(crate) fn answer(plugins: &mut Plugins, request: &Request<'_>) -> Answer {
    match (request.method, request.path.as_slice()) {
        ("POST", ["configs"]) => {
            let id = request.body["config_id"].as_str().unwrap_or_default().to_owned();
            if id.is_empty() {
                plugins.complain("a channel without an id of ours");
            }
            if plugins.channels.contains_key(&id) {
                return error(409, "Config already exists");
            }
            store(plugins, &id, &request.body)
        }
        (_, ["configs", id]) if !plugins.channels.contains_key(*id) => error(404, "Config not found"),
        ("GET", ["configs", id]) => (
            200,
            json!({"start_index": 0, "total_hits": 1, "total_hit_relation": "eq", "config_list": [
                {"config_id": id, "last_updated_time_ms": 1, "created_time_ms": 1,
                 "config": plugins.channels[*id]}]}),
        ),
        ("PUT", ["configs", id]) => store(plugins, id, &request.body),
        ("DELETE", ["configs", id]) => {
            let is_used = |body: &Value| body.to_string().contains(id);
            if plugins.monitors.values().any(|monitor| is_used(&monitor.body)) {
                plugins.complain(format!("the channel {id} was deleted while a monitor pages it"));
            }
            plugins.channels.remove(*id);
            (200, json!({"delete_response_list": {*id: "OK"}}))
        }
        _ => {
            plugins.complain(format!("_notifications: {} {:?}", request.method, request.path));
            error(405, "unknown request")
        }
    }
}

fn store(plugins: &mut Plugins, id: &str, body: &Value) -> Answer {
    let config = &body["config"];
    let Some(kind) = config["config_type"].as_str() else { return error(400, "config_type field absent") };
    let target = &config[kind];
    let refusal = match kind {
        "slack" | "webhook" => match target["url"].as_str() {
            None => Some((400, "url field absent")),
            Some(url) if !url.contains("://") => Some((500, "no protocol")),
            Some(_) => None,
        },
        "sns" if !target["topic_arn"].as_str().is_some_and(|arn| arn.starts_with("arn:aws")) => {
            Some((400, "Invalid AWS SNS topic ARN"))
        }
        "email" if !target["email_account_id"].is_string() => Some((400, "email_account_id field absent")),
        "sns" | "email" => None,
        _ => Some((400, "unknown config_type")),
    };
    let refusal = refusal.or((!config["name"].is_string()).then_some((400, "name field absent")));
    if let Some((status, reason)) = refusal {
        return error(status, format!("{reason}: {target}"));
    }
    plugins.channels.insert(id.to_owned(), config.clone());
    (200, json!({ "config_id": id }))
}
