//! The step of origins: whose signals have changed, which incident they belong to, and what that is from now on.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::incident::{self, Alone, Incident, State, Surroundings, Tally, Weights};
use serde_json::Value;
use time::OffsetDateTime;

use super::asking::{AT_ONCE, Asking, Writing, Written};
use super::changed::{self, Changed};
use super::round::{Current, Progress, Rounds};
use super::standing::{self, Stored};
use super::{summed, tied};
use crate::labels::IncidentVersion;
use crate::opensearch::QueryError;

/// The sort of the marks of origins.
const ORIGINS: &str = "origins";
/// The field that groups signals.
const ORIGIN: &str = "sagemaker.alert.origin";

/// What is to be decided about: an incident that stands, or an origin without one.
struct Matter {
    /// The incident of before, standing or closed.
    last: Option<Stored>,
    origins: BTreeSet<String>,
    from: OffsetDateTime,
    /// What the signals of the origins say, where that was asked already.
    tally: Option<Tally>,
}

impl Rounds {
    /// Judges every origin with new signals, and those that they are tied to.
    pub(super) async fn judge_origins(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let indices = self.indices();
        let standing = standing::standing(asking).await?;
        self.usual.renew(asking, &indices, &self.weights, &standing, now).await?;
        current.standing = Some(standing);
        loop {
            if asking.is_over() {
                return Ok(Progress::TimeIsOver);
            }
            let mut filter = vec![summed::signals()];
            filter.extend(current.window.filter());
            let question = changed::question(&[ORIGIN.to_owned()], &filter, current.after.as_ref());
            let (groups, after) = changed::read(&asking.search(&indices, &question).await?);
            let news: Vec<Changed> =
                groups.into_iter().filter(|group| self.marks.is_news(ORIGINS, group)).collect();
            for some in news.chunks(AT_ONCE) {
                if asking.is_over() {
                    return Ok(Progress::TimeIsOver);
                }
                let origins = some.iter().map(|group| group.key[0].clone()).collect();
                let conflicts = self.judge_some(asking, current, &origins, now).await?;
                for group in some.iter().filter(|group| !conflicts.contains(&group.key[0])) {
                    self.marks.judged(ORIGINS, group);
                }
            }
            current.after = after;
            if current.after.is_none() {
                break;
            }
        }
        while !current.tied.is_empty() {
            if asking.is_over() {
                return Ok(Progress::TimeIsOver);
            }
            let some: BTreeSet<String> = current.tied.iter().take(AT_ONCE).cloned().collect();
            self.judge_some(asking, current, &some, now).await?;
            current.tied.retain(|origin| !some.contains(origin));
        }
        Ok(Progress::Finished)
    }

    /// Where signals are.
    pub(super) fn indices(&self) -> String {
        format!("{},{}", self.client.names().events(), self.client.names().correlated())
    }

    /// Judges a few origins, and returns those that have to be judged again, because somebody else judged them meanwhile.
    async fn judge_some(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        origins: &BTreeSet<String>,
        now: OffsetDateTime,
    ) -> Result<BTreeSet<String>, QueryError> {
        self.metrics.correlator_origins_judged.inc_by(origins.len() as u64);
        if current.standing.is_none() {
            current.standing = Some(standing::standing(asking).await?);
        }
        let standing = current.standing.as_deref().unwrap_or_default();
        let mut matters = self.matters(asking, standing, origins, now).await?;
        self.sum_up(asking, &mut matters).await?;
        let index = self.client.names().incidents();
        let (mut writing, mut judged) = (Vec::new(), Vec::new());
        for matter in &matters {
            let around = Surroundings { usual: self.usual.rules(), weights: &self.weights, now };
            let last = matter.last.as_ref();
            let tally = matter.tally.as_ref().expect("all were summed up");
            let judgement = incident::judge(tally, last.map(|last| &last.incident), around);
            let Some(incident) = judgement else { continue };
            writing.push(match last.filter(|last| last.incident.is_standing()) {
                Some(stored) => stored.replaced(index.clone(), &incident),
                None => standing::created(index.clone(), &incident),
            });
            judged.push((matter, incident));
        }
        if !writing.is_empty() {
            current.standing = None;
        }
        let written = self.store(asking, &writing, judged.iter().map(|(_, incident)| incident)).await?;
        let mut conflicts = BTreeSet::new();
        for ((matter, incident), done) in judged.iter().zip(written) {
            match done {
                Written::Conflict => conflicts.extend(matter.origins.iter().cloned()),
                Written::Stored if matter.ties_more(incident) => {
                    // Also who acted before anybody of the incident did.
                    let from = incident::counts_from(None, &self.weights, now);
                    let answer = asking.search(&self.indices(), &tied::question(incident, from)).await?;
                    current.tied.extend(tied::read(&answer, incident));
                }
                Written::Stored => {}
            }
        }
        Ok(conflicts)
    }

    /// Asks what the signals say of each matter of which that is not known yet.
    async fn sum_up(&self, asking: &Asking, matters: &mut [Matter]) -> Result<(), QueryError> {
        let mut open: Vec<&mut Matter> = matters.iter_mut().filter(|matter| matter.tally.is_none()).collect();
        let questions: Vec<Value> = open.iter().map(|matter| matter.question(&self.weights)).collect();
        let answers = asking.search_several(&self.indices(), &questions).await?;
        for (matter, answer) in open.iter_mut().zip(&answers) {
            matter.tally = Some(summed::read(answer, &self.weights.assets));
        }
        Ok(())
    }

