//! A channel: one way in which the monitors reach a person.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

/// A channel of OpenSearch's notifications plugin, and which monitors use it.
#[derive(Debug, Clone, Deserialize)]
pub struct Channel {
    /// The severities of the monitors that page here; without a value, every severity.
    #[serde(default)]
    pub severities: Option<Vec<Severity>>,
    #[serde(flatten)]
    pub target: Target,
}

/// How urgent a monitor is, in the words of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
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
}

/// A URL that is a secret, as those of webhooks are: whoever has it can write there.
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
            Target::Sns { topic_arn, .. } if !topic_arn.starts_with("arn:") => {
                return Some("topic_arn must be an ARN");
            }
            Target::Sns { .. } | Target::Email { .. } => return None,
        };
        let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        (!is_web).then_some("url must be a whole one that begins with https:// or http://")
    }

    /// Whether monitors of a severity page here.
    pub fn takes(&self, severity: Severity) -> bool {
        self.severities.as_ref().is_none_or(|severities| severities.contains(&severity))
    }
}

fn pagerduty_url() -> Url {
    Url::parse("https://events.pagerduty.com/v2/enqueue").expect("the address is well-formed")
}
