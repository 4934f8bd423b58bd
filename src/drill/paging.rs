//! Looks whether the alerting plugin has paged of the drill's incident: its monitor has raised the alert, and has run
//! the action for each channel.
//!
//! What a channel answered the plugin does not keep: an alert whose page was lost looks like one whose page came. So
//! the link from the monitor to a channel is told as one that is not checked.

use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::broken;
use super::text::text;
use super::watch::{Found, QUERY, Told, Watch};
use crate::config::Severity;
use crate::monitors;
use crate::opensearch::{Method, QueryError};
use crate::timestamp;

const MONITOR: &str = "monitor-paging-critical";
const API: &str = "_plugins/_alerting/monitors";
/// Rights that a look needs, in the order of its questions.
const MAY_SEARCH: &str = "cluster:admin/opendistro/alerting/monitor/search";
const MAY_READ_CHANNELS: &str = "cluster:admin/opensearch/notifications/configs/get";
const MAY_READ_ALERTS: &str = "cluster:admin/opendistro/alerting/alerts/get";

/// A channel, and the monitor's action that pages it.
struct Action {
    channel: String,
    id: String,
}

impl Watch<'_> {
    /// Whether critical incidents page through monitors.
    pub(super) fn is_paged_by_monitors(&self) -> bool {
        self.paged_by_monitors().next().is_some()
    }

    fn paged_by_monitors(&self) -> impl Iterator<Item = &str> {
        let channels = self.config.channels.iter();
        let paged =
            channels.filter(|(_, it)| it.target.is_paged_by_monitors() && it.takes(Severity::Critical));
        paged.map(|(name, _)| name.as_str())
    }

    /// Whether the monitor has raised the alert of the incident and ran its action for each channel.
    pub(super) async fn paged(&self, incident: &str) -> Result<Found<Told>, QueryError> {
        let names = self.client.names();
        let monitor = names.named(MONITOR);
        let title = match monitors::built_in(names, &self.config.monitors, &self.config.channels, None) {
            Ok(wanted) => wanted.into_iter().find(|it| it.id == monitor).map(|it| it.body["name"].clone()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let Some(title) = title else {
            return Ok(Err(format!(
                "{monitor} stands in monitors.disabled: no monitor pages of critical incidents"
            )));
        };
        // The plugin chooses the ids of monitors.
        let question = json!({"size": 1, "query": {"term": {"monitor.name.keyword": title}}});
        let found = match self.ask(Method::POST, &format!("{API}/_search"), Some(&question)).await? {
            Ok(found) => found,
            Err(status) => return Ok(Err(broken::of_plugin(status, MAY_SEARCH))),
        };
        let hit = &found["hits"]["hits"][0];
        let Some(id) = text(hit, "/_id") else { return Ok(Err(broken::of_plugin(404, MAY_SEARCH))) };
        let channels = self.paged_by_monitors().map(|name| (name.to_owned(), names.channel(name)));
        let actions = match actions(&hit["_source"], &monitor, channels) {
            Ok(actions) => actions,
            Err(problem) => return Ok(Err(problem)),
        };
        for action in &actions {
            let path = format!("_plugins/_notifications/configs/{}", names.channel(&action.channel));
            let answer = self.ask(Method::GET, &path, None).await?;
            if let Some(problem) = broken::of_channel(&action.channel, &answer, MAY_READ_CHANNELS) {
                return Ok(Err(problem));
            }
        }
        let path = format!("{API}/alerts?monitorId={id}&size=100&sortString=start_time&sortOrder=desc");
        Ok(match self.ask(Method::GET, &path, None).await? {
            Ok(answer) => read_alert(&answer, incident, &monitor, &actions),
            Err(status) => Err(broken::of_plugin(status, MAY_READ_ALERTS)),
        })
    }

    /// What a plugin answers, or the status of its refusal.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        question: Option<&Value>,
    ) -> Result<Result<Value, u16>, QueryError> {
        let body = question.map(|question| Bytes::from(question.to_string()));
        let answer = self.client.request(method, path, body).await?;
        if answer.status != 200 {
            return Ok(Err(answer.status));
        }
        serde_json::from_slice(&answer.body).map(Ok).map_err(|error| QUERY.unexpected(error))
    }
}

/// The actions of a monitor that runs, one for each channel.
fn actions(
    source: &Value,
    monitor: &str,
    channels: impl Iterator<Item = (String, String)>,
) -> Result<Vec<Action>, String> {
    let body = if source["monitor"].is_object() { &source["monitor"] } else { source };
    if body["enabled"] == false {
        return Err(format!(
            "{monitor} is switched off in OpenSearch: switch it on, or run `sagetrail setup --force`"
        ));
    }
    let there = body.pointer("/triggers/0/bucket_level_trigger/actions").and_then(Value::as_array);
    let mut actions = Vec::new();
    for (channel, destination) in channels {
        let of_channel = |action: &&Value| action["destination_id"] == destination.as_str();
        let action = there.into_iter().flatten().find(of_channel);
        let Some(id) = action.and_then(|action| text(action, "/id")) else {
            return Err(format!("{monitor} does not page channels.{channel}: run `sagetrail setup`"));
        };
        actions.push(Action { channel, id: id.to_owned() });
    }
    Ok(actions)
}

