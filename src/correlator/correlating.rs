//! Correlates: finds the groups with new points, and what their points match together.
//!
//! Most groups that have something new are far from a match. One search measures many of them, another finds what is
//! stored of their matches, and points are read of those alone that could match or did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::correlation::{Correlation, GroupKey, History, Point, Source};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asking::{AT_ONCE, Asking, Writing, Written};
use super::bounds;
use super::changed::{self, Changed};
use super::points::{self, MOST_POINTS, PAGE};
use super::rhythm;
use super::round::{Current, Progress, Rounds};
use crate::enrich::Enricher;
use crate::opensearch::QueryError;
use crate::opensearch::bulk::Action;
use crate::opensearch::events::no_drills;

/// Groups that are measured at once.
const MEASURED: usize = 250;
/// Groups whose points are read at once, if they have few.
const READ: usize = 50;

/// One sort of groups: those of a correlation whose key is in the same fields.
struct Place<'c> {
    correlation: &'c Correlation,
    source: Source,
    /// What tells its marks from others.
    of: String,
}

/// A group that could match, or did.
struct Candidate<'g, 's> {
    group: &'g Changed,
    stored: Vec<&'s Value>,
    /// What it had on the days before.
    history: History,
    /// Its search for points; none where no time has enough of them.
    question: Option<Value>,
    total: usize,
}

