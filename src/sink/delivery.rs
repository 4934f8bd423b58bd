//! Sends one batch, and repeats and divides it until each of its documents has an outcome.
//!
//! A document is only rejected when its index takes others, or at least the probe. `verdict.rs` reads an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::adaptive_limit::{AdaptiveLimit, Signal};
use super::answer::StoreError;
use super::bulk::{self, ItemOutcome, Refusal};
use super::cluster_block::ClusterBlocks;
use super::doubt;
use super::entry::{Entry, EntryOutcome};
use super::health::{BulkFailure, Health};
use super::limit::Limit;
use super::probe::{self, Finding};
use super::rejection;
use super::verdict::{LoadSignal, Verdict, read};
use crate::backoff::full_jitter;
use crate::config::SinkConfig;
use crate::denial::Denial;
use crate::labels::{FactOutcome, RejectReason, Retry};
use crate::metrics::Metrics;
use crate::opensearch::OpenSearch;

/// The longest possible wait before the second attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No wait is longer: a cluster that is back should not stand idle for minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a document is sent before an unknown refusal is believed.
const DOUBTFUL_ATTEMPTS: u32 = 3;

/// A wait after this many failures in a row.
fn pause(failures: u32) -> Duration {
    full_jitter(FIRST_PAUSE, LONGEST_PAUSE, failures.saturating_sub(1))
}

/// Sends batches to OpenSearch. All deliveries share what one of them learns about the cluster.
pub(super) struct BulkSender {
    client: OpenSearch,
    limits: Mutex<AdaptiveLimit>,
    limit: Limit,
    health: Health,
    blocks: ClusterBlocks,
    item_attempts: u32,
    metrics: Arc<Metrics>,
}

/// Documents that OpenSearch did not take while it took others, to be sent again after the delay. They go back to the
/// buffer, so that waiting for them occupies no bulk slot.
pub(super) struct Postponed {
    pub(super) entries: Vec<Entry>,
    pub(super) delay: Duration,
}

/// A batch, or what is left of one.
struct Part {
    entries: Vec<Entry>,
    /// Failures in a row of the request as a whole.
    failures: u32,
}

impl BulkSender {
    pub(super) fn new(client: OpenSearch, config: &SinkConfig, metrics: Arc<Metrics>) -> Self {
        let limits = AdaptiveLimit::new(config.in_flight_bulks.get(), config.bulk_max_bytes.get());
        metrics.limits_changed(limits.concurrency(), limits.bytes());
        Self {
            client,
            limits: Mutex::new(limits),
            limit: Limit::new(config.documents_per_second, config.bytes_per_second),
            health: Health::default(),
            blocks: ClusterBlocks::default(),
            item_attempts: config.item_attempts.get(),
            metrics,
        }
    }

    /// Bulks that may be in flight now, and the bytes of each.
    pub(super) fn limits(&self) -> (usize, usize) {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        (limits.concurrency(), limits.bytes())
    }

    /// Delivers a batch. While the request as a whole fails, the batch keeps its slot, so that a cluster that takes
    /// nothing does not get more and more bulks.
    pub(super) async fn deliver(&self, batch: Vec<Entry>) -> Option<Postponed> {
        let mut parts = vec![Part { entries: batch, failures: 0 }];
        let mut postponed = Vec::new();
        while let Some(part) = parts.pop() {
            // The limits may have fallen since the batch was cut, and a bulk that timed out must not do so for ever.
            let part = match self.outgrown(part) {
                Ok(halves) => {
                    parts.extend(halves);
                    continue;
                }
                Err(part) => part,
            };
            match self.attempt(&part.entries).await {
                Verdict::Items(mut outcomes) => {
                    doubt::check(&self.client, &part.entries, &mut outcomes).await;
                    parts.extend(self.settle(part.entries, outcomes, &mut postponed));
                }
                Verdict::TooLarge if part.entries.len() == 1 => too_large(part.entries),
                Verdict::TooLarge => parts.extend(part.halves()),
                Verdict::Divide(refusal) => match self.at_fault(&part, &refusal).await {
                    true if part.entries.len() == 1 => {
                        let outcomes = vec![ItemOutcome::Refused(refusal)];
                        parts.extend(self.settle(part.entries, outcomes, &mut postponed));
                    }
                    true => parts.extend(part.halves()),
                    false => parts.push(self.repeat(part).await),
                },
                Verdict::Repeat => parts.push(self.repeat(part).await),
            }
        }
        let attempts = postponed.iter().map(|entry: &Entry| entry.attempts).max()?;
        Some(Postponed { entries: postponed, delay: pause(attempts) })
    }