    /// Stores versions of incidents, and counts them.
    pub(super) async fn store<'i>(
        &self,
        asking: &Asking,
        writing: &[Writing],
        incidents: impl Iterator<Item = &'i Incident>,
    ) -> Result<Vec<Written>, QueryError> {
        let written = asking.store(writing).await?;
        for (incident, done) in incidents.zip(&written) {
            if *done == Written::Stored {
                self.metrics.incidents_written.count(version(incident.incident.state));
            }
        }
        Ok(written)
    }

    /// What is to be decided about when these origins have changed, each incident once.
    async fn matters(
        &self,
        asking: &Asking,
        standing: &[Stored],
        origins: &BTreeSet<String>,
        now: OffsetDateTime,
    ) -> Result<Vec<Matter>, QueryError> {
        let questions: Vec<Value> = origins.iter().map(|origin| standing::question_of_last(origin)).collect();
        let answers = asking.search_several(&self.client.names().incidents(), &questions).await?;
        let mut matters: BTreeMap<String, Matter> = BTreeMap::new();
        let mut alone = Vec::new();
        for (origin, answer) in origins.iter().zip(&answers) {
            let last = standing::last(answer);
            let from = incident::counts_from(last.as_ref().map(|last| &last.incident), &self.weights, now);
            match last {
                Some(last) if last.incident.is_standing() => join(&mut matters, last, origin, from),
                last => alone.push(Matter { last, origins: [origin.clone()].into(), from, tally: None }),
            }
        }
        // Whether somebody belongs to an incident of another shows from what they did.
        self.sum_up(asking, &mut alone).await?;
        let mut unrelated = Vec::new();
        for matter in alone {
            match (standing.iter().find(|stored| matter.is_tied(&stored.incident)), matter.first()) {
                (Some(other), Some(first)) => {
                    let from = incident::counts_from(Some(&other.incident), &self.weights, now).min(first);
                    for origin in &matter.origins {
                        join(&mut matters, other.clone(), origin, from);
                    }
                }
                _ => unrelated.push(matter),
            }
        }
        let together = self.together(unrelated, now);
        Ok(matters.into_values().chain(together).collect())
    }

    /// Puts together what belongs to an incident that one of these is about to open.
    fn together(&self, alone: Vec<Matter>, now: OffsetDateTime) -> Vec<Matter> {
        let around = Surroundings { usual: self.usual.rules(), weights: &self.weights, now };
        let groups = incident::put_together(&alone.iter().map(Matter::alone).collect::<Vec<_>>(), around);
        let mut alone: Vec<Option<Matter>> = alone.into_iter().map(Some).collect();
        groups
            .into_iter()
            .map(|places| merged(places.into_iter().filter_map(|place| alone[place].take())))
            .collect()
    }
}

/// One matter of several. It follows what its earliest origin did before.
fn merged(mut members: impl Iterator<Item = Matter>) -> Matter {
    let mut merged = members.next().expect("a group has members");
    let mut first = merged.first();
    for member in members {
        first = [first, member.first()].into_iter().flatten().min();
        merged.origins.extend(member.origins);
        // What one of them did in an incident that is closed does not count again.
        merged.from = first.unwrap_or(merged.from);
        merged.tally = None;
    }
    merged
}

/// Adds an origin to what is decided about an incident.
fn join(matters: &mut BTreeMap<String, Matter>, stored: Stored, origin: &str, from: OffsetDateTime) {
    let id = stored.incident.incident.id.clone();
    let matter = matters.entry(id).or_insert_with(|| Matter {
        origins: stored.incident.incident.origins.iter().cloned().collect(),
        from,
        last: Some(stored),
        tally: None,
    });
    matter.origins.insert(origin.to_owned());
    matter.from = matter.from.min(from);
}

impl Matter {
    fn first(&self) -> Option<OffsetDateTime> {
        self.tally.as_ref().and_then(|tally| tally.first)
    }

    fn alone(&self) -> Alone<'_> {
        Alone {
            origin: self.origins.first().expect("a matter is about somebody"),
            tally: self.tally.as_ref().expect("it was summed up"),
            last: self.last.as_ref().map(|last| &last.incident),
        }
    }

    fn is_tied(&self, incident: &Incident) -> bool {
        self.tally.as_ref().is_some_and(|tally| incident::is_tied(tally, incident))
    }

    fn question(&self, weights: &Weights) -> Value {
        let origins: Vec<String> = self.origins.iter().cloned().collect();
        summed::question(&origins, self.from, &weights.assets)
    }

    /// Whether somebody can belong to the incident now who did not before.
    fn ties_more(&self, incident: &Incident) -> bool {
        let Some(last) = self.last.as_ref().filter(|last| last.incident.is_standing()) else { return true };
        let (before, now) = (&last.incident.incident, &incident.incident);
        (&before.ties, &before.origins, &before.principals) != (&now.ties, &now.origins, &now.principals)
    }
}

fn version(state: State) -> IncidentVersion {
    match state {
        State::Open => IncidentVersion::Open,
        State::Escalated => IncidentVersion::Escalated,
        State::Quiet => IncidentVersion::Quiet,
        State::Closed => IncidentVersion::Closed,
    }
}
