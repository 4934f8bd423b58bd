//! Describes an Alertmanager: its address, and how requests to it are authenticated.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// An Alertmanager that incidents are handed to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// What stands before `/api/v2/alerts`.
    pub url: Url,
    pub bearer_token: Option<SecretString>,
    pub bearer_token_file: Option<PathBuf>,
    /// With a name, requests use basic authentication.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub password_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub danger_accept_invalid_certificates: bool,
}

impl AlertmanagerConfig {
    /// What is wrong with it, in words that do not quote what is secret.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let has_token = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        let has_password = self.password.is_some() || self.password_file.is_some();
        if !matches!(self.url.scheme(), "http" | "https") {
            return Some("url must be a complete URL that begins with https:// or http://");
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Some(
                "url must not carry credentials, which would reach logs; use username and password_file",
            );
        }
        if self.bearer_token.is_some() && self.bearer_token_file.is_some() {
            return Some("at most one of bearer_token and bearer_token_file may be set");
        }
        if has_token && (has_password || self.username.is_some()) {
            return Some("either a bearer token or a username with a password may be set");
        }
        if self.username.is_some() != has_password
            || (self.password.is_some() && self.password_file.is_some())
        {
            return Some(
                "username needs exactly one of password and password_file, and neither goes without it",
            );
        }
        None
    }
}
