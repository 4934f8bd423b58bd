//! Judges origins: whose signals have changed, which incident they belong to, and what that is from now on.
//!
//! An incident is judged once, however many of its origins have something new, and after those who have none: they may
//! join it.

use std::collections::BTreeSet;

use sagetrail_core::incident::{self, Incident, State, Surroundings};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asking::{AT_ONCE, Asking, Writing, Written};
use super::changed::{self, Changed};
use super::matters::{Joining, Matter, together};
use super::round::{Current, Progress, Rounds};
use super::standing::{self, Standing};
use super::{tally, weak};
use crate::labels::IncidentVersion;
use crate::opensearch::QueryError;

/// The field that groups signals.
const ORIGIN: &str = "sagemaker.alert.origin";

/// Which signals a step looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Those of which one is enough for a page: no flood of others keeps them waiting.
    Critical,
    All,
}

/// An origin, and what of it is new.
type News = (String, Option<Changed>);

impl Rounds {
    /// Judges every origin with a new critical signal.
    pub(super) async fn judge_critical(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let mut after = None;
        self.judge_sort(asking, current, Sort::Critical, &mut after, now).await
    }

    /// Judges every origin with new signals, and those that they are tied to.
    pub(super) async fn judge_origins(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        self.find_tied(asking, current, now).await?;
        let mut after = current.origins_after.take();
        let progress = self.judge_sort(asking, current, Sort::All, &mut after, now).await?;
        current.origins_after = after;
        if progress == Progress::TimeIsOver {
            return Ok(progress);
        }
        let mut joining = Joining::default();
        while !current.tied.is_empty() {
            let some: Vec<News> =
                current.tied.iter().take(AT_ONCE).map(|origin| (origin.clone(), None)).collect();
            self.judge_some(asking, current, &some, Sort::All, &mut joining, now).await?;
            current.tied.retain(|origin| !some.iter().any(|(judged, _)| judged == origin));
            let is_over = asking.is_over();
            if is_over || current.tied.is_empty() {
                self.judge_joined(asking, current, &mut joining, Sort::All, now).await?;
            }
            if is_over && !current.tied.is_empty() {
                return Ok(Progress::TimeIsOver);
            }
        }
        Ok(Progress::Finished)
    }

    /// Where signals are.
    pub(super) fn indices(&self) -> String {
        format!("{},{}", self.client.names().events(), self.client.names().correlated())
    }

