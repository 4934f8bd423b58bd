//! Joins the findings of records to incidents.
//!
//! It keeps nothing that is not in OpenSearch: each round asks the indices what has come, what it means together is
//! decided by pure code, and what is written has a deterministic id. So it can stop at any moment, another can go on,
//! and a round that runs twice changes nothing. Of all correlators on one cluster, one holds the lease and the others
//! stand by.

mod asking;
mod bounds;
mod changed;
mod correlating;
mod handing;
mod health;
mod judging;
mod lease;
mod matters;
mod points;
mod resting;
mod rhythm;
mod round;
mod standing;
mod stepwise;
mod tally;
mod summing;
mod tied;
mod usual;
mod weak;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use self::lease::{Lease, Step, Version, Watch};
use self::round::{Ended, Rounds};
pub use self::stepwise::Stepwise;
use crate::alertmanager::{AlertmanagerError, Alertmanagers};
use crate::config::{Config, HealthConfig};
use crate::enrich::Enricher;
use crate::incident::{Asset, Weights};
use crate::labels::RoundOutcome;
use crate::metrics::Metrics;
use crate::opensearch::{OpenSearch, QueryError};

/// From the end of a round that its time was too short for to the next, which goes on with it.
const BREATH: Duration = Duration::from_secs(1);
/// How long whoever stands by waits longer when OpenSearch does not answer, or refuses.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);
/// How long giving the lease back may take: others take it after a while anyway.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// One correlator of a process.
pub struct Correlator {
    client: OpenSearch,
    metrics: Arc<Metrics>,
    /// The rules in use.
    current: watch::Receiver<Arc<Enricher>>,
    /// Days that incidents are kept; zero keeps them for ever.
    days: u32,
    /// From the beginning of one round to that of the next.
    period: Duration,
    alertmanagers: Alertmanagers,
    health: HealthConfig,
    assets: Vec<Asset>,
    name: String,
    clock: Clock,
}

impl Correlator {
    /// Fails when a file that a channel of an Alertmanager names cannot be used. Nothing is sent yet.
    pub fn new(
        client: OpenSearch,
        config: &Config,
        current: watch::Receiver<Arc<Enricher>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AlertmanagerError> {
        let (days, period) = (config.retention.incidents_days, config.correlate.period);
        let alertmanagers = Alertmanagers::new(config, Arc::clone(&metrics))?;
        let (health, assets) = (config.health.clone(), config.incidents.assets.clone());
        let (name, clock) = (lease::name_of_this_process(), Arc::new(OffsetDateTime::now_utc));
        Ok(Self { client, metrics, current, days, period, alertmanagers, health, assets, name, clock })
    }

    /// Lets it go by another clock than that of the machine.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Correlates whenever it holds the lease, and gives that back when it is told to stop. A panic at what it read
    /// ends neither the process nor its work: it begins anew.
    pub async fn run(self, stop: CancellationToken) {
        let correlator = Arc::new(self);
        loop {
            let working = tokio::spawn(Arc::clone(&correlator).work(stop.clone()));
            if AbortOnDropHandle::new(working).await.is_ok() {
                return;
            }
            correlator.metrics.correlator_rounds.count(RoundOutcome::Failed);
            error!(
                "the correlator panicked and begins anew; records are shipped all the same, but incidents may be missing until this is mended: report it with the place that the line before names"
            );
            if stop.run_until_cancelled(sleep(correlator.period)).await.is_none() {
                return;
            }
        }
    }

    async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut trouble = Trouble::default();
        while let Some((lease, version)) = stop.run_until_cancelled(self.stand_by(&mut trouble)).await {
            Box::pin(self.lead(lease, version, &stop, &mut trouble)).await;
        }
    }

    /// Waits until it holds the lease.
    async fn stand_by(&self, trouble: &mut Trouble) -> (Lease, Version) {
        let mut watch = Watch::default();
        loop {
            match self.look(&mut watch).await {
                Ok(Some(taken)) => {
                    trouble.is_over();
                    return taken;
                }
                Ok(None) => trouble.is_over(),
                Err(error) => {
                    trouble.tell(&error);
                    sleep(AFTER_TROUBLE).await;
                }
            }
            sleep(lease::LOOK).await;
        }
    }

    async fn look(&self, watch: &mut Watch) -> Result<Option<(Lease, Version)>, QueryError> {
        let found = lease::read(&self.client).await?;
        let Step::Take(lease, before) = watch.look(found, &self.name, Instant::now()) else {
            return Ok(None);
        };
        let version = lease::write(&self.client, &lease, before, (self.clock)()).await?;
        Ok(version.map(|version| (lease, version)))
    }

