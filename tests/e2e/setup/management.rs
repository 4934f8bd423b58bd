//! Index state management: policies, and the indices that each governs.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::setup::fake::{Answer, Plugins, Request, Stored, error};
use crate::support::search::Search;

pub(crate) async fn answer(plugins: &Mutex<Plugins>, node: &Search, request: &Request<'_>) -> Answer {
    match (request.method, request.path.as_slice()) {
        (method, ["policies", id]) => policy(&mut plugins.lock().unwrap(), method, id, request),
        ("GET", ["explain", pattern]) => {
            let indices = indices(node, pattern).await;
            if indices.is_empty() {
                return nothing_to_explain();
            }
            explain(&plugins.lock().unwrap(), &indices)
        }
        ("POST", [operation @ ("add" | "change_policy" | "remove"), names]) => {
            let mut known = Vec::new();
            for name in names.split(',') {
                known.extend(indices(node, name).await);
            }
            if known.len() != names.split(',').count() {
                return error(404, "no such index");
            }
            govern(&mut plugins.lock().unwrap(), operation, &known, &request.body)
        }
        _ => {
            plugins.lock().unwrap().complain(format!("_ism: {} {:?}", request.method, request.path));
            error(405, "unknown request")
        }
    }
}

/// A new index comes under the policy whose template takes it.
pub(crate) fn take_in(plugins: &mut Plugins, index: &str) {
    let governing = plugins.policies.iter().find(|(_, stored)| {
        patterns(&stored.body["policy"])
            .iter()
            .any(|pattern| index.starts_with(pattern.trim_end_matches('*')))
    });
    if let Some((id, stored)) = governing {
        let governed = (id.clone(), stored.sequence);
        plugins.governed.insert(index.to_owned(), governed);
    }
}

fn policy(plugins: &mut Plugins, method: &str, id: &str, request: &Request<'_>) -> Answer {
    let there = plugins.policies.get(id).cloned();
    match (method, there) {
        ("GET" | "DELETE", None) => error(404, "Policy not found"),
        ("GET", Some(stored)) => (
            200,
            json!({"_id": id, "_version": 1, "_seq_no": stored.sequence, "_primary_term": 1,
                   "policy": as_stored(id, &stored.body["policy"])}),
        ),
        ("PUT", there) => match (there, request.condition()) {
            (None, None) => store(plugins, id, request),
            (Some(stored), Some(condition)) if condition == (stored.sequence, 1) => {
                store(plugins, id, request)
            }
            _ => error(409, "version conflict, document already exists"),
        },
        ("DELETE", Some(_)) => {
            if plugins.governed.values().any(|(policy, _)| policy == id) {
                plugins
                    .complain(format!("the policy {id} was deleted while indices still have a copy of it"));
            }
            plugins.policies.remove(id);
            (200, json!({"_id": id, "result": "deleted"}))
        }
        _ => error(405, "unknown method"),
    }
}

fn store(plugins: &mut Plugins, id: &str, request: &Request<'_>) -> Answer {
    let policy = &request.body["policy"];
    let known = ["description", "default_state", "states", "ism_template", "error_notification"];
    let members = policy.as_object().into_iter().flatten();
    if let Some((name, _)) = members.into_iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return error(400, format!("Invalid field: [{name}] found in Policy."));
    }
    let states = policy["states"].as_array().cloned().unwrap_or_default();
    let names: Vec<&Value> = states.iter().map(|state| &state["name"]).collect();
    let transitions = states.iter().flat_map(|state| state["transitions"].as_array().into_iter().flatten());
    let mut targets = transitions.map(|transition| &transition["state_name"]);
    if !names.contains(&&policy["default_state"]) || !targets.all(|target| names.contains(&target)) {
        return error(400, "a state is named that the policy does not have");
    }
    let ours = patterns(policy);
    let rival = plugins.policies.iter().find(|(other, stored)| {
        *other != id && patterns(&stored.body["policy"]).iter().any(|pattern| ours.contains(pattern))
    });
    if let Some((rival, _)) = rival {
        return error(400, format!("the template matches that of {rival} with the same priority"));
    }
    let sequence = plugins.next_sequence();
    plugins.policies.insert(id.to_owned(), Stored { body: request.body.clone(), sequence });
    (201, json!({"_id": id, "_version": 1, "_seq_no": sequence, "_primary_term": 1}))
}

/// The policy with what the plugin adds to it.
fn as_stored(id: &str, policy: &Value) -> Value {
    let mut stored = policy.clone();
    stored["policy_id"] = json!(id);
    stored["last_updated_time"] = json!(1_790_000_000_000_u64);
    stored["schema_version"] = json!(21);
    stored["error_notification"] = Value::Null;
    for state in stored["states"].as_array_mut().unwrap() {
        for action in state["actions"].as_array_mut().unwrap() {
            action["retry"] = json!({"count": 3, "backoff": "exponential", "delay": "1m"});
        }
    }
    stored["ism_template"][0]["last_updated_time"] = json!(1_790_000_000_000_u64);
    stored
}

fn patterns(policy: &Value) -> Vec<String> {
    let templates = policy["ism_template"].as_array().into_iter().flatten();
    let patterns = templates.flat_map(|template| template["index_patterns"].as_array().into_iter().flatten());
    patterns.map(|pattern| pattern.as_str().unwrap().to_owned()).collect()
}

/// The plugin asks for the state of the indices that it found with one multi-get, which must not be empty. It looks for
/// names as leniently as for patterns, so a name that is not there is answered in the same way.
fn nothing_to_explain() -> Answer {
    let cause = json!({
        "type": "action_request_validation_exception", "reason": "Validation Failed: 1: no documents to get;"});
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    (400, json!({"error": error, "status": 400}))
}

fn explain(plugins: &Plugins, indices: &[String]) -> Answer {
    let mut answer = json!({});
    let mut total = 0;
    for index in indices {
        answer[index] = match plugins.governed.get(index) {
            Some((policy, sequence)) => {
                total += 1;
                json!({"index.plugins.index_state_management.policy_id": policy, "index": index,
                       "policy_id": policy, "policy_seq_no": sequence, "policy_primary_term": 1, "enabled": true})
            }
            None => json!({"index.plugins.index_state_management.policy_id": null, "enabled": null}),
        };
    }
    answer["total_managed_indices"] = json!(total);
    (200, answer)
}

fn govern(plugins: &mut Plugins, operation: &str, indices: &[String], body: &Value) -> Answer {
    let id = body["policy_id"].as_str().unwrap_or_default().to_owned();
    let sequence = plugins.policies.get(&id).map(|stored| stored.sequence);
    let mut failed = Vec::new();
    for index in indices {
        let is_governed = plugins.governed.contains_key(index);
        match (operation, is_governed, sequence) {
            ("add", false, Some(sequence)) | ("change_policy", true, Some(sequence)) => {
                plugins.governed.insert(index.clone(), (id.clone(), sequence));
            }
            ("remove", true, _) => {
                plugins.governed.remove(index);
            }
            _ => failed.push(json!({"index_name": index, "reason": "it has a policy, or has none"})),
        }
    }
    (
        200,
        json!({"updated_indices": indices.len() - failed.len(), "failures": !failed.is_empty(), "failed_indices": failed}),
    )
}

/// The indices of the real node that a name or a pattern stands for.
async fn indices(node: &Search, pattern: &str) -> Vec<String> {
    let (status, listed) = node.request("GET", &format!("_cat/indices/{pattern}?format=json"), None).await;
    if status != 200 {
        return Vec::new();
    }
    listed.as_array().unwrap().iter().map(|index| index["index"].as_str().unwrap().to_owned()).collect()
}
