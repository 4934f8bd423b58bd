//! Checks which records came in lately, and which kinds that should come did not.

use serde_json::{Value, json};

use super::finding::Finding;
use crate::opensearch::events::no_drills;
use crate::opensearch::{OpenSearch, Query, QueryError};

/// Long enough to hold a weekend.
const DAYS: u32 = 7;

const SEARCH: Query = Query { operation: "_search", grant: "read on the indices of events" };

pub(super) async fn examine(opensearch: &OpenSearch) -> Vec<Finding> {
    let events = opensearch.names().events();
    let path = format!("{events}/_search?ignore_unavailable=true");
    match SEARCH.ask(opensearch, &path, &query()).await {
        Ok(answer) => judge(&answer),
        Err(QueryError::Refused { status, .. }) => vec![unseen(&events, &format!("status {status}"))],
        Err(error) => vec![unseen(&events, &error.to_string())],
    }
}

fn unseen(events: &str, problem: &str) -> Finding {
    Finding::warning(
        "arrivals",
        format!("the index could not be searched: {problem}"),
        format!("grant read on {events}*; the daemon itself does not need it"),
    )
}

fn query() -> Value {
    let provider = |name: &str| json!({"filter": {"term": {"event.provider": name}}});
    // Studio names the sessions of its execution roles so.
    let studio = json!({"term": {"sagemaker.actor.session_name": "SageMaker"}});
    json!({
        "size": 0,
        "track_total_hits": true,
        "query": {"bool": {"filter": [{"range": {"event.ingested": {"gte": format!("now-{DAYS}d")}}}, no_drills()]}},
        "aggs": {
            "iam": provider("iam.amazonaws.com"),
            "sts": provider("sts.amazonaws.com"),
            "latest": {"max": {"field": "event.ingested"}},
            "studio": {"filter": studio, "aggs": {
                "named": {"filter": {"exists": {"field": "aws.cloudtrail.session.source_identity"}}}}}
        }
    })
}

fn judge(answer: &Value) -> Vec<Finding> {
    let count = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let total = count("/hits/total/value");
    if total == 0 {
        return vec![Finding::warning(
            "arrivals",
            format!("no record was indexed in the last {DAYS} days"),
            "see whether the trail, the queue and the daemon work; before the first start this is as it should be",
        )];
    }
    let latest = answer["aggregations"]["latest"]["value_as_string"].as_str().unwrap_or("an unknown time");
    let mut findings =
        vec![Finding::fine("arrivals", format!("{total} records in {DAYS} days, the last at {latest}"))];
    for (name, service) in [("iam", "IAM"), ("sts", "STS")] {
        let seen = count(&format!("/aggregations/{name}/doc_count"));
        findings.push(if seen > 0 {
            Finding::fine("arrivals", format!("{seen} of them of {service}"))
        } else {
            Finding::warning(
                "arrivals",
                format!("none of them of {service}: changes to SageMaker's roles may go unseen"),
                "see that a trail includes global service events (they are logged in us-east-1), that its files are notified, and that select.scope is not `sagemaker`",
            )
        });
    }
    let (studio, named) =
        (count("/aggregations/studio/doc_count"), count("/aggregations/studio/named/doc_count"));
    findings.extend((studio > 0).then(|| {
        if named == studio {
            Finding::fine("studio users", "each session of Studio names its user")
        } else {
            Finding::warning(
                "studio users",
                format!("{} of {studio} records of Studio sessions have no sourceIdentity: the users of a role look alike", studio - named),
                "aws sagemaker update-domain --domain-settings-for-update ExecutionRoleIdentityConfig=USER_PROFILE_NAME, and let the role's trust policy allow sts:SetSourceIdentity",
            )
        }
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn what_does_not_arrive_is_named() {
        let answer = |total: u64, iam: u64, studio: u64, named: u64| {
            json!({"hits": {"total": {"value": total}}, "aggregations": {
                "iam": {"doc_count": iam}, "sts": {"doc_count": 1},
                "latest": {"value_as_string": "2026-11-20T12:00:00.000Z"},
                "studio": {"doc_count": studio, "named": {"doc_count": named}}}})
        };
        let cases = [
            (answer(0, 0, 0, 0), vec![State::Warning]),
            (answer(9, 1, 0, 0), vec![State::Fine; 3]),
            (answer(9, 0, 0, 0), vec![State::Fine, State::Warning, State::Fine]),
            (answer(9, 1, 4, 4), vec![State::Fine; 4]),
            (answer(9, 1, 4, 1), vec![State::Fine, State::Fine, State::Fine, State::Warning]),
        ];
        for (answer, expected) in cases {
            let states: Vec<State> = judge(&answer).iter().map(|finding| finding.state).collect();
            assert_eq!(states, expected, "{answer}");
        }
    }
}
