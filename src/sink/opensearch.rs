//! OpenSearch: the one client through which every request to the cluster goes, authenticated as configured.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Certificate;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::bulk::ANSWER_FILTER;
pub use super::transport::Method;
use super::transport::{Credentials, Signature, Transport, TransportError, Trust};
use crate::config::{AuthKind, Sigv4Service, SinkConfig};
use crate::names::Names;

/// Below this many bytes compression costs more than it saves.
const LEAST_GZIP_BYTES: usize = 1 << 10;

/// A client of one cluster. Cloning it is cheap and shares its connections.
#[derive(Clone)]
pub struct OpenSearch {
    transport: Arc<Transport>,
    host: Arc<str>,
    names: Names,
    compress: Compress,
}

#[derive(Debug, Clone, Copy)]
enum Compress {
    Never,
    Gzip,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

/// Which server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// `opensearch`; other servers name themselves otherwise or not at all.
    pub distribution: Option<String>,
    pub number: String,
}

/// Why there is no client, or no answer. It names the operation and the host, and never a secret.
#[derive(Debug, thiserror::Error)]
pub enum OpenSearchError {
    #[error("{key}: cannot read {}: {source}", path.display())]
    ReadFile { key: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{key}: {problem}")]
    Configure { key: &'static str, problem: String },
    #[error("{operation} at {host}: no answer in time")]
    TimedOut { operation: String, host: Arc<str> },
    #[error("{operation} at {host}: {problem}")]
    NoAnswer { operation: String, host: Arc<str>, problem: String },
    #[error("{operation} at {host}: status {status}")]
    Status { operation: String, host: Arc<str>, status: u16 },
    #[error(
        "{operation} at {host}: it was redirected ({status}) to {target}, which is not followed; put the address of the cluster itself into the configuration, and let no login page or other redirect stand before it"
    )]
    Redirected { operation: String, host: Arc<str>, status: u16, target: String },
    #[error("{operation} at {host}: the answer is not that of OpenSearch")]
    Unexpected { operation: String, host: Arc<str> },
}

impl OpenSearch {
    /// Makes a client; nothing is sent yet. `aws` gives the region and the credentials, which refresh themselves, where
    /// requests are signed.
    pub fn new(config: &SinkConfig, aws: Option<&SdkConfig>) -> Result<Self, OpenSearchError> {
        let transport = Transport::new(
            config.url.clone(),
            config.request_timeout,
            concat!("sagetrail/", env!("CARGO_PKG_VERSION")),
            credentials(config, aws)?,
            trust(config)?,
        )
        .map_err(|error| OpenSearchError::Configure { key: "sink", problem: chain(&error) })?;
        Ok(Self {
            transport: Arc::new(transport),
            host: host(config),
            names: Names::of(config),
            compress: if config.gzip { Compress::Gzip } else { Compress::Never },
        })
    }

    /// Where the cluster is, as it is shown to people.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What everything of ours is called there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether large bodies are compressed.
    pub(super) fn compresses(&self) -> bool {
        matches!(self.compress, Compress::Gzip)
    }

    /// Sends the body of a bulk.
    pub async fn bulk(&self, body: Bytes) -> Result<Answer, OpenSearchError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let body = match self.compress {
            Compress::Gzip if body.len() >= LEAST_GZIP_BYTES => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                self.compressed(body).await?
            }
            Compress::Gzip | Compress::Never => body,
        };
        self.send("bulk", Method::Post, &format!("_bulk?{ANSWER_FILTER}"), headers, Some(body)).await
    }

    /// Sends any other request; a body is JSON.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        let operation = format!("{} {path}", format!("{method:?}").to_uppercase());
        self.send(&operation, method, path, HeaderMap::new(), body).await
    }

    /// Sends a request with headers of its own; a body is JSON.
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        extra: &[(&'static str, String)],
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        let operation = format!("{} {path}", format!("{method:?}").to_uppercase());
        let mut headers = HeaderMap::new();
        for (name, value) in extra {
            let value = HeaderValue::from_str(value).map_err(|_| OpenSearchError::Configure {
                key: name,
                problem: "holds what no header may hold".to_owned(),
            })?;
            headers.insert(*name, value);
        }
        self.send(&operation, method, path, headers, body).await
    }

    /// Asks who answers, which also proves that the configured credentials are accepted.
    pub async fn info(&self) -> Result<Info, OpenSearchError> {
        #[derive(Deserialize)]
        struct Root {
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            distribution: Option<String>,
            number: String,
        }
        let (operation, host) = ("info".to_owned(), Arc::clone(&self.host));
        let answer = self.send(&operation, Method::Get, "", HeaderMap::new(), None).await?;
        if answer.status != 200 {
            return Err(OpenSearchError::Status { operation, host, status: answer.status });
        }
        let Ok(Root { version }) = serde_json::from_slice(&answer.body) else {
            return Err(OpenSearchError::Unexpected { operation, host });
        };
        Ok(Info { distribution: version.distribution, number: version.number })
    }

    async fn send(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        let response = self
            .transport
            .send(method, path, headers, body)
            .await
            .map_err(|error| self.no_answer(operation, &error))?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            return Err(OpenSearchError::Redirected {
                operation: operation.to_owned(),
                host: Arc::clone(&self.host),
                status,
                target: shown_target(response.url(), target),
            });
        }
        let body = response.bytes().await.map_err(|error| self.no_answer(operation, &error.into()))?;
        Ok(Answer { status, body })
    }

    fn no_answer(&self, operation: &str, error: &TransportError) -> OpenSearchError {
        let (operation, host) = (operation.to_owned(), Arc::clone(&self.host));
        if error.is_timeout() {
            return OpenSearchError::TimedOut { operation, host };
        }
        OpenSearchError::NoAnswer { operation, host, problem: chain(error) }
    }

    /// Megabytes take a while to compress, so that is done off the async threads.
    async fn compressed(&self, body: Bytes) -> Result<Bytes, OpenSearchError> {
        tokio::task::spawn_blocking(move || gzip(&body)).await.map_err(|error| OpenSearchError::NoAnswer {
            operation: "bulk".to_owned(),
            host: Arc::clone(&self.host),
            problem: format!("the body could not be compressed: {error}"),
        })
    }
}

