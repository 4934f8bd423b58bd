//! What the alerting plugin stores of a monitor: it parses the search and writes down what it understood.
//!
//! `rewritten.json` was written by the very parser of OpenSearch 2.19.4 (`SearchSourceBuilder`), and holds this to it.

use serde_json::{Map, Value, json};

/// A monitor as the plugin answers with it. What it cannot have understood is a complaint.
pub(crate) fn monitor(sent: &Value, complain: &mut impl FnMut(String)) -> Value {
    let mut monitor = json!({
        "type": "monitor", "schema_version": 8, "name": sent["name"], "monitor_type": sent["monitor_type"],
        "enabled": sent["enabled"], "enabled_time": 1_790_000_000_000_u64, "schedule": sent["schedule"],
        "last_update_time": 1_790_000_000_000_u64, "ui_metadata": sent["ui_metadata"],
        "data_sources": {"alerts_index": ".opendistro-alerting-alerts", "findings_enabled": false},
        "delete_query_index_in_every_run": false, "should_create_single_alert_for_findings": false,
        "owner": "alerting"});
    let search = &sent["inputs"][0]["search"];
    monitor["inputs"] = json!([{"search": {
        "indices": search["indices"], "query": search_source(&search["query"], complain)}}]);
    let triggers = sent["triggers"].as_array().into_iter().flatten();
    let trigger = |trigger: &Value| {
        let trigger = &trigger["bucket_level_trigger"];
        json!({"bucket_level_trigger": {
            "id": trigger["id"], "name": trigger["name"], "severity": trigger["severity"],
            "condition": trigger["condition"], "actions": trigger["actions"]}})
    };
    monitor["triggers"] = triggers.map(trigger).collect();
    monitor
}

/// A search as its parser writes it.
pub(crate) fn search_source(source: &Value, complain: &mut impl FnMut(String)) -> Value {
    let mut written = json!({"size": source["size"], "query": query(&source["query"], complain)});
    written["aggregations"] = aggregations(&source["aggregations"], complain);
    if let Some(fetched) = source.get("_source") {
        let listed = |name: &str| if fetched[name].is_null() { json!([]) } else { fetched[name].clone() };
        written["_source"] = json!({"includes": listed("includes"), "excludes": listed("excludes")});
    }
    let sorts = source["sort"].as_array();
    if let Some(sorts) = sorts {
        let is_written_out = |sort: &Value| {
            sort.as_object().is_some_and(|sort| sort.values().all(|order| order["order"].is_string()))
        };
        if !sorts.iter().all(is_written_out) {
            complain("how the plugin stores such a sort is not known here".to_owned());
        }
        written["sort"] = json!(sorts);
    }
    let known = ["size", "query", "aggregations", "_source", "sort"];
    for name in source.as_object().into_iter().flatten().map(|(name, _)| name) {
        if !known.contains(&name.as_str()) {
            complain(format!("how the plugin stores {name} is not known here"));
        }
    }
    written
}

fn query(clause: &Value, complain: &mut impl FnMut(String)) -> Value {
    let Some((kind, body)) = clause.as_object().and_then(|clause| clause.iter().next()) else {
        complain(format!("a query without a kind: {clause}"));
        return clause.clone();
    };
    let fields = |written: fn(&Value) -> Value| -> Value {
        body.as_object().into_iter().flatten().map(|(field, value)| (field.clone(), written(value))).collect()
    };
    let written = match kind.as_str() {
        "bool" => boolean(body, complain),
        "term" | "prefix" => fields(|value| boosted(&[("value", value_of(value))])),
        "wildcard" => fields(|value| boosted(&[("wildcard", value_of(value))])),
        "regexp" => fields(regular_expression),
        "range" => fields(range),
        "terms" | "exists" | "match_all" => {
            let mut written = body.clone();
            written["boost"] = json!(1.0);
            written
        }
        other => {
            complain(format!("how the plugin stores a query of the kind {other} is not known here"));
            body.clone()
        }
    };
    json!({ kind.as_str(): written })
}

