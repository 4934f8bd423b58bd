//! The sections of the configuration, their defaults, and what values may not stand together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use sagetrail_core::decode::Limits;
use sagetrail_core::incident::{Asset, assets};
use sagetrail_core::record::is_account;
use sagetrail_core::settings::{ContentHash, RedactionConfig, RulesConfig, Scope};
use serde::Deserialize;
use url::Url;

use super::channel::Channel;
use super::content::{DashboardsConfig, MonitorsConfig, RetentionConfig};
use super::defaults::section;
use super::drill::DrillConfig;
use super::enrich::EnrichConfig;
use super::error::ConfigError;
use super::health::HealthConfig;
use super::pattern::KeyPatterns;
use super::placeholder;
use super::sink::{SinkConfig, nonzero};

/// Every setting of the daemon.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub source: SourceConfig,
    pub select: SelectConfig,
    pub rules: RulesConfig,
    pub enrich: EnrichConfig,
    pub redaction: RedactionConfig,
    pub memory: MemoryConfig,
    pub sink: SinkConfig,
    pub replay: ReplayConfig,
    pub retention: RetentionConfig,
    pub correlate: CorrelateConfig,
    pub incidents: IncidentsConfig,
    pub health: HealthConfig,
    pub drill: DrillConfig,
    pub dashboards: DashboardsConfig,
    pub monitors: MonitorsConfig,
    /// The notification channels of the monitors, by name.
    pub channels: BTreeMap<String, Channel>,
    pub admin: AdminConfig,
    pub log: LogConfig,
    pub shutdown: ShutdownConfig,
}

section! {
    /// Where notifications and objects come from, and how much of them may be in memory at once.
    pub struct SourceConfig {
        /// The URL of the SQS queue. Only `run` needs it.
        pub queue_url: Option<Url> = None,
        pub receivers: NonZeroUsize = nonzero(2),
        #[serde(with = "humantime_serde")]
        pub wait: Duration = Duration::from_secs(20),
        pub in_flight_messages: NonZeroUsize = nonzero(32),
        pub in_flight_bytes: NonZeroUsize = nonzero(64 << 20),
        pub max_object_bytes: u64 = 64 << 20,
        pub max_uncompressed_bytes: u64 = 2 << 30,
        pub max_record_bytes: usize = 8 << 20,
        pub content_hash: ContentHash = ContentHash::Sha256,
        pub requester_pays: bool = false,
        pub force_path_style: bool = false,
        pub assume_role_arn: Option<String> = None,
        pub external_id: Option<String> = None,
        /// The only buckets that are read, and the only accounts whose files are; empty lists allow all.
        pub allowed_buckets: Vec<String> = Vec::new(),
        pub allowed_accounts: Vec<String> = Vec::new(),
        /// Patterns of keys that are read as files of records although their names are not CloudTrail's.
        pub also_read: Vec<String> = Vec::new(),
    }
}

impl SourceConfig {
    /// How much of an object is decoded.
    pub fn limits(&self) -> Limits {
        Limits { uncompressed_bytes: self.max_uncompressed_bytes, record_bytes: self.max_record_bytes }
    }

    /// Finds an allowed name in a form that no real name has, so that nothing would ever match it.
    fn misnamed(&self) -> Option<(&'static str, String)> {
        let in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_bucket = |text: &&String| (3..=255).contains(&text.len()) && text.bytes().all(in_a_name);
        let is_role =
            |text: &&String| text.starts_with("arn:") && text.contains(":iam::") && text.contains(":role/");
        let say = |key, text: &String, is: &str| (key, format!("\"{text}\" is not {is}"));
        if let Some(wrong) = self.allowed_accounts.iter().find(|text| !is_account(text)) {
            return Some(say("source.allowed_accounts", wrong, "an account's id, such as \"111122223333\""));
        }
        if let Some(wrong) = self.allowed_buckets.iter().find(|text| !is_bucket(text)) {
            let is = "the name of a bucket without s3:// and without a path, such as \"my-trail\"";
            return Some(say("source.allowed_buckets", wrong, is));
        }
        let wrong = self.assume_role_arn.as_ref().filter(|text| !is_role(text))?;
        let is = "a role's ARN, such as \"arn:aws:iam::111122223333:role/trail-reader\"";
        Some(say("source.assume_role_arn", wrong, is))
    }
}

