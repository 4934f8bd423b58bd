//! Registers every metric of the daemon, in one struct whose methods are events of the domain.
//!
//! Labels are closed sets (our enums, or the categories of the loaded rules), never text from a record. A test pins the
//! exposition, because alert rules and dashboards are written against these names.

mod bulks;
mod series;

use std::collections::BTreeMap;
use std::time::Duration;

use ::time::OffsetDateTime;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use bulks::Bulks;
use series::{
    build_info, counter, counters, freshness_histograms, gauge, gauges, open_counters, open_gauges,
};

use crate::labels::{
    BulkOutcome, FindingKind, FreshnessStage, Label, MessageOutcome, NotificationForm, ObjectFailure,
    ObjectSkip, QueueKind, RejectReason, Reload, Renewal, Retry, VersionPassedOver, Wait,
};

/// All series of the daemon.
pub struct Metrics {
    registry: Registry,
    ready: IntGauge,
    waiting: IntGaugeVec,
    queue_messages: IntGaugeVec,
    messages_received: IntCounter,
    messages: IntCounterVec,
    messages_in_flight: IntGauge,
    notifications: IntCounterVec,
    visibility_renewals: IntCounterVec,
    receive_failures: IntCounter,
    delete_failures: IntCounter,
    objects_read: IntCounter,
    objects_skipped: IntCounterVec,
    versions_passed_over: IntCounterVec,
    object_failures: IntCounterVec,
    object_bytes: IntCounter,
    object_raw_bytes: IntCounter,
    records_read: IntCounter,
    records_selected: IntCounter,
    records_indexed: IntCounter,
    records_duplicate: IntCounter,
    records_rejected: IntCounterVec,
    records_by_category: IntCounterVec,
    records_unknown_operation: IntCounter,
    bulks: Bulks,
    retries: IntCounterVec,
    freshness: HistogramVec,
    rules_loaded: IntGauge,
    rules_broken: IntGauge,
    rules_reloads: IntCounterVec,
    task_panics: IntCounter,
    verification_gaps: IntGaugeVec,
    verification_last_run: IntGauge,
    verification_read_failures: IntCounter,
}

