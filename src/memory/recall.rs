//! Asks OpenSearch what is known, within a time limit. Shipping never waits for more than that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sagetrail_core::memory::{Key, State};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::answer::{self, AnswerError, Asked, FILTER};
use super::pause::Pause;
use crate::document::IndexName;
use crate::labels::RecallOutcome;
use crate::metrics::Metrics;
use crate::opensearch::{Answer, Method, OpenSearch, OpenSearchError};

/// Rounds for a number of records: a chain of sessions needs one for each link.
const MOST_ROUNDS: u32 = 10;
/// Documents in one request. Few have more than some KiB.
const MOST_DOCUMENTS: usize = 256;
/// Keys that are asked for at once: OpenSearch answers more of them no sooner, and what they bring takes memory.
/// Questions for a few do not wait for one another, also when each answer is slow.
const KEYS_AT_ONCE: u32 = 1_024;

pub(super) struct Recall {
    client: OpenSearch,
    limit: Duration,
    turns: Semaphore,
    pause: Mutex<Pause>,
    metrics: Arc<Metrics>,
}

/// A key that has to be recalled for a record of an event at this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub key: Key,
    pub time: Option<OffsetDateTime>,
}

/// The recall for a number of records: its rounds, and until when it may last.
#[derive(Debug, Default)]
pub struct Attempt {
    until: Option<Instant>,
    rounds: u32,
}

/// Why nothing was recalled.
#[derive(Debug, thiserror::Error)]
enum RecallError {
    #[error("no answer within memory.recall_timeout")]
    TimedOut,
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error("status {0}")]
    Status(u16),
    #[error("the answer cannot be used: {0}")]
    Answer(#[from] AnswerError),
}

impl Recall {
    pub(super) fn new(client: OpenSearch, limit: Duration, metrics: Arc<Metrics>) -> Self {
        Self { client, limit, turns: Semaphore::new(KEYS_AT_ONCE as usize), pause: Mutex::default(), metrics }
    }

    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.pause().is_on(now)
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt { until: Some(Instant::now() + self.limit), rounds: 0 }
    }

    /// What is known of each key, in their order; None where it cannot be recalled now.
    pub(super) async fn ask(&self, wanted: &[Wanted], attempt: &mut Attempt) -> Option<Vec<Option<State>>> {
        let _turn = self.turn_of(wanted, attempt).await;
        let began = Instant::now();
        attempt.rounds += 1;
        let until = attempt.until.filter(|until| began < *until && attempt.rounds <= MOST_ROUNDS);
        let Some(until) = until else {
            self.metrics.memory_recalls.count(RecallOutcome::TimedOut);
            return None;
        };
        if !self.pause().may_ask(began) {
            self.metrics.memory_recalls.count(RecallOutcome::Paused);
            return None;
        }
        let recalled = timeout_at(until, self.ask_all(wanted)).await;
        self.metrics.memory_recall_seconds.observe(began.elapsed().as_secs_f64());
        match recalled.unwrap_or(Err(RecallError::TimedOut)) {
            Ok(states) => {
                self.metrics.memory_recalls.count(RecallOutcome::Answered);
                if self.pause().answered() {
                    info!("memory answers again");
                }
                Some(states)
            }
            Err(error) => {
                let is_late = matches!(
                    error,
                    RecallError::TimedOut | RecallError::Request(OpenSearchError::TimedOut { .. })
                );
                let outcome = if is_late { RecallOutcome::TimedOut } else { RecallOutcome::Failed };
                self.metrics.memory_recalls.count(outcome);
                if self.pause().failed(began, Instant::now()) {
                    warn!(
                        %error,
                        "memory does not answer, so documents are shipped without what it knows until it does; \
                         they say in sagemaker.context what was missing"
                    );
                }
                None
            }
        }
    }

    /// Waits for a turn, which is no part of the time that the answer may take.
    async fn turn_of(&self, wanted: &[Wanted], attempt: &mut Attempt) -> SemaphorePermit<'_> {
        let began = Instant::now();
        let keys = u32::try_from(wanted.len()).unwrap_or(KEYS_AT_ONCE).min(KEYS_AT_ONCE);
        let turn = self.turns.acquire_many(keys).await.expect("nobody closes it");
        attempt.until = attempt.until.map(|until| until + began.elapsed());
        turn
    }

    async fn ask_all(&self, wanted: &[Wanted]) -> Result<Vec<Option<State>>, RecallError> {
        let documents = documents(wanted, &self.client);
        let mut states: Vec<Option<State>> = Vec::with_capacity(wanted.len());
        states.resize_with(wanted.len(), || None);
        for part in documents.chunks(MOST_DOCUMENTS) {
            let asked: Vec<Asked> = part.iter().map(|(_, asked)| asked.clone()).collect();
            let Answer { status, body } = self
                .client
                .request(
                    Method::POST,
                    &format!("_mget?_source_includes=memory&{FILTER}"),
                    Some(question(&asked)),
                )
                .await?;
            if status != 200 {
                return Err(RecallError::Status(status));
            }
            let answered = answer::read(&body, &asked)?;
            for ((position, _), state) in part.iter().zip(answered) {
                match (&mut states[*position], state) {
                    (Some(known), Some(state)) => drop(known.join(&state)),
                    (known @ None, state) => *known = state,
                    (Some(_), None) => {}
                }
            }
        }
        Ok(states)
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The documents to ask for, each with the position of its key.
fn documents(wanted: &[Wanted], client: &OpenSearch) -> Vec<(usize, Asked)> {
    let mut indices: BTreeMap<_, Vec<IndexName>> = BTreeMap::new();
    let mut documents = Vec::new();
    for (position, Wanted { key, time }) in wanted.iter().enumerate() {
        let time = time.unwrap_or_else(OffsetDateTime::now_utc);
        let month = (key.kind, time.year(), u8::from(time.month()));
        let indices =
            indices.entry(month).or_insert_with(|| IndexName::to_recall(client.names(), key.kind, time));
        let id = key.document_id();
        documents.extend(
            indices
                .iter()
                .map(|index| (position, Asked { index: index.as_str().to_owned(), id: id.clone() })),
        );
    }
    documents
}

fn question(asked: &[Asked]) -> Bytes {
    let docs: Vec<_> = asked.iter().map(|Asked { index, id }| json!({"_index": index, "_id": id})).collect();
    Bytes::from(json!({ "docs": docs }).to_string())
}