section! {
    /// Which records are shipped.
    pub struct SelectConfig {
        pub scope: Scope = Scope::Related,
    }
}

section! {
    /// What is remembered across records.
    pub struct MemoryConfig {
        pub enabled: bool = true,
        pub cache_bytes: NonZeroUsize = nonzero(8 << 20),
        #[serde(with = "humantime_serde")]
        pub recall_timeout: Duration = Duration::from_millis(500),
    }
}

section! {
    /// How fast history is shipped.
    pub struct ReplayConfig {
        /// In place of the limits of the sink.
        pub documents_per_second: Option<NonZeroU32> = None,
        pub bytes_per_second: Option<NonZeroU32> = None,
        pub in_flight_objects: NonZeroUsize = nonzero(32),
    }
}

section! {
    /// Who joins findings to incidents, and how often.
    pub struct CorrelateConfig {
        /// Whether `run` does so, too.
        pub enabled: bool = true,
        /// From the beginning of one round to that of the next.
        #[serde(with = "humantime_serde")]
        pub period: Duration = Duration::from_secs(15),
    }
}

impl CorrelateConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&self.period) {
            return Ok(());
        }
        let problem = "must be between a second and a minute".to_owned();
        Err(ConfigError::Value { key: "correlate.period", problem })
    }
}

section! {
    /// What a site says about its incidents.
    pub struct IncidentsConfig {
        /// What findings at its own resources count.
        pub assets: Vec<Asset> = Vec::new(),
    }
}

impl IncidentsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let refused = |problem| ConfigError::Value { key: "incidents.assets", problem };
        assets::problem(&self.assets).map_or(Ok(()), |problem| Err(refused(problem)))
    }
}

section! {
    /// The operators' HTTP endpoint.
    pub struct AdminConfig {
        pub listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 9600)),
    }
}

/// How a line of the log is written: for people, or as one JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

section! {
    /// What the daemon logs, and how.
    pub struct LogConfig {
        pub format: LogFormat = LogFormat::Text,
        pub filter: String = "info".to_owned(),
    }
}

section! {
    /// How a daemon stops.
    pub struct ShutdownConfig {
        #[serde(with = "humantime_serde")]
        pub grace: Duration = Duration::from_secs(25),
    }
}

impl Config {
    /// Checks what the types cannot: values that are well-formed alone and wrong together.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: String| Err(ConfigError::Value { key, problem });
        let source = &self.source;
        if source.wait > MAX_WAIT {
            return refuse("source.wait", "SQS long polling waits at most 20s".to_owned());
        }
        if source.max_object_bytes > source.in_flight_bytes.get() as u64 {
            return refuse(
                "source.max_object_bytes",
                format!(
                    "is {}, more than source.in_flight_bytes ({}), so an object of that size could never be read; lower the one or raise the other",
                    source.max_object_bytes, source.in_flight_bytes
                ),
            );
        }
        if source.external_id.is_some() && source.assume_role_arn.is_none() {
            return refuse("source.external_id", "needs source.assume_role_arn, which is not set".to_owned());
        }
        if let Some(pattern) = source.also_read.iter().find(|pattern| pattern.trim_matches('/').is_empty()) {
            return refuse("source.also_read", format!("the pattern \"{pattern}\" matches no key"));
        }
        if let Err(error) = KeyPatterns::new(&source.also_read) {
            return refuse("source.also_read", format!("cannot be used: {error}"));
        }
        if let Some((key, problem)) = source.misnamed() {
            return refuse(key, problem);
        }
        if let Some((name, problem)) = placeholder::problem(&self.rules.placeholders) {
            return Err(ConfigError::Placeholder { name, problem });
        }
        if self.redaction.key.is_some() && self.redaction.key_file.is_some() {
            return refuse("redaction.key", "is set beside redaction.key_file; keep one of them".to_owned());
        }
        for (name, channel) in &self.channels {
            if let Some(problem) = channel.problem(name) {
                return Err(ConfigError::Channel { name: name.clone(), problem });
            }
        }
        self.dashboards.validate()?;
        self.correlate.validate()?;
        self.incidents.validate()?;
        self.health.validate()?;
        self.drill.validate()?;
        self.sink.validate()
    }
}

/// The longest wait that `ReceiveMessage` accepts.
const MAX_WAIT: Duration = Duration::from_secs(20);