impl Rounds {
    /// Brings the stored matches of all correlations to what the points say.
    pub(super) async fn correlate(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Progress, QueryError> {
        let places = places(enricher, now);
        let events = self.client.names().events();
        while current.place < places.len() {
            let some = &places[current.place..places.len().min(current.place + AT_ONCE)];
            let questions: Vec<Value> = some
                .iter()
                .enumerate()
                .map(|(number, place)| {
                    place.question(current, current.after.as_ref().filter(|_| number == 0))
                })
                .collect();
            let answers = asking.search_several(&events, &questions).await?;
            for (place, mut answer) in some.iter().zip(answers) {
                loop {
                    let (groups, after) = changed::read(&answer);
                    if self.judge_page(asking, place, groups, now).await? == Progress::TimeIsOver {
                        return Ok(Progress::TimeIsOver);
                    }
                    current.after = after;
                    if current.after.is_none() {
                        break;
                    }
                    if asking.is_over() {
                        return Ok(Progress::TimeIsOver);
                    }
                    answer = asking.search(&events, &place.question(current, current.after.as_ref())).await?;
                }
                current.place += 1;
                if asking.is_over() && current.place < places.len() {
                    return Ok(Progress::TimeIsOver);
                }
            }
        }
        Ok(Progress::Finished)
    }

    /// Judges the groups of a page of which something is new. Some are judged however little time there is.
    async fn judge_page(
        &mut self,
        asking: &Asking,
        place: &Place<'_>,
        groups: Vec<Changed>,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let mut news: Vec<Changed> =
            groups.into_iter().filter(|group| self.marks.is_news(&place.of, group)).collect();
        // Neighbours in time are measured together.
        news.sort_by_key(|group| group.first);
        let chunks = news.chunks(MEASURED);
        let last = chunks.len();
        for (number, some) in chunks.enumerate() {
            let progress = self.judge_groups(asking, place, some, now).await?;
            if progress == Progress::TimeIsOver || asking.is_over() && number + 1 < last {
                return Ok(Progress::TimeIsOver);
            }
        }
        Ok(Progress::Finished)
    }

    async fn judge_groups(
        &mut self,
        asking: &Asking,
        place: &Place<'_>,
        groups: &[Changed],
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let Place { correlation, of, .. } = place;
        let events = self.client.names().events();
        let measured = asking.search_several(&events, &bounds::questions(correlation, groups)).await?;
        let bounds = bounds::read(correlation, groups, &measured);
        let stored = stored(asking, correlation, groups).await?;
        let mut candidates = Vec::new();
        for (group, most) in groups.iter().zip(bounds) {
            let names = points::key_texts(correlation, &group.key);
            let stored = points::of_group(&stored, &names, touched(correlation, group));
            if stored.is_empty() && most.is_some_and(|most| !correlation.can_hold(most)) {
                self.marks.judged(of, group, 0);
            } else if stored.is_empty() || !self.marks.may_wait(of, group) {
                let history = History::default();
                candidates.push(Candidate { group, stored, history, question: None, total: 0 });
            }
        }
        compare(asking, correlation, &mut candidates).await?;
        let mut asked: Vec<&mut Candidate<'_, '_>> = Vec::new();
        for candidate in &mut candidates {
            candidate.question = question(correlation, candidate);
            asked.extend(candidate.question.is_some().then_some(candidate));
        }
        let questions = asked.iter().filter_map(|it| it.question.clone()).map(points::question_of_total);
        let totals = asking.search_many(&events, &questions.collect::<Vec<_>>()).await?;
        for (candidate, answer) in asked.into_iter().zip(&totals) {
            candidate.total = points::total(answer);
        }
        // Few points are read first: a group with many must not keep others waiting.
        candidates.sort_by_key(|candidate| candidate.total);
        let mut left = candidates.as_slice();
        while !left.is_empty() {
            let (some, rest) = left.split_at(read_at_once(left));
            self.judge_candidates(asking, place, some, now).await?;
            left = rest;
            if asking.is_over() && !left.is_empty() {
                return Ok(Progress::TimeIsOver);
            }
        }
        Ok(Progress::Finished)
    }

    async fn judge_candidates(
        &mut self,
        asking: &Asking,
        place: &Place<'_>,
        candidates: &[Candidate<'_, '_>],
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let index = self.client.names().correlated();
        let (mut writing, mut judged) = (Vec::new(), Vec::new());
        for (candidate, points) in
            candidates.iter().zip(read_points(asking, place.correlation, candidates).await?)
        {
            let found = matches(place.correlation, candidate, &points, now);
            let found = points::difference(&index, found, &candidate.stored);
            judged.push((candidate.group, points.len(), writing.len()..writing.len() + found.len()));
            writing.extend(found);
        }
        let written = asking.store(&writing).await?;
        let is_new = |(done, document): (&Written, &Writing)| {
            done.is_stored() && matches!(document.action, Action::Create)
        };
        let found = written.iter().zip(&writing).filter(|it| is_new(*it)).count();
        self.metrics.correlations_found.inc_by(found as u64);
        for (group, points, its) in judged {
            if written[its].iter().all(|done| done.is_stored()) {
                self.marks.judged(&place.of, group, points);
            }
        }
        Ok(())
    }
}

/// All sorts of groups, those of the worst correlations first.
fn places(enricher: &Enricher, now: OffsetDateTime) -> Vec<Place<'_>> {
    let mut correlations: Vec<&Correlation> = enricher.rules.correlations().iter().collect();
    correlations.sort_by_key(|correlation| Reverse(correlation.level_at(now)));
    let of = |correlation: &Correlation, number| format!("{} {number}", correlation.id);
    let sources = |correlation| {
        let sources = Correlation::sources(correlation).into_iter().enumerate();
        sources.map(move |(number, source)| Place { correlation, source, of: of(correlation, number) })
    };
    correlations.into_iter().flat_map(sources).collect()
}

impl Place<'_> {
    fn question(&self, current: &Current, after: Option<&Value>) -> Value {
        let mut filter = vec![json!({"terms": {"rule.id": self.source.rules}}), no_drills()];
        filter.extend(current.window.filter());
        changed::question(&self.source.fields, &filter, after)
    }
}

/// The time within which matches end that the new points of a group can change.
fn touched(correlation: &Correlation, group: &Changed) -> (OffsetDateTime, OffsetDateTime) {
    (correlation.touched(group.first).0, correlation.touched(group.last).1)
}

fn needs(correlation: &Correlation, group: &Changed) -> (OffsetDateTime, OffsetDateTime) {
    (correlation.needs(group.first).0, correlation.needs(group.last).1)
}

