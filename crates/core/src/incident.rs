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
mod drill;
mod ending;
mod held;
mod paging;
mod rounds;
mod sentence;
mod signal;
mod tally;
mod together;
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
pub use drill::DrillFields;
pub use ending::{rest, rest_before};
use paging::Paging;
pub use paging::{NewsFields, ToldFields, untold};
pub use rounds::{AT_ONCE, Decided, Page, Rounds};
pub use signal::{Signal, SignalFinding};
pub use tally::{Finding, Kept, MOST, MOST_ASKED, Tally, Told};
pub use together::{Alone, Ties, is_tied, put_together};
pub use trouble::{Topic, Trouble};
pub use usual::hour_of;
pub use weights::{HealthWeight, Weights};

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudFields {
    pub account: AccountFields,
    pub region: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountFields {
    pub id: Vec<String>,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Escalated,
    /// Nothing new came for a while.
    Quiet,
    Closed,
}

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

/// Decides what an incident is from now on, given all its signals and the incident that stands, or the last one of the
/// origin, which is closed. None where there is nothing to write: too little for an incident, or nothing that changed.
pub fn judge(tally: &Tally, last: Option<&Incident>, around: Surroundings<'_>) -> Option<Incident> {
    judge_beside(tally, None, last, around)
}

/// The same where some of the signals are of origins that no page of the incident has told of, with what these say
/// alone.
pub fn judge_beside(
    tally: &Tally,
    untold: Option<&Tally>,
    last: Option<&Incident>,
    around: Surroundings<'_>,
) -> Option<Incident> {
    let standing = last.filter(|incident| incident.is_standing());
    // What of a drill is found late opens no second one.
    if last.is_some_and(|last| last.is_drill() && !last.is_standing()) {
        return None;
    }
    let (first, end) = (tally.first?, tally.last?);
    // What is usual changes from hour to hour; of the same signals nothing is decided again for that.
    let known = standing.filter(|incident| incident.is_of(tally));
    let found = severity(tally, around).filter(|_| known.is_none());
    let severity = standing.map(|incident| incident.incident.severity).max(found)?;
    let first_origin = || tally.origins.by_time().into_iter().next().unwrap_or_default();
    let origin = standing.map_or_else(first_origin, |it| it.incident.origin.clone());
    let follows = match standing {
        Some(standing) => standing.incident.follows.clone(),
        None => last.map(|incident| incident.incident.id.clone()),
    };
    let id = id(&origin, follows.as_deref());
    let now = Timestamp(around.now);
    let score = known.map_or_else(|| tally.score(around.usual, around.weights), |it| it.incident.score);
    let asked = paging::Question { tally, untold, standing, severity, score, origin: &origin };
    let paging::Decision { paging, reason, sentence, told, news } = paging::decide(asked, around);
    let earlier = standing.map(|standing| &standing.incident);
    let worst_first = tally.worst_first();
    let state = state(standing, paging, tally);
    let drill = earlier.map_or_else(|| DrillFields::of_origin(&origin), |earlier| earlier.drill.clone());
    let fields = IncidentFields {
        kind: Topic::Attack,
        rule: None,
        subject: None,
        next: if drill.is_some() { drill::next_steps() } else { advice::next_steps(tally, &id) },
        drill,
        state,
        severity,
        score: score.max(earlier.map_or(0, |earlier| earlier.score)),
        reason,
        page: format!("{id}/{}", pages(standing, paging)),
        pages: pages(standing, paging),
        paged: earlier.filter(|_| paging == Paging::Not).map_or(now, |earlier| earlier.paged),
        told: Some(told),
        news,
        opened: earlier.map_or(now, |earlier| earlier.opened),
        escalated: match paging {
            Paging::Escalates => Some(now),
            Paging::Not | Paging::Opens => earlier.and_then(|earlier| earlier.escalated),
        },
        quiet: earlier.filter(|_| state == State::Quiet).and_then(|earlier| earlier.quiet),
        closed: None,
        follows,
        origins: tally.origins.by_time(),
        principals: tally.principals.by_time(),
        resources: tally.resources.by_time(),
        ties: tally.ties.by_time(),
        account: tally.accounts.by_time().into_iter().next(),
        region: tally.regions.by_time().into_iter().next(),
        finding: worst_first.iter().map(|(_, finding)| finding.title.clone()).take(MOST).collect(),
        findings: worst_first.iter().map(|(rule, finding)| finding.fields(rule)).take(MOST).collect(),
        categories: tally.categories.iter().cloned().collect(),
        outcome: Outcome { success: tally.succeeded, failure: tally.signals - tally.succeeded },
        signals: tally.signals,
        worst: sentence::worst(&worst_first),
        timeline: sentence::timeline(tally),
        cut: tally.cut(),
        id,
        origin,
    };
    let incident = Incident {
        timestamp: Timestamp(end),
        message: sentence,
        event: EventFields {
            kind: Kind::Alert,
            start: Timestamp(first),
            end: Timestamp(end),
            ingested: now,
            severity: severity as u8,
        },
        cloud: CloudFields {
            account: AccountFields { id: tally.accounts.by_time() },
            region: tally.regions.by_time(),
        },
        source: SourceFields { address: tally.addresses.by_time() },
        incident: fields,
    };
    (!standing.is_some_and(|standing| standing.says_the_same(&incident))).then_some(incident)
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

impl Incident {
    pub fn is_standing(&self) -> bool {
        self.incident.state != State::Closed
    }

    /// Whether these are the signals that it was decided from.
    fn is_of(&self, tally: &Tally) -> bool {
        (self.incident.signals, Some(self.event.start.0), Some(self.event.end.0))
            == (tally.signals, tally.first, tally.last)
    }

    /// Whether another version differs in nothing but the time of its writing.
    fn says_the_same(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.event.ingested = self.event.ingested;
        *self == other
    }
}

impl Finding {
    fn fields(&self, rule: &str) -> FindingFields {
        FindingFields {
            id: rule.to_owned(),
            title: self.title.clone(),
            level: self.severity,
            count: self.count,
            first: Timestamp(self.first.time),
            last: Timestamp(self.last),
            first_id: self.first.id.clone(),
            first_index: self.first.index.clone(),
            reference: self.reference.clone(),
        }
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

fn pages(standing: Option<&Incident>, paging: Paging) -> u64 {
    standing.map_or(0, |standing| standing.incident.pages) + u64::from(paging != Paging::Not)
}

fn state(standing: Option<&Incident>, paging: Paging, tally: &Tally) -> State {
    match (standing, paging) {
        (_, Paging::Escalates) => State::Escalated,
        (None, _) | (Some(_), Paging::Opens) => State::Open,
        (Some(standing), Paging::Not) => {
            let has_news = tally.last > Some(standing.event.end.0);
            match standing.incident.state {
                State::Quiet if !has_news => State::Quiet,
                _ if standing.incident.escalated.is_some() => State::Escalated,
                _ => State::Open,
            }
        }
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
