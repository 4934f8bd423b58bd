//! Registers the metrics of bulk requests: how many, how large, how fast, and their present limits.

use std::time::Duration;

use prometheus::{Counter, Gauge, Histogram, IntCounterVec, IntGauge, Registry};

use super::series::{counters, gauge, histogram, options, registered};
use crate::labels::{BulkOutcome, Label};

/// Seconds; a bulk request's round trip.
const LATENCY_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Documents in one bulk.
const DOCUMENT_BUCKETS: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_000.0, 5_000.0];
/// Bytes in one bulk.
const BYTE_BUCKETS: &[f64] =
    &[1_024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

pub(super) struct Bulks {
    requests: IntCounterVec,
    documents: Histogram,
    bytes: Histogram,
    seconds: Histogram,
    limiter_wait: Counter,
    queue_bytes: IntGauge,
    concurrency_limit: Gauge,
    bytes_limit: Gauge,
}

impl Bulks {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            requests: counters(
                registry,
                "bulk_requests_total",
                "Bulk requests to OpenSearch, by outcome.",
                "outcome",
                BulkOutcome::ALL,
            ),
            documents: histogram(
                registry,
                "bulk_documents",
                "Documents in a bulk request.",
                DOCUMENT_BUCKETS,
            ),
            bytes: histogram(
                registry,
                "bulk_size_bytes",
                "Bytes of a bulk request before compression.",
                BYTE_BUCKETS,
            ),
            seconds: histogram(
                registry,
                "bulk_duration_seconds",
                "Time that OpenSearch took to answer a bulk request.",
                LATENCY_BUCKETS,
            ),
            limiter_wait: registered(
                registry,
                Counter::with_opts(options(
                    "limiter_wait_seconds_total",
                    "Time that bulks waited for the configured rate limit.",
                )),
            ),
            queue_bytes: gauge(registry, "sink_queue_bytes", "Bytes of documents waiting for OpenSearch."),
            concurrency_limit: registered(
                registry,
                Gauge::with_opts(options(
                    "bulk_concurrency_limit",
                    "Bulk requests that may be in flight now; steps down when OpenSearch pushes back.",
                )),
            ),
            bytes_limit: registered(
                registry,
                Gauge::with_opts(options(
                    "bulk_size_limit_bytes",
                    "Bytes that a bulk request may hold now; steps down when OpenSearch pushes back.",
                )),
            ),
        }
    }

    pub(super) fn answered(&self, outcome: BulkOutcome, documents: usize, bytes: usize, took: Duration) {
        self.requests.with_label_values(&[outcome.label()]).inc();
        #[expect(clippy::cast_precision_loss, reason = "a bulk is far below 2^52 documents or bytes")]
        {
            self.documents.observe(documents as f64);
            self.bytes.observe(bytes as f64);
        }
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn limiter_waited(&self, time: Duration) {
        self.limiter_wait.inc_by(time.as_secs_f64());
    }

    pub(super) fn queue_bytes(&self, bytes: usize) {
        self.queue_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn pace_changed(&self, concurrency: usize, bulk_bytes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        {
            self.concurrency_limit.set(concurrency as f64);
            self.bytes_limit.set(bulk_bytes as f64);
        }
    }
}
