//! Reads from OpenSearch what there is to contain, in requests whose answers are bounded.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sagetrail_core::memory::{Key, State};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::deed::{Deed, MOST_DEEDS};
use super::policies::{Named, Policies};
use crate::memory::Remembered;
use crate::opensearch::events::{self, no_drills};
use crate::opensearch::{Found, OpenSearch, Query, QueryError};
use crate::timestamp;

const QUERY: Query =
    Query { operation: "reading memory", grant: "indices:data/read/search on the index of resources" };

/// Inline policies whose text of before is asked for.
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

/// What inline policies were before a time each.
pub async fn policies(client: &OpenSearch, set: &[(Named, OffsetDateTime)]) -> Result<Policies, QueryError> {
    let mut policies = Policies::default();
    let path = format!("{}/_search?ignore_unavailable=true", client.names().events());
    for (named, before) in set.iter().take(MOST_POLICIES) {
        let (member, name) = &named.of;
        let asked = |member: &str| format!("aws.cloudtrail.request_parameters.{member}");
        let call = if *member == "roleName" { "PutRolePolicy" } else { "PutUserPolicy" };
        let filter = json!([
            {"range": {"@timestamp": {"lt": timestamp::format(*before)}}}, {"term": {"event.action": call}},
            {"term": {"event.outcome": "success"}}, {"term": {"cloud.account.id": named.account}},
            {"term": {asked(member): name}}, {"term": {asked("policyName"): named.policy}}, no_drills(),
        ]);
        let body = json!({"size": 1, "query": {"bool": {"filter": filter}}, "_source": &Deed::FIELDS[..],
            "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]});
        let Found::<Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
        hits.hits.iter().for_each(|hit| policies.take(&hit.source));
    }
    Ok(policies)
}

/// What memory knows of resources and roles.
pub async fn states(client: &OpenSearch, keys: &[Key]) -> Result<HashMap<Key, State>, QueryError> {
    let mut states = HashMap::new();
    let path = format!("{}/_search?ignore_unavailable=true", client.names().resources());
    for keys in keys.chunks(MOST_KEYS) {
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
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
