//! Writes the message of a page as a mustache template, in the form that each kind of channel takes.

use std::{iter, slice};

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{Severity, Target};
use crate::names::Names;
pub(super) use link::link;

mod link;

/// What a monitor asks, which decides on the form of its page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum About {
    #[default]
    Pipeline,
    /// Incidents, whose own sentence comes first. The key of such an alert is the id of the incident with the number of
    /// the page, so that one that becomes critical pages at once.
    Incident,
}

/// The text of a page.
pub(super) struct Message<'m> {
    pub(super) title: &'m str,
    pub(super) severity: Severity,
    pub(super) about: About,
    /// Of each new alert. The first begins with a word: see `text`.
    pub(super) lines: Vec<String>,
    /// Of each document that the plugin brings as a sample, where a monitor asks for them.
    pub(super) document: &'m [String],
    /// Of each alert that goes on, where it pages again.
    pub(super) again: Vec<String>,
    /// Of each document that the search itself brings, once below those.
    pub(super) open: &'m [String],
    pub(super) containment: &'m [String],
    pub(super) link: Option<String>,
    pub(super) link_again: Option<String>,
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
            Target::Webhook { .. } | Target::Pagerduty { .. } | Target::Alertmanager(_) => {
                json!({"source": source, "lang": "mustache"})
            }
        }
    }

    /// The template that tells a receiver of the end of an alert; people are not told.
    pub(super) fn end(&self, target: &Target) -> Option<Value> {
        let Target::Pagerduty { routing_key, .. } = target else { return None };
        let event = json!({
            "routing_key": routing_key.expose_secret(),
            "event_action": "resolve",
            "dedup_key": self.key_of_alert(),
        });
        // Of no alert, as in a run that failed, there is no message, and an empty one is not sent.
        Some(json!({"source": section("ctx.completedAlerts", &event.to_string()), "lang": "mustache"}))
    }

    /// The subject of a mail, which a phone shows; other channels have none.
    pub(super) fn subject(&self, names: &Names, target: &Target) -> String {
        match (target, self.about) {
            (Target::Email { .. }, About::Incident) => sentence(),
            _ => names.title(self.title),
        }
    }

    /// What is filled in later is escaped by the plugin; what stands here is escaped for JSON when it is put into some.
    fn source(&self, target: &Target) -> String {
        match target {
            Target::Slack { .. } | Target::Sns { .. } | Target::Email { .. } => self.text(),
            Target::Webhook { .. } | Target::Alertmanager(_) => {
                let mut page = json!({
                    "title": self.title,
                    "severity": self.severity_name(),
                    "monitor": "{{ctx.monitor.name}}",
                });
                add(&mut page, self.fields());
                page["text"] = json!(self.text());
                page.to_string()
            }
            Target::Pagerduty { routing_key, .. } => {
                let mut details = self.fields();
                details["text"] = json!(self.text());
                json!({
                    "routing_key": routing_key.expose_secret(),
                    "event_action": "trigger",
                    "dedup_key": told(self.key_of_alert(), self.key_of_alert(), "{{ctx.monitor.name}}"),
                    "payload": {
                        "summary": self.summary(),
                        "source": "sagetrail",
                        "severity": self.pagerduty_severity(),
                        "custom_details": details,
                    },
                })
                .to_string()
            }
        }
    }

    /// The key that is the same for an alert when it is new, when it goes on and when it ends.
    fn key_of_alert(&self) -> &'static str {
        match self.about {
            About::Incident => "{{bucket_keys}}",
            About::Pipeline => "{{id}}",
        }
    }

    /// One line for a list of incidents. The receiver refuses an empty one, and one of more than 1,024 characters.
    fn summary(&self) -> String {
        match self.about {
            About::Incident => format!("Incident: {}", sentence()),
            About::Pipeline => {
                format!("{}: {}", self.title, told("{{bucket_keys}}", "{{bucket_keys}}", FAILED))
            }
        }
    }

    /// What a program reads of an incident. A list is a text with a line for each item, because only texts stay JSON
    /// when there is no document to fill them.
    fn fields(&self) -> Value {
        if self.about != About::Incident {
            return json!({});
        }
        let of = |path: &str| of_document(&format!("{{{{_source.{path}}}}}"));
        let listed = |path: &str| of_document(&section(&format!("_source.{path}"), "{{.}}\n"));
        let mut fields = json!({
            "page": told("{{bucket_keys}}", "{{bucket_keys}}", ""),
            "incident": of("incident.id"),
            "rule": of("incident.rule"),
            "state": told("new", "not acknowledged", "failed"),
            "sentence": sentence(),
            "account": of("incident.account"),
            "region": of("incident.region"),
            "signals": of("incident.signals"),
            "first_seen": of("event.start"),
            "last_seen": of("event.end"),
            "findings": listed("incident.worst"),
            "next": listed("incident.next"),
        });
        if let (Some(link), Some(again)) = (&self.link, &self.link_again) {
            fields["link"] = json!(told(&section("sample_documents", link), again, ""));
        }
        fields
    }

    /// The text, laid out for a mustache that eats line ends: after a section's first tag unless a word follows it on
    /// the line, and after its last one unless that begins a line. So a first tag has something behind it, and a last
    /// one begins the line that goes on behind it.
    fn text(&self) -> String {
        let title = match self.about {
            About::Incident => String::new(),
            About::Pipeline => format!("[{}] {}\n", self.severity_name(), self.title),
        };
        let again = if self.again.is_empty() {
            String::new()
        } else {
            let open = match self.open {
                [] => String::new(),
                [head, of_each @ ..] => {
                    let of_each = section("hits.hits", &lines(of_each, None));
                    section("ctx.results", &(lines(slice::from_ref(head), None) + &of_each))
                }
            };
            let again = section("ctx.dedupedAlerts", &lines(&self.again, self.link_again.as_deref()));
            let failed = without("ctx.dedupedAlerts", &format!("{FAILED}\n"));
            without("ctx.newAlerts", &[again, open, failed].concat())
        };
        let end = match self.about {
            About::Incident => {
                // A run that failed has no results, and nobody can acknowledge its alert.
                let acknowledged = section("ctx.results", "It pages again until it is acknowledged. ");
                acknowledged + "In Alerting: {{ctx.monitor.name}}"
            }
            About::Pipeline => {
                let steps = self.containment.iter().map(|step| format!("- {step}"));
                iter::once("What to do:".to_owned()).chain(steps).collect::<Vec<_>>().join("\n")
            }
        };
        [title, self.new_alerts(), again, end].concat()
    }

    fn new_alerts(&self) -> String {
        let mut alert = lines(&self.lines, None);
        if self.document.is_empty() {
            alert += &lines(&[], self.link.as_deref());
        } else {
            alert += &section("sample_documents", &lines(self.document, self.link.as_deref()));
        }
        alert += match self.about {
            // Without a document, which may fail to come, there is the key at least.
            About::Incident => "Page {{bucket_keys}}\n",
            About::Pipeline => "Alert {{id}}\n",
        };
        section("ctx.newAlerts", &alert)
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

/// What a message says of a run that failed. Nobody can acknowledge its alert.
const FAILED: &str = "This monitor could not run, and pages again until `sagetrail setup` renews it; its history in Alerting says why.";

/// A text for a new alert, for one that goes on, and for a run that failed, which comes with no alert at all. The
/// plugin sends a message for one alert alone. More than fifty come as one message, and then the new ones are told,
/// because a receiver refuses a key or a text of that length.
fn told(new: &str, again: &str, failed: &str) -> String {
    let failed = without("ctx.dedupedAlerts", failed);
    section("ctx.newAlerts", new)
        + &without("ctx.newAlerts", &(section("ctx.dedupedAlerts", again) + &failed))
}

/// A text of the document of a new alert.
fn of_document(text: &str) -> String {
    section("ctx.newAlerts", &section("sample_documents", text))
}

/// The incident's own sentence. For one that pages again the plugin brings no document, and the search only those of
/// all that are open.
fn sentence() -> String {
    let own =
        section("sample_documents", "{{_source.message}}") + &without("sample_documents", "{{bucket_keys}}");
    let again = "Not acknowledged yet: {{bucket_keys}}; the latest that is open: {{ctx.results.0.hits.hits.0._source.message}}";
    told(&own, again, FAILED)
}

fn add(page: &mut Value, fields: Value) {
    if let (Value::Object(page), Value::Object(fields)) = (page, fields) {
        page.extend(fields);
    }
}

/// The lines, each with its end, and the link as the last one.
fn lines(lines: &[String], link: Option<&str>) -> String {
    let link = link.map(|link| format!("Look: {link}"));
    lines.iter().chain(&link).flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Lines for each element of a list; what follows has to go on in the line of the last tag.
fn section(name: &str, lines: &str) -> String {
    format!("{{{{#{name}}}}}{lines}{{{{/{name}}}}}")
}

/// A text where a list is empty. A list cannot be asked for its first element: the plugin fails where there is none.
fn without(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{{{{^{name}}}}}{text}{{{{/{name}}}}}") }
}
