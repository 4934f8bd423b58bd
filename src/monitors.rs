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
use message::Message;
pub use message::sampled_fields;
use thresholds::Thresholds;

mod error;
mod message;
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
    monitor: Value,
    /// Lines of mustache about each alert.
    message: Vec<String>,
    /// Lines about each document that the plugin brings as a sample. It brings none for a search that has aggregations
    /// of its own.
    #[serde(default)]
    document: Vec<String>,
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
        let message = Message {
            title: &self.name,
            severity: self.severity,
            lines: self.message.iter().map(|line| thresholds.fill_text(line)).collect(),
            document: &self.document,
            containment: &self.containment,
            link: dashboards.map(|url| message::link(names, url, &self.link.dashboard, &self.link.query)),
        };
        let actions: Vec<Value> = channels
            .iter()
            .filter(|(_, channel)| channel.takes(self.severity))
            .map(|(name, channel)| action(names, name, channel, &message))
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

/// One page for each new alert; one that goes on does not page again. A throttle would do nothing beside this.
fn action(names: &Names, name: &str, channel: &Channel, message: &Message<'_>) -> Value {
    json!({
        "id": format!("page-{name}"),
        "name": format!("page {name}"),
        "destination_id": names.channel(name),
        "subject_template": {"source": names.title(message.title), "lang": "mustache"},
        "message_template": message.template(&channel.target),
        "throttle_enabled": false,
        "action_execution_policy": {"action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW"]}}},
    })
}

#[cfg(test)]
mod tests;
