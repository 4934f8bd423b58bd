//! Questions whose answer is read as JSON of a known form, such as searches.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;

use super::client::OpenSearch;
use super::error::OpenSearchError;
use super::transport::Method;

/// Before a refused question is asked again. An index that was just made has its shards within seconds.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// A sort of question, and the right that whoever asks it needs.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// What errors call it.
    pub operation: &'static str,
    /// What to grant, as in "grant the role …".
    pub grant: &'static str,
}

/// Why a question brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error("{operation}: OpenSearch answered {status}; {}", advice(*status, grant))]
    Refused { operation: &'static str, status: u16, grant: &'static str },
    #[error(
        "{operation}: the answer is not from OpenSearch ({problem}); check whether a proxy or a login page answers at sink.url"
    )]
    Unexpected { operation: &'static str, problem: String },
}

impl Query {
    /// Posts the question and reads its answer.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        client: &OpenSearch,
        path: &str,
        body: &Value,
    ) -> Result<T, QueryError> {
        let body = (!body.is_null()).then(|| Bytes::from(body.to_string()));
        let answer = client.request(Method::POST, path, body).await?;
        match answer.status {
            200..=299 => serde_json::from_slice(&answer.body).map_err(|error| self.unexpected(error)),
            status => Err(self.refused(status)),
        }
    }

    /// As [`Query::ask`], for a command that nobody repeats: what a busy cluster refuses is asked again a few times.
    pub async fn ask_patiently<T: DeserializeOwned>(
        &self,
        client: &OpenSearch,
        path: &str,
        body: &Value,
    ) -> Result<T, QueryError> {
        for pause in PAUSES {
            match self.ask(client, path, body).await {
                Err(QueryError::Refused { status: 408 | 429 | 503, .. }) => sleep(pause).await,
                answered => return answered,
            }
        }
        self.ask(client, path, body).await
    }

    /// The error for an answer with this status, with the right to grant where the status says that one is missing.
    pub fn refused(&self, status: u16) -> QueryError {
        QueryError::Refused { operation: self.operation, status, grant: self.grant }
    }

    /// The error for an answer that is not of the expected form.
    pub fn unexpected(&self, problem: impl std::fmt::Display) -> QueryError {
        QueryError::Unexpected { operation: self.operation, problem: problem.to_string() }
    }
}

/// What to do when a question was answered with this status.
fn advice(status: u16, grant: &str) -> String {
    match status {
        401 => "check sink.auth and what it names: OpenSearch does not know who asks".to_owned(),
        403 => format!("grant the role {grant}; `sagetrail check --permissions` prints it"),
        404 => "an index is not there; `sagetrail setup` installs what is missing".to_owned(),
        408 | 429 | 500.. => {
            "it is asked again; if this lasts, look at the health, the load and the log of the cluster"
                .to_owned()
        }
        _ => "it does not understand the question; compare its version with the README, and look at its log"
            .to_owned(),
    }
}

/// The answer to a search.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub hits: Hits<T>,
}

/// The answer to a search whose documents are read as one type.
pub type Found<S> = Page<Hit<S>>;

/// A document that a search found.
#[derive(Debug, Deserialize)]
pub struct Hit<S> {
    #[serde(rename = "_index", default)]
    pub index: String,
    #[serde(rename = "_id", default)]
    pub id: String,
    #[serde(rename = "_source")]
    pub source: S,
    /// Where the next page goes on, of a search that sorts.
    #[serde(default)]
    pub sort: Value,
}

/// What a search found: one page of it.
#[derive(Debug, Deserialize)]
pub struct Hits<T> {
    /// How many there are in all, where that was asked for.
    pub total: Option<Total>,
    pub hits: Vec<T>,
}

/// How many documents a search found in all; only as far as OpenSearch counted, which stops early unless told
/// otherwise.
#[derive(Debug, Deserialize)]
pub struct Total {
    pub value: u64,
}

impl<S> Found<S> {
    /// The sources of what was found.
    pub fn sources(self) -> impl ExactSizeIterator<Item = S> {
        self.hits.hits.into_iter().map(|hit| hit.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_asked_for_only_where_the_status_says_that_something_is_not_allowed() {
        let query = Query { operation: "correlating", grant: "search on the events" };
        let cases = [
            (401, "check sink.auth"),
            (403, "grant the role search on the events; `sagetrail check --permissions` prints it"),
            (404, "`sagetrail setup`"),
            (429, "the load"),
            (500, "the log of the cluster"),
            (503, "it is asked again"),
            (400, "compare its version"),
        ];
        for (status, expected) in cases {
            let told = query.refused(status).to_string();
            assert!(told.starts_with(&format!("correlating: OpenSearch answered {status}; ")), "{told}");
            assert!(told.contains(expected), "{told}");
            assert_eq!(told.contains("role"), status == 403, "{told}");
        }
    }
}
