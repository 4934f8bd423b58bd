//! Watches over the pipeline itself beside the rounds, so that neither waits for the other: what is wrong becomes an
//! incident of its own kind, and is closed when it is well again.
//!
//! Each rule is a search, or a few, whose answers are bounded. A rule whose question was not answered in whole opens
//! and closes nothing.

mod asked;
mod contents;
mod lag;
mod rejected;
mod silence;
mod verified;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sagetrail_core::incident::{Incident, Trouble, Weights, health};
use sagetrail_core::labels::HealthRule;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use self::asked::MOST;
use super::Correlator;
use super::asking::{AT_ONCE, Asking};
use super::round::Progress;
use super::standing::{self, Stored};
use crate::config::HealthConfig;
use crate::labels::{IncidentVersion, Label};
use crate::metrics::{Metrics, whole};
use crate::opensearch::{OpenSearch, QueryError};

/// From one look to the next.
const PERIOD: Duration = Duration::from_mins(1);
/// Until a look goes on that its time was too short for, or that OpenSearch did not answer.
const BREATH: Duration = Duration::from_secs(5);

/// What one holder of the lease knows of the pipeline. All of it can be lost: it is asked again then.
struct Health {
    client: OpenSearch,
    metrics: Arc<Metrics>,
    config: HealthConfig,
    weights: Weights,
    silence: silence::History,
    contents: contents::Mark,
    told: BTreeMap<HealthRule, String>,
}

impl Correlator {
    /// Looks each minute, for as long as it is polled.
    pub(super) async fn watch_health(&self) {
        let mut health = Health {
            client: self.client.clone(),
            metrics: Arc::clone(&self.metrics),
            config: self.health.clone(),
            weights: Weights::built_in(),
            silence: silence::History::default(),
            contents: contents::Mark::default(),
            told: BTreeMap::new(),
        };
        loop {
            let next = Instant::now() + PERIOD;
            let mut left = HealthRule::ALL.to_vec();
            while Instant::now() < next {
                left = health.look(&left, OffsetDateTime::now_utc()).await;
                if left.is_empty() {
                    break;
                }
                sleep(BREATH).await;
            }
            // However often it was tried, it is one look that was not made.
            for rule in &left {
                self.metrics.health_unjudged.count(*rule);
            }
            sleep_until(next).await;
        }
    }

    /// Says no longer what stands: another process goes on with it.
    pub(super) fn watch_health_no_more(&self) {
        for rule in HealthRule::ALL {
            self.metrics.health_incidents.of(*rule).set(0);
        }
    }
}

impl Health {
    /// Looks at each of these rules, and returns those that need more time or another try. One that fails keeps no
    /// other from being looked at.
    async fn look(&mut self, rules: &[HealthRule], now: OffsetDateTime) -> Vec<HealthRule> {
        let mut left = Vec::new();
        for rule in rules {
            match self.look_at(*rule, now).await {
                Ok(progress) => {
                    left.extend((progress == Progress::TimeIsOver).then_some(*rule));
                    if self.told.remove(rule).is_some() {
                        info!(rule = rule.label(), "the health of the pipeline is watched again");
                    }
                }
                Err(error) => {
                    left.push(*rule);
                    let problem = error.to_string();
                    if self.told.get(rule) != Some(&problem) {
                        warn!(
                            rule = rule.label(),
                            problem, "the health of the pipeline cannot be watched; it is tried again"
                        );
                        self.told.insert(*rule, problem);
                    }
                }
            }
        }
        left
    }

    async fn look_at(&mut self, rule: HealthRule, now: OffsetDateTime) -> Result<Progress, QueryError> {
        let asking = Asking::new(self.client.clone());
        let found = if self.config.disabled.contains(&rule) {
            Some(Vec::new())
        } else {
            match rule {
                HealthRule::Silence => self.silence.look(&asking, &self.config, now).await?,
                HealthRule::Lag => lag::look(&asking, &self.config, now).await?,
                HealthRule::Rejected => rejected::look(&asking, &self.config, now).await?,
                HealthRule::VerificationGap => verified::look_for_gaps(&asking, &self.config, now).await?,
                HealthRule::VerificationSilence => {
                    verified::look_for_silence(&asking, &self.config, now).await?
                }
                HealthRule::TwoContents => self.contents.look(&asking, &self.config, now).await?,
            }
        };
        match found {
            Some(found) => self.decide(&asking, rule, found, now).await.map(|()| Progress::Finished),
            None => Ok(Progress::TimeIsOver),
        }
    }

