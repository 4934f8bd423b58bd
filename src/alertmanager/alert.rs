//! Makes alerts of Alertmanager out of an incident (pure).

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use crate::config::{Channel, Severity};
use crate::names::Names;
use crate::timestamp;

/// How long an Alertmanager goes on with an alert that nobody refreshes: longer than it takes to mend a correlator, and
/// short enough that what was closed meanwhile ends by itself. An incident is handed over as closed for as long.
pub const HELD_FOR: Duration = Duration::from_hours(1);

/// The fields of an incident that alerts are made of.
pub const FIELDS: [&str; 19] = [
    "message",
    "event.start",
    "event.end",
    "incident.id",
    "incident.kind",
    "incident.rule",
    "incident.drill.id",
    "incident.severity",
    "incident.state",
    "incident.opened",
    "incident.escalated",
    "incident.closed",
    "incident.signals",
    "incident.outcome",
    "incident.reason",
    "incident.worst",
    "incident.next",
    "incident.account",
    "incident.region",
];

/// An alert as `POST /api/v2/alerts` takes it. The labels are its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// What alerts are made with beside the incident.
pub(super) struct Context<'c> {
    pub(super) names: &'c Names,
    pub(super) dashboards: Option<&'c Url>,
    pub(super) channel: &'c Channel,
    pub(super) now: OffsetDateTime,
}

impl Context<'_> {
    /// The alerts of an incident's document; none for one that is not of such a form. An incident that became critical
    /// ends its alert of before, whose labels name another severity, and so pages at once.
    pub(super) fn alerts(&self, incident: &Value) -> Option<Vec<Alert>> {
        let own = &incident["incident"];
        let severity = severity(own["severity"].as_str()?)?;
        let opened = time(&own["opened"]).or_else(|| time(&incident["event"]["start"]))?;
        let escalated = time(&own["escalated"]).filter(|_| severity == Severity::Critical);
        let closed = match own["state"].as_str()? {
            "closed" => Some(time(&own["closed"]).unwrap_or(self.now)),
            _ => None,
        };
        let spans = [
            escalated.map(|at| (Severity::High, opened, Some(at))),
            Some((severity, escalated.unwrap_or(opened), closed)),
        ];
        let mut alerts = Vec::new();
        for (severity, from, ended) in spans.into_iter().flatten() {
            // What ended so long ago has ended there as well.
            let is_over = ended.is_some_and(|ended| ended + HELD_FOR < self.now);
            if !is_over && self.channel.takes(severity) {
                let until = ended.unwrap_or(self.now + HELD_FOR).max(from);
                alerts.push(self.alert(incident, severity, from, until, closed)?);
            }
        }
        Some(alerts)
    }

    fn alert(
        &self,
        incident: &Value,
        severity: Severity,
        from: OffsetDateTime,
        until: OffsetDateTime,
        closed: Option<OffsetDateTime>,
    ) -> Option<Alert> {
        let own = &incident["incident"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = if own["kind"] == "health" { "SagetrailHealth" } else { "SagetrailIncident" };
        let labels = [
            ("alertname", name.to_owned()),
            ("severity", <&str>::from(severity).to_owned()),
            ("incident", own["id"].as_str()?.to_owned()),
            ("rule", text(&own["rule"])),
            // So that a site can route drills elsewhere.
            ("drill", text(&own["drill"]["id"])),
            ("account", text(&own["account"])),
            ("region", text(&own["region"])),
        ];
        let link = self.link(incident, closed);
        let annotations = [
            ("summary", text(&incident["message"])),
            ("description", description(incident)),
            ("findings", listed(&own["worst"])),
            ("next_steps", listed(&own["next"])),
            ("link", link.clone().unwrap_or_default()),
        ];
        let filled = |(_, value): &(&str, String)| !value.is_empty();
        Some(Alert {
            labels: labels.into_iter().filter(filled).collect(),
            annotations: annotations.into_iter().filter(filled).collect(),
            starts_at: timestamp::format(from),
            ends_at: timestamp::format(until),
            generator_url: link,
        })
    }

    /// The page of incidents, with this one alone. The range begins with the incident, and ends with it once it has.
    fn link(&self, incident: &Value, closed: Option<OffsetDateTime>) -> Option<String> {
        let base = self.dashboards?.as_str().trim_end_matches('/');
        let id = incident["incident"]["id"].as_str()?;
        let query = utf8_percent_encode(&format!("incident.id: \"{id}\""), NON_ALPHANUMERIC).to_string();
        let from = time(&incident["event"]["start"])
            .map_or_else(|| "now-30d".to_owned(), |from| format!("'{}'", timestamp::format(from)));
        let to = closed.map_or_else(|| "now".to_owned(), |to| format!("'{}'", timestamp::format(to)));
        let page = self.names.named("dashboard-incidents");
        Some(format!(
            "{base}/app/dashboards#/view/{page}?_g=(time:(from:{from},to:{to}))&_a=(query:(language:kuery,query:'{query}'))"
        ))
    }
}

