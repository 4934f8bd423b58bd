//! Asks for the points of a group, and brings the stored matches of correlations to what the points say (pure).

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::correlation::{Correlation, GroupKey, Point, Source};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::asking::Writing;
use crate::opensearch::bulk::Action;
use crate::opensearch::events::no_drills;
use crate::timestamp;

/// Points in one page.
pub(super) const PAGE: usize = 5_000;
/// Points of one group that are looked at, the latest of them.
pub(super) const MOST_POINTS: usize = 20_000;
/// Matches of some groups within the days that a new point can change. An episode is one match.
pub(super) const MOST_MATCHES: usize = 1_000;

/// The search for one page of the points of a group between two times, the latest first.
///
/// Values come from the index and not from the documents: these are large, and some fields are indexed in lower case.
pub(super) fn question(
    correlation: &Correlation,
    key: &GroupKey,
    (from, to): (OffsetDateTime, OffsetDateTime),
    after: Option<&Value>,
) -> Value {
    let mut fields: Vec<Value> = correlation.fields().into_iter().map(Value::String).collect();
    fields.push(json!("rule.id"));
    fields.push(json!({"field": "@timestamp", "format": "strict_date_time"}));
    let mut question = json!({
        "size": PAGE,
        "_source": false,
        "docvalue_fields": fields,
        "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"range": {"@timestamp": {"gte": timestamp::format(from), "lte": timestamp::format(to)}}}],
            "should": sources(correlation, key), "minimum_should_match": 1
        }},
        "sort": [{"@timestamp": "desc"}, {"event.id": {"order": "desc", "unmapped_type": "keyword"}}]
    });
    if let Some(after) = after {
        question["search_after"] = after.clone();
    }
    question
}

/// Which documents are points of a group, each clause by other fields.
pub(super) fn sources(correlation: &Correlation, key: &GroupKey) -> Vec<Value> {
    let source = |source: Source| {
        let mut filter = vec![json!({"terms": {"rule.id": source.rules}}), no_drills()];
        filter.extend(source.fields.iter().zip(&key.0).map(|(field, value)| term(field, value)));
        json!({"bool": {"filter": filter}})
    };
    correlation.sources().into_iter().map(source).collect()
}

/// The search for how many points the other one finds.
pub(super) fn question_of_total(mut question: Value) -> Value {
    for member in ["docvalue_fields", "sort"] {
        question.as_object_mut().expect("a question is an object").remove(member);
    }
    question["size"] = json!(0);
    question["track_total_hits"] = json!(true);
    question
}

