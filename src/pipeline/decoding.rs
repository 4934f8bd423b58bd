//! The decoding of one object: from its bytes to chunks of documents, on a thread where it may block.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::config::ContentHash;
use crate::decode::{Decoded, Limits, Workplace, decode};
use crate::document::Document;
use crate::enrich::{Enriched, Knowledge, Origin, enrich};
use crate::metrics::{FreshnessStage, Metrics, RejectReason};

/// Bytes of documents that are handed to the sink together: small enough to bound what a decoder holds, large enough
/// that handing over costs nothing.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the decoding of one object needs.
pub(super) struct Decoding {
    pub(super) path: String,
    pub(super) written_at: Option<OffsetDateTime>,
    pub(super) limits: Limits,
    pub(super) content_hash: ContentHash,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) chunks: mpsc::Sender<Vec<Document>>,
}

impl Decoding {
    /// Sends the documents of the object in chunks, and returns what it came to and how many records were selected. It
    /// breaks off when nobody receives them any more.
    pub(super) fn run(self, object: &Bytes, workplace: &mut Workplace) -> (Decoded, u64) {
        let origin = Origin { path: &self.path, written_at: self.written_at, now: OffsetDateTime::now_utc() };
        let mut chunk = Chunk::default();
        let mut selected = 0;
        let decoded = decode(object, &self.limits, self.content_hash, workplace, |raw| {
            match enrich(raw, origin, &self.knowledge) {
                Enriched::NotSelected => return ControlFlow::Continue(()),
                Enriched::Selected { document, event_time, categories, unknown_operation } => {
                    selected += 1;
                    if unknown_operation {
                        self.metrics.unknown_operation_met();
                    }
                    self.observe(event_time, &categories);
                    chunk.push(document);
                }
                Enriched::Malformed(document) => {
                    selected += 1;
                    self.metrics.record_rejected(RejectReason::Malformed);
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
            // When nobody receives it any more, the message is being given back.
            let _ = self.chunks.blocking_send(chunk.take());
        }
        self.metrics.records_decoded(decoded.records, selected, decoded.raw_bytes);
        (decoded, selected)
    }

    fn observe(&self, event_time: Option<OffsetDateTime>, categories: &[&str]) {
        for category in categories {
            self.metrics.record_categorised(category);
        }
        if let (Some(event_time), Some(written_at)) = (event_time, self.written_at) {
            self.metrics.freshness(FreshnessStage::EventToObject, written_at - event_time);
        }
    }
}

/// Documents that wait for enough company to be handed over.
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
