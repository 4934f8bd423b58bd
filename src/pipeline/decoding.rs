//! Decodes one object into chunks of documents, on a thread that may block.
//!
//! A record of which not enough is known waits for the message's task, which recalls it, and so do those after it: each
//! is judged with what the ones before it told.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::chunk::Chunk;
use super::held::Held;
use super::judging::{Judge, Judged, Subject};
use crate::config::ContentHash;
use crate::decode::{Decoded, Limits, Scratch, decode};
use crate::enrich::could_be_selected;

/// What the decoding of one object needs.
pub(super) struct Decoding {
    pub(super) subject: Subject,
    pub(super) limits: Limits,
    pub(super) content_hash: ContentHash,
    pub(super) parts: mpsc::Sender<Part>,
    /// Parts with held records that the message's task has not judged yet.
    pub(super) behind: Arc<AtomicUsize>,
}

/// A part of an object, for the message's task.
pub(super) enum Part {
    Judged(Chunk),
    Held(Held),
}

impl Decoding {
    /// Sends the object in parts, and returns the result of decoding and the number of records that were selected here.
    /// It stops when the receiver of the parts is gone.
    pub(super) fn run(self, object: &Bytes, scratch: &mut Scratch) -> (Decoded, u64) {
        let judge = Judge::new(self.subject.clone());
        self.run_with(object, scratch, judge)
    }

    fn run_with(&self, object: &Bytes, scratch: &mut Scratch, mut judge: Judge) -> (Decoded, u64) {
        let enricher = &self.subject.enricher;
        let (mut held, mut is_behind) = (Held::default(), false);
        let decoded = decode(object, &self.limits, self.content_hash, scratch, |raw| {
            let was_behind = is_behind;
            is_behind = !held.is_empty() || self.behind.load(Ordering::Acquire) > 0;
            if was_behind && !is_behind {
                // Those that were held have told something.
                judge.forget();
            }
            if is_behind {
                // Most records end here, and wait for nothing.
                if could_be_selected(raw, enricher, judge.known()) {
                    held.push(raw);
                }
            } else if let Judged::Waits = judge.judge(raw) {
                held.push(raw);
            }
            judge.forget_some();
            let is_sent = if held.is_full() {
                self.hold(&mut held)
            } else if judge.chunk().is_full() {
                self.send(Part::Judged(judge.take()))
            } else {
                true
            };
            if is_sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // Without a receiver the message is being given back.
        if !judge.chunk().is_empty() {
            self.send(Part::Judged(judge.take()));
        }
        if !held.is_empty() {
            self.hold(&mut held);
        }
        (decoded, judge.selected)
    }

    fn hold(&self, held: &mut Held) -> bool {
        self.behind.fetch_add(1, Ordering::AcqRel);
        self.send(Part::Held(held.take()))
    }

    fn send(&self, part: Part) -> bool {
        self.parts.blocking_send(part).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use time::OffsetDateTime;

    use super::*;
    use crate::config::{MemoryConfig, Scope, SinkConfig};
    use crate::enrich::{Enriched, Enricher, Origin, contained, enrich};
    use crate::memory::{AtHand, Memory};
    use crate::metrics::Metrics;
    use crate::opensearch::OpenSearch;

    /// What the function decides that panics at one record of a file.
    fn panics_at_the_seventh<'k>(
        raw: &[u8],
        origin: Origin<'_>,
        enricher: &'k Enricher,
        _known: &mut AtHand<'_>,
    ) -> Enriched<'k> {
        contained(raw, origin, enricher, || {
            assert!(!raw.windows(9).any(|bytes| bytes == b"\"model-7\""), "of the record: hunter2");
            enrich(raw, origin, enricher)
        })
    }

    #[tokio::test]
    async fn records_of_which_nothing_is_known_are_held_with_those_after_them_and_the_others_end_at_once() {
        let of = |service: &str, number: usize| {
            format!(
                r#"{{"eventID":"4da0b3c{number}","eventTime":"2026-11-01T12:00:00Z","eventSource":"{service}.amazonaws.com","eventName":"DeleteModel","awsRegion":"eu-central-1","recipientAccountId":"111122223333","requestParameters":{{"modelName":"model-{number}"}}}}"#
            )
        };
        let records: Vec<String> =
            (0..600).map(|number| of(if number % 2 == 0 { "sagemaker" } else { "ec2" }, number)).collect();
        let object = Bytes::from(format!(r#"{{"Records":[{}]}}"#, records.join(",")));
        let (parts, mut received) = mpsc::channel(8);
        let metrics = Arc::new(Metrics::new());
        let client = OpenSearch::new(&SinkConfig::default(), None).unwrap();
        let decoding = Decoding {
            subject: Subject {
                path: "s3://bucket/key".to_owned(),
                written_at: None,
                now: OffsetDateTime::UNIX_EPOCH,
                enricher: Arc::new(Enricher::built_in(Scope::Related)),
                memory: Memory::new(&MemoryConfig::default(), &client, &metrics),
                metrics,
            },
            limits: Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 20 },
            content_hash: ContentHash::None,
            parts,
            behind: Arc::default(),
        };
        let behind = Arc::clone(&decoding.behind);
        let run = move || decoding.run(&object, &mut Scratch::default());
        let (decoded, selected) = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!((decoded.records, selected, behind.load(Ordering::Acquire)), (600, 0, 5));
        let mut lengths = Vec::new();
        while let Some(Part::Held(held)) = received.recv().await {
            lengths.push(held.iter().count());
        }
        assert_eq!(lengths, [64, 64, 64, 64, 44], "those of other services are not held");
    }

    #[test]
    fn a_record_that_panics_is_rejected_and_the_other_49_of_its_file_are_shipped() {
        let record = |number: usize| {
            format!(
                r#"{{"eventID":"4da0b3c{number:02}","eventSource":"sagemaker.amazonaws.com","eventName":"DeleteModel","requestParameters":{{"modelName":"model-{number}","password":"hunter2"}}}}"#
            )
        };
        let records: Vec<String> = (0..50).map(record).collect();
        let object = Bytes::from(format!(r#"{{"Records":[{}]}}"#, records.join(",")));
        let (parts, mut received) = mpsc::channel(8);
        let metrics = Arc::new(Metrics::new());
        let decoding = Decoding {
            subject: Subject {
                path: "s3://bucket/key".to_owned(),
                written_at: None,
                now: OffsetDateTime::UNIX_EPOCH,
                enricher: Arc::new(Enricher::built_in(Scope::Related)),
                memory: Memory::off(),
                metrics: Arc::clone(&metrics),
            },
            limits: Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 20 },
            content_hash: ContentHash::None,
            parts,
            behind: Arc::default(),
        };
        let judge = Judge::with(decoding.subject.clone(), panics_at_the_seventh);
        let (decoded, selected) = decoding.run_with(&object, &mut Scratch::default(), judge);
        assert_eq!((decoded.records, decoded.damage, selected), (50, None, 50));
        let Part::Judged(chunk) = received.try_recv().unwrap() else { panic!("nothing is recalled") };
        let (events, rejected): (Vec<_>, Vec<_>) =
            chunk.documents().iter().partition(|document| document.index.is_for_events());
        assert_eq!((events.len(), rejected.len()), (49, 1));
        let source: Value = serde_json::from_slice(&rejected[0].source).unwrap();
        assert_eq!(source["reason"], "panicked");
        let text = source["text"].as_str().unwrap();
        assert!(text.contains("4da0b3c07") && !text.contains("hunter2"), "{source}");
        assert!(metrics.expose().contains("sagetrail_records_rejected_total{reason=\"panicked\"} 1"));
    }
}