impl Metrics {
    /// Registers every series; those with closed labels exist at zero from the start.
    #[expect(
        clippy::too_many_lines,
        reason = "it is the list of all series with their help texts, and nothing else"
    )]
    pub fn new() -> Self {
        let registry = Registry::new();
        build_info(&registry);
        let metrics = Self {
            ready: gauge(&registry, "ready", "1 when the daemon is ready, as /readyz says, and 0 otherwise."),
            waiting: gauges(
                &registry,
                "waiting",
                "1 for what the daemon waits for before it can work, and 0 otherwise.",
                "for",
                Wait::ALL,
            ),
            queue_messages: open_gauges(
                &registry,
                "queue_messages",
                "Approximate number of messages waiting in a queue; absent where the role lacks sqs:GetQueueAttributes.",
                "queue",
            ),
            messages_received: counter(
                &registry,
                "messages_received_total",
                "Messages received from the queue.",
            ),
            messages: counters(
                &registry,
                "messages_total",
                "Messages settled, by outcome.",
                "outcome",
                MessageOutcome::ALL,
            ),
            messages_in_flight: gauge(
                &registry,
                "messages_in_flight",
                "Messages received and not yet settled.",
            ),
            notifications: counters(
                &registry,
                "notifications_total",
                "Notifications understood, by form.",
                "form",
                NotificationForm::ALL,
            ),
            visibility_renewals: counters(
                &registry,
                "visibility_renewals_total",
                "Renewals of a message's visibility timeout, by outcome.",
                "outcome",
                Renewal::ALL,
            ),
            receive_failures: counter(
                &registry,
                "receive_failures_total",
                "ReceiveMessage requests that failed after the SDK's own retries.",
            ),
            delete_failures: counter(
                &registry,
                "delete_failures_total",
                "Messages that could not be deleted; SQS delivers them again, which is harmless.",
            ),
            objects_read: counter(&registry, "objects_read_total", "S3 objects read to their end."),
            objects_skipped: counters(
                &registry,
                "objects_skipped_total",
                "Notified objects that are not read on purpose, by reason.",
                "reason",
                ObjectSkip::ALL,
            ),
            versions_passed_over: counters(
                &registry,
                "object_versions_passed_over_total",
                "Objects of which the current version was read in place of the announced one, by reason.",
                "reason",
                VersionPassedOver::ALL,
            ),
            object_failures: counters(
                &registry,
                "object_failures_total",
                "S3 objects that could not be read whole, by reason; their messages stay in the queue.",
                "reason",
                ObjectFailure::ALL,
            ),
            object_bytes: counter(&registry, "object_bytes_total", "Bytes of S3 objects as they are stored."),
            object_raw_bytes: counter(
                &registry,
                "object_raw_bytes_total",
                "Bytes of S3 objects after decompression.",
            ),
            records_read: counter(&registry, "records_read_total", "CloudTrail records read."),
            records_selected: counter(
                &registry,
                "records_selected_total",
                "CloudTrail records selected for indexing.",
            ),
            records_indexed: counter(
                &registry,
                "records_indexed_total",
                "Records newly stored in the events index.",
            ),
            records_duplicate: counter(
                &registry,
                "records_duplicate_total",
                "Records that were stored already (409), which is success.",
            ),
            records_rejected: counters(
                &registry,
                "records_rejected_total",
                "Records rejected into the rejected index, by reason.",
                "reason",
                RejectReason::ALL,
            ),
            records_by_category: open_counters(
                &registry,
                "records_by_category_total",
                "Records selected, by threat category of the loaded rules.",
                "category",
            ),
            records_unknown_operation: counter(
                &registry,
                "records_unknown_operation_total",
                "Records selected whose SageMaker operation is not in the catalogue.",
            ),
            bulks: Bulks::new(&registry),
            retries: counters(
                &registry,
                "retries_total",
                "Retries, by what was repeated.",
                "what",
                Retry::ALL,
            ),
            freshness: freshness_histograms(&registry),
            rules_loaded: gauge(&registry, "rules_loaded", "Rules in use, without inactive ones."),
            rules_broken: gauge(
                &registry,
                "rules_broken",
                "Rules that were skipped because they are broken.",
            ),
            rules_reloads: counters(
                &registry,
                "rules_reloads_total",
                "Attempts to load the rules again, by outcome; after a refusal the old rules stay in use.",
                "outcome",
                Reload::ALL,
            ),
            task_panics: counter(
                &registry,
                "task_panics_total",
                "Tasks that panicked; each is a bug worth a report.",
            ),
            verification_gaps: gauges(
                &registry,
                "verification_gaps",
                "Gaps that verifications found within 30 days and that are still open, by kind.",
                "kind",
                FindingKind::GAPS,
            ),
            verification_last_run: gauge(
                &registry,
                "verification_last_run_timestamp_seconds",
                "Time of the last verification, in seconds since 1970; 0 when none is known.",
            ),
            verification_read_failures: counter(
                &registry,
                "verification_read_failures_total",
                "Failed attempts to read the findings of verifications.",
            ),
            registry,
        };
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the process collector is registered once");
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
            self.waiting.with_label_values(&[wait.label()]).set(i64::from(waits_for == Some(*wait)));
        }
    }

    /// Tells how many messages a queue holds; None is not known.
    pub fn queue_holds(&self, queue: QueueKind, messages: Option<u64>) {
        match messages {
            Some(messages) => self
                .queue_messages
                .with_label_values(&[queue.label()])
                .set(i64::try_from(messages).unwrap_or(i64::MAX)),
            // The series is absent already when no number was ever known.
            None => drop(self.queue_messages.remove_label_values(&[queue.label()])),
        }
    }

    pub fn messages_received(&self, count: usize) {
        self.messages_received.inc_by(count as u64);
        self.messages_in_flight.add(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn message_settled(&self, outcome: MessageOutcome) {
        self.messages.with_label_values(&[outcome.label()]).inc();
        self.messages_in_flight.dec();
    }

    pub fn notification_understood(&self, form: NotificationForm) {
        self.notifications.with_label_values(&[form.label()]).inc();
    }

    pub fn visibility_renewed(&self, outcome: Renewal) {
        self.visibility_renewals.with_label_values(&[outcome.label()]).inc();
    }

    pub fn receive_failed(&self) {
        self.receive_failures.inc();
    }

    pub fn delete_failed(&self) {
        self.delete_failures.inc();
    }

    pub fn object_read(&self, stored_bytes: u64) {
        self.objects_read.inc();
        self.object_bytes.inc_by(stored_bytes);
    }

    pub fn object_skipped(&self, reason: ObjectSkip) {
        self.objects_skipped.with_label_values(&[reason.label()]).inc();
    }

    pub fn version_passed_over(&self, reason: VersionPassedOver) {
        self.versions_passed_over.with_label_values(&[reason.label()]).inc();
    }

    pub fn object_failed(&self, reason: ObjectFailure) {
        self.object_failures.with_label_values(&[reason.label()]).inc();
    }

    /// Counts what decoding one object yielded, whether or not it was damaged.
    pub fn records_decoded(&self, read: u64, selected: u64, raw_bytes: u64) {
        self.records_read.inc_by(read);
        self.records_selected.inc_by(selected);
        self.object_raw_bytes.inc_by(raw_bytes);
    }

    pub fn record_categorised(&self, category: &str) {
        self.records_by_category.with_label_values(&[category]).inc();
    }

    pub fn unknown_operation_met(&self) {
        self.records_unknown_operation.inc();
    }

    pub fn records_stored(&self, indexed: u64, duplicate: u64) {
        self.records_indexed.inc_by(indexed);
        self.records_duplicate.inc_by(duplicate);
    }

    pub fn record_rejected(&self, reason: RejectReason) {
        self.records_rejected.with_label_values(&[reason.label()]).inc();
    }

    pub fn bulk_answered(&self, outcome: BulkOutcome, documents: usize, bytes: usize, took: Duration) {
        self.bulks.answered(outcome, documents, bytes, took);
    }

    pub fn retried(&self, what: Retry, count: u64) {
        self.retries.with_label_values(&[what.label()]).inc_by(count);
    }

    pub fn limiter_waited(&self, time: Duration) {
        self.bulks.limiter_waited(time);
    }

    pub fn sink_queue_bytes(&self, bytes: usize) {
        self.bulks.queue_bytes(bytes);
    }

    pub fn pace_changed(&self, concurrency: usize, bulk_bytes: usize) {
        self.bulks.pace_changed(concurrency, bulk_bytes);
    }

    /// Observes one leg; a clock that runs backwards counts as no time at all.
    pub fn freshness(&self, stage: FreshnessStage, took: time::Duration) {
        self.freshness.with_label_values(&[stage.label()]).observe(took.as_seconds_f64().max(0.0));
    }

    pub fn rules_in_use(&self, loaded: usize, broken: usize) {
        self.rules_loaded.set(i64::try_from(loaded).unwrap_or(i64::MAX));
        self.rules_broken.set(i64::try_from(broken).unwrap_or(i64::MAX));
    }

    pub fn rules_reloaded(&self, outcome: Reload) {
        self.rules_reloads.with_label_values(&[outcome.label()]).inc();
    }

    pub fn task_panicked(&self) {
        self.task_panics.inc();
    }

    /// Takes over what verifications have found: the open gaps by kind, and when the last one ran, if any has.
    pub fn verification_known(&self, gaps: &BTreeMap<FindingKind, u64>, last_run_at: Option<OffsetDateTime>) {
        for kind in FindingKind::GAPS {
            let count = gaps.get(kind).copied().unwrap_or_default();
            self.verification_gaps
                .with_label_values(&[kind.label()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.verification_last_run.set(last_run_at.map_or(0, OffsetDateTime::unix_timestamp));
    }

    pub fn verification_read_failed(&self) {
        self.verification_read_failures.inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
