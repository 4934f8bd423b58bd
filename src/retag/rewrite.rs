//! The rewrite: one page of documents on its way back to OpenSearch, enriched anew.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::view::Hit;
use super::{RetagError, Summary, read};
use crate::backoff::full_jitter;
use crate::enrich::{Kept, Knowledge, enrich_again};
use crate::sink::OpenSearch;
use crate::timestamp;

/// How often a page is sent that OpenSearch is too busy to take.
pub(super) const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Writes one page anew.
pub(super) async fn rewrite(
    client: &OpenSearch,
    knowledge: &Knowledge,
    hits: Vec<Hit>,
    summary: &mut Summary,
) -> Result<(), RetagError> {
    let now = OffsetDateTime::now_utc();
    let mut writes = Vec::new();
    for hit in hits {
        match hit.written_anew(knowledge, now) {
            Some((source, is_changed)) => writes.push(Write { hit, source, is_changed }),
            None => summary.unreadable += 1,
        }
    }
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
        let Items { items } = read("bulk", &answer)?;
        if items.len() != writes.len() {
            let problem = format!("{} of {} documents are answered", items.len(), writes.len());
            return Err(RetagError::Unexpected { operation: "bulk", problem });
        }
        let mut again = Vec::new();
        for (write, Item { index }) in writes.into_iter().zip(items) {
            match index.status {
                200..=299 => {
                    summary.retagged += 1;
                    summary.changed += u64::from(write.is_changed);
                }
                409 => summary.conflicts += 1,
                429 | 500..=599 => again.push(write),
                _ => summary.refused += 1,
            }
        }
        writes = again;
    }
    if writes.is_empty() { Ok(()) } else { Err(RetagError::Unavailable) }
}

/// One document on its way.
struct Write {
    hit: Hit,
    source: Bytes,
    is_changed: bool,
}

/// Neither an index's name nor an id of ours needs escaping, and a source is one line.
fn encode(writes: &[Write]) -> Bytes {
    let mut body = Vec::new();
    for Write { hit, source, .. } in writes {
        let Hit { index, id, seq_no, primary_term, .. } = hit;
        let mut action = String::new();
        writeln!(
            action,
            r#"{{"index":{{"_index":"{index}","_id":"{id}","if_seq_no":{seq_no},"if_primary_term":{primary_term}}}}}"#
        )
        .expect("writing to a String cannot fail");
        body.extend_from_slice(action.as_bytes());
        body.extend_from_slice(source);
        body.push(b'\n');
    }
    Bytes::from(body)
}

impl Hit {
    /// The source as these rules write it, and whether its findings differ. None without a text that can be read.
    fn written_anew(&self, knowledge: &Knowledge, now: OffsetDateTime) -> Option<(Bytes, bool)> {
        let text = |path: &str| self.source.pointer(path).and_then(Value::as_str);
        let time = |path: &str| text(path).and_then(timestamp::parse);
        let kept = Kept {
            original: text("/event/original")?,
            path: text("/log/file/path").unwrap_or_default(),
            timestamp: time("/@timestamp")?,
            created: time("/event/created"),
            ingested: time("/event/ingested")?,
            retagged: now,
        };
        let source = enrich_again(&kept, knowledge)?;
        let anew: Value = serde_json::from_slice(&source).ok()?;
        let is_changed = anew.pointer("/sagemaker/findings") != self.source.pointer("/sagemaker/findings");
        Some((source, is_changed))
    }
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
}