fn boolean(body: &Value, complain: &mut impl FnMut(String)) -> Value {
    let mut written = Map::new();
    for occurrence in ["must", "filter", "must_not", "should"] {
        let clauses = match &body[occurrence] {
            Value::Null => continue,
            Value::Array(clauses) => clauses.iter().map(|clause| query(clause, complain)).collect(),
            clause => vec![query(clause, complain)],
        };
        written.insert(occurrence.to_owned(), Value::Array(clauses));
    }
    written.insert("adjust_pure_negative".to_owned(), json!(true));
    written.insert("boost".to_owned(), json!(1.0));
    Value::Object(written)
}

/// The value of a query of one field in each of its spellings.
fn value_of(query: &Value) -> Value {
    [&query["value"], &query["wildcard"]].into_iter().find(|value| !value.is_null()).unwrap_or(query).clone()
}

fn boosted(members: &[(&str, Value)]) -> Value {
    let mut written: Map<String, Value> =
        members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    written.insert("boost".to_owned(), json!(1.0));
    Value::Object(written)
}

fn regular_expression(query: &Value) -> Value {
    // Every flag, unless some are named.
    let flags = if query["flags"] == "NONE" || query["flags_value"] == 0 { 0 } else { 255 };
    boosted(&[
        ("value", value_of(query)),
        ("flags_value", json!(flags)),
        ("max_determinized_states", json!(10_000)),
    ])
}

fn range(range: &Value) -> Value {
    let bound = |names: [&str; 3]| {
        names.iter().map(|name| range[name].clone()).find(|bound| !bound.is_null()).unwrap_or_default()
    };
    let includes =
        |strict: &str, member: &str| json!(range[strict].is_null() && range[member] != json!(false));
    let mut written = json!({
        "from": bound(["from", "gte", "gt"]), "to": bound(["to", "lte", "lt"]),
        "include_lower": includes("gt", "include_lower"), "include_upper": includes("lt", "include_upper")});
    for member in ["format", "time_zone"] {
        if !range[member].is_null() {
            written[member] = range[member].clone();
        }
    }
    written["boost"] = json!(1.0);
    written
}

fn aggregations(all: &Value, complain: &mut impl FnMut(String)) -> Value {
    let mut written = Map::new();
    for (name, aggregation) in all.as_object().into_iter().flatten() {
        let mut one = Map::new();
        for (kind, body) in aggregation.as_object().into_iter().flatten() {
            let body = match kind.as_str() {
                "aggregations" | "aggs" => aggregations(body, complain),
                "filter" => query(body, complain),
                "composite" => composite(body),
                "terms" => terms(body),
                "cardinality" | "sum" | "min" | "max" => body.clone(),
                other => {
                    complain(format!("how the plugin stores an aggregation {other} is not known here"));
                    body.clone()
                }
            };
            one.insert(if kind == "aggs" { "aggregations".to_owned() } else { kind.clone() }, body);
        }
        written.insert(name.clone(), Value::Object(one));
    }
    Value::Object(written)
}

fn composite(body: &Value) -> Value {
    let mut written = body.clone();
    for source in written["sources"].as_array_mut().into_iter().flatten() {
        for (_, source) in source.as_object_mut().into_iter().flatten() {
            source["terms"]["missing_bucket"] = json!(source["terms"]["missing_bucket"] == true);
            source["terms"]["order"] = json!("asc");
        }
    }
    written
}

fn terms(body: &Value) -> Value {
    let mut written = json!({
        "size": 10, "min_doc_count": 1, "shard_min_doc_count": 0, "show_term_doc_count_error": false,
        "order": [{"_count": "desc"}, {"_key": "asc"}]});
    for (name, value) in body.as_object().into_iter().flatten() {
        written[name] = value.clone();
    }
    written
}

#[test]
fn the_fake_stores_a_search_as_the_real_parser_writes_it_and_knows_what_it_wrote() {
    let pair: Value = serde_json::from_str(include_str!("rewritten.json")).unwrap();
    let mut complain = |complaint: String| panic!("{complaint}");
    assert_eq!(search_source(&pair["sent"], &mut complain), pair["stored"]);
    assert_eq!(search_source(&pair["stored"], &mut complain), pair["stored"]);
}
