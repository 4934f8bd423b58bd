//! Asks OpenSearch what a round needs, and stores what it decides, within the time of a step.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sagetrail_core::incident;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::opensearch::bulk::{self, Action};
use crate::opensearch::{OpenSearch, Query, QueryError};

/// What one step of a round may take. One that takes longer is gone on with in the next. There are three that can, and
/// a round should take no more than 5 s.
const STEP: Duration = Duration::from_millis(1_500);
/// How long one answer may take: a step that has begun a request waits for it, or the round would never come past it.
const ANSWER: Duration = Duration::from_secs(30);
/// Large searches in one request.
pub(super) const AT_ONCE: usize = incident::AT_ONCE;
/// Small searches in one request.
pub(super) const SMALL_AT_ONCE: usize = 100;

const QUERY: Query = Query {
    operation: "correlating",
    grant: "what `correlate` needs: search on the indices of events, and to write into those of incidents and correlations",
};

/// A way to OpenSearch for one step.
#[derive(Debug)]
pub(super) struct Asking {
    pub client: OpenSearch,
    until: Instant,
}

/// A document that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    pub index: String,
    pub id: String,
    pub action: Action,
    pub source: Value,
}

/// What became of a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written {
    /// In this version, where the answer says it.
    Stored(Option<Action>),
    /// Somebody else wrote it meanwhile: it has to be read again.
    Conflict,
}

impl Written {
    pub(super) fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }
}

impl Asking {
    pub(super) fn new(client: OpenSearch) -> Self {
        Self { client, until: Instant::now() + STEP }
    }

    /// Whether the time of the step is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Whether so little is left of it that what was begun should be finished.
    pub(super) fn is_nearly_over(&self) -> bool {
        Instant::now() + STEP / 3 >= self.until
    }

    /// Searches indices, of which none has to be there. An answer without the whole of them is none.
    pub(super) async fn search(&self, indices: &str, body: &Value) -> Result<Value, QueryError> {
        let path = format!(
            "{indices}/_search?ignore_unavailable=true&allow_no_indices=true&allow_partial_search_results=false"
        );
        let answer = within(QUERY.ask(&self.client, &path, body)).await?;
        whole(answer)
    }

    /// Makes several searches with one request, and returns their answers in this order.
    pub(super) async fn search_several(
        &self,
        indices: &str,
        bodies: &[Value],
    ) -> Result<Vec<Value>, QueryError> {
        self.answers(indices, bodies).await?.into_iter().map(whole).collect()
    }

    /// The same without those that OpenSearch refuses for what they ask, and how it did.
    pub(super) async fn search_apart(
        &self,
        indices: &str,
        bodies: &[Value],
        refused: &mut Option<u16>,
    ) -> Result<Vec<Option<Value>>, QueryError> {
        let answers = self.answers(indices, bodies).await?.into_iter();
        answers
            .map(|answer| match whole(answer) {
                Err(QueryError::Refused { status: status @ (400 | 413 | 422), .. }) => {
                    *refused = Some(status);
                    Ok(None)
                }
                answered => answered.map(Some),
            })
            .collect()
    }

    async fn answers(&self, indices: &str, bodies: &[Value]) -> Result<Vec<Value>, QueryError> {
        #[derive(Deserialize)]
        struct Several {
            responses: Vec<Value>,
        }
        if bodies.is_empty() {
            return Ok(Vec::new());
        }
        let head = json!({
            "index": indices, "ignore_unavailable": true, "allow_no_indices": true,
            "allow_partial_search_results": false
        });
        let lines = bodies.iter().fold(String::new(), |lines, body| lines + &format!("{head}\n{body}\n"));
        let asked = async { Ok(self.client.search_several(Bytes::from(lines)).await?) };
        let answer = within(asked).await?;
        if answer.status != 200 {
            return Err(QUERY.refused(answer.status));
        }
        let Several { responses } =
            serde_json::from_slice(&answer.body).map_err(|error| QUERY.unexpected(error))?;
        if responses.len() != bodies.len() {
            return Err(QUERY.unexpected("an answer is missing"));
        }
        Ok(responses)
    }

    /// Makes any number of searches whose answers are small.
    pub(super) async fn search_many(
        &self,
        indices: &str,
        bodies: &[Value],
    ) -> Result<Vec<Value>, QueryError> {
        let mut answers = Vec::new();
        for some in bodies.chunks(SMALL_AT_ONCE) {
            answers.extend(self.search_several(indices, some).await?);
        }
        Ok(answers)
    }

    /// Stores documents, and returns what became of each.
    pub(super) async fn store(&self, documents: &[Writing]) -> Result<Vec<Written>, QueryError> {
        #[derive(Deserialize)]
        struct Answer {
            items: Vec<Item>,
        }
        type Item = BTreeMap<String, Done>;
        #[derive(Deserialize)]
        struct Done {
            status: u16,
            #[serde(rename = "_seq_no")]
            seq_no: Option<u64>,
            #[serde(rename = "_primary_term")]
            primary_term: Option<u64>,
        }
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let mut body = Vec::new();
        for Writing { index, id, action, source } in documents {
            bulk::push(&mut body, *action, index, id, source.to_string().as_bytes());
        }
        let asked = async { Ok(self.client.bulk_seen(Bytes::from(body)).await?) };
        let answer = within(asked).await?;
        if answer.status != 200 {
            return Err(QUERY.refused(answer.status));
        }
        let Answer { items } =
            serde_json::from_slice(&answer.body).map_err(|error| QUERY.unexpected(error))?;
        let all: Vec<Done> = items.into_iter().flat_map(BTreeMap::into_values).collect();
        if all.len() != documents.len() {
            return Err(QUERY.unexpected("an item is missing"));
        }
        let written = |done: Done| match done.status {
            200 | 201 | 404 => {
                let version = done.seq_no.zip(done.primary_term);
                Ok(Written::Stored(
                    version.map(|(seq_no, primary_term)| Action::Replace { seq_no, primary_term }),
                ))
            }
            409 => Ok(Written::Conflict),
            status => Err(QUERY.refused(status)),
        };
        all.into_iter().map(written).collect()
    }
}

pub(super) fn refused(status: u16) -> QueryError {
    QUERY.refused(status)
}

async fn within<T>(asked: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    match timeout_at(Instant::now() + ANSWER, asked).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(QUERY.unexpected("no answer in time")),
    }
}

/// An answer that covers everything that was asked.
fn whole(answer: Value) -> Result<Value, QueryError> {
    if let Some(status) = answer["status"].as_u64().filter(|status| *status != 200) {
        return Err(QUERY.refused(u16::try_from(status).unwrap_or_default()));
    }
    let failed = answer["_shards"]["failed"].as_u64();
    if failed != Some(0) || answer["timed_out"] != false {
        return Err(QUERY.unexpected("it is not whole"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_lacks_a_part_is_not_believed() {
        let cases = [
            (json!({"timed_out": false, "_shards": {"failed": 0}, "hits": {}}), true),
            (json!({"timed_out": false, "_shards": {"failed": 0}, "status": 200}), true),
            (json!({"timed_out": true, "_shards": {"failed": 0}}), false),
            (json!({"timed_out": false, "_shards": {"failed": 1}}), false),
            (json!({"status": 429, "error": {}}), false),
            (json!({}), false),
        ];
        for (answer, expected) in cases {
            assert_eq!(whole(answer.clone()).is_ok(), expected, "{answer}");
        }
    }
}
