//! Finds whose signals came before those of an incident that they are tied to (pure).

use std::collections::BTreeSet;

use sagetrail_core::incident::Incident;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::tally;
use crate::enrich::tie_key;
use crate::timestamp;

/// Origins that are looked at for one incident; whether each belongs to it is decided by what it did.
const MOST_ORIGINS: usize = 100;

/// Ties in one search. Each takes a clause for each of two fields, as keys are in lower case and names are not, and
/// OpenSearch takes 1,024 clauses: somebody who changes many things must not make the question one that it refuses.
const MOST_TIES: usize = 400;

/// The searches for the origins of signals that an incident may be tied to.
pub(super) fn questions(incident: &Incident, from: OffsetDateTime) -> Vec<Value> {
    let fields = &incident.incident;
    let mut keys: BTreeSet<String> =
        fields.origins.iter().chain(&fields.principals).map(|name| tie_key(name)).collect();
    keys.extend(fields.ties.iter().cloned());
    let is_itself =
        |field: &str, tie: &String| json!({"term": {field: {"value": tie, "case_insensitive": true}}});
    let of_names = |ties: &[String]| {
        let names = ["sagemaker.alert.origin", "sagemaker.alert.principal"];
        ties.iter().flat_map(|tie| names.map(|field| is_itself(field, tie))).collect::<Vec<_>>()
    };
    let mut ways: Vec<Vec<Value>> = fields.ties.chunks(MOST_TIES).map(of_names).collect();
    // Any number of exact keys is one clause.
    let changed = json!({"terms": {"sagemaker.alert.ties": keys}});
    match ways.first_mut() {
        Some(first) => first.push(changed),
        None => ways.push(vec![changed]),
    }
    ways.into_iter().map(|ways| question(&ways, from)).collect()
}

fn question(ways: &[Value], from: OffsetDateTime) -> Value {
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {
            "filter": [tally::signals(), {"range": {"@timestamp": {"gte": timestamp::format(from)}}}],
            "should": ways, "minimum_should_match": 1
        }},
        "aggs": {"origins": {"terms": {"field": "sagemaker.alert.origin", "size": MOST_ORIGINS}}}
    })
}

/// The origins that are not the incident's own.
pub(super) fn read(answer: &Value, incident: &Incident) -> BTreeSet<String> {
    let buckets = answer["aggregations"]["origins"]["buckets"].as_array().into_iter().flatten();
    let origins = buckets.filter_map(|bucket| bucket["key"].as_str().map(str::to_owned));
    origins.filter(|origin| !incident.incident.origins.contains(origin)).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn however_much_an_incident_is_tied_to_all_of_it_is_asked_and_no_question_has_too_many_clauses() {
        let mut incident = crate::correlator::tests::incident();
        for number in [0, 1, MOST_TIES, MOST_TIES + 1, 1_000] {
            incident.incident.ties = (0..number).map(|number| format!("notebook/{number}")).collect();
            let questions = questions(&incident, datetime!(2026-11-29 12:00 UTC));
            let ways = |question: &Value| question["query"]["bool"]["should"].as_array().map(Vec::len);
            let clauses: Vec<usize> = questions.iter().filter_map(ways).collect();
            assert!(clauses.iter().all(|clauses| *clauses < 1_000), "{clauses:?}");
            assert_eq!(clauses.iter().sum::<usize>(), 1 + 2 * number);
        }
    }
}