    /// Waits before the part is sent again.
    async fn repeat(&self, part: Part) -> Part {
        let failures = part.failures.saturating_add(1);
        self.metrics.retries.count(Retry::BulkRequest);
        sleep(pause(failures)).await;
        Part { entries: part.entries, failures }
    }

    /// Whether a request was refused as a whole because of the documents in it: a request with another one passes.
    async fn at_fault(&self, part: &Part, refusal: &Refusal) -> bool {
        let Some(first) = part.entries.first() else { return false };
        let index = &first.document.index;
        let problem = format!("status {} ({})", refusal.status, refusal.kind);
        match probe::ask(&self.client, index).await {
            Finding::Takes | Finding::Refuses { .. } => {
                self.health.answered();
                true
            }
            Finding::RequestRefused { .. } => {
                let failure = match probe::ask_briefly(&self.client, index).await {
                    Finding::Takes | Finding::Refuses { .. } if self.client.compresses() => {
                        BulkFailure::Compressed
                    }
                    _ if refusal.status == 403 => BulkFailure::Denied(Denial::Firewall),
                    _ => BulkFailure::Unusable,
                };
                self.health.failed(failure, &problem);
                false
            }
            Finding::Unknown => false,
        }
    }

    /// Halves a part that is larger than the pace allows now, or gives it back.
    fn outgrown(&self, part: Part) -> Result<[Part; 2], Part> {
        let bytes: usize = part.entries.iter().map(|entry| bulk::encoded_len(&entry.document)).sum();
        if part.entries.len() > 1 && bytes > self.limits().1 { Ok(part.halves()) } else { Err(part) }
    }

    /// Sends the entries once, and reports the verdict to the limits, the health and the metrics.
    async fn attempt(&self, entries: &[Entry]) -> Verdict {
        let body = bulk::encode(entries.iter().map(|entry| &entry.document));
        let bytes = body.len();
        let waited = self.limit.pass(entries.len(), bytes).await;
        if !waited.is_zero() {
            self.metrics.limiter_wait.inc_by(waited.as_secs_f64());
        }
        let epoch = self.limits.lock().unwrap_or_else(PoisonError::into_inner).epoch();
        let began = Instant::now();
        let answer = self.client.bulk(body).await;
        let took = began.elapsed();

        let result = read(answer, entries);
        self.metrics.bulk_answered(result.outcome, entries.len(), bytes, took);
        let signal = match result.load {
            LoadSignal::PushedBack => Some(Signal::PushedBack),
            LoadSignal::TooLarge => Some(Signal::TooLarge { bytes }),
            LoadSignal::Took => Some(Signal::Answered { bytes, took }),
            LoadSignal::Nothing => None,
        };
        if let Some(signal) = signal {
            let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            let news = limits.learn(epoch, signal);
            self.metrics.limits_changed(limits.concurrency(), limits.bytes());
            drop(limits);
            if let Some(most) = news {
                warn!(
                    refused_bytes = bytes,
                    most,
                    "OpenSearch or a proxy before it refused a bulk as too large (413), so bulks stay below that size from now on: raise http.max_content_length or the proxy's limit, or lower sink.bulk_max_bytes"
                );
            }
        }
        match (result.failure, &result.verdict) {
            (Some((failure, problem)), _) => self.health.failed(failure, &problem),
            // Only another document shows whether this one is the cause.
            (None, Verdict::Divide(_)) => {}
            (None, _) => self.health.answered(),
        }
        result.verdict
    }

