//! Decides incidents: what one origin does within some time is one, so that one attack is one page.
//!
//! An incident is decided from the signals that are stored, and nothing is counted between rounds. So whoever decides,
//! and however often, comes to the same: [`judge`] is a function of what the signals say and of the incident that
//! stands.

mod advice;
pub mod assets;
mod correlated;
pub mod health;
mod counted;
mod decided;
mod drill;
mod ending;
mod held;
mod judging;
mod paging;
mod rounds;
mod sentence;
mod signal;
mod tally;
mod together;
mod told;
mod trouble;
mod usual;
mod weights;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::enrich::Severity;
use crate::labels::HealthRule;
use crate::timestamp::Timestamp;
pub use assets::Asset;
pub use counted::Counted;
pub use decided::{Decided, Page};
pub use drill::DrillFields;
pub use ending::{rest, rest_before};
pub use judging::{judge, judge_beside};
pub use paging::untold;
pub use rounds::{AT_ONCE, Rounds};
pub use signal::{Signal, SignalFinding};
pub use tally::{Finding, Kept, MOST, MOST_ASKED, Tally, Told};
pub use together::{Alone, Ties, is_tied, put_together};
pub use told::{NewsFields, ToldFields};
pub use trouble::{Topic, Trouble};
pub use usual::hour_of;
pub use weights::{HealthWeight, Times, Weights};

/// A document of the index of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// When the last signal was seen.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// The sentence for the phone.
    pub message: String,
    pub event: EventFields,
    pub cloud: CloudFields,
    pub source: SourceFields,
    pub incident: IncidentFields,
}

/// What an incident says under ECS `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventFields {
    pub kind: Kind,
    /// When the first signal was seen.
    pub start: Timestamp,
    pub end: Timestamp,
    /// When this version was written.
    pub ingested: Timestamp,
    /// From 1 to 5, as in documents of events.
    pub severity: u8,
}

/// What the document stands for, in ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Alert,
}

/// Where the signals of an incident happened, in ECS: the accounts and regions of all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudFields {
    pub account: AccountFields,
    pub region: Vec<String>,
}

/// The ids of the accounts, as many as an incident keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountFields {
    pub id: Vec<String>,
}

/// Where the calls of an incident came from, in ECS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFields {
    /// Addresses, or names of services of AWS.
    pub address: Vec<String>,
}

/// What is said under `incident`. Lists have at most [`MOST`] members, those of origins, principals and ties
/// [`MOST_ASKED`]; `cut` names those that had more.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentFields {
    pub id: String,
    /// What it is about. Documents that older releases wrote are all about attacks, and do not say so.
    #[serde(default)]
    pub kind: Topic,
    /// Of one about the pipeline's health: what is wrong, and at which place.
    pub rule: Option<HealthRule>,
    pub subject: Option<String>,
    /// Of a drill: which, and how it went.
    pub drill: Option<DrillFields>,
    pub state: State,
    pub severity: Severity,
    pub score: u64,
    /// Why it was opened or escalated.
    pub reason: String,
    /// The id and the number of the page, so that each page is an alert of its own.
    pub page: String,
    /// How often it paged.
    pub pages: u64,
    /// When it paged last.
    pub paged: Timestamp,
    /// What that page told.
    pub told: Option<ToldFields>,
    /// What pages when that page is old enough.
    pub news: Option<NewsFields>,
    pub opened: Timestamp,
    pub escalated: Option<Timestamp>,
    pub quiet: Option<Timestamp>,
    pub closed: Option<Timestamp>,
    /// The id of the incident of this origin before it.
    pub follows: Option<String>,
    /// When the last signal of that one happened: what is not later does not count again.
    pub after: Option<Timestamp>,
    /// Whose signals opened it.
    pub origin: String,
    pub origins: Vec<String>,
    pub principals: Vec<String>,
    pub resources: Vec<String>,
    pub ties: Vec<String>,
    /// The account and the region of the first signal.
    pub account: Option<String>,
    pub region: Option<String>,
    /// Titles, the worst first.
    pub finding: Vec<String>,
    pub findings: Vec<FindingFields>,
    pub categories: Vec<String>,
    pub outcome: Outcome,
    pub signals: u64,
    /// The three worst findings with their levels.
    pub worst: Vec<String>,
    /// What to do first.
    pub next: Vec<String>,
    /// When each rule matched first, with the sentence of the record.
    pub timeline: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
}

