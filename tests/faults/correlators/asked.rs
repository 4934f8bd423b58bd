//! Answers searches over documents in memory, as far as correlators ask.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::aggregated;
use super::store::Stored;

/// What one query may have, as OpenSearch is delivered.
const MOST_CLAUSES: usize = 1_024;

/// A document with where it is.
#[derive(Debug, Clone, Copy)]
pub struct Document<'d> {
    pub index: &'d str,
    pub id: &'d str,
    pub stored: &'d Stored,
}

/// The answer to a search over these documents.
pub fn answer(all: &BTreeMap<(String, String), Stored>, indices: &str, body: &Value) -> Value {
    if clauses(&body["query"]) > MOST_CLAUSES {
        return json!({"status": 400, "error": {"reason": "maxClauseCount is set to 1024"}});
    }
    let names: Vec<&str> = indices.split(',').collect();
    let is_in =
        |index: &str| names.iter().any(|name| index == *name || index.starts_with(&format!("{name}-")));
    let mut found: Vec<Document<'_>> = all
        .iter()
        .filter(|((index, _), _)| is_in(index))
        .map(|((index, id), stored)| Document { index, id, stored })
        .filter(|document| body["query"].is_null() || matches(&document.stored.source, &body["query"]))
        .collect();
    let total = found.len();
    let mut answer = json!({
        "timed_out": false, "_shards": {"failed": 0}, "status": 200, "hits": {"total": {"value": total}}
    });
    if let Some(asked) = body.get("aggs") {
        answer["aggregations"] = aggregated::all(&found, asked);
    }
    let keys = |document: &Document<'_>| -> Vec<Value> {
        let sorts = body["sort"].as_array().into_iter().flatten();
        sorts.map(|sort| key(document, sort)).collect()
    };
    found.sort_by(|a, b| ordered(body, &keys(a), &keys(b)));
    if let Some(after) = body["search_after"].as_array() {
        found.retain(|document| ordered(body, &keys(document), after) == Ordering::Greater);
    }
    let size = body["size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(10);
    let hits: Vec<Value> =
        found.into_iter().take(size).map(|document| hit(&document, body, &keys(&document))).collect();
    answer["hits"]["hits"] = json!(hits);
    answer
}

/// How many queries one is made of. A list of terms is one.
fn clauses(query: &Value) -> usize {
    let asked = &query["bool"];
    let parts = ["filter", "must_not", "should"].into_iter().flat_map(|member| list(&asked[member]));
    if asked.is_null() { 1 } else { parts.map(clauses).sum() }
}

pub fn hit(document: &Document<'_>, body: &Value, sort: &[Value]) -> Value {
    let Document { index, id, stored } = document;
    let mut hit = json!({"_index": index, "_id": id, "sort": sort});
    if body["_source"] != false {
        hit["_source"] = stored.source.clone();
    }
    if body["seq_no_primary_term"] == true {
        hit["_seq_no"] = json!(stored.seq_no);
        hit["_primary_term"] = json!(1);
    }
    if let Some(fields) = body["docvalue_fields"].as_array() {
        let mut told = Map::new();
        for field in fields {
            let name = field.as_str().or_else(|| field["field"].as_str()).expect("a field has a name");
            let values = values(&stored.source, name);
            if !values.is_empty() {
                told.insert(name.to_owned(), json!(values));
            }
        }
        hit["fields"] = Value::Object(told);
    }
    hit
}

/// Whether a document matches a query.
pub fn matches(source: &Value, query: &Value) -> bool {
    let (kind, asked) = only(query);
    match kind {
        "bool" => {
            let all = |member: &str| list(&asked[member]);
            let should: Vec<&Value> = all("should");
            all("filter").into_iter().all(|query| matches(source, query))
                && !all("must_not").into_iter().any(|query| matches(source, query))
                && (should.is_empty() || should.into_iter().any(|query| matches(source, query)))
        }
        "exists" => !values(source, asked["field"].as_str().expect("a field")).is_empty(),
        "term" => {
            let (field, value) = only(asked);
            let has = values(source, field);
            match value.get("value") {
                Some(value) => {
                    let text = value.as_str().expect("a text").to_lowercase();
                    has.iter().any(|has| has.as_str().is_some_and(|has| has.to_lowercase() == text))
                }
                None => has.contains(value),
            }
        }
        "match_none" => false,
        "wildcard" => {
            let (field, how) = only(asked);
            let pattern = how["value"].as_str().expect("a text").to_lowercase();
            let like = |value: &Value| value.as_str().is_some_and(|it| is_like(&pattern, &it.to_lowercase()));
            values(source, field).iter().any(like)
        }
        "terms" => {
            let (field, among) = only(asked);
            let among = list(among);
            values(source, field).iter().any(|value| among.contains(&value))
        }
        "range" => {
            let (field, bounds) = only(asked);
            let keeps = |value: &str| {
                bounds.as_object().expect("bounds").iter().all(|(way, bound)| {
                    let bound = bound.as_str().expect("a time");
                    match way.as_str() {
                        "gte" => value >= bound,
                        "lte" => value <= bound,
                        "lt" => value < bound,
                        way => panic!("{way} is not answered here"),
                    }
                })
            };
            values(source, field).iter().any(|value| value.as_str().is_some_and(keeps))
        }
        kind => panic!("{kind} is not answered here"),
    }
}

/// Whether a text is as a pattern says, in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().any(|(at, _)| is_like(after, &rest[at..]))
                || after.is_empty()
                || is_like(after, "")
        }),
    }
}

/// The values of a field by its dotted path, those of lists and of objects in lists among them.
pub fn values(value: &Value, path: &str) -> Vec<Value> {
    match value {
        Value::Array(values) => values.iter().flat_map(|value| self::values(value, path)).collect(),
        Value::Object(members) if !path.is_empty() => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            members.get(name).map(|member| self::values(member, rest)).unwrap_or_default()
        }
        Value::Null | Value::Object(_) => Vec::new(),
        value if path.is_empty() => vec![value.clone()],
        _ => Vec::new(),
    }
}

/// By what one of the sorts orders a document.
pub fn key(document: &Document<'_>, sort: &Value) -> Value {
    let (field, _) = only(sort);
    values(&document.stored.source, field).into_iter().next().unwrap_or(Value::Null)
}

fn ordered(body: &Value, a: &[Value], b: &[Value]) -> Ordering {
    let sorts = body["sort"].as_array().into_iter().flatten();
    let compared = sorts.zip(a.iter().zip(b)).map(|(sort, (a, b))| {
        let (_, how) = only(sort);
        let is_descending = how == "desc" || how["order"] == "desc";
        // What lacks the field comes last, unless it is asked for first.
        let missing = if how["missing"] == "_first" { Ordering::Less } else { Ordering::Greater };
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => missing,
            (false, true) => missing.reverse(),
            (false, false) if is_descending => by_value(b, a),
            (false, false) => by_value(a, b),
        }
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

pub fn by_value(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// The one member of an object.
pub fn only(object: &Value) -> (&str, &Value) {
    let (name, value) = object.as_object().and_then(|members| members.iter().next()).expect("an object");
    (name, value)
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}
