//! Reads from OpenSearch what there is to contain, in requests whose answers are bounded.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sagetrail_core::memory::{Key, State};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::deed::{Deed, MOST_DEEDS};
use super::policies::{Policies, PolicyName};
use crate::memory::Remembered;
use crate::opensearch::events::{self, no_drills};
use crate::opensearch::{Found, OpenSearch, Query, QueryError};
use crate::timestamp;

const QUERY: Query =
    Query { operation: "reading memory", grant: "indices:data/read/search on the index of resources" };

/// Policies whose text of before is asked for.
const MOST_POLICIES: usize = 50;
/// Things whose users are asked for at once.
const MOST_KEYS: usize = 500;

/// What the records that fit say, the earliest first, and whether there are more.
pub async fn deeds(client: &OpenSearch, query: &Value) -> Result<(Vec<Deed>, bool), QueryError> {
    let mut deeds = Vec::new();
    let mut is_cut = false;
    events::read(client, query, &Deed::FIELDS, |hits| {
        deeds.extend(hits.iter().filter_map(|hit| Deed::read(&hit.source)));
        is_cut = deeds.len() >= MOST_DEEDS;
        if is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    Ok((deeds, is_cut))
}

/// Looks for what policies were before a time each.
pub async fn find_policies(client: &OpenSearch, policies: &mut Policies) -> Result<(), QueryError> {
    let path = format!("{}/_search?ignore_unavailable=true", client.names().events());
    let missing: Vec<(PolicyName, OffsetDateTime)> =
        policies.missing().take(MOST_POLICIES).map(|(policy, before)| (policy.clone(), before)).collect();
    for (policy, before) in missing {
        let mut filter = vec![
            json!({"range": {"@timestamp": {"lt": timestamp::format(before)}}}),
            json!({"terms": {"event.action": policy.calls()}}),
            json!({"term": {"event.outcome": "success"}}),
            json!({"term": {"cloud.account.id": policy.account()}}),
            no_drills(),
        ];
        let field = |member: &str| format!("aws.cloudtrail.request_parameters.{member}");
        filter.extend(policy.members().map(|(member, value)| json!({"term": {field(member): value}})));
        let mut fields: Vec<String> = policy
            .members()
            .map(|(member, _)| member)
            .chain(policy.texts().iter().copied())
            .map(field)
            .collect();
        let always = [
            "@timestamp",
            "event.action",
            "event.outcome",
            "cloud.account.id",
            "aws.cloudtrail.user_identity.arn",
        ];
        fields.extend(always.map(str::to_owned));
        let body = json!({"size": 1, "query": {"bool": {"filter": filter}}, "_source": fields,
            "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]});
        let Found::<Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
        hits.hits.iter().for_each(|hit| policies.take(&hit.id, &hit.source));
    }
    Ok(())
}

/// What memory knows of resources and roles.
pub async fn states(client: &OpenSearch, keys: &[Key]) -> Result<HashMap<Key, State>, QueryError> {
    let mut states = HashMap::new();
    let path = format!("{}/_search?ignore_unavailable=true", client.names().resources());
    for keys in keys.chunks(MOST_KEYS) {
        let ids: Vec<&str> = keys.iter().map(|key| &*key.id).collect();
        let body = json!({"size": MOST_KEYS, "_source": ["key", "memory"], "query": {"terms": {"key": ids}}});
        let Found::<Remembered> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
        states.extend(hits.hits.into_iter().map(|hit| (Key::resource(&hit.source.key), hit.source.memory)));
    }
    Ok(states)
}

/// Everything of these origins in a time.
pub fn of_origins(origins: &[String], from: OffsetDateTime, to: OffsetDateTime) -> Value {
    let range = json!({"gte": timestamp::format(from), "lte": timestamp::format(to)});
    json!({"bool": {"filter": [{"range": {"@timestamp": range}}, {"terms": {"sagemaker.alert.origin": origins}}]}})
}

/// Everything of a principal.
pub fn of_principal(asked: &str, since: OffsetDateTime) -> Value {
    let fields = [
        "sagemaker.alert.principal",
        "sagemaker.alert.identity",
        "sagemaker.alert.origin",
        "aws.cloudtrail.user_identity.arn",
        "aws.cloudtrail.user_identity.access_key_id",
        "aws.cloudtrail.session.issuer.arn",
    ];
    let should: Vec<Value> = fields.iter().map(|field| json!({"term": {*field: {"value": asked}}})).collect();
    json!({"bool": {"filter": [since_then(since), no_drills()], "should": should, "minimum_should_match": 1}})
}

/// What was done to a resource.
pub fn of_resource(asked: &str, since: OffsetDateTime) -> Value {
    let fields = [
        "sagemaker.alert.resource",
        "sagemaker.resource.arn",
        "sagemaker.resource.name",
        "sagemaker.resource.id",
        "sagemaker.related_resource.arn",
        "sagemaker.related_resource.name",
    ];
    let is_it = |field: &&str| json!({"term": {*field: {"value": asked, "case_insensitive": true}}});
    let should: Vec<Value> = fields.iter().map(is_it).collect();
    json!({"bool": {"filter": [since_then(since), no_drills()], "must_not": [{"terms": {"sagemaker.access_level": ["read", "list"]}}],
        "should": should, "minimum_should_match": 1}})
}

fn since_then(since: OffsetDateTime) -> Value {
    json!({"range": {"@timestamp": {"gte": timestamp::format(since)}}})
}
