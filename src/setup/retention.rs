//! Attaches the retention policy to indices that are older than it. Index state management attaches it to new indices
//! by itself.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{SetupError, accepted};
use super::object::Object;
use super::remote::Found;
use crate::opensearch::{Answer, Method, OpenSearch};

/// Indices in one request, whose path must not become too long.
const AT_ONCE: usize = 40;

/// Indices that a policy should govern and does not yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ungoverned {
    /// No policy governs them.
    free: Vec<String>,
    /// An older version of the policy governs them.
    outdated: Vec<String>,
}

impl Ungoverned {
    /// Whether the present version of the policy governs every index, but for those with a policy of somebody else.
    pub fn is_empty(&self) -> bool {
        self.free.is_empty() && self.outdated.is_empty()
    }

    /// All of them, first those without a policy.
    pub fn indices(&self) -> impl Iterator<Item = &str> {
        self.free.iter().chain(&self.outdated).map(String::as_str)
    }
}

/// Finds the indices without the present version of a policy, but for those with a policy of somebody else.
pub(super) async fn ungoverned(
    opensearch: &OpenSearch,
    policy: &Object,
    found: Option<&Found>,
) -> Result<Ungoverned, SetupError> {
    let pattern = policy.body["policy"]["ism_template"][0]["index_patterns"][0].as_str().unwrap_or_default();
    let current = found.and_then(Found::sequence);
    let mut ungoverned = Ungoverned::default();
    for (index, state) in explain(opensearch, policy, pattern).await? {
        match state["policy_id"].as_str() {
            None => ungoverned.free.push(index),
            Some(id) if id != policy.id => {}
            // Before its first run the plugin has chosen no version, and will take the newest.
            Some(_) if state["policy_seq_no"].is_null() || state["policy_seq_no"].as_u64() == current => {}
            Some(_) => ungoverned.outdated.push(index),
        }
    }
    Ok(ungoverned)
}

/// Attaches the present version of the policy to those indices, and returns how many refused.
pub(super) async fn govern(
    opensearch: &OpenSearch,
    policy: &Object,
    ungoverned: &Ungoverned,
) -> Result<usize, SetupError> {
    Ok(ask(opensearch, policy, "add", &ungoverned.free).await?
        + ask(opensearch, policy, "change_policy", &ungoverned.outdated).await?)
}

/// Detaches the policy from every index. Otherwise the copy of the policy that each index has would remove it.
pub(super) async fn release(opensearch: &OpenSearch, policy: &Object) -> Result<(), SetupError> {
    let states = explain(opensearch, policy, &format!("{}-*", policy.id)).await?;
    let is_ours = |state: &Value| state["policy_id"] == *policy.id;
    let governed: Vec<String> =
        states.into_iter().filter(|(_, state)| is_ours(state)).map(|(index, _)| index).collect();
    ask(opensearch, policy, "remove", &governed).await.map(|_| ())
}

/// The policy of each index of a pattern.
async fn explain(
    opensearch: &OpenSearch,
    policy: &Object,
    pattern: &str,
) -> Result<Vec<(String, Value)>, SetupError> {
    let path = format!("_plugins/_ism/explain/{pattern}");
    let answer = opensearch.request(Method::GET, &path, None).await?;
    if answer.status == 404 || matches_no_index(&answer) {
        return Ok(Vec::new());
    }
    match accepted(policy, &answer)? {
        Value::Object(members) => Ok(members.into_iter().filter(|(_, state)| state.is_object()).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The plugin asks for the state of each index with one request, and refuses an empty one.
fn matches_no_index(answer: &Answer) -> bool {
    answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("no documents to get")
}

async fn ask(
    opensearch: &OpenSearch,
    policy: &Object,
    operation: &str,
    indices: &[String],
) -> Result<usize, SetupError> {
    let mut refused = 0;
    for some in indices.chunks(AT_ONCE) {
        let path = format!("_plugins/_ism/{operation}/{}", some.join(","));
        let body = Bytes::from(json!({"policy_id": policy.id}).to_string());
        let answer = accepted(policy, &opensearch.request(Method::POST, &path, Some(body)).await?)?;
        refused += answer["failed_indices"].as_array().map_or(0, Vec::len);
    }
    Ok(refused)
}
