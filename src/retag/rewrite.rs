//! Enriches one page of stored documents and writes it back to OpenSearch.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::outcome::{RetagError, Summary};
use super::view::{GRANT, question};
use crate::backoff::full_jitter;
use crate::enrich::{self, Enricher, ReEnriched, UNKNOWN_OPERATION, lacks_memory, re_enrich};
use crate::memory::{Known, Memory, Wanted};
use crate::opensearch::bulk::{self, Action};
use crate::opensearch::{OpenSearch, StoredHit};
use crate::stored::{View, kept};

/// How often a page is sent that OpenSearch is too busy to take.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What pages are enriched with.
pub(super) struct Rewriting<'r> {
    pub(super) client: &'r OpenSearch,
    pub(super) enricher: &'r Enricher,
    pub(super) memory: &'r Memory,
}

impl Rewriting<'_> {
    /// Enriches and writes one page again. A document that is changed meanwhile is read and enriched once more.
    pub(super) async fn rewrite(
        &self,
        hits: Vec<StoredHit>,
        summary: &mut Summary,
    ) -> Result<(), RetagError> {
        let Self { client, .. } = *self;
        let mut writes = self.prepare(hits, summary).await;
        for attempt in 0..ATTEMPTS {
            if writes.is_empty() {
                return Ok(());
            }
            if attempt > 0 {
                sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, attempt - 1)).await;
            }
            let answer = client.bulk(encode(&writes)).await?;
            if matches!(answer.status, 429 | 503) {
                continue;
            }
            let question = question("bulk");
            if !(200..300).contains(&answer.status) {
                return Err(question.refused(answer.status).into());
            }
            let items = bulk::read(&answer.body).map_err(|error| question.unexpected(error))?;
            if items.len() != writes.len() {
                let problem = format!("{} of {} documents are answered", items.len(), writes.len());
                return Err(question.unexpected(problem).into());
            }
            let mut again = Vec::new();
            let mut changed = Vec::new();
            for (write, done) in writes.into_iter().zip(items) {
                match done.item().status {
                    200..=299 => {
                        summary.retagged += 1;
                        summary.changed += u64::from(write.is_changed);
                        summary.carried += u64::from(write.is_carried);
                        summary.completed += u64::from(write.is_completed);
                    }
                    409 => changed.push(write.hit),
                    429 | 500..=599 => again.push(write),
                    _ => summary.refused += 1,
                }
            }
            if attempt + 1 == ATTEMPTS {
                summary.conflicts += changed.len() as u64;
            } else if !changed.is_empty() {
                let hits = View::again(client, &changed, GRANT).await?;
                again.extend(self.prepare(hits, summary).await);
            }
            writes = again;
        }
        if writes.is_empty() { Ok(()) } else { Err(RetagError::Unavailable { attempts: ATTEMPTS }) }
    }

    /// Enriches documents again, but for those that these rules have tagged meanwhile and that memory does not
    /// complete.
    async fn prepare(&self, hits: Vec<StoredHit>, summary: &mut Summary) -> Vec<Write> {
        let now = OffsetDateTime::now_utc();
        let known = self.recalled(&hits, now).await;
        let mut writes = Vec::new();
        for hit in hits {
            let is_tagged = hit.source["sagemaker"]["rules"]["version"] == self.enricher.rules.version();
            let lacks_memory = lacks_memory(&hit.source);
            if is_tagged && !lacks_memory {
                continue;
            }
            match hit.written_anew(self.enricher, &known, now) {
                Some(anew) => {
                    let is_completed = lacks_memory && !enrich::lacks_memory(&anew.source);
                    if is_tagged && !is_completed {
                        continue;
                    }
                    writes.push(Write {
                        is_changed: anew.source["sagemaker"]["findings"]
                            != hit.source["sagemaker"]["findings"],
                        is_carried: !anew.carried.is_empty(),
                        is_completed,
                        source: Bytes::from(anew.source.to_string()),
                        hit,
                    });
                }
                None => summary.unreadable += 1,
            }
        }
        writes
    }

    /// What memory says of all that the documents lack, in as many rounds as that takes.
    async fn recalled(&self, hits: &[StoredHit], now: OffsetDateTime) -> Known {
        let mut known = self.memory.known();
        let mut attempt = self.memory.attempt();
        while known.can_be_asked() {
            let mut wanted: Vec<Wanted> = Vec::new();
            for kept in hits.iter().filter_map(|hit| kept(&hit.source, now)) {
                let (keys, time) = enrich::wanted_anew(&kept, self.enricher, &known);
                for key in self.memory.look_up(keys, &mut known) {
                    if !wanted.iter().any(|known| known.key == key) {
                        wanted.push(Wanted { key, time });
                    }
                }
            }
            if wanted.is_empty() {
                break;
            }
            self.memory.recall(wanted, &mut attempt, &mut known).await;
        }
        known
    }
}

/// One document on its way.
struct Write {
    hit: StoredHit,
    source: Bytes,
    /// Whether its findings are others than before.
    is_changed: bool,
    /// Whether it keeps what its text no longer shows.
    is_carried: bool,
    /// Whether it has now what memory could not say before.
    is_completed: bool,
}

fn encode(writes: &[Write]) -> Bytes {
    let mut body = Vec::new();
    for Write { hit, source, .. } in writes {
        let action = Action::Replace { seq_no: hit.seq_no, primary_term: hit.primary_term };
        bulk::push(&mut body, action, &hit.index, &hit.id, source);
    }
    Bytes::from(body)
}

impl StoredHit {
    /// The document as these rules write it, with the fields that others have added. None without a readable text.
    fn written_anew(&self, enricher: &Enricher, known: &Known, now: OffsetDateTime) -> Option<ReEnriched> {
        let mut anew = re_enrich(&kept(&self.source, now)?, enricher, known)?;
        for (name, value) in self.source.as_object()? {
            if !WRITTEN.contains(&name.as_str()) {
                anew.source[name] = value.clone();
            }
        }
        let ours = anew.source["tags"].as_array().cloned().unwrap_or_default();
        let is_note = |tag: &&Value| **tag != UNKNOWN_OPERATION && !ours.contains(tag);
        let notes: Vec<Value> =
            self.source["tags"].as_array().into_iter().flatten().filter(is_note).cloned().collect();
        if !notes.is_empty() {
            anew.source["tags"] = Value::Array([ours, notes].concat());
        }
        Some(anew)
    }
}

/// The members of a document that enrichment writes. Others are notes that people or their tools have made on it.
const WRITTEN: [&str; 15] = [
    "@timestamp",
    "tags",
    "message",
    "ecs",
    "event",
    "cloud",
    "source",
    "user",
    "user_agent",
    "error",
    "related",
    "log",
    "rule",
    "threat",
    "sagemaker",
];
