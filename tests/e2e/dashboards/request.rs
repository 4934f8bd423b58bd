//! The request that a panel or a saved search makes, written as Dashboards writes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::saved::Saved;

type Objects = BTreeMap<(String, String), Saved>;

/// The time range that somebody chose.
pub struct Span {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
}

/// One search.
#[derive(Debug)]
pub struct Request {
    /// Title of the index pattern.
    pub index: String,
    pub body: Value,
    /// Names of the aggregations that make buckets, from the outer to the inner.
    levels: Vec<String>,
    /// Where Vega looks for its data.
    property: Option<String>,
}

impl Request {
    /// None for a panel that asks nothing: a text, or controls.
    pub fn of(saved: &Saved, objects: &Objects, span: &Span) -> Option<Self> {
        if saved.kind == "search" {
            let (index, query) = query_of(saved, objects, span);
            let sort = saved.attribute("sort").as_array().unwrap().iter();
            let sort = sort.map(|by| json!({by[0].as_str().expect("a field"): by[1]}));
            let body = json!({"size": 10, "query": query, "sort": sort.collect::<Vec<_>>()});
            return Some(Self { index, body, levels: Vec::new(), property: None });
        }
        let state = saved.embedded("visState");
        match state["type"].as_str().unwrap() {
            "markdown" | "input_control_vis" => None,
            "vega" => Some(Self::of_vega(&state, span)),
            _ => Some(Self::of_aggregations(saved, &state, objects, span)),
        }
    }

    fn of_aggregations(saved: &Saved, state: &Value, objects: &Objects, span: &Span) -> Self {
        let search = saved.reference("search_0").expect("a panel stands on a saved search");
        let (index, query) = query_of(&objects[&search], objects, span);
        let all = state["aggs"].as_array().unwrap();
        let (metrics, buckets): (Vec<&Value>, Vec<&Value>) =
            all.iter().partition(|agg| agg["schema"] == "metric");
        let mut measures = serde_json::Map::new();
        for metric in metrics.iter().filter(|metric| metric["type"] != "count") {
            measures.insert(
                id(metric),
                json!({metric["type"].as_str().unwrap(): {"field": metric["params"]["field"]}}),
            );
        }
        let counts: Vec<String> =
            metrics.iter().filter(|metric| metric["type"] == "count").map(|metric| id(metric)).collect();
        let mut aggregations = Value::Object(measures.clone());
        for bucket in buckets.iter().rev() {
            let mut inner = measures.clone();
            inner.extend(aggregations.as_object().unwrap().clone());
            let mut outer = bucket_aggregation(bucket, &counts);
            if !inner.is_empty() {
                outer["aggs"] = Value::Object(inner);
            }
            aggregations = json!({id(bucket): outer});
        }
        let body = json!({"size": 0, "track_total_hits": true, "query": query, "aggs": aggregations});
        let levels = buckets.iter().map(|bucket| id(bucket)).collect();
        Self { index, body, levels, property: None }
    }

    fn of_vega(state: &Value, span: &Span) -> Self {
        let spec: Value = serde_json::from_str(state["params"]["spec"].as_str().unwrap()).unwrap();
        let url = &spec["data"]["url"];
        let mut body = with_context(&url["body"], span);
        if url["%context%"] == true {
            assert!(body["query"].is_null(), "a query of its own and %context% exclude each other");
            let time = url["%timefield%"].as_str().map(|field| range(field, span));
            body["query"] = json!({"bool": {"filter": time.into_iter().collect::<Vec<_>>()}});
        }
        Self {
            index: url["index"].as_str().unwrap().to_owned(),
            body,
            levels: Vec::new(),
            property: Some(spec["data"]["format"]["property"].as_str().unwrap().to_owned()),
        }
    }

    /// How many rows, bars or documents the answer shows.
    pub fn rows(&self, answer: &Value) -> usize {
        if let Some(property) = &self.property {
            let found = answer.pointer(&format!("/{}", property.replace('.', "/")));
            return found.and_then(Value::as_array).map_or(0, Vec::len);
        }
        if self.levels.is_empty() {
            return usize::try_from(answer["hits"]["total"]["value"].as_u64().unwrap()).unwrap();
        }
        leaves(&answer["aggregations"], &self.levels)
    }
}