    /// Resolves each entry by its outcome. Entries to be sent again go to `postponed`; refused ones come back as a part
    /// of reports for the rejected index.
    fn settle(
        &self,
        entries: Vec<Entry>,
        outcomes: Vec<ItemOutcome>,
        postponed: &mut Vec<Entry>,
    ) -> Option<Part> {
        let sent = entries.len();
        let now = OffsetDateTime::now_utc();
        let (mut created, mut duplicate, mut again) = (0, 0, 0);
        let mut reports: Vec<Entry> = Vec::new();
        let mut first_refusal: Option<String> = None;
        for (mut entry, outcome) in entries.into_iter().zip(outcomes) {
            entry.attempts += 1;
            if let ItemOutcome::Retry { status, kind, block: Some(block) } = &outcome {
                self.blocks.met(*block, entry.document.index.as_str(), *status, kind);
            }
            match outcome {
                ItemOutcome::Created => {
                    if entry.rejected.is_some() && entry.is_fact() {
                        self.metrics.memory_facts.count(FactOutcome::Rejected);
                    } else if entry.rejected.is_some() {
                        self.metrics.records_rejected.count(RejectReason::Refused);
                    } else {
                        created += u64::from(entry.document.index.is_for_events());
                    }
                    entry.settle(EntryOutcome::Created);
                }
                ItemOutcome::Duplicate => {
                    duplicate += u64::from(entry.document.index.is_for_events());
                    entry.settle(EntryOutcome::Duplicate);
                }
                ItemOutcome::Retry { status, kind, .. } if entry.attempts >= self.item_attempts => {
                    let attempts = entry.attempts;
                    entry.settle(EntryOutcome::Failed(StoreError::Unavailable { attempts, status, kind }));
                }
                ItemOutcome::Doubtful(refusal)
                    if entry.attempts < self.item_attempts.min(DOUBTFUL_ATTEMPTS) =>
                {
                    debug!(kind = refusal.kind, "OpenSearch refused a document for an unknown reason");
                    again += 1;
                    postponed.push(entry);
                }
                ItemOutcome::Retry { .. } => {
                    again += 1;
                    postponed.push(entry);
                }
                ItemOutcome::Refused(refusal) | ItemOutcome::Doubtful(refusal) if entry.is_for_rejected() => {
                    entry.settle(EntryOutcome::Failed(StoreError::Refused { kind: refusal.kind }));
                }
                ItemOutcome::Refused(refusal) | ItemOutcome::Doubtful(refusal) => {
                    let report = rejection::report(&entry.document, &refusal, now);
                    first_refusal.get_or_insert(refusal.kind);
                    reports.push(entry.reject(report));
                }
            }
        }
        self.metrics.records_stored(created, duplicate);
        if again > 0 {
            self.metrics.retries.of(Retry::BulkItem).inc_by(again);
            debug!(sent, again, "sending some documents of a bulk again");
        }
        if let Some(kind) = first_refusal {
            let refused = reports.len();
            warn!(sent, refused, kind, "OpenSearch refused documents; they go to the rejected index");
        }
        (!reports.is_empty()).then_some(Part { entries: reports, failures: 0 })
    }
}

impl Part {
    fn halves(mut self) -> [Self; 2] {
        let second = self.entries.split_off(self.entries.len() / 2);
        let failures = self.failures;
        // The first half is pushed last, because the last part is sent first.
        [Self { entries: second, failures }, Self { entries: self.entries, failures }]
    }
}

/// Fails the entries: a report of a document that is too large would be larger still.
fn too_large(entries: Vec<Entry>) {
    for entry in entries {
        let bytes = bulk::encoded_len(&entry.document);
        entry.settle(EntryOutcome::Failed(StoreError::TooLarge { bytes }));
    }
}
