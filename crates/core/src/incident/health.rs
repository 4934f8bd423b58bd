//! Decides incidents about the pipeline itself. They are of a kind of their own, and nothing joins them to attacks.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::trouble::Trouble;
use super::weights::HealthWeight;
use super::{
    AccountFields, CloudFields, EventFields, Incident, IncidentFields, Kind, Outcome, SourceFields, State,
    Topic,
};
use crate::labels::HealthRule;
use crate::timestamp::Timestamp;

/// Incidents of one rule that stand beside each other. When more goes wrong at once, it is one trouble and one page.
pub const MOST_APART: usize = 10;
/// The subject of what goes wrong at more places than that.
pub const SEVERAL: &str = "several";
/// Places that its sentence names.
const NAMED: usize = 3;

/// Which troubles have an incident each: those that have one already, and the others unless there are too many of them,
/// which become one together.
pub fn put_apart(mut troubles: Vec<Trouble>, standing: &[&Incident]) -> Vec<Trouble> {
    let subjects: BTreeSet<&str> = standing.iter().filter_map(|it| it.incident.subject.as_deref()).collect();
    troubles.sort_by(|a, b| (a.since, &a.subject).cmp(&(b.since, &b.subject)));
    let (mut apart, others): (Vec<Trouble>, Vec<Trouble>) =
        troubles.into_iter().partition(|trouble| subjects.contains(trouble.subject.as_str()));
    let is_many = subjects.contains(SEVERAL) || apart.len() + others.len() > MOST_APART;
    match (is_many, others.first()) {
        (true, Some(_)) => apart.push(together(&others)),
        _ => apart.extend(others),
    }
    apart
}

/// The troubles of one rule as one, the oldest first.
fn together(others: &[Trouble]) -> Trouble {
    let first = &others[0];
    let names: Vec<&str> = others.iter().map(|trouble| trouble.subject.as_str()).take(NAMED).collect();
    let more = others.len() - names.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Trouble {
        subject: SEVERAL.to_owned(),
        account: None,
        region: None,
        since: first.since,
        last: others.iter().map(|trouble| trouble.last).max().unwrap_or(first.last),
        records: others.iter().map(|trouble| trouble.records).sum(),
        said: format!("{}; the same at {} places: {}{more}", first.said, others.len(), names.join(", ")),
    }
}

/// The incident about a trouble from now on, given the last one about its subject. None where nothing changed.
pub fn tell(
    rule: HealthRule,
    trouble: &Trouble,
    last: Option<&Incident>,
    weight: &HealthWeight,
    now: OffsetDateTime,
) -> Option<Incident> {
    let standing = last.filter(|incident| incident.is_standing());
    let follows = match standing {
        Some(standing) => standing.incident.follows.clone(),
        None => last.map(|incident| incident.incident.id.clone()),
    };
    let id = super::id(&format!("{}\n{}", <&str>::from(rule), trouble.subject), follows.as_deref());
    let at = standing.map_or(Timestamp(now), |standing| standing.incident.opened);
    let start = standing.map_or(trouble.since, |standing| standing.event.start.0.min(trouble.since));
    let end = standing.map_or(trouble.last, |standing| standing.event.end.0.max(trouble.last)).max(start);
    let accounts: Vec<String> = trouble.account.iter().cloned().collect();
    let regions: Vec<String> = trouble.region.iter().cloned().collect();
    let next = weight.next.iter().cloned().chain([format!("Runbook: {}", weight.runbook)]).collect();
    let told = Incident {
        timestamp: Timestamp(end),
        message: format!("{}: {}.", super::sentence::capital(weight.severity), trouble.said),
        event: EventFields {
            kind: Kind::Alert,
            start: Timestamp(start),
            end: Timestamp(end),
            ingested: Timestamp(now),
            severity: weight.severity as u8,
        },
        cloud: CloudFields { account: AccountFields { id: accounts }, region: regions },
        source: SourceFields { address: Vec::new() },
        incident: IncidentFields {
            kind: Topic::Health,
            rule: Some(rule),
            subject: Some(trouble.subject.clone()),
            drill: None,
            page: format!("{id}/1"),
            id,
            state: State::Open,
            severity: weight.severity,
            score: 0,
            reason: weight.title.clone(),
            pages: 1,
            paged: at,
            told: None,
            news: None,
            opened: at,
            escalated: None,
            quiet: None,
            closed: None,
            follows,
            after: None,
            origin: trouble.subject.clone(),
            origins: Vec::new(),
            principals: Vec::new(),
            resources: Vec::new(),
            ties: Vec::new(),
            account: trouble.account.clone(),
            region: trouble.region.clone(),
            finding: vec![weight.title.clone()],
            findings: Vec::new(),
            categories: Vec::new(),
            outcome: Outcome { success: 0, failure: trouble.records },
            signals: trouble.records,
            worst: vec![weight.title.clone()],
            next,
            timeline: Vec::new(),
            cut: Vec::new(),
        },
    };
    (!standing.is_some_and(|standing| standing.says_the_same(&told))).then_some(told)
}

/// An incident whose trouble is over, as it is closed. None while it is too early for that.
pub fn close(incident: &Incident, weight: &HealthWeight, now: OffsetDateTime) -> Option<Incident> {
    if now - incident.event.end.0 < weight.closes_after {
        return None;
    }
    let mut closed = incident.clone();
    closed.incident.state = State::Closed;
    closed.incident.closed = Some(Timestamp(now));
    closed.event.ingested = Timestamp(now);
    Some(closed)
}

#[cfg(test)]
mod tests;
