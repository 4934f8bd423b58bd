//! Holds the settings of what `sagetrail setup` installs beside the index templates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::error::ConfigError;

/// How long OpenSearch keeps what was shipped.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after a month's index was made until it is removed; zero keeps it for ever.
    pub events_days: u32,
    /// Of the ledger of shipped objects.
    pub objects_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        // Audits ask for a year, and an index is made up to a month before its last event. The ledger proves what the
        // events are worth for as long as there are any.
        Self { events_days: 400, objects_days: 400 }
    }
}

/// Where OpenSearch Dashboards is.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardsConfig {
    /// Its address for `setup`; without one, dashboards are not installed.
    pub url: Option<Url>,
    /// The address of Dashboards in browsers, where it differs; links in pages begin with it.
    pub public_url: Option<Url>,
    /// With a name, requests use basic authentication.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub password_file: Option<PathBuf>,
    /// Of the security plugin, which otherwise puts everything into the tenant of the user that it meets first.
    pub tenant: String,
    pub workspace: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub danger_accept_invalid_certificates: bool,
}

impl Default for DashboardsConfig {
    fn default() -> Self {
        Self {
            url: None,
            public_url: None,
            username: None,
            password: None,
            password_file: None,
            // Objects in a private tenant would be visible to the user of the setup alone.
            tenant: "global".to_owned(),
            workspace: None,
            ca_file: None,
            danger_accept_invalid_certificates: false,
        }
    }
}

impl DashboardsConfig {
    /// The address that links begin with.
    pub fn link_url(&self) -> Option<&Url> {
        self.public_url.as_ref().or(self.url.as_ref())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        for (key, url) in [("dashboards.url", &self.url), ("dashboards.public_url", &self.public_url)] {
            let Some(url) = url else { continue };
            if !matches!(url.scheme(), "http" | "https") {
                return refuse(key, "must begin with http:// or https://");
            }
            if !url.username().is_empty() || url.password().is_some() {
                return refuse(
                    key,
                    "must not carry credentials, which would reach logs; use dashboards.username and dashboards.password_file",
                );
            }
        }
        let passwords = usize::from(self.password.is_some()) + usize::from(self.password_file.is_some());
        match (&self.username, passwords) {
            (None, 0) | (Some(_), 1) => Ok(()),
            (None, _) => refuse("dashboards.username", "is needed beside a password"),
            (Some(_), _) => refuse(
                "dashboards.password_file",
                "exactly one of dashboards.password and dashboards.password_file is needed beside dashboards.username",
            ),
        }
    }
}

/// Which monitors are installed and when they page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorsConfig {
    /// The ids of monitors that are not wanted.
    pub disabled: Vec<String>,
    /// Values in place of the defaults in `config/monitors.toml`, by name.
    pub thresholds: BTreeMap<String, toml::Value>,
}
