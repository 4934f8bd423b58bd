//! Answers aggregations over documents in memory, as far as correlators ask.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::asked::{Document, by_value, hit, key, matches, only, values};

/// The answers to all of these.
pub fn all(documents: &[Document<'_>], asked: &Value) -> Value {
    let asked = asked.as_object().expect("aggregations have names");
    Value::Object(asked.iter().map(|(name, asked)| (name.clone(), one(documents, asked))).collect())
}

fn one(documents: &[Document<'_>], asked: &Value) -> Value {
    let nothing = json!({});
    let below = asked.get("aggs").unwrap_or(&nothing);
    let kind = asked.as_object().expect("an object").keys().find(|kind| *kind != "aggs").expect("a kind");
    let how = &asked[kind];
    let field = how["field"].as_str().unwrap_or_default();
    let times = || {
        documents
            .iter()
            .flat_map(|document| values(&document.stored.source, field))
            .filter_map(|it| millis(&it))
    };
    match kind.as_str() {
        "min" => json!({"value": times().min_by(f64::total_cmp)}),
        "max" => json!({"value": times().max_by(f64::total_cmp)}),
        "cardinality" => {
            let all: BTreeSet<String> = documents
                .iter()
                .flat_map(|document| values(&document.stored.source, field))
                .map(|value| value.to_string())
                .collect();
            json!({"value": all.len()})
        }
        "filter" => {
            let count = documents.iter().filter(|document| matches(&document.stored.source, how)).count();
            json!({"doc_count": count})
        }
        "top_hits" => {
            let mut documents = documents.to_vec();
            let keys = |document: &Document<'_>| -> Vec<Value> {
                how["sort"].as_array().expect("a list").iter().map(|sort| key(document, sort)).collect()
            };
            documents.sort_by(|a, b| {
                keys(a)
                    .iter()
                    .zip(&keys(b))
                    .map(|(a, b)| by_value(a, b))
                    .fold(Ordering::Equal, Ordering::then)
            });
            let hits: Vec<Value> =
                documents.iter().take(1).map(|document| hit(document, &json!({}), &[])).collect();
            json!({"hits": {"hits": hits}})
        }
        "terms" => terms(documents, how, field, below),
        "composite" => composite(documents, how, below),
        "filters" => filters(documents, how, below),
        "date_histogram" => date_histogram(documents, how, field, below),
        kind => panic!("{kind} is not answered here"),
    }
}

fn terms(documents: &[Document<'_>], how: &Value, field: &str, below: &Value) -> Value {
    let mut keys: Vec<Value> =
        documents.iter().flat_map(|document| values(&document.stored.source, field)).collect();
    keys.sort_by(by_value);
    keys.dedup();
    if let Some(include) = how["include"].as_array() {
        keys.retain(|key| include.contains(key));
    }
    let mut buckets: Vec<Value> = keys
        .into_iter()
        .map(|key| {
            let its: Vec<Document<'_>> = documents
                .iter()
                .filter(|document| values(&document.stored.source, field).contains(&key))
                .copied()
                .collect();
            bucket(&its, key, below)
        })
        .collect();
    // By a metric where one is named, else the largest first.
    match how["order"].as_array() {
        Some(orders) => {
            let (metric, _) = only(&orders[0]);
            buckets.sort_by(|a, b| by_value(&a[metric]["value"], &b[metric]["value"]));
        }
        None => buckets.sort_by(|a, b| by_value(&b["doc_count"], &a["doc_count"])),
    }
    let size = how["size"].as_u64().map_or(10, |size| usize::try_from(size).expect("a small number"));
    let others = buckets.split_off(size.min(buckets.len()));
    json!({"buckets": buckets, "sum_other_doc_count": others.len()})
}

/// Buckets by the names of queries, and one for the documents that none of them matches.
fn filters(documents: &[Document<'_>], how: &Value, below: &Value) -> Value {
    let queries = how["filters"].as_object().expect("queries have names");
    let of = |keeps: &dyn Fn(&Value) -> bool| {
        let its: Vec<Document<'_>> =
            documents.iter().filter(|document| keeps(&document.stored.source)).copied().collect();
        bucket(&its, Value::Null, below)
    };
    let mut buckets: Map<String, Value> =
        queries.iter().map(|(name, query)| (name.clone(), of(&|source| matches(source, query)))).collect();
    if how["other_bucket"] == true {
        let others = of(&|source| !queries.values().any(|query| matches(source, query)));
        buckets.insert("_other_".to_owned(), others);
    }
    json!({ "buckets": buckets })
}

fn date_histogram(documents: &[Document<'_>], how: &Value, field: &str, below: &Value) -> Value {
    let interval = how["fixed_interval"].as_str().and_then(|text| text.strip_suffix('s'));
    let interval: f64 = interval.expect("seconds").parse().expect("a number");
    let start = |document: &Document<'_>| {
        let time = values(&document.stored.source, field).first().and_then(millis)?;
        Some((time / (interval * 1_000.0)).floor() * interval * 1_000.0)
    };
    let mut starts: Vec<f64> = documents.iter().filter_map(start).collect();
    starts.sort_by(f64::total_cmp);
    starts.dedup();
    let of = |begin: f64| {
        let its: Vec<Document<'_>> =
            documents.iter().filter(|document| start(document) == Some(begin)).copied().collect();
        bucket(&its, json!(begin), below)
    };
    json!({"buckets": starts.into_iter().map(of).collect::<Vec<Value>>()})
}

fn composite(documents: &[Document<'_>], how: &Value, below: &Value) -> Value {
    let sources: Vec<(&str, &str)> = how["sources"]
        .as_array()
        .expect("sources")
        .iter()
        .map(|source| {
            let (name, source) = only(source);
            (name, source["terms"]["field"].as_str().expect("a field"))
        })
        .collect();
    let keys_of = |document: &Document<'_>| -> Vec<Vec<Value>> {
        sources.iter().fold(vec![Vec::new()], |begun, (_, field)| {
            let values = values(&document.stored.source, field);
            begun
                .iter()
                .flat_map(|key| {
                    values.iter().map(|value| [key.as_slice(), std::slice::from_ref(value)].concat())
                })
                .collect()
        })
    };
    let mut keys: Vec<Vec<Value>> = documents.iter().flat_map(keys_of).collect();
    let compared = |a: &[Value], b: &[Value]| {
        a.iter().zip(b).map(|(a, b)| by_value(a, b)).fold(Ordering::Equal, Ordering::then)
    };
    keys.sort_by(|a, b| compared(a, b));
    keys.dedup();
    if let Some(after) = how.get("after") {
        let after: Vec<Value> = sources.iter().map(|(name, _)| after[name].clone()).collect();
        keys.retain(|key| compared(key, &after) == Ordering::Greater);
    }
    keys.truncate(usize::try_from(how["size"].as_u64().expect("a size")).expect("a small number"));
    let named = |key: &[Value]| -> Value {
        Value::Object(
            sources
                .iter()
                .zip(key)
                .map(|((name, _), value)| ((*name).to_owned(), value.clone()))
                .collect::<Map<_, _>>(),
        )
    };
    let buckets: Vec<Value> = keys
        .iter()
        .map(|key| {
            let its: Vec<Document<'_>> =
                documents.iter().filter(|document| keys_of(document).contains(key)).copied().collect();
            bucket(&its, named(key), below)
        })
        .collect();
    json!({"buckets": buckets, "after_key": keys.last().map(|key| named(key))})
}

fn bucket(documents: &[Document<'_>], key: Value, below: &Value) -> Value {
    let mut bucket = all(documents, below);
    bucket["key"] = key;
    bucket["doc_count"] = json!(documents.len());
    bucket
}

fn millis(value: &Value) -> Option<f64> {
    let time = sagetrail::timestamp::parse(value.as_str()?)?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    Some((time.unix_timestamp_nanos() / 1_000_000) as f64)
}
