//! Hands incidents to Alertmanagers beside the rounds, so that one that is slow or absent delays no judgement.

use std::collections::BTreeSet;
use std::future::pending;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Correlator;
use super::asking::Asking;
use crate::alertmanager::{FIELDS, HELD_FOR, HandedOver};
use crate::metrics::whole;
use crate::opensearch::QueryError;
use crate::timestamp;

/// Incidents that are handed over at once, those that stand and the worst before others. A person who is paged for more
/// has another problem.
const MOST: usize = 1_000;

impl Correlator {
    /// Hands over after each complete round, and as often while none completes, for as long as it is polled.
    pub(super) async fn hand_over(&self, mut last_round: watch::Receiver<Option<OffsetDateTime>>) {
        if self.alertmanagers.is_empty() {
            return pending().await;
        }
        let mut told = Told::default();
        loop {
            let now = (self.clock)();
            match self.to_hand_over(now).await {
                Ok(found) => {
                    self.metrics.alertmanager_left_out.set(whole(found.left_out));
                    told.found(found.left_out);
                    told.handed(self.alertmanagers.hand_over(&found.incidents, now).await);
                }
                Err(error) => told.not_found(&error),
            }
            tokio::select! {
                Ok(()) = last_round.changed() => {}
                () = sleep(self.period) => {}
            }
        }
    }

    /// Forgets what Alertmanagers were not handed: another process goes on with it.
    pub(super) fn hand_over_no_more(&self) {
        self.alertmanagers.stand_by();
        self.metrics.alertmanager_left_out.set(0);
    }

    async fn to_hand_over(&self, now: OffsetDateTime) -> Result<Found, QueryError> {
        let answer =
            Asking::new(self.client.clone()).search(&self.client.names().incidents(), &question(now)).await?;
        Ok(Found::read(answer))
    }
}

/// The search for incidents that are not closed, or were closed lately.
pub(super) fn question(now: OffsetDateTime) -> Value {
    let lately = timestamp::format(now - HELD_FOR);
    json!({
        "size": MOST, "_source": FIELDS, "track_total_hits": true,
        "query": {"bool": {"minimum_should_match": 1, "should": [
            {"bool": {"must_not": [{"term": {"incident.state": "closed"}}]}},
            {"range": {"incident.closed": {"gte": lately}}}
        ]}},
        "sort": [
            {"incident.closed": {"order": "desc", "missing": "_first", "unmapped_type": "date"}},
            // Those about the pipeline's health, which are few. Any number of attacks must not hide them.
            {"incident.kind": {"order": "desc", "missing": "_last", "unmapped_type": "keyword"}},
            {"event.severity": {"order": "desc", "unmapped_type": "long"}},
            {"incident.opened": {"order": "desc", "unmapped_type": "date"}}
        ]
    })
}

#[derive(Debug, PartialEq)]
struct Found {
    incidents: Vec<Value>,
    /// Those for which there is no room.
    left_out: usize,
}

impl Found {
    fn read(mut answer: Value) -> Self {
        let hits = &mut answer["hits"];
        let total =
            usize::try_from(hits["total"]["value"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
        let documents = match hits["hits"].take() {
            Value::Array(documents) => documents,
            _ => Vec::new(),
        };
        let incidents: Vec<Value> = documents.into_iter().map(|mut hit| hit["_source"].take()).collect();
        Self { left_out: total.saturating_sub(incidents.len()), incidents }
    }
}

/// What the log says already, so that it says it once.
#[derive(Debug, Default)]
struct Told {
    cannot_search: bool,
    leaves_out: bool,
    failing: BTreeSet<String>,
}

impl Told {
    fn not_found(&mut self, error: &QueryError) {
        if !std::mem::replace(&mut self.cannot_search, true) {
            warn!(%error, "incidents cannot be looked up for Alertmanagers; it is tried again");
        }
    }

    fn found(&mut self, left_out: usize) {
        if std::mem::take(&mut self.cannot_search) {
            info!("incidents can be looked up for Alertmanagers again");
        }
        let leaves_out = left_out > 0;
        if leaves_out && !self.leaves_out {
            warn!(
                handed_over = MOST,
                left_out,
                "Alertmanagers are not handed all incidents: closed ones and the least are left out"
            );
        }
        self.leaves_out = leaves_out;
    }

    fn handed(&mut self, outcomes: Vec<HandedOver>) {
        for HandedOver { channel, waiting, problem, .. } in outcomes {
            match problem {
                Some(error) => {
                    if self.failing.insert(channel) {
                        warn!(waiting, %error, "an Alertmanager did not take incidents; they are handed over again");
                    }
                }
                None => {
                    if self.failing.remove(&channel) {
                        info!(channel, "the Alertmanager takes incidents again");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_search_brings_is_handed_over_and_what_it_has_no_room_for_is_counted() {
        let hit = |id: &str| json!({"_id": id, "_source": {"incident": {"id": id}}});
        let cases = [
            (json!({"hits": {"total": {"value": 0}, "hits": []}}), 0, 0),
            (json!({"hits": {"total": {"value": 2}, "hits": [hit("a"), hit("b")]}}), 2, 0),
            (json!({"hits": {"total": {"value": 7}, "hits": [hit("a"), hit("b")]}}), 2, 5),
        ];
        for (answer, handed, left_out) in cases {
            let found = Found::read(answer.clone());
            assert_eq!((found.incidents.len(), found.left_out), (handed, left_out), "{answer}");
            assert!(
                found.incidents.iter().all(|incident| incident["incident"]["id"].is_string()),
                "{answer}"
            );
        }
    }
}