/// Counts and times, and why it was opened. What is wrong with the pipeline is said in the sentence.
fn description(incident: &Value) -> String {
    let own = &incident["incident"];
    if own["kind"] == "health" {
        return own["reason"].as_str().unwrap_or_default().to_owned();
    }
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let when = |value: &Value| value.as_str().unwrap_or("an unknown time").to_owned();
    let counts = format!(
        "{} signals, of which {} succeeded and {} failed, from {} to {}.",
        number(&own["signals"]),
        number(&own["outcome"]["success"]),
        number(&own["outcome"]["failure"]),
        when(&incident["event"]["start"]),
        when(&incident["event"]["end"]),
    );
    match own["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{counts} {reason}"),
        None => counts,
    }
}

fn listed(values: &Value) -> String {
    let texts: Vec<&str> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    texts.join("\n")
}

fn severity(text: &str) -> Option<Severity> {
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low]
        .into_iter()
        .find(|severity| <&str>::from(*severity) == text)
}

fn time(value: &Value) -> Option<OffsetDateTime> {
    match value {
        Value::String(text) => timestamp::parse(text),
        Value::Number(millis) => {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis.as_i64()?) * 1_000_000).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

    fn document(own: &Value) -> Value {
        let mut document = json!({"@timestamp": "2026-11-29T11:30:00.000Z",
            "message": "High: \"alice\" started \"train\".",
            "event": {"start": "2026-11-29T11:00:00.000Z", "end": "2026-11-29T11:30:00.000Z"},
            "incident": {"id": "0a1b", "kind": "attack", "state": "open", "severity": "high",
                "opened": "2026-11-29T11:01:00.000Z", "signals": 7, "outcome": {"success": 5, "failure": 2},
                "reason": "The score reached 100.", "worst": ["High: one", "Medium: two"],
                "next": ["Stop it.", "Revoke it."], "account": "111122223333", "region": "eu-central-1"}});
        for (name, value) in own.as_object().unwrap() {
            document["incident"][name] = value.clone();
        }
        document
    }

    fn alerts(channel: &str, document: &Value) -> Option<Value> {
        let channel: Channel = toml::from_str(channel).unwrap();
        let dashboards = Url::parse("https://boards.example.com/").unwrap();
        let context =
            Context { names: &Names::default(), dashboards: Some(&dashboards), channel: &channel, now: NOW };
        context.alerts(document).map(|alerts| serde_json::to_value(alerts).unwrap())
    }

    const ALL: &str = "kind = 'alertmanager'\nurl = 'http://am'";

    #[test]
    fn an_incident_is_an_alert_with_its_sentence_its_counts_and_a_link_to_it() {
        let link = "https://boards.example.com/app/dashboards#/view/sagetrail-dashboard-incidents\
            ?_g=(time:(from:'2026-11-29T11:00:00.000Z',to:now))\
            &_a=(query:(language:kuery,query:'incident%2Eid%3A%20%220a1b%22'))";
        let expected = json!([{
            "labels": {"alertname": "SagetrailIncident", "severity": "high", "incident": "0a1b",
                "account": "111122223333", "region": "eu-central-1"},
            "annotations": {"summary": "High: \"alice\" started \"train\".",
                "description": "7 signals, of which 5 succeeded and 2 failed, from 2026-11-29T11:00:00.000Z to 2026-11-29T11:30:00.000Z. The score reached 100.",
                "findings": "High: one\nMedium: two", "next_steps": "Stop it.\nRevoke it.", "link": link},
            "startsAt": "2026-11-29T11:01:00.000Z", "endsAt": "2026-11-29T13:00:00.000Z", "generatorURL": link,
        }]);
        assert_eq!(alerts(ALL, &document(&json!({}))), Some(expected));
    }

    /// Severity, beginning and end of each alert.
    fn spans(channel: &str, own: &Value) -> Vec<(String, String, String)> {
        let clock = |value: &Value| value.as_str().unwrap()[11..16].to_owned();
        let made = alerts(channel, &document(own)).unwrap();
        let span = |alert: &Value| {
            let severity = alert["labels"]["severity"].as_str().unwrap().to_owned();
            (severity, clock(&alert["startsAt"]), clock(&alert["endsAt"]))
        };
        made.as_array().unwrap().iter().map(span).collect()
    }

    #[test]
    fn an_alert_lasts_as_long_as_its_incident_and_an_escalation_ends_the_one_of_before() {
        let critical =
            |escalated: &str| json!({"severity": "critical", "state": "escalated", "escalated": escalated});
        let closed = |closed: &str| json!({"state": "closed", "closed": closed});
        let only_critical = "kind = 'alertmanager'\nurl = 'http://am'\nseverities = ['critical']";
        let cases = [
            ("quiet is not closed", ALL, json!({"state": "quiet"}), vec!["high 11:01 13:00"]),
            ("closed", ALL, closed("2026-11-29T11:59:00.000Z"), vec!["high 11:01 11:59"]),
            ("closed long ago", ALL, closed("2026-11-29T10:59:00.000Z"), vec![]),
            (
                "closed before it was opened",
                ALL,
                closed("2026-11-29T11:00:30.000Z"),
                vec!["high 11:01 11:01"],
            ),
            (
                "escalated",
                ALL,
                critical("2026-11-29T11:20:00.000Z"),
                vec!["high 11:01 11:20", "critical 11:20 13:00"],
            ),
            ("escalated long ago", ALL, critical("2026-11-29T10:20:00.000Z"), vec!["critical 10:20 13:00"]),
            ("critical at once", ALL, json!({"severity": "critical"}), vec!["critical 11:01 13:00"]),
            ("of another severity", only_critical, json!({}), vec![]),
            (
                "of another severity before",
                only_critical,
                critical("2026-11-29T11:20:00.000Z"),
                vec!["critical 11:20 13:00"],
            ),
        ];
        for (case, channel, own, expected) in cases {
            let spans: Vec<String> = spans(channel, &own)
                .into_iter()
                .map(|(severity, from, to)| format!("{severity} {from} {to}"))
                .collect();
            assert_eq!(spans, expected, "{case}");
        }
    }

    #[test]
    fn no_field_that_an_alert_shows_is_missing_from_those_that_are_asked_for() {
        for own in [
            json!({"kind": "health", "severity": "critical", "state": "escalated", "escalated": "2026-11-29T11:20:00.000Z"}),
            json!({"drill": {"id": "1", "worked": true}}),
            json!({"state": "closed", "closed": "2026-11-29T11:59:00.000Z"}),
        ] {
            let whole = document(&own);
            let mut asked = json!({});
            for field in FIELDS {
                let path: Vec<&str> = field.split('.').collect();
                let value = path.iter().fold(&whole, |value, name| &value[*name]);
                let place = path.iter().fold(&mut asked, |value, name| &mut value[*name]);
                *place = value.clone();
            }
            assert_eq!(alerts(ALL, &asked), alerts(ALL, &whole));
        }
    }

    #[test]
    fn what_is_no_incident_is_no_alert() {
        for lacking in ["id", "severity", "state"] {
            let mut document = document(&json!({}));
            document["incident"][lacking] = Value::Null;
            assert_eq!(alerts(ALL, &document), None, "{lacking}");
        }
        let drilled = alerts(ALL, &document(&json!({"drill": {"id": "1"}}))).unwrap();
        assert_eq!(drilled[0]["labels"]["drill"], "1");
        let mut document = document(&json!({"region": null, "kind": "health"}));
        document["message"] = Value::Null;
        let made = alerts(ALL, &document).unwrap();
        assert_eq!(made[0]["labels"]["alertname"], "SagetrailHealth");
        assert_eq!(made[0]["labels"].get("region"), None, "an Alertmanager takes no label without a value");
    }
}
