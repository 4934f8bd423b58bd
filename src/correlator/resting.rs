//! Looks after incidents of which nothing new came, and removes those that are old.

use std::time::Duration;

use sagetrail_core::incident::{self, Incident, Weights};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::asking::{Asking, Writing};
use super::round::{Current, Progress, Rounds};
use super::standing::{Standing, Stored};
use crate::opensearch::QueryError;
use crate::opensearch::bulk::Action;
use crate::timestamp;

/// How often old documents are looked for.
const REMOVAL: Duration = Duration::from_hours(1);
/// Documents that are removed at once.
const AT_ONCE: usize = 1_000;

impl Rounds {
    /// Pages for what came too soon after a page, lets incidents fall quiet, and closes them.
    pub(super) async fn rest(
        &self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        self.rest_as(asking, current, now, incident::rest).await?;
        Ok(Progress::Finished)
    }

    /// Does what `rest` says of each incident that stands, and returns how many that changed.
    pub(super) async fn rest_as(
        &self,
        asking: &Asking,
        current: &mut Current,
        now: OffsetDateTime,
        rest: fn(&Incident, &Weights, OffsetDateTime) -> Option<Incident>,
    ) -> Result<usize, QueryError> {
        let standing = match current.standing.take() {
            Some(standing) => standing,
            None => Standing::read(asking).await?,
        };
        let rested: Vec<(&Stored, Incident)> = standing
            .iter()
            .filter_map(|stored| Some((stored, rest(&stored.incident, &self.weights, now)?)))
            .collect();
        let index = self.client.names().incidents();
        let writing: Vec<Writing> =
            rested.iter().map(|(stored, incident)| stored.replaced(index.clone(), incident)).collect();
        let incidents: Vec<&Incident> = rested.iter().map(|(_, incident)| incident).collect();
        // What somebody else wrote meanwhile is read again in the next round.
        self.store(asking, current, &writing, &incidents).await?;
        Ok(incidents.len())
    }

    /// Removes what is older than it shall be kept, once an hour.
    pub(super) async fn remove_old(
        &mut self,
        asking: &Asking,
        now: OffsetDateTime,
    ) -> Result<Progress, QueryError> {
        let is_due = self.removed_at.is_none_or(|at| at.elapsed() >= REMOVAL);
        if self.days == 0 || !is_due {
            return Ok(Progress::Finished);
        }
        let before = timestamp::format(now - time::Duration::days(i64::from(self.days)));
        let names = self.client.names();
        for (index, field) in [(names.incidents(), "incident.closed"), (names.correlated(), "@timestamp")] {
            loop {
                if asking.is_over() {
                    return Ok(Progress::TimeIsOver);
                }
                let found = asking.search(&index, &question_of_old(field, &before)).await?;
                let old = read_old(&index, &found);
                asking.store(&old).await?;
                if old.len() < AT_ONCE {
                    break;
                }
            }
        }
        self.removed_at = Some(Instant::now());
        Ok(Progress::Finished)
    }
}

fn question_of_old(field: &str, before: &str) -> Value {
    json!({"size": AT_ONCE, "_source": false, "track_total_hits": false, "query": {"range": {field: {"lt": before}}}})
}

fn read_old(index: &str, answer: &Value) -> Vec<Writing> {
    let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
    let removal = |hit: &Value| {
        let id = hit["_id"].as_str()?.to_owned();
        Some(Writing { index: index.to_owned(), id, action: Action::Delete, source: Value::Null })
    };
    hits.filter_map(removal).collect()
}
