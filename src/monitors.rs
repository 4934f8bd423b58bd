//! Builds the monitors, which page responders, from the files in `dashboards/monitors/`.
//!
//! A file is the body that OpenSearch's alerting plugin takes, with placeholders for thresholds and without actions.
//! This module fills in the thresholds and adds an action for each channel. The daemon has already decided what a
//! record means, so monitors query its decision and never judge parameters themselves.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::config::{Channel, MonitorsConfig, Severity};
use crate::names::Names;
pub use error::MonitorsError;
use message::{About, Message};
use thresholds::Thresholds;

mod error;
mod message;
mod retired;
pub mod thresholds;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/dashboards/monitors");

/// A monitor as the alerting plugin takes it.
#[derive(Debug, Clone)]
pub struct Monitor {
    pub id: String,
    /// The version of its content; a higher one replaces what is installed.
    pub version: u64,
    pub severity: Severity,
    pub description: String,
    pub body: Value,
}

/// Every monitor that the configuration wants, with an action for each channel that takes its severity.
pub fn built_in(
    names: &Names,
    config: &MonitorsConfig,
    channels: &BTreeMap<String, Channel>,
    dashboards: Option<&Url>,
) -> Result<Vec<Monitor>, MonitorsError> {
    let thresholds = Thresholds::of(&config.thresholds)?;
    let files: Vec<MonitorFile> = files(names);
    if let Some(unknown) = config.disabled.iter().find(|id| !files.iter().any(|file| file.id == **id)) {
        if let Some(went) = retired::monitor(unknown) {
            return Err(MonitorsError::RetiredMonitor { id: unknown.clone(), went });
        }
        let known = files.into_iter().map(|file| file.id).collect();
        return Err(MonitorsError::UnknownMonitor { id: unknown.clone(), known });
    }
    let wanted = files.into_iter().filter(|file| !config.disabled.contains(&file.id));
    Ok(wanted.map(|file| file.monitor(names, &thresholds, channels, dashboards)).collect())
}

/// One file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MonitorFile {
    id: String,
    version: u64,
    severity: Severity,
    name: String,
    description: String,
    #[serde(default)]
    about: About,
    /// After how many minutes an alert that goes on pages again, until somebody acknowledges it; never without a value.
    #[serde(default)]
    repeat: Value,
    monitor: Value,
    /// Lines of mustache about each new alert.
    message: Vec<String>,
    /// Lines about each document that the plugin brings as a sample. It brings none for a search that has aggregations
    /// of its own.
    #[serde(default)]
    document: Vec<String>,
    /// Lines about each alert that goes on. The plugin brings no document of it.
    #[serde(default)]
    again: Vec<String>,
    /// A line above, and lines about, each document that the search itself brings, once below those.
    #[serde(default)]
    open: Vec<String>,
    /// What to do, below each message.
    containment: Vec<String>,
    link: Link,
}

/// A dashboard that shows what the message is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    dashboard: String,
    /// What it is filtered by, in the Dashboards Query Language, with mustache.
    query: String,
    /// Where the time range begins, as mustache; the last day without a value.
    #[serde(default)]
    since: Option<String>,
    /// What it is filtered by for an alert that goes on, of which nothing is known but its key.
    #[serde(default)]
    again: Option<String>,
}

fn files(names: &Names) -> Vec<MonitorFile> {
    let mut files: Vec<MonitorFile> = FILES
        .files()
        .map(|file| {
            let text = names.in_text(file.contents_utf8().expect("the files are UTF-8"));
            serde_json::from_str(&text).expect("tests hold each monitor's file against its shape")
        })
        .collect();
    files.sort_by(|left, right| left.id.cmp(&right.id));
    files
}

impl MonitorFile {
    fn monitor(
        self,
        names: &Names,
        thresholds: &Thresholds,
        channels: &BTreeMap<String, Channel>,
        dashboards: Option<&Url>,
    ) -> Monitor {
        let mut body = self.monitor;
        thresholds.fill(&mut body);
        let mut repeat = self.repeat;
        thresholds.fill(&mut repeat);
        let filled = |lines: &[String]| lines.iter().map(|line| thresholds.fill_text(line)).collect();
        let link = |query: &str, since: Option<&str>| {
            dashboards.map(|url| message::link(names, url, &self.link.dashboard, query, since))
        };
        let message = Message {
            title: &self.name,
            severity: self.severity,
            about: self.about,
            lines: filled(&self.message),
            document: &self.document,
            again: filled(&self.again),
            open: &self.open,
            containment: &self.containment,
            link: link(&self.link.query, self.link.since.as_deref()),
            link_again: match &self.link.again {
                Some(query) => link(query, Some("now-30d")),
                None => link(&self.link.query, self.link.since.as_deref()),
            },
        };
        let actions: Vec<Value> = channels
            .iter()
            .filter(|(_, channel)| channel.takes(self.severity) && channel.target.is_paged_by_monitors())
            .flat_map(|(name, channel)| actions(names, name, channel, &message, &repeat))
            .collect();
        let trigger = &mut body["triggers"][0]["bucket_level_trigger"];
        // If the plugin chose new ids, an update would close the open alerts and raise them again.
        trigger["id"] = json!(self.id);
        trigger["name"] = json!(self.name);
        // The plugin counts from 1, the most urgent, to 5.
        trigger["severity"] = json!((self.severity as u8 + 1).to_string());
        trigger["actions"] = json!(actions);
        body["name"] = json!(names.title(&self.name));
        body["ui_metadata"] =
            json!({"sagetrail": {"id": self.id, "version": self.version, "description": self.description}});
        Monitor {
            id: self.id,
            version: self.version,
            severity: self.severity,
            description: self.description,
            body,
        }
    }
}

/// A page for each new alert, again after a while for one that nobody has acknowledged, and its end where the receiver
/// can use that.
///
/// The plugin counts the time of a throttle from the last try of an action, also from one that failed. So a page that
/// was lost comes again with the next one. A run finds that a try of the run a throttle ago is a moment too young, so
/// the throttle is a minute shorter than the time between two pages.
fn actions(
    names: &Names,
    name: &str,
    channel: &Channel,
    message: &Message<'_>,
    repeat: &Value,
) -> Vec<Value> {
    let action = |id: &str, does: &str, template: Value, alerts: &[&str]| {
        json!({
            "id": format!("{id}-{name}"),
            "name": format!("{does} {name}"),
            "destination_id": names.channel(name),
            "subject_template": {"source": message.subject(names, &channel.target), "lang": "mustache"},
            "message_template": template,
            "throttle_enabled": false,
            "action_execution_policy": {"action_execution_scope": {"per_alert": {"actionable_alerts": alerts}}},
        })
    };
    let page = message.template(&channel.target);
    let mut actions = vec![if repeat.is_null() {
        action("page", "page", page, &["NEW"])
    } else {
        let mut action = action("page", "page", page, &["NEW", "DEDUPED"]);
        action["throttle_enabled"] = json!(true);
        let between = repeat.as_u64().expect("a threshold of minutes is a number");
        action["throttle"] = json!({"value": between.saturating_sub(1).max(1), "unit": "MINUTES"});
        action
    }];
    if let Some(end) = message.end(&channel.target) {
        actions.push(action("resolve", "resolve at", end, &["COMPLETED"]));
    }
    actions
}

#[cfg(test)]
mod tests;
