//! The names that records of other services are searched for: roles, buckets, repositories and keys that SageMaker works with.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tracing::{info, warn};

use super::{KnownNames, Memory};
use crate::opensearch::{Found, OpenSearch, Query, QueryError};

/// How long a name that another daemon told may be looked for in vain.
const RENEWAL: Duration = Duration::from_mins(1);
/// Names that are searched for. The search takes some hundred bytes for each.
const MOST_NAMES: usize = 10_000;

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
        memory.know(load(client).await?);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Source {
    key: String,
}

async fn load(client: &OpenSearch) -> Result<KnownNames, QueryError> {
    let path = format!("{}/_search?ignore_unavailable=true", client.names().resources());
    let body = json!({
        "size": MOST_NAMES,
        "_source": ["key"],
        "query": {"terms": {"resource.type": ["role", "bucket", "repository", "key"]}},
        // Whatever is left out, two daemons leave out the same.
        "sort": ["key"],
    });
    let resources = QUERY.ask::<Found<Source>>(client, &path, &body).await?.sources();
    if resources.len() == MOST_NAMES {
        info!(
            names = MOST_NAMES,
            "memory knows more roles, buckets, repositories and keys than are looked for"
        );
    }
    let keys: Vec<String> = resources.map(|resource| resource.key).collect();
    Ok(KnownNames::new(keys.iter().filter_map(|key| name(key))))
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
            ("", None),
        ];
        for (key, expected) in cases {
            assert_eq!(name(key), expected, "{key}");
        }
    }
}