    /// Makes rounds until the lease is lost, or gives it back.
    async fn lead(
        &self,
        mut lease: Lease,
        version: Version,
        stop: &CancellationToken,
        trouble: &mut Trouble,
    ) {
        info!(term = lease.term, holder = lease.holder, "this process correlates from now on");
        self.metrics.correlator_leads.set(1);
        let (done, last_round) = watch::channel(lease.round);
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                lease.round = *last_round.borrow();
                let giving = lease::give_back(&self.client, &lease, (self.clock)());
                match timeout(GIVING_BACK, giving).await {
                    Ok(Ok(())) => info!(term = lease.term, "this process gave the lease of the correlator back"),
                    _ => info!(term = lease.term, "the lease of the correlator could not be given back; another process takes it within half a minute"),
                }
            }
            why = self.keep(&lease, version, &last_round) => {
                warn!(term = lease.term, why, "this process correlates no longer");
            }
            () = self.rounds(&done, trouble) => {}
            () = self.hand_over(last_round.clone()) => {}
            () = self.watch_health() => {}
        }
        self.metrics.correlator_leads.set(0);
        self.metrics.correlator_behind_seconds.set(0);
        self.hand_over_no_more();
        self.watch_health_no_more();
    }

    /// Renews the lease for as long as that works, and says why it does not.
    async fn keep(
        &self,
        lease: &Lease,
        mut version: Version,
        last_round: &watch::Receiver<Option<OffsetDateTime>>,
    ) -> &'static str {
        let mut kept = Instant::now();
        let mut ticks = interval(lease::RENEWAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let round = *last_round.borrow();
            let now = (self.clock)();
            let behind = round.map_or(0, |round| (now - round).whole_seconds().max(0));
            self.metrics.correlator_behind_seconds.set(behind);
            let renewed = Lease { round, ..lease.clone() };
            match timeout(lease::RENEWAL, lease::renew(&self.client, &renewed, version, now)).await {
                Ok(Ok(Some(renewed))) => (version, kept) = (renewed, Instant::now()),
                Ok(Ok(None)) => return "another process has taken the lease",
                Ok(Err(_)) | Err(_) if kept.elapsed() >= lease::STEP_DOWN => {
                    return "the lease could not be renewed in time";
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Makes one round after the other, for as long as it is polled.
    async fn rounds(&self, done: &watch::Sender<Option<OffsetDateTime>>, trouble: &mut Trouble) {
        let mut rounds = Rounds::new(
            self.client.clone(),
            Arc::clone(&self.metrics),
            self.days,
            Weights::with_assets(&self.assets),
        );
        loop {
            let began = Instant::now();
            let enricher = Arc::clone(&self.current.borrow());
            let since = *done.borrow();
            let ended = rounds.make(since, (self.clock)(), &enricher).await;
            self.metrics.correlator_round_seconds.observe(began.elapsed().as_secs_f64());
            let pause = self.period.saturating_sub(began.elapsed());
            match ended {
                Ok(Ended::Complete { began }) => {
                    self.metrics.correlator_rounds.count(RoundOutcome::Complete);
                    done.send_replace(Some(began));
                    trouble.is_over();
                    sleep(pause).await;
                }
                Ok(Ended::Unfinished { at }) => {
                    self.metrics.correlator_rounds.count(RoundOutcome::Unfinished);
                    info!(
                        at,
                        "a round of the correlator took its time and is not finished; the next goes on from there"
                    );
                    sleep(BREATH).await;
                }
                Err(error) => {
                    self.metrics.correlator_rounds.count(RoundOutcome::Failed);
                    trouble.tell(&error);
                    sleep(pause.max(BREATH)).await;
                }
            }
        }
    }
}

/// What the log says already of what is wrong.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<String>,
}

impl Trouble {
    /// Tells of what lasts once, and again when it is something else.
    fn tell(&mut self, error: &QueryError) {
        let problem = error.to_string();
        if self.told.as_ref() != Some(&problem) {
            warn!(problem, "the correlator cannot work; it is tried again, and nothing is lost meanwhile");
            self.told = Some(problem);
        }
    }

    fn is_over(&mut self) {
        if self.told.take().is_some() {
            info!("the correlator works again");
        }
    }
}

#[cfg(test)]
mod tests;