/// Pages have the id of their incident and their number as the key of their alert.
fn read_alert(answer: &Value, incident: &str, monitor: &str, actions: &[Action]) -> Found<Told> {
    let is_of = |alert: &&Value| {
        let keys = alert.pointer("/agg_alert_content/bucket_keys").and_then(Value::as_array);
        let mut keys = keys.into_iter().flatten().filter_map(Value::as_str).flat_map(|keys| keys.split(','));
        keys.any(|key| key.split('/').next() == Some(incident))
    };
    let alerts = answer["alerts"].as_array();
    let Some(alert) = alerts.into_iter().flatten().find(is_of) else {
        return Err(format!("{monitor} has raised no alert of the incident"));
    };
    if alert["state"] == "ERROR" {
        let error = text(alert, "/error_message").unwrap_or("the plugin does not say why");
        return Err(format!("{monitor} fails: {error}"));
    }
    let raised = at(&alert["start_time"]);
    let mut told =
        Told { said: vec![format!("{monitor} raised its alert at {raised}")], not_checked: Vec::new() };
    for Action { channel, id } in actions {
        let results = alert["action_execution_results"].as_array();
        // One that was throttled has no time.
        let ran =
            |result: &&Value| result["action_id"] == id.as_str() && result["last_execution_time"].is_i64();
        let Some(result) = results.into_iter().flatten().find(ran) else {
            return Err(format!(
                "{monitor} raised its alert at {raised} and has sent nothing to channels.{channel}"
            ));
        };
        told.said.push(format!("sent it to channels.{channel} at {}", at(&result["last_execution_time"])));
        told.not_checked.push(format!(
            "{monitor} → channels.{channel}: the alerting plugin keeps no answer of a channel. Whoever it pages can say whether the page came"
        ));
    }
    Ok(told)
}

/// A time in milliseconds, as people read it.
fn at(millis: &Value) -> String {
    let seconds = millis.as_i64().map(|millis| millis / 1_000);
    let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.map_or_else(|| "a time that is not known".to_owned(), timestamp::format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_alert_of_this_incident_that_was_sent_to_each_channel_is_told_and_no_channel_is_claimed() {
        let alert = |keys: &str, state: &str, ran: &[&str]| {
            json!({"state": state, "error_message": "no such index", "start_time": 1_795_942_812_000_i64,
            "agg_alert_content": {"bucket_keys": [keys]},
            "action_execution_results": ran.iter().map(|id| json!({"action_id": id, "last_execution_time": 1_795_942_813_000_i64})).collect::<Vec<_>>()})
        };
        let all = &["page-hook", "page-soc"];
        let cases = [
            (vec![], Err("m has raised no alert")),
            (vec![alert("ffff/1", "ACTIVE", all)], Err("m has raised no alert")),
            (vec![alert("0a1b/1", "ACTIVE", &["page-hook"])], Err("has sent nothing to channels.soc")),
            (vec![alert("0a1b/1", "ERROR", all)], Err("m fails: no such index")),
            (vec![alert("0a1b/1", "ACTIVE", all)], Ok(())),
            (vec![alert("ffff/1", "ACTIVE", &[]), alert("0a1b/1", "ACKNOWLEDGED", all)], Ok(())),
        ];
        let actions = ["hook", "soc"].map(|it| Action { channel: it.to_owned(), id: format!("page-{it}") });
        for (alerts, expected) in cases {
            match (read_alert(&json!({"alerts": alerts}), "0a1b", "m", &actions), expected) {
                (Ok(told), Ok(())) => {
                    let said = told.said.join(", ");
                    assert!(said.starts_with("m raised its alert at 2026-11-29T09:00:12"), "{said}");
                    assert!(said.contains("sent it to channels.soc at 2026-11-29T09:00:13"), "{said}");
                    assert_eq!(told.not_checked.len(), 2);
                    assert!(told.not_checked[0].starts_with("m → channels.hook: "), "{:?}", told.not_checked);
                }
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
                (Ok(_), expected) => panic!("told in place of {expected:?}"),
                (Err(said), Ok(())) => panic!("{said}"),
            }
        }
    }

    #[test]
    fn a_monitor_that_is_switched_off_or_has_no_action_for_a_channel_is_named() {
        let monitor = |enabled: bool, channel: &str| {
            json!({"enabled": enabled, "triggers": [{"bucket_level_trigger": {"actions": [
            {"id": "page-soc", "destination_id": channel}]}}]})
        };
        let cases = [
            (monitor(false, "channel-soc"), Some("m is switched off")),
            (monitor(true, "channel-other"), Some("m does not page channels.soc")),
            (monitor(true, "channel-soc"), None),
            (json!({"monitor": monitor(true, "channel-soc")}), None),
        ];
        for (body, expected) in cases {
            let channels = [("soc".to_owned(), "channel-soc".to_owned())].into_iter();
            match (actions(&body, "m", channels), expected) {
                (Ok(actions), None) => assert_eq!(actions[0].id, "page-soc"),
                (Err(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
                (_, expected) => panic!("{body} in place of {expected:?}"),
            }
        }
    }
}
