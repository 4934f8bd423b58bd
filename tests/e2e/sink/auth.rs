//! How requests prove who sent them: against the fake, and against a cluster with TLS where one is in the environment.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{SharedCredentialsProvider, future};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use sagetrail::config::{AuthKind, Sigv4Service, SinkConfig};
use sagetrail::opensearch::{OpenSearch, OpenSearchError};
use sagetrail::sink::StoreError;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::sink::cluster::{environment, unique};
use crate::sink::fake::{Fake, Rules};
use crate::sink::{Running, config, created, document_of};

const PASSWORD: &str = "pass:word é";

/// The body of a bulk with one document, large enough to be compressed where that is on.
fn body() -> Bytes {
    let action = "{\"create\":{\"_index\":\"sagetrail-events-2025.06\",\"_id\":\"a\"}}";
    Bytes::from(format!("{action}\n{{\"t\":\"{:2000}\"}}\n", "x"))
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// The header that one bulk with this configuration carries.
async fn header(config: &SinkConfig, fake: &Fake, aws: Option<&SdkConfig>, name: &str) -> Option<String> {
    let client = OpenSearch::new(config, aws).unwrap();
    assert_eq!(client.bulk(body()).await.unwrap().status, 200);
    let request = fake.requests().pop().unwrap();
    request.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// The environment belongs to the whole process, so the test that a proxy would break runs in one of its own.
#[test]
fn a_proxy_in_the_environment_does_not_get_to_see_documents() {
    let test = "sink::auth::without_authentication_nothing_is_said_of_it";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .envs(["http_proxy", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
async fn without_authentication_nothing_is_said_of_it() {
    let fake = Fake::start(Rules::default(), []).await;
    assert_eq!(header(&config(&fake.url), &fake, None, "authorization").await, None);
}

#[tokio::test]
async fn a_password_from_the_environment_and_one_from_a_file_that_ends_in_a_newline_are_the_same() {
    let fake = Fake::start(Rules::default(), []).await;
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("me:{PASSWORD}")));
    for ending in ["", "\n", "\r\n"] {
        let file = file(&format!("{PASSWORD}{ending}"));
        let mut config = config(&fake.url);
        config.auth = AuthKind::Basic;
        config.username = Some("me".to_owned());
        if ending.is_empty() {
            config.password = Some(SecretString::from(PASSWORD));
        } else {
            config.password_file = Some(file.path().to_owned());
        }
        assert_eq!(header(&config, &fake, None, "authorization").await.as_ref(), Some(&expected));
        let client = OpenSearch::new(&config, None).unwrap();
        assert!(!format!("{client:?}").contains("word"), "{client:?}");
    }
}

#[derive(Debug, Default)]
struct Rotating(AtomicUsize);

impl aws_credential_types::provider::ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let token = Some(format!("token{number}"));
        let credentials = Credentials::new(format!("AKID{number}"), "secret", token, None, "test");
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

#[tokio::test]
async fn a_signature_is_made_for_the_configured_service_over_the_bytes_on_the_wire() {
    let fake = Fake::start(Rules::default(), []).await;
    let aws = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Rotating::default()))
        .build();
    for (service, name, gzip) in [(Sigv4Service::Es, "es", false), (Sigv4Service::Aoss, "aoss", true)] {
        let mut config = config(&fake.url);
        config.auth = AuthKind::Sigv4;
        config.sigv4_service = service;
        config.gzip = gzip;
        let signature = header(&config, &fake, Some(&aws), "authorization").await.unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID"), "{signature}");
        assert!(signature.contains(&format!("/eu-west-1/{name}/aws4_request")), "{signature}");
        assert!(signature.contains("content-type;host;"), "{signature}");
        let request = fake.requests().pop().unwrap();
        assert_eq!(request.headers.contains_key("content-encoding"), gzip);
        let mut hash = String::new();
        for byte in Sha256::digest(&request.raw) {
            use std::fmt::Write;
            write!(hash, "{byte:02x}").unwrap();
        }
        assert_eq!(request.headers["x-amz-content-sha256"], hash);
    }
}

#[tokio::test]
async fn credentials_that_are_renewed_are_used() {
    let fake = Fake::start(Rules::default(), []).await;
    let provider = SharedCredentialsProvider::new(Rotating::default());
    let aws = SdkConfig::builder().region(Region::new("eu-west-1")).credentials_provider(provider).build();
    let mut config = config(&fake.url);
    config.auth = AuthKind::Sigv4;
    let client = OpenSearch::new(&config, Some(&aws)).unwrap();
    for _ in 0..2 {
        client.bulk(body()).await.unwrap();
    }
    let tokens: Vec<_> =
        fake.requests().iter().map(|request| request.headers["x-amz-security-token"].clone()).collect();
    assert_ne!(tokens[0], tokens[1]);
    assert!(!format!("{client:?}").contains("AKID"));
}

#[test]
fn what_is_missing_or_broken_is_named_by_its_key() {
    let nowhere = || Some(PathBuf::from("/nonexistent/file"));
    let broken = file("no PEM");
    let base = config("https://localhost:1");
    let table = [
        (SinkConfig { auth: AuthKind::Sigv4, ..base.clone() }, "sink.auth"),
        (SinkConfig { ca_file: nowhere(), ..base.clone() }, "sink.ca_file"),
        (SinkConfig { ca_file: Some(broken.path().to_owned()), ..base.clone() }, "sink.ca_file"),
        (
            SinkConfig {
                auth: AuthKind::Basic,
                username: Some("me".to_owned()),
                password_file: nowhere(),
                ..base.clone()
            },
            "sink.password_file",
        ),
        (
            SinkConfig {
                auth: AuthKind::Certificate,
                client_certificate_file: Some(broken.path().to_owned()),
                client_key_file: nowhere(),
                ..base.clone()
            },
            "sink.client_key_file",
        ),
    ];
    for (config, key) in table {
        let error = OpenSearch::new(&config, None).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

/// A cluster with the security plugin: its URL, and a configuration that it accepts.
fn secure() -> Option<SinkConfig> {
    let url = environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_URL")?;
    let mut config = config(&url);
    config.auth = AuthKind::Basic;
    config.username = environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_USER");
    config.password = environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_PASSWORD").map(SecretString::from);
    config.ca_file = environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_CA").map(PathBuf::from);
    Some(config)
}

#[tokio::test]
async fn a_cluster_with_a_private_authority_and_a_password_takes_documents() {
    let Some(mut config) = secure() else { return };
    config.gzip = true;
    let client = OpenSearch::new(&config, None).unwrap();
    assert_eq!(client.info().await.unwrap().distribution.as_deref(), Some("opensearch"));
    let running = Running::new(&config);
    let document = document_of(format!("{{\"u\":\"{}\",\"t\":\"{:2000}\"}}", unique(), "x"));
    assert_eq!(running.store(vec![document]).await, Ok(created(1)));
    running.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_no_success_and_no_refusal_of_documents() {
    let Some(mut config) = secure() else { return };
    config.password = Some(SecretString::from("wrong"));
    let client = OpenSearch::new(&config, None).unwrap();
    let error = client.info().await.unwrap_err();
    assert!(matches!(error, OpenSearchError::Status { status: 401, .. }), "{error}");
    let running = Running::new(&config);
    let producer = running.sink.join();
    let submission = producer.submit(vec![document_of(format!("{{\"u\":\"{}\"}}", unique()))]).await.unwrap();
    drop(producer);
    running.until_retried("bulk_request", 1.0).await;
    drop(running);
    assert_eq!(submission.stored().await, Err(StoreError::Closed));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_unless_the_operator_insists() {
    let Some(mut config) = secure() else { return };
    config.ca_file = None;
    let error = OpenSearch::new(&config, None).unwrap().info().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    config.danger_accept_invalid_certificates = true;
    assert!(OpenSearch::new(&config, None).unwrap().info().await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_is_enough() {
    let Some(mut config) = secure() else { return };
    let (Some(certificate), Some(key)) = (
        environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_CERTIFICATE"),
        environment("SAGETRAIL_TEST_OPENSEARCH_SECURE_KEY"),
    ) else {
        return;
    };
    config.auth = AuthKind::None;
    let anonymous = OpenSearch::new(&config, None).unwrap().info().await.unwrap_err();
    assert!(matches!(anonymous, OpenSearchError::Status { status: 401, .. }), "{anonymous}");
    config.auth = AuthKind::Certificate;
    config.client_certificate_file = Some(Path::new(&certificate).to_owned());
    config.client_key_file = Some(Path::new(&key).to_owned());
    assert!(OpenSearch::new(&config, None).unwrap().info().await.is_ok());
}