/// The index and the query of a saved search in a time range.
fn query_of(search: &Saved, objects: &Objects, span: &Span) -> (String, Value) {
    let source = search.embedded("searchSourceJSON");
    let pattern =
        search.reference(source["indexRefName"].as_str().unwrap()).expect("a search has an index pattern");
    let pattern = &objects[&pattern];
    let index = pattern.attribute("title").as_str().unwrap().to_owned();
    assert_eq!(source["query"]["language"], "lucene", "{}", search.id);
    // Of a pattern without a field of time everything is shown.
    let time = pattern.attribute("timeFieldName").as_str();
    let mut filter: Vec<Value> = time.map(|field| range(field, span)).into_iter().collect();
    if let Some(query) = source["query"]["query"].as_str().filter(|query| !query.is_empty()) {
        filter.push(query_string(query));
    }
    (index, json!({"bool": {"filter": filter}}))
}

fn query_string(query: &str) -> Value {
    json!({"query_string": {"query": query, "analyze_wildcard": true, "time_zone": "UTC"}})
}

fn range(field: &str, span: &Span) -> Value {
    json!({"range": {field: {"gte": millis(span.from), "lte": millis(span.to), "format": "epoch_millis"}}})
}

fn bucket_aggregation(bucket: &Value, counts: &[String]) -> Value {
    let params = &bucket["params"];
    match bucket["type"].as_str().unwrap() {
        "terms" => {
            let by = params["orderBy"].as_str().unwrap();
            let by = if counts.iter().any(|count| count == by) { "_count" } else { by };
            let mut terms =
                json!({"field": params["field"], "size": params["size"], "order": {by: params["order"]}});
            if params["missingBucket"] == true {
                terms["missing"] = json!("__missing__");
            }
            if let Some(include) = params.get("include") {
                terms["include"] = include.clone();
            }
            if let Some(more) = params["json"].as_str() {
                let more: Value = serde_json::from_str(more).unwrap();
                terms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            json!({ "terms": terms })
        }
        // "auto" is three hours for a week.
        "date_histogram" => {
            json!({"date_histogram": {"field": params["field"], "fixed_interval": "3h", "min_doc_count": params["min_doc_count"]}})
        }
        "filters" => {
            let filters = params["filters"].as_array().unwrap().iter();
            let named = filters.map(|filter| {
                let query = filter["input"]["query"].as_str().unwrap();
                (filter["label"].as_str().unwrap().to_owned(), query_string(query))
            });
            json!({"filters": {"filters": named.collect::<serde_json::Map<_, _>>()}})
        }
        other => panic!("{other}: teach this test how Dashboards writes it"),
    }
}

/// The body with what Dashboards fills in for Vega.
fn with_context(node: &Value, span: &Span) -> Value {
    match node {
        Value::Array(items) => items
            .iter()
            .filter(|item| !item.as_str().is_some_and(|text| text.starts_with("%dashboard_context-")))
            .map(|item| with_context(item, span))
            .collect(),
        Value::Object(members) => {
            if let Some(bound) = members.get("%timefilter%") {
                const DAY_MILLIS: i64 = 86_400_000;
                let shift = members.get("shift").and_then(Value::as_i64).unwrap_or_default();
                assert!(shift == 0 || members["unit"] == "day", "{node}");
                return match bound.as_str() {
                    Some("min") => json!(millis(span.from) + shift * DAY_MILLIS),
                    Some("max") => json!(millis(span.to) + shift * DAY_MILLIS),
                    _ => json!({"gte": millis(span.from), "lte": millis(span.to), "format": "epoch_millis"}),
                };
            }
            // Dashboards writes it as `interval`, which OpenSearch has given up.
            assert!(!members.contains_key("%autointerval%"), "{node}");
            Value::Object(
                members.iter().map(|(name, value)| (name.clone(), with_context(value, span))).collect(),
            )
        }
        other => other.clone(),
    }
}

fn leaves(aggregations: &Value, levels: &[String]) -> usize {
    let Some((level, inner)) = levels.split_first() else { return 1 };
    let buckets = &aggregations[level]["buckets"];
    let buckets: Vec<&Value> = match buckets {
        Value::Array(list) => list.iter().collect(),
        Value::Object(named) => named.values().collect(),
        _ => panic!("no buckets of {level} in {aggregations}"),
    };
    buckets.iter().filter(|bucket| bucket["doc_count"] != 0).map(|bucket| leaves(bucket, inner)).sum()
}

fn id(aggregation: &Value) -> String {
    aggregation["id"].as_str().unwrap().to_owned()
}

fn millis(time: OffsetDateTime) -> i64 {
    time.unix_timestamp() * 1_000
}