/// What is stored of the matches of some groups.
async fn stored(
    asking: &Asking,
    correlation: &Correlation,
    groups: &[Changed],
) -> Result<Vec<Value>, QueryError> {
    let index = asking.client.names().correlated();
    let question = |groups: &[Changed]| {
        let first = groups.iter().map(|group| touched(correlation, group).0).min()?;
        let last = groups.iter().map(|group| touched(correlation, group).1).max()?;
        let names: Vec<Vec<String>> =
            groups.iter().map(|group| points::key_texts(correlation, &group.key)).collect();
        let keys: BTreeSet<&str> =
            names.iter().filter_map(|names| names.first().map(String::as_str)).collect();
        Some(points::question_of_stored(correlation, &keys, (first, last)))
    };
    let Some(all) = question(groups) else { return Ok(Vec::new()) };
    if let Some(stored) = points::read_stored(&asking.search(&index, &all).await?) {
        return Ok(stored);
    }
    let mut stored = Vec::new();
    for group in groups {
        let Some(question) = question(std::slice::from_ref(group)) else { continue };
        let answer = asking.search(&index, &question).await?;
        stored.extend(answer["hits"]["hits"].as_array().into_iter().flatten().cloned());
    }
    Ok(stored)
}

/// Learns what groups had on the days before, where a correlation compares with them.
async fn compare(
    asking: &Asking,
    correlation: &Correlation,
    candidates: &mut [Candidate<'_, '_>],
) -> Result<(), QueryError> {
    let question = |candidate: &Candidate<'_, '_>| {
        let key = GroupKey(candidate.group.key.clone());
        rhythm::question(correlation, &key, needs(correlation, candidate.group))
    };
    let questions: Vec<Value> = candidates.iter().filter_map(question).collect();
    let answers = asking.search_many(&asking.client.names().events(), &questions).await?;
    for (candidate, answer) in candidates.iter_mut().zip(&answers) {
        candidate.history = rhythm::read(answer, correlation);
    }
    Ok(())
}

/// The search for the points of a group that a match can be made of.
fn question(correlation: &Correlation, candidate: &Candidate<'_, '_>) -> Option<Value> {
    let Candidate { group, history, .. } = candidate;
    let between = correlation.candidates(history, needs(correlation, group))?;
    Some(points::question(correlation, &GroupKey(group.key.clone()), between, None))
}

/// How many of the next groups are read together: as many as have a page of points.
fn read_at_once(candidates: &[Candidate<'_, '_>]) -> usize {
    let mut points = 0;
    let fits = |candidate: &&Candidate<'_, '_>| {
        points += candidate.total;
        points <= PAGE
    };
    candidates.iter().take(READ).take_while(fits).count().max(1)
}

/// The points of each group, the latest where there are too many.
async fn read_points(
    asking: &Asking,
    correlation: &Correlation,
    candidates: &[Candidate<'_, '_>],
) -> Result<Vec<Vec<Point>>, QueryError> {
    let events = asking.client.names().events();
    let fields = correlation.fields();
    let questions: Vec<Value> =
        candidates.iter().filter_map(|candidate| candidate.question.clone()).collect();
    let answers = asking.search_several(&events, &questions).await?;
    let mut all = Vec::new();
    for (question, answer) in questions.into_iter().zip(answers) {
        let (mut found, mut after) = points::read(&answer, &fields);
        while let Some(last) = after.take().filter(|_| found.len() < MOST_POINTS) {
            let mut next = question.clone();
            next["search_after"] = last;
            let (page, more) = points::read(&asking.search(&events, &next).await?, &fields);
            found.extend(page);
            after = more;
        }
        all.push(found);
    }
    let mut all = all.into_iter();
    let mut of = |candidate: &Candidate<'_, '_>| candidate.question.as_ref().and_then(|_| all.next());
    Ok(candidates.iter().map(|candidate| of(candidate).unwrap_or_default()).collect())
}

/// The documents of the matches that the new points of a group can have changed.
fn matches(
    correlation: &Correlation,
    candidate: &Candidate<'_, '_>,
    points: &[Point],
    now: OffsetDateTime,
) -> BTreeMap<String, Value> {
    let Candidate { group, history, .. } = candidate;
    let key = GroupKey(group.key.clone());
    let (from, to) = touched(correlation, group);
    let points: Vec<&Point> = points.iter().collect();
    let found = correlation.matches_after(&key, &points, history).into_iter();
    found
        .filter(|found| (from..=to).contains(&found.last))
        .map(|found| {
            let (id, source) = found.document(correlation, &key, &points, now);
            (id.as_str().to_owned(), source)
        })
        .collect()
}