    /// Judges the origins with new signals of a sort, from a page on. Some are judged however little time there is.
    async fn judge_sort(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        sort: Sort,
        after: &mut Option<Value>,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let indices = self.indices();
        let mut filter = vec![sort.signals()];
        filter.extend(current.window.filter());
        let mut joining = Joining::default();
        let (mut progress, mut has_begun) = (Progress::Finished, false);
        'pages: loop {
            let question = changed::question(&[ORIGIN.to_owned()], &filter, after.as_ref());
            let (groups, next) = changed::read(&asking.search(&indices, &question).await?);
            let mut others = Vec::new();
            let news: Vec<Changed> =
                groups.into_iter().filter(|group| self.marks.is_news(sort.name(), group)).collect();
            if !news.is_empty() {
                self.look_around(asking, current, now).await?;
            }
            for group in news {
                let origin = group.key[0].clone();
                match current.standing.as_ref().and_then(|standing| standing.of_origin(&origin)) {
                    Some(stored) => {
                        let last = Some(&stored.incident);
                        let from = incident::counts_with(last, group.came(), &self.weights, now);
                        joining.add(stored, &origin, from, [group]);
                    }
                    None => others.push(group),
                }
            }
            for chunk in others.chunks(weak::AT_ONCE) {
                if has_begun && asking.is_nearly_over() {
                    progress = Progress::TimeIsOver;
                    break 'pages;
                }
                has_begun = true;
                let strong = self.without_weak(asking, current, chunk, sort, now).await?;
                let chunks = strong.chunks(AT_ONCE);
                let last = chunks.len();
                for (number, some) in chunks.enumerate() {
                    self.judge_some(asking, current, some, sort, &mut joining, now).await?;
                    if asking.is_nearly_over() && number + 1 < last {
                        progress = Progress::TimeIsOver;
                        break 'pages;
                    }
                }
            }
            *after = next;
            if after.is_none() {
                break;
            }
            if asking.is_nearly_over() {
                progress = Progress::TimeIsOver;
                break;
            }
        }
        if self.judge_joined(asking, current, &mut joining, sort, now).await? == Progress::TimeIsOver {
            // Who was not judged is found again from the beginning on.
            (*after, progress) = (None, Progress::TimeIsOver);
        }
        Ok(progress)
    }

    /// Reads what stands and what is usual, unless that is known.
    async fn look_around(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        if current.standing.is_none() {
            let standing = Standing::read(asking).await?;
            self.usual.renew(asking, &self.indices(), &self.weights, &standing, now).await?;
            current.standing = Some(standing);
        }
        Ok(())
    }

    /// Leaves out those who did too little for an incident and are tied to none: they are judged with that.
    async fn without_weak(
        &mut self,
        asking: &Asking,
        current: &Current,
        groups: &[Changed],
        sort: Sort,
        now: OffsetDateTime,
    ) -> Result<Vec<News>, QueryError> {
        self.metrics.correlator_origins_judged.inc_by(groups.len() as u64);
        let origins: BTreeSet<&str> = groups.iter().map(|group| group.key[0].as_str()).collect();
        let weak = match sort {
            Sort::Critical => BTreeSet::new(),
            Sort::All => {
                let from = |group: &Changed| incident::counts_with(None, group.came(), &self.weights, now);
                let from = groups.iter().map(from).min().unwrap_or(now);
                let answer = asking.search(&self.indices(), &weak::question(&origins, from)).await?;
                weak::read(&answer, &self.weights, current.standing.as_ref())
            }
        };
        let (weak, strong): (Vec<&Changed>, Vec<&Changed>) =
            groups.iter().partition(|group| weak.contains(&group.key[0]));
        for group in weak {
            self.marks.judged(sort.name(), group, 0);
        }
        Ok(strong.into_iter().map(|group| (group.key[0].clone(), Some(group.clone()))).collect())
    }

    /// Judges a few origins of which no incident is known to stand. Who belongs to one is left for later.
    async fn judge_some(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        origins: &[News],
        sort: Sort,
        joining: &mut Joining,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        self.look_around(asking, current, now).await?;
        let questions: Vec<Value> =
            origins.iter().map(|(origin, _)| standing::question_of_last(origin)).collect();
        let answers = asking.search_several(&self.client.names().incidents(), &questions).await?;
        let mut alone = Vec::new();
        for ((origin, news), answer) in origins.iter().zip(&answers) {
            let last = standing::last(answer);
            let before = last.as_ref().map(|last| &last.incident);
            let from = match news {
                Some(news) => incident::counts_with(before, news.came(), &self.weights, now),
                None => incident::counts_from(before, &self.weights, now),
            };
            match last {
                Some(last) if last.incident.is_standing() => joining.add(&last, origin, from, news.clone()),
                last => alone.push(Matter {
                    last,
                    origins: [origin.clone()].into(),
                    from,
                    tally: None,
                    untold: None,
                    news: news.iter().cloned().collect(),
                }),
            }
        }
        // Whether somebody belongs to an incident of another shows from what they did.
        self.sum_up(asking, current, &mut alone).await?;
        alone.retain(|matter| matter.tally.is_some());
        let standing = current.standing.take().unwrap_or_default();
        let mut unrelated = Vec::new();
        for matter in alone {
            let other = matter.tally.as_ref().and_then(|tally| standing.tied(tally));
            match (other, matter.first()) {
                (Some(other), Some(first)) => {
                    let from = incident::counts_from(Some(&other.incident), &self.weights, now).min(first);
                    for origin in &matter.origins {
                        joining.add(other, origin, from, matter.news.clone());
                    }
                }
                _ => unrelated.push(matter),
            }
        }
        current.standing = Some(standing);
        let around = Surroundings { usual: self.usual.rules(), weights: &self.weights, now };
        let matters = together(unrelated, around);
        self.decide(asking, current, matters, sort, now).await
    }

    /// Judges the incidents of those who belong to one. Some are judged however little time there is.
    async fn judge_joined(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        joining: &mut Joining,
        sort: Sort,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let mut matters = joining.take();
        while !matters.is_empty() {
            let some = matters.drain(..matters.len().min(AT_ONCE)).collect();
            self.decide(asking, current, some, sort, now).await?;
            if asking.is_over() && !matters.is_empty() {
                return Ok(Progress::TimeIsOver);
            }
        }
        Ok(Progress::Finished)
    }

    /// Decides matters and writes what comes of them. What somebody else decided meanwhile is judged again.
    async fn decide(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        mut matters: Vec<Matter>,
        sort: Sort,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        self.sum_up(asking, current, &mut matters).await?;
        self.sum_up_untold(asking, current, &mut matters, now).await?;
        let index = self.client.names().incidents();
        let (mut writing, mut judged) = (Vec::new(), Vec::new());
        for matter in &matters {
            // What was refused is asked again by the next round.
            let Some(tally) = matter.tally.as_ref() else { continue };
            let around = Surroundings { usual: self.usual.rules(), weights: &self.weights, now };
            let last = matter.last.as_ref();
            let untold = matter.untold.as_ref();
            let judgement = incident::judge_beside(tally, untold, last.map(|last| &last.incident), around);
            let Some(incident) = judgement else {
                matter.news.iter().for_each(|group| self.marks.judged(sort.name(), group, 0));
                continue;
            };
            writing.push(match last.filter(|last| last.incident.is_standing()) {
                Some(stored) => stored.replaced(index.clone(), &incident),
                None => standing::created(index.clone(), &incident),
            });
            judged.push((matter, incident));
        }
        let incidents: Vec<&Incident> = judged.iter().map(|(_, incident)| incident).collect();
        let written = self.store(asking, current, &writing, &incidents).await?;
        for ((matter, incident), _) in judged.iter().zip(written).filter(|(_, done)| done.is_stored()) {
            matter.news.iter().for_each(|group| self.marks.judged(sort.name(), group, 0));
            if matter.ties_more(incident) {
                current.tying.push(incident.clone());
            }
        }
        self.find_tied(asking, current, now).await
    }

    /// Stores versions of incidents, counts them, and knows what stands from then on.
    pub(super) async fn store(
        &self,
        asking: &Asking,
        current: &mut Current,
        writing: &[Writing],
        incidents: &[&Incident],
    ) -> Result<Vec<Written>, QueryError> {
        let written = match asking.store(writing).await {
            Ok(written) => written,
            Err(error) => {
                // Some of it may be stored.
                current.standing = None;
                return Err(error);
            }
        };
        let mut standing = current.standing.take();
        for (incident, done) in incidents.iter().zip(&written) {
            match (done, &mut standing) {
                (Written::Stored(Some(version)), Some(standing)) => {
                    standing.put((*incident).clone(), *version);
                }
                _ => standing = None,
            }
            if done.is_stored() {
                self.metrics.incidents_written.count(version(incident.incident.state));
            }
        }
        current.standing = standing;
        Ok(written)
    }
}

impl Sort {
    /// The sort of its marks.
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::All => "origins",
        }
    }

    fn signals(self) -> Value {
        match self {
            Self::Critical => json!({"term": {"sagemaker.findings.level": "critical"}}),
            Self::All => tally::signals(),
        }
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
