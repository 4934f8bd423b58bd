//! The step of correlations: groups with new points, and what their points together match.

use std::collections::BTreeMap;

use sagetrail_core::correlation::{Correlation, GroupKey, History, Point};
use serde_json::json;
use time::OffsetDateTime;

use super::asking::{AT_ONCE, Asking, Writing, Written};
use super::changed::{self, Changed};
use super::points::{self, MOST_POINTS};
use super::rhythm;
use super::round::{Current, Progress, Rounds};
use crate::enrich::Enricher;
use crate::opensearch::QueryError;
use crate::opensearch::bulk::Action;

impl Rounds {
    /// Brings the stored matches of all correlations to what the points say.
    pub(super) async fn correlate(
        &mut self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
        enricher: &Enricher,
    ) -> Result<Progress, QueryError> {
        let events = self.client.names().events();
        while let Some(correlation) = enricher.rules.correlations().iter().nth(current.correlation) {
            let sources = correlation.sources();
            while let Some(source) = sources.get(current.source) {
                loop {
                    if asking.is_over() {
                        return Ok(Progress::TimeIsOver);
                    }
                    let mut filter = vec![json!({"terms": {"rule.id": source.rules}})];
                    filter.extend(current.window.filter());
                    let question = changed::question(&source.fields, &filter, current.after.as_ref());
                    let (groups, after) = changed::read(&asking.search(&events, &question).await?);
                    // The groups of a page that were judged are not judged again when it is asked again.
                    let of = format!("{} {}", correlation.id, current.source);
                    let news: Vec<Changed> =
                        groups.into_iter().filter(|group| self.marks.is_news(&of, group)).collect();
                    for some in news.chunks(AT_ONCE) {
                        if asking.is_over() {
                            return Ok(Progress::TimeIsOver);
                        }
                        self.judge_groups(asking, correlation, &of, some, now).await?;
                    }
                    current.after = after;
                    if current.after.is_none() {
                        break;
                    }
                }
                current.source += 1;
            }
            (current.source, current.correlation) = (0, current.correlation + 1);
        }
        Ok(Progress::Finished)
    }

    async fn judge_groups(
        &mut self,
        asking: &Asking,
        correlation: &Correlation,
        of: &str,
        groups: &[Changed],
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let mut writing = Vec::new();
        let mut judged = Vec::new();
        for group in groups {
            let found = judge_group(asking, correlation, group, now).await?;
            judged.push((group, writing.len()..writing.len() + found.len()));
            writing.extend(found);
        }
        let written = asking.store(&writing).await?;
        let is_new = |(done, document): (&Written, &Writing)| {
            *done == Written::Stored && matches!(document.action, Action::Create)
        };
        let found = written.iter().zip(&writing).filter(|it| is_new(*it)).count();
        self.metrics.correlations_found.inc_by(found as u64);
        for (group, its) in judged {
            if written[its].iter().all(|done| *done == Written::Stored) {
                self.marks.judged(of, group);
            }
        }
        Ok(())
    }
}

/// What to write so that the stored matches of a group are those of its points.
async fn judge_group(
    asking: &Asking,
    correlation: &Correlation,
    group: &Changed,
    now: OffsetDateTime,
) -> Result<Vec<Writing>, QueryError> {
    let key = GroupKey(group.key.clone());
    let touched = (correlation.touched(group.first).0, correlation.touched(group.last).1);
    let needs = (correlation.needs(group.first).0, correlation.needs(group.last).1);
    let history = match rhythm::question(correlation, &key, needs) {
        Some(question) => {
            rhythm::read(&asking.search(&asking.client.names().events(), &question).await?, correlation)
        }
        None => History::default(),
    };
    let points = match correlation.candidates(&history, needs) {
        Some(candidates) => points_of(asking, correlation, &key, candidates).await?,
        None => Vec::new(),
    };
    let points: Vec<&Point> = points.iter().collect();
    let mut matches = BTreeMap::new();
    for found in correlation.matches_after(&key, &points, &history) {
        if (touched.0..=touched.1).contains(&found.last) {
            let (id, source) = found.document(correlation, &key, &points, now);
            matches.insert(id.as_str().to_owned(), source);
        }
    }
    let names: Vec<String> =
        correlation.group_by().zip(&key.0).map(|(name, value)| format!("{name}={value}")).collect();
    let index = asking.client.names().correlated();
    let stored = asking.search(&index, &points::question_of_stored(correlation, &names, touched)).await?;
    Ok(points::difference(&index, matches, &stored))
}

async fn points_of(
    asking: &Asking,
    correlation: &Correlation,
    key: &GroupKey,
    needs: (OffsetDateTime, OffsetDateTime),
) -> Result<Vec<Point>, QueryError> {
    let events = asking.client.names().events();
    let fields = correlation.fields();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let question = points::question(correlation, key, needs, after.as_ref());
        let (page, next) = points::read(&asking.search(&events, &question).await?, &fields);
        found.extend(page);
        after = next;
        if after.is_none() || found.len() >= MOST_POINTS {
            return Ok(found);
        }
    }
}
