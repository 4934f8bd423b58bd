//! Sums up one attempt at a bulk, for everything that learns from it (pure).

use serde::de::IgnoredAny;

use super::bulk::{self, ItemOutcome, Refusal};
use super::entry::Entry;
use super::health::BulkFailure;
use crate::denial::{self, Denial};
use crate::labels::BulkOutcome;
use crate::opensearch::{Answer, OpenSearchError};

/// What one attempt came to.
pub(super) enum Verdict {
    /// Each document has its own outcome.
    Items(Vec<ItemOutcome>),
    /// It was too large.
    TooLarge,
    /// It was refused as a whole, perhaps for one of its documents.
    Divide(Refusal),
    /// It was not taken now.
    Repeat,
}

/// An answer, or the lack of one, as everybody who learns from it sees it.
pub(super) struct AttemptResult {
    pub(super) verdict: Verdict,
    pub(super) outcome: BulkOutcome,
    pub(super) load: LoadSignal,
    pub(super) failure: Option<(BulkFailure, String)>,
}

/// What an attempt says about how much OpenSearch can take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadSignal {
    /// It took the bulk.
    Took,
    /// It was too much.
    PushedBack,
    /// The request has more bytes than may be sent at once.
    TooLarge,
    /// A connection that is refused, a denial or a malformed request say nothing about load.
    Nothing,
}

pub(super) fn read(answer: Result<Answer, OpenSearchError>, entries: &[Entry]) -> AttemptResult {
    let Answer { status, body } = match answer {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error),
    };
    match status {
        200..=299 => {
            let sent = entries.iter().map(|entry| bulk::sent(&entry.document));
            match bulk::classify(&body, sent) {
                Ok(outcomes) => answered(outcomes),
                Err(error) => {
                    repeat(BulkOutcome::Failed, LoadSignal::Nothing, BulkFailure::Unusable, error.to_string())
                }
            }
        }
        413 => AttemptResult {
            verdict: Verdict::TooLarge,
            outcome: BulkOutcome::TooLarge,
            load: if entries.len() > 1 { LoadSignal::TooLarge } else { LoadSignal::Nothing },
            failure: None,
        },
        400 => divide(bulk::whole_refusal(status, &body)),
        429 | 503 => throttled(status, BulkOutcome::Throttled),
        // A gateway's own timeout.
        504 => throttled(status, BulkOutcome::Failed),
        401 | 403 => denied(status, &body),
        406 | 415 => repeat(
            BulkOutcome::Failed,
            LoadSignal::Nothing,
            BulkFailure::Compressed,
            format!("status {status}"),
        ),
        500..=599 => repeat(
            BulkOutcome::Failed,
            LoadSignal::Nothing,
            BulkFailure::Throttled,
            format!("status {status}"),
        ),
        _ => repeat(
            BulkOutcome::Failed,
            LoadSignal::Nothing,
            BulkFailure::Unusable,
            format!("status {status}"),
        ),
    }
}

/// What is quoted of the answer is the name of a permission alone.
fn denied(status: u16, body: &[u8]) -> AttemptResult {
    let said = String::from_utf8_lossy(body);
    // OpenSearch and AWS give their reason as JSON; another text comes from a firewall or proxy.
    let is_foreign = !body.is_empty() && serde_json::from_slice::<IgnoredAny>(body).is_err();
    match Denial::read(status, &said) {
        Denial::Permission if is_foreign => refused_on_the_way(status),
        Denial::Throttled => throttled(status, BulkOutcome::Throttled),
        Denial::Firewall => refused_on_the_way(status),
        denial => {
            let problem = match denial::lacking(&said) {
                Some(action) => format!("status {status}: {action} is not granted"),
                None => format!("status {status}"),
            };
            repeat(BulkOutcome::Failed, LoadSignal::Nothing, BulkFailure::Denied(denial), problem)
        }
    }
}

/// A firewall or proxy may refuse the text of one document.
fn refused_on_the_way(status: u16) -> AttemptResult {
    divide(Refusal {
        status,
        kind: REFUSED_ON_THE_WAY.to_owned(),
        reason: "a firewall or proxy before OpenSearch refused the request with this document".to_owned(),
    })
}

fn answered(outcomes: Vec<ItemOutcome>) -> AttemptResult {
    let is_whole = outcomes.iter().all(|item| matches!(item, ItemOutcome::Created | ItemOutcome::Duplicate));
    let is_pushed_back =
        outcomes.iter().any(|item| matches!(item, ItemOutcome::Retry { status: 429 | 503, .. }));
    AttemptResult {
        verdict: Verdict::Items(outcomes),
        outcome: if is_whole { BulkOutcome::Accepted } else { BulkOutcome::Partial },
        load: if is_pushed_back { LoadSignal::PushedBack } else { LoadSignal::Took },
        failure: None,
    }
}

fn unanswered(error: &OpenSearchError) -> AttemptResult {
    let (failure, load) = match error {
        OpenSearchError::TimedOut { .. } => (BulkFailure::TimedOut, LoadSignal::PushedBack),
        OpenSearchError::Denied { status: 401 | 403, .. } => {
            (BulkFailure::Denied(Denial::Signature), LoadSignal::Nothing)
        }
        OpenSearchError::Denied { .. } => (BulkFailure::Unusable, LoadSignal::Nothing),
        _ => (BulkFailure::Unreachable, LoadSignal::Nothing),
    };
    repeat(BulkOutcome::Failed, load, failure, error.to_string())
}

fn throttled(status: u16, outcome: BulkOutcome) -> AttemptResult {
    repeat(outcome, LoadSignal::PushedBack, BulkFailure::Throttled, format!("status {status}"))
}

fn repeat(outcome: BulkOutcome, load: LoadSignal, failure: BulkFailure, problem: String) -> AttemptResult {
    AttemptResult { verdict: Verdict::Repeat, outcome, load, failure: Some((failure, problem)) }
}

fn divide(refusal: Refusal) -> AttemptResult {
    let (verdict, load) = (Verdict::Divide(refusal), LoadSignal::Nothing);
    AttemptResult { verdict, outcome: BulkOutcome::Failed, load, failure: None }
}

/// The type in the report of a document that a firewall does not let through.
pub(super) const REFUSED_ON_THE_WAY: &str = "refused_on_the_way";
