//! Reads the names that records of other services are searched for: of roles, buckets, repositories, keys and
//! whatever else SageMaker works with.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::{KnownNames, Memory};
use crate::opensearch::{Found, OpenSearch, Query, QueryError};

/// How long a name that another daemon told may be looked for in vain.
const RENEWAL: Duration = Duration::from_mins(1);
/// Names of each kind that are searched for. The search takes some hundred bytes for each.
const MOST_NAMES: usize = 4_000;
/// Each kind has its own share, so that nobody pushes out roles by naming thousands of buckets.
const KINDS: [&str; 8] =
    ["role", "bucket", "repository", "key", "subnet", "security-group", "function", "user-pool"];

const QUERY: Query = Query {
    operation: "reading the names that memory knows",
    grant: "indices:data/read/search on the index of resources",
};

/// Renews the names each minute, for ever; without memory it only waits.
pub async fn watch_names(memory: Memory, client: OpenSearch) {
    if memory.is_off() {
        return std::future::pending().await;
    }
    let mut was_refused = false;
    loop {
        match load_names(&memory, &client).await {
            Ok(()) => was_refused = false,
            // The names of before stay in use.
            Err(error) if !was_refused => {
                was_refused = true;
                warn!(%error, "the names of known roles and buckets could not be read; it is tried again each minute");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RENEWAL).await;
    }
}

/// Reads the names once, for a command that ends before they would be renewed.
pub async fn load_names(memory: &Memory, client: &OpenSearch) -> Result<(), QueryError> {
    if !memory.is_off() {
        let (names, left_out) = load(client).await?;
        memory.know(names, left_out);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Source {
    key: String,
}

/// The names, and how many more there are than are searched for.
async fn load(client: &OpenSearch) -> Result<(KnownNames, u64), QueryError> {
    let path = format!("{}/_search?ignore_unavailable=true", client.names().resources());
    let (mut keys, mut left_out) = (Vec::new(), 0);
    for kind in KINDS {
        let body = json!({
            "size": MOST_NAMES,
            "track_total_hits": true,
            "_source": ["key"],
            "query": {"term": {"resource.type": kind}},
            // Whatever is left out, two daemons leave out the same.
            "sort": ["key"],
        });
        let found: Found<Source> = QUERY.ask(client, &path, &body).await?;
        let there_are = found.hits.total.as_ref().map_or(0, |total| total.value);
        keys.extend(found.sources().map(|resource| resource.key));
        left_out += there_are.saturating_sub(MOST_NAMES as u64);
    }
    Ok((KnownNames::new(keys.iter().filter_map(|key| name(key))), left_out))
}

/// The part of a key that calls of other services have too.
fn name(key: &str) -> Option<&str> {
    key.rsplit(['/', ':']).next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_calls_of_other_services_have_too() {
        let cases = [
            ("arn:aws:iam::111122223333:role/ml-exec", Some("ml-exec")),
            ("arn:aws:s3:::acme-ml-data", Some("acme-ml-data")),
            ("arn:aws:ecr:eu-west-1:111122223333:repository/team/train", Some("train")),
            (
                "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                Some("1234abcd-12ab-34cd-56ef-1234567890ab"),
            ),
            ("arn:aws:lambda:eu-west-1:111122223333:function:score-labels", Some("score-labels")),
            (
                "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_m4kx82qwz",
                Some("eu-west-1_m4kx82qwz"),
            ),
            ("sg-0c4d8e2fa6b193750", Some("sg-0c4d8e2fa6b193750")),
            ("", None),
        ];
        for (key, expected) in cases {
            assert_eq!(name(key), expected, "{key}");
        }
    }
}
