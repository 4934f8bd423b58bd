//! Sends a request to one server. It follows no redirect, because only the configuration decides where documents go.

use std::error::Error;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
pub use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Request, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// How a request proves who sent it.
pub(super) enum Credentials {
    Basic {
        username: String,
        password: SecretString,
    },
    Signature(Signature),
    /// A certificate and its key, in PEM.
    Certificate(Vec<u8>),
}

/// What requests are signed with. The credentials refresh themselves.
pub(super) struct Signature {
    provider: SharedCredentialsProvider,
    region: Region,
    service: &'static str,
    time: SharedTimeSource,
}

/// Whose certificates are accepted.
pub(super) enum Trust {
    /// Those of the system's authorities.
    System,
    /// Those of these authorities as well.
    Also(Vec<Certificate>),
    Anybody,
}

/// A client of one server.
pub(super) struct Transport {
    client: Client,
    base: Url,
    credentials: Option<Credentials>,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error("{0}")]
    Url(#[from] url::ParseError),
    #[error("the request could not be signed: {0}")]
    Unsigned(#[source] Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl TransportError {
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_timeout())
    }
}

impl Signature {
    /// None where the settings lack credentials or the region.
    pub(super) fn new(aws: &SdkConfig, service: &'static str) -> Option<Self> {
        Some(Self {
            provider: aws.credentials_provider()?,
            region: aws.region()?.clone(),
            service,
            time: aws.time_source().unwrap_or_default(),
        })
    }
}

impl Transport {
    pub(super) fn new(
        mut base: Url,
        timeout: Duration,
        user_agent: &'static str,
        credentials: Option<Credentials>,
        trust: Trust,
    ) -> Result<Self, TransportError> {
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut builder = ClientBuilder::new()
            .timeout(timeout)
            .user_agent(user_agent)
            // Proxy variables of the environment must not decide where documents go.
            .no_proxy()
            .redirect(redirect::Policy::none());
        if let Some(Credentials::Certificate(pem)) = &credentials {
            builder = builder.identity(reqwest::Identity::from_pem(pem)?);
        }
        builder = match trust {
            Trust::System => builder,
            Trust::Also(authorities) => {
                authorities.into_iter().fold(builder, ClientBuilder::add_root_certificate)
            }
            Trust::Anybody => builder.danger_accept_invalid_certs(true),
        };
        Ok(Self { client: builder.build()?, base, credentials })
    }

    /// Sends one request; a body is JSON unless the headers say otherwise.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, TransportError> {
        let url = self.base.join(path.trim_start_matches('/'))?;
        let mut all = HeaderMap::new();
        all.insert(ACCEPT, HeaderValue::from_static("application/json"));
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        all.extend(headers);
        let mut request = self.client.request(method, url);
        if let Some(Credentials::Basic { username, password }) = &self.credentials {
            request = request.basic_auth(username, Some(password.expose_secret()));
        }
        request = request.headers(all);
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut request = request.build()?;
        if let Some(Credentials::Signature(signature)) = &self.credentials {
            signature.sign(&mut request).await.map_err(TransportError::Unsigned)?;
        }
        Ok(self.client.execute(request).await?)
    }
}

impl Signature {
    async fn sign(&self, request: &mut Request) -> Result<(), Box<dyn Error + Send + Sync>> {
        let credentials = self.provider.provide_credentials().await?;
        let expiry = credentials.expiry();
        let identity = Identity::new(credentials, expiry);
        let mut settings = SigningSettings::default();
        // OpenSearch Serverless asks for it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .name(self.service)
            .region(self.region.as_ref())
            .time(self.time.now())
            .settings(settings)
            .build()?;
        let headers: Vec<(&str, &str)> = request
            .headers()
            .iter()
            .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
            .collect::<Result<_, reqwest::header::ToStrError>>()?;
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.url().as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        )?;
        let (instructions, _) = sign(signable, &SigningParams::V4(parameters))?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::from_str(header.value())?;
            value.set_sensitive(header.sensitive());
            request.headers_mut().insert(header.name(), value);
        }
        Ok(())
    }
}
