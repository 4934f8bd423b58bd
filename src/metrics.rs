//! Registers every series that the daemon exposes to Prometheus.
//!
//! Labels are closed sets (enums of ours, or the categories of the loaded rules), never text from a record. A test pins
//! the exposition, because alert rules and dashboards are written against these names.

mod series;

use std::collections::BTreeMap;
use std::time::Duration;

use ::time::OffsetDateTime;
use prometheus::{
    Counter, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::labels::{
    BulkOutcome, FactOutcome, FindingKind, FreshnessStage, HealthRule, IncidentVersion, Label,
    MessageOutcome, MutedBy, NotificationForm, ObjectFailure, ObjectSkip, QueueKind, RecallOutcome,
    RejectReason, Reload, Renewal, Retry, RoundOutcome, VersionPassedOver, Wait,
};
pub use series::whole;
use series::{Counters, Gauges, Histograms, series};

/// Seconds; from a quick bulk to a backlog of days.
const FRESHNESS_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 14_400.0,
    86_400.0,
];
/// Seconds; a bulk request's round trip.
const LATENCY_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Documents in one bulk.
const DOCUMENT_BUCKETS: &[f64] = &[1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_000.0, 5_000.0];
/// Bytes in one bulk.
const BYTE_BUCKETS: &[f64] =
    &[1_024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

series! {
    /// All series of the daemon. Those with closed labels exist at zero from the start.
    pub struct Metrics {
        ready: IntGauge = "ready",
            "1 when the daemon is ready, as /readyz says, and 0 otherwise.";
        waiting: Gauges<Wait> = "waiting", by "for",
            "1 for what the daemon waits for before it can work, and 0 otherwise.";
        queue_messages: IntGaugeVec = "queue_messages", by "queue",
            "Approximate number of messages waiting in a queue; absent where the role lacks sqs:GetQueueAttributes.";
        messages_received: IntCounter = "messages_received_total",
            "Messages received from the queue.";
        messages: Counters<MessageOutcome> = "messages_total", by "outcome",
            "Messages settled, by outcome.";
        messages_in_flight: IntGauge = "messages_in_flight",
            "Messages received and not yet settled.";
        notifications: Counters<NotificationForm> = "notifications_total", by "form",
            "Notifications understood, by form.";
        visibility_renewals: Counters<Renewal> = "visibility_renewals_total", by "outcome",
            "Renewals of a message's visibility timeout, by outcome.";
        receive_failures: IntCounter = "receive_failures_total",
            "ReceiveMessage requests that failed after the SDK's own retries.";
        delete_failures: IntCounter = "delete_failures_total",
            "Messages that could not be deleted; SQS delivers them again, which is harmless.";
        objects_read: IntCounter = "objects_read_total",
            "S3 objects read to their end.";
        objects_skipped: Counters<ObjectSkip> = "objects_skipped_total", by "reason",
            "Notified objects that are not read on purpose, by reason.";
        versions_passed_over: Counters<VersionPassedOver> = "object_versions_passed_over_total", by "reason",
            "Objects of which the current version was read in place of the announced one, by reason.";
        object_failures: Counters<ObjectFailure> = "object_failures_total", by "reason",
            "S3 objects that could not be read whole, by reason; their messages stay in the queue.";
        object_bytes: IntCounter = "object_bytes_total",
            "Bytes of S3 objects as they are stored.";
        object_raw_bytes: IntCounter = "object_raw_bytes_total",
            "Bytes of S3 objects after decompression.";
        records_read: IntCounter = "records_read_total",
            "CloudTrail records read.";
        records_selected: IntCounter = "records_selected_total",
            "CloudTrail records selected for indexing.";
        records_indexed: IntCounter = "records_indexed_total",
            "Records newly stored in the events index.";
        records_duplicate: IntCounter = "records_duplicate_total",
            "Records that were stored already (409), which is success.";
        records_rejected: Counters<RejectReason> = "records_rejected_total", by "reason",
            "Records rejected into the rejected index, by reason.";
        records_by_category: IntCounterVec = "records_by_category_total", by "category",
            "Records selected, by threat category of the loaded rules.";
        records_unknown_operation: IntCounter = "records_unknown_operation_total",
            "Records selected whose SageMaker operation is not in the catalogue.";
        matches_muted: Counters<MutedBy> = "matches_muted_total", by "by",
            "Matches of rules that the site keeps out of the findings, by what mutes them.";
        records_incomplete: IntCounter = "records_incomplete_total",
            "Records selected that were judged without something that memory may know, because it was not recalled.";
        artefact_reads_repeated: IntCounter = "artefact_reads_repeated_total",
            "Reads of a model's artefact that are left out, because the identity has read there before.";
        memory_facts: Counters<FactOutcome> = "memory_facts_total", by "outcome",
            "Facts that records told memory, by what became of them.";
        memory_recalls: Counters<RecallOutcome> = "memory_recalls_total", by "outcome",
            "Questions to memory beside what is cached, by outcome.";
        memory_recall_seconds: Histogram = "memory_recall_duration_seconds", in LATENCY_BUCKETS,
            "Time that a question to memory took, answered or not.";
        memory_cache_bytes: IntGauge = "memory_cache_bytes",
            "Bytes of what is cached of memory.";
        memory_cache_entries: IntGauge = "memory_cache_entries",
            "Things of which it is cached what memory knows.";
        memory_names_left_out: IntGauge = "memory_names_left_out",
            "Known roles, buckets and other things that SageMaker uses, beyond those that records of other services are searched for.";
        bulk_requests: Counters<BulkOutcome> = "bulk_requests_total", by "outcome",
            "Bulk requests to OpenSearch, by outcome.";
        bulk_documents: Histogram = "bulk_documents", in DOCUMENT_BUCKETS,
            "Documents in a bulk request.";
        bulk_bytes: Histogram = "bulk_size_bytes", in BYTE_BUCKETS,
            "Bytes of a bulk request before compression.";
        bulk_seconds: Histogram = "bulk_duration_seconds", in LATENCY_BUCKETS,
            "Time that OpenSearch took to answer a bulk request.";
        limiter_wait: Counter = "limiter_wait_seconds_total",
            "Time that bulks waited for the configured rate limit.";
        sink_queue_bytes: IntGauge = "sink_queue_bytes",
            "Bytes of documents waiting for OpenSearch.";
        bulk_concurrency_limit: IntGauge = "bulk_concurrency_limit",
            "Bulk requests that may be in flight now; steps down when OpenSearch pushes back.";
        bulk_bytes_limit: IntGauge = "bulk_size_limit_bytes",
            "Bytes that a bulk request may hold now; steps down when OpenSearch pushes back.";
        retries: Counters<Retry> = "retries_total", by "what",
            "Retries, by what was repeated.";
        freshness: Histograms<FreshnessStage> = "freshness_seconds", by "stage", in FRESHNESS_BUCKETS,
            "Time that a record spent on each leg from the API call to the index.";
        rules_loaded: IntGauge = "rules_loaded",
            "Rules in use, without inactive ones.";
        rules_broken: IntGauge = "rules_broken",
            "Rules that were skipped because they are broken.";
        rules_reloads: Counters<Reload> = "rules_reloads_total", by "outcome",
            "Attempts to load the rules again, by outcome; after a refusal the old rules stay in use.";
        secrets_refused: IntGauge = "secrets_refused",
            "1 while a file that the section sink names cannot be used and its old content stays in use, otherwise 0.";
        task_panics: IntCounter = "task_panics_total",
            "Tasks that panicked; each is a bug worth a report.";
        alertmanager_waiting: IntGaugeVec = "alertmanager_incidents_waiting", by "channel",
            "Incidents that could not be handed to an Alertmanager when that was last tried; they are handed over again.";
        alertmanager_failing_since: IntGaugeVec = "alertmanager_failing_since_timestamp_seconds", by "channel",
            "Since when incidents could not be handed to an Alertmanager, in seconds since 1970; 0 when all are there.";
        alertmanager_left_out: IntGauge = "alertmanager_incidents_left_out",
            "Incidents that are handed to no Alertmanager, because there are more than are handed over at once.";
        verification_gaps: IntGaugeVec = "verification_gaps", by "kind",
            "Gaps that verifications found within 30 days and that are still open, by kind.";
        verification_last_run: IntGauge = "verification_last_run_timestamp_seconds",
            "Time of the last verification, in seconds since 1970; 0 when none is known.";
        correlator_leads: IntGauge = "correlator_leads",
            "1 while this process holds the lease of the correlator, and 0 while it stands by.";
        correlator_rounds: Counters<RoundOutcome> = "correlator_rounds_total", by "outcome",
            "Rounds of the correlator in this process, by outcome.";
        correlator_round_seconds: Histogram = "correlator_round_duration_seconds", in LATENCY_BUCKETS,
            "Time that a round of the correlator took, finished or not.";
        correlator_behind_seconds: IntGauge = "correlator_behind_seconds",
            "Seconds since the last complete round began; 0 while this process stands by.";
        correlator_origins_judged: IntCounter = "correlator_origins_judged_total",
            "Origins whose signals were weighed, each time they changed.";
        correlations_found: IntCounter = "correlations_found_total",
            "Matches of rules over several records that were stored and were not known.";
        incidents_written: Counters<IncidentVersion> = "incidents_written_total", by "state",
            "Versions of incidents that were stored, by state.";
        health_incidents: Gauges<HealthRule> = "health_incidents", by "rule",
            "Incidents about the pipeline's own health that stand, by rule; 0 while this process stands by.";
        health_unjudged: Counters<HealthRule> = "health_unjudged_total", by "rule",
            "Looks at the pipeline's own health that could not be finished, by rule; the next one tries again.";
        verification_read_failures: IntCounter = "verification_read_failures_total",
            "Failed attempts to read the findings of verifications.";
    }
}

impl Metrics {
    /// Registers every series.
    pub fn new() -> Self {
        let registry = Registry::new();
        let version = Opts::new("build_info", "The version of the running program.")
            .namespace("sagetrail")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        series::registered(&registry, IntGauge::with_opts(version)).set(1);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the process collector is registered once");
        let metrics = Self::register(registry);
        metrics.verification_known(&BTreeMap::new(), None);
        metrics
    }

    /// The exposition in Prometheus' text format.
    pub fn expose(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("every series was registered with a valid name and labels")
    }

    /// Makes the series of each category exist, so that a rate over it starts at zero.
    pub fn know_categories<'a>(&self, categories: impl IntoIterator<Item = &'a str>) {
        for category in categories {
            self.records_by_category.with_label_values(&[category]).inc_by(0);
        }
    }

    /// Tells whether the daemon can work, and what it waits for if not.
    pub fn readiness(&self, waits_for: Option<Wait>) {
        self.ready.set(i64::from(waits_for.is_none()));
        for wait in Wait::ALL {
            self.waiting.of(*wait).set(i64::from(waits_for == Some(*wait)));
        }
    }

    /// Tells how many messages a queue holds; None is not known.
    pub fn queue_holds(&self, queue: QueueKind, messages: Option<u64>) {
        match messages {
            Some(messages) => self.queue_messages.with_label_values(&[queue.label()]).set(whole(messages)),
            // The series is absent already when no number was ever known.
            None => drop(self.queue_messages.remove_label_values(&[queue.label()])),
        }
    }

    /// Counts messages that SQS handed out, which are in flight until each is settled.
    pub fn messages_received(&self, count: usize) {
        self.messages_received.inc_by(count as u64);
        self.messages_in_flight.add(whole(count));
    }

    /// Counts what became of one message, which is in flight no longer.
    pub fn message_settled(&self, outcome: MessageOutcome) {
        self.messages.count(outcome);
        self.messages_in_flight.dec();
    }

    /// Counts one object that was read and decoded whole, and its bytes as S3 stores them, mostly compressed.
    pub fn object_read(&self, stored_bytes: u64) {
        self.objects_read.inc();
        self.object_bytes.inc_by(stored_bytes);
    }

    /// Counts what decoding one object yielded, whether or not it was damaged.
    pub fn records_decoded(&self, read: u64, selected: u64, raw_bytes: u64) {
        self.records_read.inc_by(read);
        self.records_selected.inc_by(selected);
        self.object_raw_bytes.inc_by(raw_bytes);
    }

    /// Counts records by how their documents came to be stored: created now, or there before.
    pub fn records_stored(&self, indexed: u64, duplicate: u64) {
        self.records_indexed.inc_by(indexed);
        self.records_duplicate.inc_by(duplicate);
    }

    /// Counts one bulk, and observes its documents, its bytes and the time until it was answered.
    pub fn bulk_answered(&self, outcome: BulkOutcome, documents: usize, bytes: usize, took: Duration) {
        self.bulk_requests.count(outcome);
        #[expect(clippy::cast_precision_loss, reason = "a bulk is far below 2^52 documents or bytes")]
        {
            self.bulk_documents.observe(documents as f64);
            self.bulk_bytes.observe(bytes as f64);
        }
        self.bulk_seconds.observe(took.as_secs_f64());
    }

    /// Shows the limits that the sink has learnt: bulks at the same time, and bytes of one bulk.
    pub fn limits_changed(&self, concurrency: usize, bulk_bytes: usize) {
        self.bulk_concurrency_limit.set(whole(concurrency));
        self.bulk_bytes_limit.set(whole(bulk_bytes));
    }

    /// Observes one leg; a clock that runs backwards counts as no time at all.
    pub fn freshness(&self, stage: FreshnessStage, took: time::Duration) {
        self.freshness.of(stage).observe(took.as_seconds_f64().max(0.0));
    }

    /// Shows how many rules of the set in use can match, and how many are broken.
    pub fn rules_in_use(&self, loaded: usize, broken: usize) {
        self.rules_loaded.set(whole(loaded));
        self.rules_broken.set(whole(broken));
    }

    /// Takes over what verifications have found: the open gaps by kind, and when the last one ran, if any has.
    pub fn verification_known(&self, gaps: &BTreeMap<FindingKind, u64>, last_run_at: Option<OffsetDateTime>) {
        for kind in FindingKind::GAPS {
            let count = gaps.get(kind).copied().unwrap_or_default();
            self.verification_gaps.with_label_values(&[kind.label()]).set(whole(count));
        }
        self.verification_last_run.set(last_run_at.map_or(0, OffsetDateTime::unix_timestamp));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
