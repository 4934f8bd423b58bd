//! Describes a notification channel, through which monitors page people.

use std::collections::BTreeMap;

use regex::Regex;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use strum::IntoStaticStr;
use url::Url;

use super::alertmanager::AlertmanagerConfig;

/// Whom to page: a channel of OpenSearch's notifications plugin, which monitors use, or an Alertmanager.
#[derive(Debug, Clone, Deserialize)]
pub struct Channel {
    /// The severities of what pages here; without a value, every severity.
    #[serde(default)]
    pub severities: Option<Vec<Severity>>,
    #[serde(flatten)]
    pub target: Target,
}

/// How urgent a monitor is, in the words of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

/// Who receives the page, and in which form.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Target {
    /// An incoming webhook of Slack.
    Slack { url: SecretUrl },
    /// The Events API v2 of `PagerDuty`, or of whatever understands its events.
    Pagerduty {
        routing_key: SecretString,
        #[serde(default = "pagerduty_url")]
        url: Url,
    },
    /// An HTTP endpoint that takes JSON.
    Webhook {
        url: SecretUrl,
        #[serde(default)]
        headers: BTreeMap<String, SecretString>,
    },
    /// An SNS topic. Amazon OpenSearch Service needs a role for it.
    Sns { topic_arn: String, role_arn: Option<String> },
    /// Mail through a sender that is configured in the notifications plugin.
    Email { sender_id: String, recipients: Vec<String> },
    /// An Alertmanager, which the correlator hands incidents to.
    Alertmanager(Box<AlertmanagerConfig>),
}

impl Target {
    /// Whether monitors of OpenSearch page here, through its notifications plugin.
    pub fn is_paged_by_monitors(&self) -> bool {
        !matches!(self, Self::Alertmanager(_))
    }
}

/// A URL that is a secret, because it alone allows posting to a webhook.
type SecretUrl = SecretString;

impl Channel {
    /// What is wrong with it, in words that do not quote what is secret.
    pub(super) fn problem(&self, name: &str) -> Option<&'static str> {
        // The name becomes part of an id, and of the path of a request.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Some("a name is made of letters, digits, - and _");
        }
        let url = match &self.target {
            Target::Slack { url } | Target::Webhook { url, .. } => url.expose_secret(),
            Target::Pagerduty { url, .. } => url.as_str(),
            Target::Sns { topic_arn, role_arn } => return sns_problem(topic_arn, role_arn.as_deref()),
            Target::Email { sender_id, recipients } => return email_problem(sender_id, recipients),
            Target::Alertmanager(alertmanager) => return alertmanager.problem(),
        };
        let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        (!is_web).then_some("url must be a complete URL that begins with https:// or http://")
    }

    /// Whether monitors of a severity page here.
    pub fn takes(&self, severity: Severity) -> bool {
        self.severities.as_ref().is_none_or(|severities| severities.contains(&severity))
    }
}

/// What the notifications plugin refuses of an SNS topic.
fn sns_problem(topic: &str, role: Option<&str>) -> Option<&'static str> {
    let fits = |pattern: &str, text: &str| Regex::new(pattern).expect("it is well-formed").is_match(text);
    if !fits(r"^arn:aws(-[^:]+)?:sns:[a-zA-Z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]+(\.fifo)?$", topic) {
        return Some("topic_arn must be a topic's ARN, such as arn:aws:sns:eu-central-1:111122223333:pages");
    }
    role.filter(|role| !fits(r"^arn:aws(-[^:]+)?:iam::[0-9]{12}:[a-zA-Z0-9_+=,.@/-]+$", role))
        .map(|_| "role_arn must be a role's ARN, such as arn:aws:iam::111122223333:role/pages")
}

/// What the notifications plugin refuses of mail.
fn email_problem(sender: &str, recipients: &[String]) -> Option<&'static str> {
    let is_address = |text: &String| {
        let is_plain =
            |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '@');
        text.split_once('@').is_some_and(|(name, host)| {
            let has_parts = host.contains('.') && host.split('.').all(|part| !part.is_empty());
            is_plain(name) && is_plain(host) && has_parts
        })
    };
    if sender.trim().is_empty() {
        return Some("sender_id must be the id of a sender in the notifications plugin");
    }
    (recipients.is_empty() || !recipients.iter().all(is_address))
        .then_some("recipients must be addresses, such as [\"soc@example.com\"]")
}

fn pagerduty_url() -> Url {
    Url::parse("https://events.pagerduty.com/v2/enqueue").expect("the address is well-formed")
}
