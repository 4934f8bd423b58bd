//! Says which stored events a retag is about.

use serde_json::{Value, json};
use time::Date;

use crate::enrich::MEMORY_OF;
use crate::opensearch::Query;
use crate::source::folder::TrailFilter;

/// What reading and writing the events needs.
pub(super) const GRANT: &str = "read, write and indices:admin/mapping/put on the indices of events";

/// How the events are asked.
pub(super) fn question(operation: &'static str) -> Query {
    Query { operation, grant: GRANT }
}

/// The query for documents that other rules have tagged or that memory did not complete, by the time of the event.
pub(super) fn query(filter: &TrailFilter, version: &str) -> Value {
    let mut clauses = Vec::new();
    let day = |day: Date| day.to_string();
    if filter.from.is_some() || filter.to.is_some() {
        let mut range = json!({});
        if let Some(from) = filter.from {
            range["gte"] = json!(day(from));
        }
        if let Some(next) = filter.to.and_then(Date::next_day) {
            range["lt"] = json!(day(next));
        }
        clauses.push(json!({"range": {"@timestamp": range}}));
    }
    for (field, values) in [("cloud.account.id", &filter.accounts), ("cloud.region", &filter.regions)] {
        if !values.is_empty() {
            clauses.push(json!({"terms": {field: values}}));
        }
    }
    clauses.push(json!({"bool": {"minimum_should_match": 1, "should": [
        {"bool": {"must_not": [{"term": {"sagemaker.rules.version": version}}]}},
        {"prefix": {"sagemaker.context": {"value": MEMORY_OF}}},
    ]}}));
    json!({"bool": {"filter": clauses}})
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn only_what_other_rules_have_tagged_or_memory_did_not_complete_is_asked_for() {
        let filter = TrailFilter {
            accounts: vec!["111122223333".to_owned()],
            from: Some(date!(2026 - 01 - 01)),
            to: Some(date!(2026 - 01 - 31)),
            ..TrailFilter::default()
        };
        let expected = json!({"bool": {
            "filter": [
                {"range": {"@timestamp": {"gte": "2026-01-01", "lt": "2026-02-01"}}},
                {"terms": {"cloud.account.id": ["111122223333"]}},
                {"bool": {"minimum_should_match": 1, "should": [
                    {"bool": {"must_not": [{"term": {"sagemaker.rules.version": "v"}}]}},
                    {"prefix": {"sagemaker.context": {"value": "memory of "}}}
                ]}}
            ]
        }});
        assert_eq!(query(&filter, "v"), expected);
    }
}
