//! Holds the settings of what `sagetrail setup` installs beside the index templates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::defaults::section;
use super::error::ConfigError;

section! {
    /// How long OpenSearch keeps what was shipped.
    pub struct RetentionConfig {
        /// Days after a month's index was made until it is removed; zero keeps it for ever.
        // Audits ask for a year, and an index is made up to a month before its last event. The ledger proves what the
        // events are worth for as long as there are any.
        pub events_days: u32 = 400,
        /// Of the ledger of shipped objects.
        pub objects_days: u32 = 400,
        /// Days after an incident closed, or a correlation matched, until its document is removed.
        // The events of an incident are kept as long.
        pub incidents_days: u32 = 400,
    }
}

section! {
    /// Where OpenSearch Dashboards is.
    pub struct DashboardsConfig {
        /// Its address for `setup`; without one, dashboards are not installed.
        pub url: Option<Url> = None,
        /// The address of Dashboards in browsers, where it differs; links in pages begin with it.
        pub public_url: Option<Url> = None,
        /// With a name, requests use basic authentication.
        pub username: Option<String> = None,
        pub password: Option<SecretString> = None,
        pub password_file: Option<PathBuf> = None,
        /// Of the security plugin, which otherwise puts everything into the tenant of the user that it meets first.
        // Objects in a private tenant would be visible to the user of the setup alone.
        pub tenant: String = "global".to_owned(),
        pub workspace: Option<String> = None,
        pub ca_file: Option<PathBuf> = None,
        pub danger_accept_invalid_certificates: bool = false,
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
