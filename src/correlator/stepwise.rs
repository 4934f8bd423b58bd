//! Rounds one by one, as if it were the time that somebody says. What they decide can be held against a backtest.

use std::sync::Arc;

use time::OffsetDateTime;

use super::asking::Asking;
use super::round::{Ended, Rounds};
use crate::enrich::Enricher;
use crate::incident::{Weights, rest_before};
use crate::metrics::Metrics;
use crate::opensearch::{OpenSearch, QueryError};

/// A correlator without a lease and without a clock of its own, which removes nothing.
pub struct Stepwise {
    rounds: Rounds,
    client: OpenSearch,
    last: Option<OffsetDateTime>,
}

impl Stepwise {
    /// Makes a correlator with the built-in weights, which has made no round yet.
    pub fn new(client: OpenSearch) -> Self {
        let rounds = Rounds::new(client.clone(), Arc::new(Metrics::new()), 0, Weights::built_in());
        Self { rounds, client, last: None }
    }

    /// Makes a round to its end, however often its time is over.
    pub async fn round(&mut self, now: OffsetDateTime, enricher: &Enricher) -> Result<(), QueryError> {
        loop {
            if let Ended::Complete { began } = self.rounds.make(self.last, now, enricher).await? {
                self.last = Some(began);
                return Ok(());
            }
        }
    }

    /// Does what the rounds before this time have done that found nothing new.
    pub async fn rest(&self, now: OffsetDateTime) -> Result<(), QueryError> {
        let mut round = self.rounds.begin(self.last, now);
        let asking = Asking::new(self.client.clone());
        while self.rounds.rest_as(&asking, &mut round, now, rest_before).await? > 0 {
            // What was written is read again.
            round.standing = None;
        }
        Ok(())
    }
}
