//! Hands incidents to Alertmanagers, which group, silence, route and deliver them.
//!
//! It remembers nothing. At each round whoever correlates hands over all incidents that are open or were closed lately.
//! An Alertmanager knows an alert by its labels, so a repetition only refreshes it, and what one did not take is handed
//! over again by the next round, also by another process.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use url::Url;

use crate::config::{Channel, Config, Target};
use crate::metrics::{Metrics, whole};
use crate::names::Names;
use alert::{Alert, Context};
use server::Server;

mod alert;
mod error;
mod server;

pub use alert::{FIELDS, HELD_FOR};
pub use error::AlertmanagerError;

/// Every Alertmanager of the configuration.
pub struct Alertmanagers {
    all: Vec<Alertmanager>,
    names: Names,
    dashboards: Option<Url>,
    metrics: Arc<Metrics>,
}

struct Alertmanager {
    channel: Channel,
    server: Arc<Server>,
}

/// What one Alertmanager was handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    pub channel: String,
    /// Alerts that it took.
    pub taken: usize,
    /// Alerts that it did not take, and incidents that no alert can be made of.
    pub waiting: usize,
    /// The last reason why it did not take some.
    pub problem: Option<AlertmanagerError>,
}

impl Alertmanagers {
    /// Makes the clients; nothing is sent yet.
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Result<Self, AlertmanagerError> {
        let mut all = Vec::new();
        for (name, channel) in &config.channels {
            let Target::Alertmanager(settings) = &channel.target else { continue };
            let server = Server::new(name, settings)?;
            all.push(Alertmanager { channel: channel.clone(), server: Arc::new(server) });
            metrics.alertmanager_waiting.with_label_values(&[name]).set(0);
            metrics.alertmanager_failing_since.with_label_values(&[name]).set(0);
        }
        Ok(Self {
            all,
            names: Names::new(&config.sink.index_prefix),
            dashboards: config.dashboards.link_url().cloned(),
            metrics,
        })
    }

    /// Whether there is none, so that nobody needs to look incidents up for it.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Hands over these documents of incidents: all that are not closed, and those that were closed within `HELD_FOR`.
    /// Each Alertmanager has a few seconds, beside the others.
    pub async fn hand_over(&self, incidents: &[impl Serialize], now: OffsetDateTime) -> Vec<HandedOver> {
        // What is no JSON is no incident either, and is told as one that no alert can be made of.
        let incidents: Vec<Value> =
            incidents.iter().map(|incident| serde_json::to_value(incident).unwrap_or_default()).collect();
        let mut handing = JoinSet::new();
        for to in &self.all {
            let (alerts, unfit) = self.alerts(to, &incidents, now);
            let server = Arc::clone(&to.server);
            handing.spawn(async move { handed_to(&server, &alerts, unfit).await });
        }
        let mut handed = handing.join_all().await;
        handed.sort_by(|left, right| left.channel.cmp(&right.channel));
        for outcome in &handed {
            let name = [outcome.channel.as_str()];
            self.metrics.alertmanager_waiting.with_label_values(&name).set(whole(outcome.waiting));
            let since = self.metrics.alertmanager_failing_since.with_label_values(&name);
            if outcome.waiting == 0 {
                since.set(0);
            } else if since.get() == 0 {
                since.set(now.unix_timestamp());
            }
        }
        handed
    }

    /// Forgets what was not handed over, because another process goes on with it.
    pub fn stand_by(&self) {
        for it in &self.all {
            self.metrics.alertmanager_waiting.with_label_values(&[it.server.name()]).set(0);
            self.metrics.alertmanager_failing_since.with_label_values(&[it.server.name()]).set(0);
        }
    }

    /// The ids of the incidents that each Alertmanager holds, silenced ones among them.
    pub async fn held(&self) -> Vec<(&str, Result<Vec<String>, AlertmanagerError>)> {
        let mut held = Vec::new();
        for it in &self.all {
            held.push((it.server.name(), it.server.held().await));
        }
        held
    }

    /// The alerts for one Alertmanager, and the number of incidents that none can be made of.
    fn alerts(&self, to: &Alertmanager, incidents: &[Value], now: OffsetDateTime) -> (Vec<Alert>, usize) {
        let context =
            Context { names: &self.names, dashboards: self.dashboards.as_ref(), channel: &to.channel, now };
        let made: Vec<Option<Vec<Alert>>> =
            incidents.iter().map(|incident| context.alerts(incident)).collect();
        let unfit = made.iter().filter(|alerts| alerts.is_none()).count();
        (made.into_iter().flatten().flatten().collect(), unfit)
    }
}

async fn handed_to(server: &Server, alerts: &[Alert], unfit: usize) -> HandedOver {
    let unfit_problem = || server.error("an incident lacks its id, severity, state or times");
    let mut outcome = HandedOver {
        channel: server.name().to_owned(),
        taken: 0,
        waiting: unfit,
        problem: (unfit > 0).then(unfit_problem),
    };
    // Certificates and passwords are exchanged without a word, and reading some kilobytes costs nothing.
    server.renew().await;
    for some in alerts.chunks(server::ALERTS_AT_ONCE) {
        if let Err(error) = server.post(some).await {
            outcome.waiting += alerts.len() - outcome.taken;
            outcome.problem = Some(error);
            break;
        }
        outcome.taken += some.len();
    }
    outcome
}