/// The transport holds the credentials, so it is never part of what is shown.
impl fmt::Debug for OpenSearch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenSearch")
            .field("host", &self.host)
            .field("compress", &self.compress)
            .finish_non_exhaustive()
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("writing to memory does not fail");
    Bytes::from(encoder.finish().expect("writing to memory does not fail"))
}

/// Where a redirect leads, without the path and the query, which may carry tokens.
fn shown_target(asked: &Url, location: Option<&str>) -> String {
    let target = location.and_then(|location| asked.join(location).ok());
    match target.as_ref().map(|target| target.origin()) {
        Some(origin) if origin.is_tuple() => origin.ascii_serialization(),
        Some(_) | None => "an address that cannot be read".to_owned(),
    }
}

fn host(config: &SinkConfig) -> Arc<str> {
    let host = config.url.host_str().unwrap_or_default();
    match config.url.port() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    }
}

fn credentials(config: &SinkConfig, aws: Option<&SdkConfig>) -> Result<Option<Credentials>, OpenSearchError> {
    let missing = |key| OpenSearchError::Configure { key, problem: "is not set".to_owned() };
    match config.auth {
        AuthKind::None => Ok(None),
        AuthKind::Basic => {
            let username = config.username.clone().ok_or_else(|| missing("sink.username"))?;
            let password = match (&config.password, &config.password_file) {
                (Some(password), _) => password.clone(),
                (None, Some(path)) => SecretString::from(password_of(path)?),
                (None, None) => return Err(missing("sink.password_file")),
            };
            Ok(Some(Credentials::Basic { username, password }))
        }
        AuthKind::Sigv4 => {
            let aws = aws.ok_or_else(|| OpenSearchError::Configure {
                key: "sink.auth",
                problem: "requests cannot be signed without an AWS configuration".to_owned(),
            })?;
            let service = match config.sigv4_service {
                Sigv4Service::Es => "es",
                Sigv4Service::Aoss => "aoss",
            };
            let signature = Signature::new(aws, service).ok_or_else(|| OpenSearchError::Configure {
                key: "sink.auth",
                problem: "requests cannot be signed without credentials and a region".to_owned(),
            })?;
            Ok(Some(Credentials::Signature(signature)))
        }
        AuthKind::Certificate => {
            let (certificate_key, key_key) = ("sink.client_certificate_file", "sink.client_key_file");
            let certificate =
                config.client_certificate_file.as_deref().ok_or_else(|| missing(certificate_key))?;
            let key = config.client_key_file.as_deref().ok_or_else(|| missing(key_key))?;
            let mut pem = read(certificate_key, certificate)?;
            pem.push(b'\n');
            pem.extend(read(key_key, key)?);
            Ok(Some(Credentials::Certificate(pem)))
        }
    }
}

/// An editor or `echo` ends a file with a newline that is not part of the password.
fn password_of(path: &Path) -> Result<String, OpenSearchError> {
    let key = "sink.password_file";
    let text = String::from_utf8(read(key, path)?)
        .map_err(|_| OpenSearchError::Configure { key, problem: "is not UTF-8".to_owned() })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn trust(config: &SinkConfig) -> Result<Trust, OpenSearchError> {
    if config.danger_accept_invalid_certificates {
        return Ok(Trust::Anybody);
    }
    let Some(path) = &config.ca_file else { return Ok(Trust::System) };
    let key = "sink.ca_file";
    let configure = |problem: String| OpenSearchError::Configure { key, problem };
    let authorities =
        Certificate::from_pem_bundle(&read(key, path)?).map_err(|error| configure(chain(&error)))?;
    if authorities.is_empty() {
        return Err(configure("holds no certificate in PEM".to_owned()));
    }
    Ok(Trust::Also(authorities))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, OpenSearchError> {
    std::fs::read(path).map_err(|source| OpenSearchError::ReadFile { key, path: path.to_owned(), source })
}

/// The whole chain of causes: HTTP errors say only "error sending request", and the reason is further down.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
