//! Holds the settings of the sink: address, authentication, TLS, batching and rate limits.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use sagetrail_core::names::{DEFAULT_PREFIX, problem_of_prefix};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::defaults::section;
use super::error::ConfigError;

/// How a request to OpenSearch proves who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthKind {
    None,
    Basic,
    Sigv4,
    Certificate,
}

/// The service name that a SigV4 signature is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sigv4Service {
    /// Amazon OpenSearch Service domains.
    Es,
    /// Amazon OpenSearch Serverless collections.
    Aoss,
}

section! {
    /// Where documents go, how requests are authenticated, and how fast they may be sent.
    pub struct SinkConfig {
        pub url: Url = Url::parse("http://127.0.0.1:9200").expect("the default URL is well-formed"),
        /// The prefix of every name that sagetrail uses in OpenSearch.
        pub index_prefix: String = DEFAULT_PREFIX.to_owned(),
        pub auth: AuthKind = AuthKind::None,
        pub username: Option<String> = None,
        pub password: Option<SecretString> = None,
        pub password_file: Option<PathBuf> = None,
        pub sigv4_service: Sigv4Service = Sigv4Service::Es,
        pub client_certificate_file: Option<PathBuf> = None,
        pub client_key_file: Option<PathBuf> = None,
        pub ca_file: Option<PathBuf> = None,
        pub danger_accept_invalid_certificates: bool = false,
        pub gzip: bool = false,
        #[serde(with = "humantime_serde")]
        pub request_timeout: Duration = Duration::from_mins(1),
        pub bulk_max_bytes: NonZeroUsize = nonzero(4 << 20),
        pub bulk_max_documents: NonZeroUsize = nonzero(2_000),
        #[serde(with = "humantime_serde")]
        pub bulk_max_age: Duration = Duration::from_secs(1),
        pub in_flight_bulks: NonZeroUsize = nonzero(2),
        pub queue_bytes: NonZeroUsize = nonzero(16 << 20),
        pub item_attempts: NonZeroU32 = NonZeroU32::new(8).expect("eight is not zero"),
        pub documents_per_second: Option<NonZeroU32> = None,
        pub bytes_per_second: Option<NonZeroU32> = None,
    }
}

impl SinkConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if !matches!(self.url.scheme(), "http" | "https") {
            return refuse("sink.url", "must begin with http:// or https://");
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return refuse(
                "sink.url",
                "must not carry credentials, which would reach logs; use sink.username and sink.password_file",
            );
        }
        if let Some(problem) = problem_of_prefix(&self.index_prefix) {
            return refuse("sink.index_prefix", &problem);
        }
        if self.bulk_max_bytes > self.queue_bytes {
            return refuse("sink.bulk_max_bytes", "must not be more than sink.queue_bytes");
        }
        match self.auth {
            AuthKind::Basic => {
                if self.username.is_none() {
                    return refuse("sink.username", "is needed when sink.auth is \"basic\"");
                }
                if self.password.is_some() == self.password_file.is_some() {
                    return refuse(
                        "sink.password_file",
                        "exactly one of sink.password and sink.password_file is needed when sink.auth is \"basic\"",
                    );
                }
            }
            AuthKind::Certificate => {
                if self.client_certificate_file.is_none() || self.client_key_file.is_none() {
                    return refuse(
                        "sink.client_certificate_file",
                        "and sink.client_key_file are both needed when sink.auth is \"certificate\"",
                    );
                }
            }
            AuthKind::None | AuthKind::Sigv4 => {}
        }
        Ok(())
    }
}

pub(super) fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("defaults are not zero")
}