/// How far an incident is; only one that is closed takes in nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Escalated,
    /// Nothing new came for a while.
    Quiet,
    Closed,
}

/// What one rule found in the signals of an incident.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingFields {
    /// Of the rule.
    pub id: String,
    pub title: String,
    pub level: Severity,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The document that told it first.
    pub first_id: String,
    pub first_index: String,
    /// Where to read how to contain it.
    pub reference: Option<String>,
}

/// How many calls ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub success: u64,
    pub failure: u64,
}

/// What is known beside the signals when an incident is decided.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'s> {
    /// The rules whose matches are usual at the site.
    pub usual: &'s BTreeSet<String>,
    pub weights: &'s Weights,
    pub now: OffsetDateTime,
}

/// From when signals of an origin count, given its last incident.
pub fn counts_from(last: Option<&Incident>, weights: &Weights, now: OffsetDateTime) -> OffsetDateTime {
    let window = now - weights.times.window.value;
    match last {
        Some(standing) if standing.is_standing() => standing.event.start.0,
        // No record of the future makes what comes after it count for nothing.
        Some(closed) => window.max(closed.event.end.0.min(now).saturating_add(time::Duration::MILLISECOND)),
        None => window,
    }
}

/// When what is new of an origin happened and came.
#[derive(Debug, Clone, Copy)]
pub struct Came {
    /// When the first of it happened.
    pub first: OffsetDateTime,
    /// When the first of it was stored.
    pub stored: OffsetDateTime,
}

/// The same where something new of the origin has come. What was on its way for longer than signals count together
/// counts from when it happened, and what happened shortly before an incident that stands belongs to it.
pub fn counts_with(
    last: Option<&Incident>,
    came: Came,
    weights: &Weights,
    now: OffsetDateTime,
) -> OffsetDateTime {
    let from = counts_from(last, weights, now);
    let window = weights.times.window.value;
    match last {
        _ if came.first < came.stored - window => from.min(came.first),
        Some(standing) if standing.is_standing() => {
            let IncidentFields { opened, after, .. } = &standing.incident;
            // Among what came before it was opened is what the incident before it counted, which is asked for again for
            // a while. What came since is late, and counts whenever it happened.
            let counted = after.filter(|_| came.stored < opened.0);
            let counted = counted.map(|after| after.0.min(opened.0) + time::Duration::MILLISECOND);
            from.min(came.first.max(opened.0 - window).max(counted.unwrap_or(came.first)))
        }
        _ => from,
    }
}

impl Incident {
    /// Whether it still takes in what its origins do.
    pub fn is_standing(&self) -> bool {
        self.incident.state != State::Closed
    }

    /// Whether it began longer before it was opened than signals count together.
    pub fn is_late(&self, weights: &Weights) -> bool {
        self.incident.opened.0 - self.event.start.0 > weights.times.window.value
    }
}

fn severity(tally: &Tally, around: Surroundings<'_>) -> Option<Severity> {
    let Surroundings { usual, weights, .. } = around;
    let score = tally.score(usual, weights);
    let is_critical = tally.findings.values().any(|finding| finding.severity == Severity::Critical);
    if is_critical || score >= weights.limits.critical_at.value.into() {
        Some(Severity::Critical)
    } else {
        (score >= weights.limits.opens_at.value.into()).then_some(Severity::High)
    }
}

/// The same for whoever decides: the origin's first incident, or the one that follows another.
fn id(origin: &str, follows: Option<&str>) -> String {
    let mut hash = Sha256::new();
    hash.update(origin.as_bytes());
    hash.update([0]);
    hash.update(follows.unwrap_or_default().as_bytes());
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests;
