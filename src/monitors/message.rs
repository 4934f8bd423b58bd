//! Writes the message of a page as a mustache template, in the form that each kind of channel takes.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::config::{Severity, Target};
use crate::names::Names;

/// The text of a page.
pub(super) struct Message<'m> {
    pub(super) title: &'m str,
    pub(super) severity: Severity,
    /// Of each alert. The first begins with a word: see `text`.
    pub(super) lines: Vec<String>,
    /// Of each document that the plugin brings as a sample, where a monitor asks for them.
    pub(super) document: &'m [String],
    pub(super) containment: &'m [String],
    pub(super) link: Option<String>,
}

impl Message<'_> {
    /// The template for one kind of channel, as the alerting plugin takes it.
    pub(super) fn template(&self, target: &Target) -> Value {
        let source = self.source(target);
        match target {
            // The plugin escapes for JSON by default, and a person would read `\"`.
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
            // Each alert has an id of its own, so that the same alert twice is one incident there. More alerts than the
            // plugin sends one by one come as one message, and the ids of all would be longer than such a key may be.
            Target::Pagerduty { routing_key, .. } => json!({
                "routing_key": routing_key.expose_secret(),
                "event_action": "trigger",
                "dedup_key": "{{ctx.newAlerts.0.id}}",
                "payload": {
                    "summary": format!("{}: {{{{ctx.newAlerts.0.bucket_keys}}}}", self.title),
                    "source": "sagetrail",
                    "severity": self.pagerduty_severity(),
                    "custom_details": {"text": self.text()},
                },
            })
            .to_string(),
        }
    }

    /// The text, laid out for a mustache that eats line ends: after a section's first tag unless a word follows it on
    /// the line, and after its last one unless that begins a line. So a first tag has a word behind it, and a last one
    /// begins the line that goes on behind it.
    fn text(&self) -> String {
        let mut lines = vec![format!("[{}] {}", self.severity_name(), self.title)];
        let link = self.link.iter().map(|link| format!("Look: {link}"));
        lines.extend(begun("ctx.newAlerts", &self.lines));
        if self.document.is_empty() {
            lines.extend(link);
            lines.push("Alert {{id}}".to_owned());
        } else {
            lines.extend(begun("sample_documents", self.document));
            lines.extend(link);
            lines.push("{{/sample_documents}}Alert {{id}}".to_owned());
        }
        lines.push("{{/ctx.newAlerts}}What to do:".to_owned());
        lines.extend(self.containment.iter().map(|step| format!("- {step}")));
        lines.join("\n")
    }

    fn severity_name(&self) -> &'static str {
        self.severity.into()
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

/// The lines of a section, the first behind its tag.
fn begun(section: &str, lines: &[String]) -> impl Iterator<Item = String> {
    let tag = format!("{{{{#{section}}}}}");
    lines.iter().enumerate().map(move |(place, line)| match place {
        0 => format!("{tag}{line}"),
        _ => line.clone(),
    })
}

/// The fields of a document that the plugin brings for this message: those that stand by their whole names in a tag of
/// their own between the tags of the sample documents. A section over a field is no such tag.
pub fn sampled_fields(message: &str) -> Vec<&str> {
    const BEGIN: &str = "{{#sample_documents}}";
    const END: &str = "{{/sample_documents}}";
    let Some((block, _)) = message.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)) else {
        return Vec::new();
    };
    let tags = block.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    tags.filter_map(|(tag, _)| tag.trim().strip_prefix("_source.")).collect()
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
