//! Decodes one object into chunks of documents, on a thread that may block.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tracing::error;

use crate::config::ContentHash;
use crate::decode::{Decoded, Limits, Scratch, decode};
use crate::document::Document;
use crate::enrich::{Enriched, Enricher, Origin, enrich};
use crate::labels::{FreshnessStage, RejectReason};
use crate::metrics::Metrics;

/// Bytes of documents that are handed to the sink together: small enough to bound what a decoder holds, large enough
/// that handing over costs nothing.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the decoding of one object needs.
pub(super) struct Decoding {
    pub(super) path: String,
    pub(super) written_at: Option<OffsetDateTime>,
    pub(super) limits: Limits,
    pub(super) content_hash: ContentHash,
    pub(super) enricher: Arc<Enricher>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) chunks: mpsc::Sender<Vec<Document>>,
}

impl Decoding {
    /// Sends the documents of the object in chunks, and returns the result of decoding and the number of selected
    /// records. It stops when the receiver of the chunks is gone.
    pub(super) fn run(self, object: &Bytes, scratch: &mut Scratch) -> (Decoded, u64) {
        self.run_with(object, scratch, enrich)
    }

    /// Runs with the function that decides on each record.
    fn run_with(
        &self,
        object: &Bytes,
        scratch: &mut Scratch,
        decide: for<'k> fn(&[u8], Origin<'_>, &'k Enricher) -> Enriched<'k>,
    ) -> (Decoded, u64) {
        let origin = Origin { path: &self.path, written_at: self.written_at, now: OffsetDateTime::now_utc() };
        let mut chunk = Chunk::default();
        let mut selected = 0;
        let mut panicked = 0_u64;
        let decoded = decode(object, &self.limits, self.content_hash, scratch, |raw| {
            match decide(raw, origin, &self.enricher) {
                Enriched::NotSelected => return ControlFlow::Continue(()),
                Enriched::Selected {
                    document,
                    event_time,
                    categories,
                    unknown_operation,
                    muted,
                    facts: _,
                } => {
                    selected += 1;
                    for by in muted {
                        self.metrics.matches_muted.count(by);
                    }
                    if unknown_operation {
                        self.metrics.records_unknown_operation.inc();
                    }
                    self.observe(event_time, &categories);
                    chunk.push(document);
                }
                Enriched::ToRecall(_) => unreachable!("a record that is judged alone needs no memory"),
                Enriched::Malformed(document) => {
                    selected += 1;
                    self.metrics.records_rejected.count(RejectReason::Malformed);
                    chunk.push(document);
                }
                Enriched::Panicked(document) => {
                    selected += 1;
                    panicked += 1;
                    self.metrics.records_rejected.count(RejectReason::Panicked);
                    chunk.push(document);
                }
            }
            if chunk.bytes < CHUNK_BYTES {
                return ControlFlow::Continue(());
            }
            match self.chunks.blocking_send(chunk.take()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        if !chunk.documents.is_empty() {
            // Without a receiver the message is being given back.
            let _ = self.chunks.blocking_send(chunk.take());
        }
        if panicked > 0 {
            error!(
                object = self.path,
                records = panicked,
                "sagetrail panicked at records and rejected them; this is a bug, please report it"
            );
        }
        self.metrics.records_decoded(decoded.records, selected, decoded.raw_bytes);
        (decoded, selected)
    }

    fn observe(&self, event_time: Option<OffsetDateTime>, categories: &[&str]) {
        for category in categories {
            self.metrics.records_by_category.with_label_values(&[category]).inc();
        }
        if let (Some(event_time), Some(written_at)) = (event_time, self.written_at) {
            self.metrics.freshness(FreshnessStage::EventToObject, written_at - event_time);
        }
    }
}

/// Documents that wait until a chunk is full.
#[derive(Default)]
struct Chunk {
    documents: Vec<Document>,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, document: Document) {
        self.bytes += document.source.len();
        self.documents.push(document);
    }

    fn take(&mut self) -> Vec<Document> {
        self.bytes = 0;
        std::mem::take(&mut self.documents)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config::Scope;
    use crate::enrich::contained;

    /// What the function decides that panics at one record of a file.
    fn panics_at_the_seventh<'k>(raw: &[u8], origin: Origin<'_>, enricher: &'k Enricher) -> Enriched<'k> {
        contained(raw, origin, enricher, || {
            assert!(!raw.windows(9).any(|bytes| bytes == b"\"model-7\""), "of the record: hunter2");
            enrich(raw, origin, enricher)
        })
    }

    #[test]
    fn a_record_that_panics_is_set_aside_and_the_other_49_of_its_file_are_shipped() {
        let record = |number: usize| {
            format!(
                r#"{{"eventID":"4da0b3c{number:02}","eventSource":"sagemaker.amazonaws.com","eventName":"DeleteModel","requestParameters":{{"modelName":"model-{number}","password":"hunter2"}}}}"#
            )
        };
        let records: Vec<String> = (0..50).map(record).collect();
        let object = Bytes::from(format!(r#"{{"Records":[{}]}}"#, records.join(",")));
        let (chunks, mut received) = mpsc::channel(8);
        let metrics = Arc::new(Metrics::new());
        let decoding = Decoding {
            path: "s3://bucket/key".to_owned(),
            written_at: None,
            limits: Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 20 },
            content_hash: ContentHash::None,
            enricher: Arc::new(Enricher::built_in(Scope::Related)),
            metrics: Arc::clone(&metrics),
            chunks,
        };
        let (decoded, selected) = decoding.run_with(&object, &mut Scratch::default(), panics_at_the_seventh);
        assert_eq!((decoded.records, decoded.damage, selected), (50, None, 50));
        let documents = received.try_recv().unwrap();
        let (events, rejected): (Vec<_>, Vec<_>) =
            documents.iter().partition(|document| document.index.is_for_events());
        assert_eq!((events.len(), rejected.len()), (49, 1));
        let source: Value = serde_json::from_slice(&rejected[0].source).unwrap();
        assert_eq!(source["reason"], "panicked");
        let text = source["text"].as_str().unwrap();
        assert!(text.contains("4da0b3c07") && !text.contains("hunter2"), "{source}");
        assert!(metrics.expose().contains("sagetrail_records_rejected_total{reason=\"panicked\"} 1"));
    }
}