/// How many points there are.
pub(super) fn total(answer: &Value) -> usize {
    usize::try_from(answer["hits"]["total"]["value"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX)
}

/// The points of a page, and where the next begins.
pub(super) fn read(answer: &Value, fields: &BTreeSet<String>) -> (Vec<Point>, Option<Value>) {
    let hits = answer["hits"]["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let point = |hit: &Value| Point::of_document(hit["_id"].as_str()?, &unfolded(&hit["fields"]), fields);
    let after = hits.last().filter(|_| hits.len() >= PAGE).map(|hit| hit["sort"].clone());
    (hits.iter().filter_map(point).collect(), after)
}

/// The search for what is stored of the matches of groups that ended between two times, by the first name of their
/// keys.
pub(super) fn question_of_stored(
    correlation: &Correlation,
    keys: &BTreeSet<&str>,
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> Value {
    json!({
        "size": MOST_MATCHES, "seq_no_primary_term": true, "track_total_hits": false,
        "query": {"bool": {"filter": [
            {"term": {"sagemaker.correlation.rule": correlation.id}},
            {"range": {"@timestamp": {"gte": timestamp::format(from), "lte": timestamp::format(to)}}},
            {"terms": {"sagemaker.correlation.key": keys}}
        ]}}
    })
}

/// What a group has in common, as the documents of its matches say it.
pub(super) fn key_texts(correlation: &Correlation, key: &[String]) -> Vec<String> {
    correlation.group_by().zip(key).map(|(name, value)| format!("{name}={value}")).collect()
}

/// The stored matches, if the answer has room for all of them.
pub(super) fn read_stored(answer: &Value) -> Option<Vec<Value>> {
    let hits = answer["hits"]["hits"].as_array().map_or(&[][..], Vec::as_slice);
    (hits.len() < MOST_MATCHES).then(|| hits.to_vec())
}

/// Of some stored matches those of a group that ended between two times.
pub(super) fn of_group<'h>(
    stored: &'h [Value],
    key: &[String],
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> Vec<&'h Value> {
    let is_of = |hit: &&Value| {
        let source = &hit["_source"];
        let ended = source["@timestamp"].as_str().and_then(timestamp::parse);
        source["sagemaker"]["correlation"]["key"] == json!(key)
            && ended.is_some_and(|ended| (from..=to).contains(&ended))
    };
    stored.iter().filter(is_of).collect()
}

/// The documents of a group's matches with what is stored of them: what to write, so that they are the same.
pub(super) fn difference(index: &str, matches: BTreeMap<String, Value>, hits: &[&Value]) -> Vec<Writing> {
    let writing =
        |id: &str, action, source| Writing { index: index.to_owned(), id: id.to_owned(), action, source };
    let mut stored: BTreeMap<&str, &Value> = BTreeMap::new();
    for hit in hits {
        stored.extend(hit["_id"].as_str().map(|id| (id, *hit)));
    }
    let mut written = Vec::new();
    for (id, source) in matches {
        let Some(hit) = stored.remove(id.as_str()) else {
            written.push(writing(&id, Action::Create, source));
            continue;
        };
        if said(&hit["_source"]) != said(&source)
            && let (Some(seq_no), Some(primary_term)) =
                (hit["_seq_no"].as_u64(), hit["_primary_term"].as_u64())
        {
            written.push(writing(&id, Action::Replace { seq_no, primary_term }, source));
        }
    }
    // A point that came late can begin an episode earlier, whose document has another id.
    written.extend(stored.into_keys().map(|id| writing(id, Action::Delete, Value::Null)));
    written
}

/// What a document says, but when it was written.
fn said(source: &Value) -> Value {
    let mut said = source.clone();
    if let Some(event) = said["event"].as_object_mut() {
        event.remove("ingested");
    }
    said
}

fn term(field: &str, value: &str) -> Value {
    let mut term = Map::new();
    term.insert(field.to_owned(), json!(value));
    json!({ "term": term })
}

/// A document from fields with dots in their names.
fn unfolded(fields: &Value) -> Value {
    let mut document = json!({});
    for (path, values) in fields.as_object().into_iter().flatten() {
        let mut place = &mut document;
        for name in path.split('.') {
            place = &mut place[name];
        }
        *place = match (path.as_str(), values) {
            ("@timestamp", Value::Array(values)) => values.first().cloned().unwrap_or_default(),
            _ => values.clone(),
        };
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_made_of_fields_with_dots() {
        let fields =
            json!({"@timestamp": ["2026-11-29T12:00:00.000Z"], "a.b": ["x", "y"], "a.c.d": [1], "e": [true]});
        let expected = json!({"@timestamp": "2026-11-29T12:00:00.000Z", "a": {"b": ["x", "y"], "c": {"d": [1]}}, "e": [true]});
        assert_eq!(unfolded(&fields), expected);
    }

    #[test]
    fn what_is_stored_becomes_what_the_points_say_and_what_says_the_same_is_left_alone() {
        let document = |value: u64, ingested: &str| json!({"event": {"ingested": ingested}, "value": value});
        let hit = |id: &str, value| json!({"_id": id, "_seq_no": 4, "_primary_term": 1, "_source": document(value, "before")});
        let stored = [hit("same", 1), hit("grown", 1), hit("gone", 1)];
        let matches = [("same", 1), ("grown", 2), ("new", 1)];
        let matches = matches.map(|(id, value)| (id.to_owned(), document(value, "now"))).into();
        let done: Vec<(String, String)> = difference("i", matches, &stored.each_ref())
            .into_iter()
            .map(|writing| (writing.id, format!("{:?}", writing.action)))
            .collect();
        let expected =
            [("grown", "Replace { seq_no: 4, primary_term: 1 }"), ("new", "Create"), ("gone", "Delete")];
        assert_eq!(done, expected.map(|(id, action)| (id.to_owned(), action.to_owned())));
    }
}
