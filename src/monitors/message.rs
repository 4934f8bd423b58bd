//! The message of a page: mustache that the notifications plugin renders, in the form that each kind of channel takes.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::config::{Severity, Target};
use crate::names::Names;

/// What a page says.
pub(super) struct Message<'m> {
    pub(super) title: &'m str,
    pub(super) severity: Severity,
    pub(super) lines: Vec<String>,
    pub(super) containment: &'m [String],
    pub(super) link: Option<String>,
}

/// The line that makes way for the link.
const LINK: &str = "${link}";

impl Message<'_> {
    /// The template for one kind of channel, as the alerting plugin takes it.
    pub(super) fn template(&self, target: &Target) -> Value {
        let source = self.source(target);
        match target {
            // The plugin escapes for JSON unless it is told otherwise, and a person would read `\"`.
            Target::Slack { .. } | Target::Sns { .. } | Target::Email { .. } => {
                json!({"source": source, "lang": "mustache", "options": {"content_type": "text/plain"}})
            }
            Target::Webhook { .. } | Target::Pagerduty { .. } => {
                json!({"source": source, "lang": "mustache"})
            }
        }
    }

    /// What is filled in later is escaped by the plugin; what stands here is escaped for JSON when it is put into some.
    fn source(&self, target: &Target) -> String {
        match target {
            Target::Slack { .. } | Target::Sns { .. } | Target::Email { .. } => self.text(),
            Target::Webhook { .. } => json!({
                "title": self.title,
                "severity": self.severity_name(),
                "monitor": "{{ctx.monitor.name}}",
                "text": self.text(),
            })
            .to_string(),
            // Each alert has an id of its own, so that the same alert twice is one incident there.
            Target::Pagerduty { routing_key, .. } => json!({
                "routing_key": routing_key.expose_secret(),
                "event_action": "trigger",
                "dedup_key": "{{#ctx.newAlerts}}{{id}}{{/ctx.newAlerts}}",
                "payload": {
                    "summary": format!("{}: {{{{#ctx.newAlerts}}}}{{{{bucket_keys}}}}{{{{/ctx.newAlerts}}}}", self.title),
                    "source": "sagetrail",
                    "severity": self.pagerduty_severity(),
                    "custom_details": {"text": self.text()},
                },
            })
            .to_string(),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("[{}] {}", self.severity_name(), self.title)];
        for line in &self.lines {
            match &self.link {
                _ if line != LINK => lines.push(line.clone()),
                Some(link) => lines.push(format!("Look: {link}")),
                None => {}
            }
        }
        lines.push("What to do:".to_owned());
        lines.extend(self.containment.iter().map(|step| format!("- {step}")));
        lines.join("\n")
    }

    fn severity_name(&self) -> &'static str {
        match self.severity {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        }
    }

    /// In the words of `PagerDuty`'s events.
    fn pagerduty_severity(&self) -> &'static str {
        match self.severity {
            Severity::Critical => "critical",
            Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "info",
        }
    }
}

/// What ends or splits a URL's fragment.
const FRAGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'%').add(b'&').add(b'#');

/// The address of a dashboard with its time range and, where there is one, its filter.
pub(super) fn link(names: &Names, dashboards: &Url, dashboard: &str, query: &str) -> String {
    let base = dashboards.as_str().trim_end_matches('/');
    let state = if query.is_empty() {
        String::new()
    } else {
        format!("&_a=(query:(language:kuery,query:'{}'))", encoded(query))
    };
    let id = names.named(&format!("dashboard-{dashboard}"));
    format!("{base}/app/dashboards#/view/{id}?_g=(time:(from:now-24h,to:now)){state}")
}

/// The query as it stands in a URL; what is filled in later is encoded by OpenSearch's own function of mustache.
///
/// A variable stands between the quotes of two languages, that of queries and that of the state. Nothing escapes for
/// these, so only the keys of `sagemaker.alert` and `_id` may stand in a query: they hold none of their quotes.
fn encoded(query: &str) -> String {
    let mut parts = query.split("{{");
    let text = |text: &'_ str| utf8_percent_encode(text, FRAGMENT).to_string();
    let mut encoded = parts.next().map(text).unwrap_or_default();
    for part in parts {
        let (variable, rest) = part.split_once("}}").expect("a test holds each query against its variables");
        let _ = write!(encoded, "{{{{#url}}}}{{{{{variable}}}}}{{{{/url}}}}{}", text(rest));
    }
    encoded
}
