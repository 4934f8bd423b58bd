//! Sends every request to the cluster, authenticated as configured.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::bulk::ANSWER_FILTER;
use super::connection::Connection;
use super::error::OpenSearchError;
use super::transport::{Method, Transport, TransportError};
use crate::advice::{self, Place};
use crate::causes::chain;
use crate::config::{AuthKind, SinkConfig};
use crate::denial;
use crate::names::Names;

/// Below this many bytes compression costs more than it saves.
const LEAST_GZIP_BYTES: usize = 1 << 10;

/// A client of one cluster. Cloning it is cheap and shares its connections.
#[derive(Clone)]
pub struct OpenSearch {
    connection: Arc<Connection>,
    place: Place,
    /// Where requests are signed, for which region.
    region: Option<Arc<str>>,
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

impl OpenSearch {
    /// Makes a client; nothing is sent yet. `aws` gives the region and the credentials, which refresh themselves, where
    /// requests are signed.
    pub fn new(config: &SinkConfig, aws: Option<&SdkConfig>) -> Result<Self, OpenSearchError> {
        Self::open("sink", config, aws)
    }

    /// Makes a client of another server that speaks JSON over HTTP, such as Dashboards or an Alertmanager. Its errors
    /// and advice name its section of the configuration.
    pub fn of_section(section: &str, config: &SinkConfig) -> Result<Self, OpenSearchError> {
        Self::open(section, config, None)
    }

    fn open(section: &str, config: &SinkConfig, aws: Option<&SdkConfig>) -> Result<Self, OpenSearchError> {
        let region = aws.filter(|_| config.auth == AuthKind::Sigv4).and_then(SdkConfig::region);
        Ok(Self {
            connection: Arc::new(Connection::open(section, config, aws)?),
            place: Place::of(section, &config.url),
            region: region.map(|region| region.as_ref().into()),
            host: host(config),
            names: Names::new(&config.index_prefix),
            compress: if config.gzip { Compress::Gzip } else { Compress::Never },
        })
    }

    /// Reads the files again that the configuration names, and uses what they hold from the next request on.
    pub async fn renew(&self) {
        let connection = Arc::clone(&self.connection);
        // A renewal that panicked has changed nothing, and the next one repeats it.
        let _ = tokio::task::spawn_blocking(move || connection.renew()).await;
    }

    /// Whether a file that its section names could not be used when it was last read.
    pub fn refuses_files(&self) -> bool {
        self.connection.refuses_files()
    }

    /// The address of the cluster for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The names of our objects on this cluster.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether large bodies are compressed.
    pub fn compresses(&self) -> bool {
        matches!(self.compress, Compress::Gzip)
    }

    /// Sends the body of a bulk.
    pub async fn bulk(&self, body: Bytes) -> Result<Answer, OpenSearchError> {
        self.send_bulk(&format!("_bulk?{ANSWER_FILTER}"), body).await
    }

    /// Sends the body of a bulk whose documents searches find at once, and answers with what the server said where it
    /// did not take all of them.
    pub async fn bulk_whole(&self, body: Bytes) -> Result<Result<(), Answer>, OpenSearchError> {
        let answer = self.send_bulk("_bulk?refresh=true&filter_path=errors,items.*.error", body).await?;
        let is_whole = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|it| it["errors"] == false);
        Ok(if answer.status == 200 && is_whole { Ok(()) } else { Err(answer) })
    }

    /// Sends the body of a bulk whose documents searches find at once, and reads what became of each: its status and
    /// version.
    pub async fn bulk_seen(&self, body: Bytes) -> Result<Answer, OpenSearchError> {
        self.send_bulk(
            "_bulk?refresh=true&filter_path=items.*.status,items.*._seq_no,items.*._primary_term",
            body,
        )
        .await
    }

    async fn send_bulk(&self, path: &str, body: Bytes) -> Result<Answer, OpenSearchError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let body = match self.compress {
            Compress::Gzip if body.len() >= LEAST_GZIP_BYTES => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                self.compressed(body).await?
            }
            Compress::Gzip | Compress::Never => body,
        };
        self.send("bulk", Method::POST, path, headers, Some(body)).await
    }

    /// Sends any other request; a body is JSON.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        self.request_with(method, path, &[], body).await
    }

    /// Sends a request with headers of its own; a body is JSON.
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        extra: &[(&'static str, String)],
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        let operation = format!("{method} {path}");
        let mut headers = HeaderMap::new();
        for (name, value) in extra {
            let value = HeaderValue::from_str(value)
                .map_err(|_| OpenSearchError::configure(name, "holds what no header may hold"))?;
            headers.insert(*name, value);
        }
        self.send(&operation, method, path, headers, body).await
    }

    /// Asks for the kind and version of the server, which also proves that it accepts the credentials.
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
        let answer = self.send(&operation, Method::GET, "", HeaderMap::new(), None).await?;
        if answer.status != 200 {
            return Err(OpenSearchError::Status { operation, host, status: answer.status });
        }
        let Ok(Root { version }) = serde_json::from_slice(&answer.body) else {
            return Err(OpenSearchError::Unexpected { operation, host });
        };
        Ok(Info { distribution: version.distribution, number: version.number })
    }

    /// Sends the lines of several searches.
    pub async fn search_several(&self, lines: Bytes) -> Result<Answer, OpenSearchError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        self.send("_msearch", Method::POST, "_msearch", headers, Some(lines)).await
    }

    async fn send(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, OpenSearchError> {
        let failed = |error| self.no_answer(operation, &error);
        let transport = self.connection.transport();
        let mut response =
            transport.send(method.clone(), path, headers.clone(), body.clone()).await.map_err(failed)?;
        if matches!(response.status().as_u16(), 401 | 403)
            && let Some(renewed) = self.renewed(&transport).await
        {
            response = renewed.send(method, path, headers, body).await.map_err(failed)?;
        }
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
        let body = response.bytes().await.map_err(|error| failed(error.into()))?;
        let (operation, host) = (operation.to_owned(), Arc::clone(&self.host));
        let advice = match status {
            400 => advice::of_plain_request(&body, &self.place),
            401 | 403 if self.region.is_some() => {
                denial::signed_elsewhere(&String::from_utf8_lossy(&body), self.region.as_deref())
            }
            _ => None,
        };
        match advice {
            Some(advice) => Err(OpenSearchError::Denied { operation, host, status, advice }),
            None => Ok(Answer { status, body }),
        }
    }

    /// A new transport in place of the denied one, if the files have changed since that was made.
    async fn renewed(&self, turned_away: &Arc<Transport>) -> Option<Arc<Transport>> {
        self.renew().await;
        let transport = self.connection.transport();
        (!Arc::ptr_eq(&transport, turned_away)).then_some(transport)
    }

    fn no_answer(&self, operation: &str, error: &TransportError) -> OpenSearchError {
        let (operation, host) = (operation.to_owned(), Arc::clone(&self.host));
        if error.is_timeout() {
            return OpenSearchError::TimedOut { operation, host };
        }
        let mut problem = chain(error);
        if let Some(advice) = advice::of_connection(&problem, &self.place) {
            problem = format!("{problem}; {advice}");
        }
        OpenSearchError::NoAnswer { operation, host, problem }
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
    match target.as_ref().map(Url::origin) {
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