    /// Opens, goes on with and closes the incidents of a rule.
    async fn decide(
        &self,
        asking: &Asking,
        rule: HealthRule,
        found: Vec<Trouble>,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let index = self.client.names().incidents();
        let weight = self.weights.health(rule);
        let standing = standing::read(&asking.search(&index, &question_of_standing(rule)).await?);
        let troubles =
            health::put_apart(found, &standing.iter().map(|stored| &stored.incident).collect::<Vec<_>>());
        let of = |subject: &str| {
            standing.iter().find(move |stored| stored.incident.incident.subject.as_deref() == Some(subject))
        };
        let fresh: Vec<&Trouble> = troubles.iter().filter(|trouble| of(&trouble.subject).is_none()).collect();
        let mut last: BTreeMap<&str, Stored> = BTreeMap::new();
        for some in fresh.chunks(AT_ONCE) {
            let questions: Vec<Value> =
                some.iter().map(|trouble| question_of_last(rule, &trouble.subject)).collect();
            let answers = asking.search_several(&index, &questions).await?;
            for (trouble, answer) in some.iter().zip(&answers) {
                last.extend(standing::last(answer).map(|stored| (trouble.subject.as_str(), stored)));
            }
        }
        let (mut writing, mut versions) = (Vec::new(), Vec::new());
        let mut add = |incident: Incident, replaced: Option<&Stored>| {
            writing.push(match replaced {
                Some(stored) => stored.replaced(index.clone(), &incident),
                None => standing::created(index.clone(), &incident),
            });
            versions.push(if incident.is_standing() {
                IncidentVersion::Open
            } else {
                IncidentVersion::Closed
            });
        };
        for trouble in &troubles {
            let known = of(&trouble.subject).or_else(|| last.get(trouble.subject.as_str()));
            let known_incident = known.map(|stored| &stored.incident);
            if let Some(incident) = health::tell(rule, trouble, known_incident, weight, now) {
                add(incident, known.filter(|stored| stored.incident.is_standing()));
            }
        }
        let is_over = |stored: &&Stored| {
            let subject = stored.incident.incident.subject.as_deref();
            !troubles.iter().any(|trouble| Some(trouble.subject.as_str()) == subject)
        };
        let mut standing_now = whole(troubles.len());
        for stored in standing.iter().filter(is_over) {
            match health::close(&stored.incident, weight, now) {
                Some(closed) => add(closed, Some(stored)),
                None => standing_now += 1,
            }
        }
        // What somebody else wrote meanwhile is read again at the next look.
        let written = asking.store(&writing).await?;
        for (version, done) in versions.iter().zip(written) {
            if done.is_stored() {
                self.metrics.incidents_written.count(*version);
            }
        }
        self.metrics.health_incidents.of(rule).set(standing_now);
        Ok(())
    }
}

fn question_of_standing(rule: HealthRule) -> Value {
    json!({
        "size": MOST, "seq_no_primary_term": true, "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"term": {"incident.kind": "health"}}, {"term": {"incident.rule": rule}}],
            "must_not": [{"term": {"incident.state": "closed"}}]
        }}
    })
}

fn question_of_last(rule: HealthRule, subject: &str) -> Value {
    json!({
        "size": 1, "seq_no_primary_term": true, "track_total_hits": false,
        "query": {"bool": {"filter": [
            {"term": {"incident.kind": "health"}}, {"term": {"incident.rule": rule}},
            {"term": {"incident.subject": subject}}
        ]}},
        "sort": [{"incident.opened": {"order": "desc", "unmapped_type": "date"}}]
    })
}
