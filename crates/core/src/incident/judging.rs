//! Decides what an incident is, from all its signals and from the incident that stands.

use super::paging::{self, Paging};
use super::{
    AccountFields, CloudFields, DrillFields, EventFields, Finding, FindingFields, Incident, IncidentFields,
    Kind, MOST, Outcome, SourceFields, State, Surroundings, Tally, Topic, advice, drill, id, sentence,
    severity,
};
use crate::timestamp::Timestamp;

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
    let after = match standing {
        Some(standing) => standing.incident.after,
        None => last.map(|incident| incident.event.end),
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
        after,
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

impl Incident {
    /// Whether these are the signals that it was decided from.
    fn is_of(&self, tally: &Tally) -> bool {
        (self.incident.signals, Some(self.event.start.0), Some(self.event.end.0))
            == (tally.signals, tally.first, tally.last)
    }

    /// Whether another version differs in nothing but the time of its writing.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
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
