//! Puts a marked, harmless story through the whole pipeline, and tells how long each link took, or which one is broken.
//!
//! Nothing is called in AWS but what puts one file into the trail's bucket. Its records carry a mark by which every
//! other part tells them apart; its incident is one of its own, and is closed at the end, however the drill went.

mod broken;
mod cause;
mod paging;
mod past;
mod plan;
mod report;
mod story;
mod text;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::alertmanager::{AlertmanagerError, Alertmanagers};
use crate::aws;
use crate::config::{Config, ConfigError};
use crate::enrich::redact::{FingerprintKey, KeyError};
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearchError, QueryError};
pub use past::{Last, last};
pub use plan::{Chosen, Plan, place};
pub use report::{Report, Step};
use story::Story;
use watch::{Found, Watch};

/// How often a step is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Why a drill could not begin. What breaks later is in its report.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerError),
    #[error(transparent)]
    Request(#[from] OpenSearchError),
}

/// Makes a drill, and closes its incident. A stop ends the waiting, and the incident is closed all the same.
pub async fn run(config: &Config, plan: &Plan, stop: &CancellationToken) -> Result<Report, DrillError> {
    let key = FingerprintKey::load(&config.redaction)?;
    let aws = aws::load(config.source.queue_url.as_ref()).await;
    let client = opensearch::connect(config, Some(&aws)).await?;
    let alertmanagers = Alertmanagers::new(config, Arc::new(Metrics::new()))?;
    let now = OffsetDateTime::now_utc();
    let story = Story::tell(plan, &story::new_id(now), &key, now);
    let mut drill = Drill {
        report: Report::new(&story, plan, now),
        watch: Watch { client, config, plan, story: &story, alertmanagers: &alertmanagers },
        plan,
        began: Instant::now(),
        stop,
    };
    match past::close_forgotten(&drill.watch.client, now).await {
        Ok(closed) => {
            drill.report.notes.extend(closed.iter().map(|id| {
                format!("drill {id} was broken off and had left its incident open; it is closed now")
            }));
        }
        Err(error) => {
            drill.report.notes.push(format!("it is not known whether earlier drills are closed: {error}"));
        }
    }
    Box::pin(drill.go(&aws)).await;
    Ok(drill.report)
}

/// A drill on its way.
struct Drill<'d> {
    watch: Watch<'d>,
    plan: &'d Plan,
    report: Report,
    began: Instant,
    stop: &'d CancellationToken,
}

impl Drill<'_> {
    /// Goes from step to step until one is not done in time, and then to the last ones, which close the incident.
    async fn go(&mut self, aws: &aws_config::SdkConfig) {
        if Box::pin(self.steps(aws)).await.is_none() && self.stop.is_cancelled() {
            self.report.notes.push("it was stopped by a signal".to_owned());
        }
        self.close().await;
        self.report.end();
        // What it says of itself is what the doctor reads.
        if let Some(incident) = self.report.incident.clone()
            && let Err(error) = past::conclude(&self.watch.client, &incident, &self.report).await
        {
            self.report.notes.push(format!("the incident could not be told how the drill went: {error}"));
        }
    }

    /// None where a step was not done in time.
    async fn steps(&mut self, aws: &aws_config::SdkConfig) -> Option<()> {
        let step = Step::Uploaded;
        let upload = timeout(self.deadline(step), self.watch.upload(aws));
        match Box::pin(self.stop.run_until_cancelled(upload)).await? {
            Ok(Ok(())) => self.done(step, self.report.object.clone()),
            Ok(Err(problem)) => return self.failed(step, &problem),
            Err(_elapsed) => return self.failed(step, &broken::of_upload("no answer in time", self.plan)),
        }
        let read = self.wait(Step::Read, async |watch: &Watch<'_>| watch.read().await).await?;
        self.done(Step::Read, read);
        let stored = self.wait(Step::Stored, async |watch: &Watch<'_>| watch.stored().await).await?;
        match stored {
            Ok(said) => self.done(Step::Stored, said),
            Err(problem) => return self.failed(Step::Stored, &problem),
        }
        let incident = self.wait(Step::Opened, async |watch: &Watch<'_>| watch.incident().await).await?;
        self.report.incident = Some(incident.clone());
        self.done(Step::Opened, format!("incident {incident}"));
        if !self.watch.has_channels() {
            self.report.skip(Step::Told, "no channel takes critical incidents: nobody is paged");
            return Some(());
        }
        let told = self.wait(Step::Told, async |watch: &Watch<'_>| watch.told(&incident).await).await?;
        self.report.not_checked = told.not_checked;
        self.done(Step::Told, told.said.join(", "));
        Some(())
    }

    /// Closes the incident, and waits until channels have ended it.
    async fn close(&mut self) {
        if self.report.incident.is_none() && self.report.is_done(Step::Uploaded) {
            // It may have come after its time.
            self.report.incident = self.watch.incident().await.ok().and_then(Result::ok);
        }
        let Some(incident) = self.report.incident.clone() else { return };
        if let Err(error) = past::close(&self.watch.client, &incident, &self.report).await {
            self.failed::<()>(Step::Ended, &format!("the incident could not be closed: {error}. The correlator closes it an hour after it was opened"));
            return;
        }
        let step = Step::Ended;
        if !self.report.is_done(Step::Told) || self.stop.is_cancelled() {
            self.done(step, "closed; what channels have of it ends with their next round".to_owned());
            return;
        }
        let ended = self.wait(step, async |watch: &Watch<'_>| watch.ended(&incident).await).await;
        if let Some(said) = ended {
            self.done(step, said);
        }
    }

    /// Looks for a step until it is done. None where it was not in time, which the report says with the cause.
    async fn wait<T>(
        &mut self,
        step: Step,
        look: impl AsyncFn(&Watch<'_>) -> Result<Found<T>, QueryError>,
    ) -> Option<T> {
        let until = Instant::now() + self.deadline(step);
        loop {
            let seen = match look(&self.watch).await {
                Ok(Ok(found)) => return Some(found),
                Ok(Err(so_far)) => so_far,
                Err(error) => error.to_string(),
            };
            if self.stop.is_cancelled() {
                return self.failed(step, "stopped");
            }
            if Instant::now() >= until {
                let problem = cause::of(step, &self.watch, &seen).await;
                return self.failed(step, &problem);
            }
            let _ = self.stop.run_until_cancelled(sleep(LOOK)).await;
        }
    }

    fn deadline(&self, step: Step) -> Duration {
        self.plan.timeout.unwrap_or_else(|| step.deadline())
    }

    fn done(&mut self, step: Step, said: String) {
        self.report.done(step, self.began.elapsed(), said);
    }

    fn failed<T>(&mut self, step: Step, problem: &str) -> Option<T> {
        let within = self.deadline(step);
        self.report.failed(step, within, problem);
        None
    }
}
