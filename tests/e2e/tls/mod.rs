//! What is said when a connection does not come about, and files of secrets that are exchanged under a running client,
//! against real servers with TLS on loopback.

mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use sagetrail::alertmanager::Alertmanagers;
use sagetrail::config::{AuthKind, Config, DashboardsConfig, SinkConfig};
use sagetrail::metrics::Metrics;
use sagetrail::opensearch::OpenSearch;
use sagetrail::setup::dashboards::Dashboards;
use sagetrail::source::queue::Queue;
use server::{Authority, Doors, Identity, NOW, Server};
use tempfile::TempDir;
use time::OffsetDateTime;
use url::Url;

use crate::alertmanager::incident;
use crate::support::log::Log;

/// How many lines of the log have all these words.
fn logged(words: &[&str]) -> usize {
    Log::of_all_threads().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

fn sink(scheme: &str, host: &str, port: u16) -> SinkConfig {
    SinkConfig { url: Url::parse(&format!("{scheme}://{host}:{port}")).unwrap(), ..SinkConfig::default() }
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

async fn refusal(config: &SinkConfig) -> String {
    let error = match OpenSearch::new(config, None) {
        Ok(client) => client.info().await.unwrap_err(),
        Err(error) => error,
    };
    error.to_string()
}

async fn refusal_of_dashboards(config: &SinkConfig) -> String {
    let config = DashboardsConfig {
        url: Some(config.url.clone()),
        ca_file: config.ca_file.clone(),
        ..DashboardsConfig::default()
    };
    Dashboards::new(&config).unwrap().unwrap().probe().await.unwrap_err().to_string()
}

#[tokio::test]
async fn each_obstacle_on_the_way_to_a_server_is_told_with_the_setting_that_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let ca = write(&folder, "ca.pem", &ours.pem);
    let start = async |identity: Identity, clients: Option<String>| {
        Server::start(Some(&identity), Doors { clients, ..Doors::default() }).await
    };
    let good = start(ours.identity("localhost", NOW), None).await;
    let elsewhere = start(ours.identity("search.example.com", NOW), None).await;
    let over = start(ours.identity("localhost", (2000, 2001)), None).await;
    let early = start(ours.identity("localhost", (3000, 4000)), None).await;
    let foreign = start(other.identity("localhost", NOW), None).await;
    let closed = start(ours.identity("localhost", NOW), Some(ours.pem.clone())).await;
    let plain = Server::start(None, Doors::default()).await;

    let secured =
        |server: &Server| SinkConfig { ca_file: Some(ca.clone()), ..sink("https", "localhost", server.port) };
    assert!(OpenSearch::new(&secured(&good), None).unwrap().info().await.is_ok());
    let stranger = SinkConfig { url: Url::parse("https://no-such-host.invalid").unwrap(), ..secured(&good) };
    let cases = [
        (sink("https", "localhost", good.port), "set [section].ca_file to a PEM file"),
        (secured(&foreign), "set [section].ca_file to a PEM file"),
        (secured(&elsewhere), "use a name in [section].url that is in the server's certificate"),
        (secured(&over), "renew the server's certificate"),
        (secured(&early), "correct this host's clock"),
        (secured(&plain), "begin [section].url with http://"),
        (sink("http", "localhost", good.port), "begin [section].url with https://"),
        (secured(&closed), "the server asks for a client certificate"),
        (stranger, "check the spelling of the host in [section].url"),
    ];
    for (config, advice) in &cases {
        let said = refusal(config).await;
        assert!(said.contains(&advice.replace("[section]", "sink")), "{}: {said}", config.url);
        let said = refusal_of_dashboards(config).await;
        assert!(said.contains(&advice.replace("[section]", "dashboards")), "{}: {said}", config.url);
        assert!(!said.contains("sink."), "{said}");
    }
}

#[tokio::test]
async fn a_single_sign_on_before_a_server_is_told_with_where_it_leads_and_no_token() {
    const LOGIN: &str = "302 Found\r\nlocation: https://login.example.com/saml?SAMLRequest=s3cret";
    for answer in [(LOGIN, ""), ("200 OK\r\ncontent-type: text/html", "<html>Log in</html>")] {
        let doors = Doors { answer: Some(answer), ..Doors::default() };
        let server = Server::start(None, doors).await;
        let config = sink("http", "localhost", server.port);
        let is_redirect = answer.1.is_empty();
        for (said, words) in [
            (refusal(&config).await, if is_redirect { "https://login.example.com" } else { "a login page" }),
            (
                refusal_of_dashboards(&config).await,
                if is_redirect {
                    "https://login.example.com, as a single sign-on does"
                } else {
                    "dashboards.url: "
                },
            ),
        ] {
            assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_signature_for_another_region_is_told_as_that_and_another_denial_is_not() {
    let aws = aws_at("http://localhost:9").await;
    let region = r#"{"message":"Credential should be scoped to a valid region. "}"#;
    let role =
        r#"{"Message":"User: arn:aws:iam::111122223333:user/x is not authorized to perform: es:ESHttpGet"}"#;
    for (body, is_region) in [(region, true), (role, false)] {
        let doors = Doors { answer: Some(("403 Forbidden", body)), ..Doors::default() };
        let server = Server::start(None, doors).await;
        let config = SinkConfig { auth: AuthKind::Sigv4, ..sink("http", "localhost", server.port) };
        let said = OpenSearch::new(&config, Some(&aws)).unwrap().info().await.unwrap_err().to_string();
        assert!(said.contains("403"), "{said}");
        assert_eq!(said.contains("set AWS_REGION") && said.contains("not eu-central-1"), is_region, "{said}");
    }
}

#[tokio::test]
async fn an_alertmanager_with_another_authority_is_handed_incidents_once_the_file_holds_that() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let doors = Doors { answer: Some(("200 OK", "[]")), ..Doors::default() };
    let server = Server::start(Some(&ours.identity("localhost", NOW)), doors).await;
    let ca = write(&folder, "ca.pem", &other.pem);
    let config: Config = toml::from_str(&format!(
        "[channels]\nam = {{ kind = 'alertmanager', url = 'https://localhost:{}', ca_file = '{}' }}",
        server.port,
        ca.display()
    ))
    .unwrap();
    let to = Alertmanagers::new(&config, Arc::new(Metrics::new())).unwrap();
    let hand_over = async || to.hand_over(&[incident("0a1b", "High: one.")], OffsetDateTime::now_utc()).await;
    let refused = hand_over().await.pop().unwrap();
    let problem = refused.problem.unwrap().to_string();
    assert!(problem.contains("set channels.am.ca_file to a PEM file"), "{problem}");
    write(&folder, "ca.pem", &ours.pem);
    let handed = hand_over().await.pop().unwrap();
    assert_eq!((handed.taken, handed.problem), (1, None));
}

#[test]
fn a_key_of_the_client_that_cannot_be_used_is_told_by_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write(&folder, "client.pem", &Authority::new("ours").identity("me", NOW).certificate);
    for (text, words) in [
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "is encrypted",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "is encrypted"),
        ("\0\0\0", "holds no key in PEM"),
    ] {
        let config = SinkConfig {
            auth: AuthKind::Certificate,
            client_certificate_file: Some(certificate.clone()),
            client_key_file: Some(write(&folder, "client.key", text)),
            ..sink("https", "localhost", 9)
        };
        let said = OpenSearch::new(&config, None).unwrap_err().to_string();
        assert!(said.starts_with("sink.client_key_file: ") && said.contains(words), "{said}");
    }
}

async fn aws_at(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKID", "s", None, None, "test",
        )))
        .load()
        .await
}

#[tokio::test]
async fn each_obstacle_on_the_way_to_aws_is_told_with_what_removes_it() {
    let foreign = Authority::new("a proxy's").identity("localhost", NOW);
    let foreign = Server::start(Some(&foreign), Doors::default()).await;
    let plain = Server::start(None, Doors::default()).await;
    let cases = [
        (
            format!("https://localhost:{}", foreign.port),
            "add its authority to the system's, or name a file with all authorities in SSL_CERT_FILE",
        ),
        (format!("https://localhost:{}", plain.port), "begin AWS_ENDPOINT_URL with http://"),
        (format!("http://localhost:{}", foreign.port), "begin the URL with https://"),
        (
            "https://sqs.eu-centrall-1.amazonaws.invalid".to_owned(),
            "check the spelling of the region (AWS_REGION",
        ),
    ];
    for (endpoint, advice) in cases {
        let url = Url::parse("https://sqs.eu-central-1.amazonaws.com/111122223333/trail").unwrap();
        let client = aws_sdk_sqs::Client::new(&aws_at(&endpoint).await);
        let Err(error) = Queue::open(client, &url).await else { panic!("{endpoint} answers") };
        assert!(error.to_string().contains(advice), "{endpoint}: {error}");
    }
}

/// A command on a host without any authority, as a container from an empty image is.
fn without_authorities(url: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["setup", "--diff"])
        .envs([("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .env("SAGETRAIL__SINK__URL", url)
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_authorities_is_told_what_to_install_and_needs_none_without_tls() {
    let told = without_authorities("https://localhost:9");
    assert!(told.contains("install the package ca-certificates, or set sink.ca_file"), "{told}");
    let told = without_authorities("http://localhost:9");
    assert!(told.contains("refused") && !told.contains("ca-certificates"), "{told}");
}

#[tokio::test]
async fn a_password_that_was_exchanged_is_used_at_once_and_a_file_half_way_keeps_the_old_one() {
    Log::start();
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "password", "one\n");
    let doors = Doors::default();
    *doors.password.lock().unwrap() = Some("one".to_owned());
    let server = Server::start(None, doors.clone()).await;
    let client = OpenSearch::new(
        &SinkConfig {
            auth: AuthKind::Basic,
            username: Some("me".to_owned()),
            password_file: Some(file.clone()),
            ..sink("http", "localhost", server.port)
        },
        None,
    )
    .unwrap();
    assert!(client.info().await.is_ok());

    std::fs::write(&file, "").unwrap();
    for _ in 0..3 {
        client.renew().await;
    }
    std::fs::remove_file(&file).unwrap();
    for _ in 0..3 {
        client.renew().await;
    }
    assert!(client.info().await.is_ok(), "the old password stays in use");
    let path = file.display().to_string();
    assert_eq!(logged(&["WARN", "sink.password_file: is empty", "stays in use"]), 1);
    assert_eq!(logged(&["WARN", &path, "stays in use"]), 1);

    // The server is first, and the next request that it denies looks at the file.
    *doors.password.lock().unwrap() = Some("two".to_owned());
    std::fs::write(&file, "two").unwrap();
    assert!(client.clone().info().await.is_ok());
    // The file is first, and the watch looks at it.
    std::fs::write(&file, "three").unwrap();
    client.renew().await;
    assert!(client.info().await.is_err(), "what the file holds is in use");
    *doors.password.lock().unwrap() = Some("three".to_owned());
    assert!(client.info().await.is_ok());
    for secret in ["one", "two", "three"] {
        assert_eq!(logged(&[&format!("{secret}\"")]), 0);
    }
}

#[tokio::test]
async fn an_authority_that_was_exchanged_is_trusted_and_half_a_file_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let ca = write(&folder, "ca.pem", &old.pem);
    let before = Server::start(Some(&old.identity("localhost", NOW)), Doors::default()).await;
    let after = Server::start(Some(&new.identity("localhost", NOW)), Doors::default()).await;
    let client = |server: &Server| {
        let config = SinkConfig { ca_file: Some(ca.clone()), ..sink("https", "localhost", server.port) };
        OpenSearch::new(&config, None).unwrap()
    };
    let (to_before, to_after) = (client(&before), client(&after));
    assert!(to_before.info().await.is_ok() && to_after.info().await.is_err());

    let bundle = format!("{}{}", new.pem, old.pem);
    for cut in [0, 20, new.pem.len() / 2, new.pem.len() + 40, bundle.len() - 30] {
        std::fs::write(&ca, &bundle[..cut]).unwrap();
        to_before.renew().await;
        to_after.renew().await;
        assert!(to_before.info().await.is_ok() && to_after.info().await.is_err(), "{cut} bytes were taken");
    }
    std::fs::write(&ca, &bundle).unwrap();
    to_before.renew().await;
    to_after.renew().await;
    assert!(to_before.info().await.is_ok() && to_after.info().await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_that_was_exchanged_is_shown_and_one_without_its_key_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = write(&folder, "ca.pem", &authority.pem);
    let doors = Doors { clients: Some(authority.pem.clone()), ..Doors::default() };
    let server = Server::start(Some(&authority.identity("localhost", NOW)), doors).await;
    let (old, new) = (authority.identity("old", NOW), authority.identity("new", NOW));
    // As Kubernetes does it: a link to a folder that is exchanged by a rename.
    let data = folder.path().join("data");
    lay(folder.path(), "v1", &old.certificate, &old.key);
    let config = SinkConfig {
        auth: AuthKind::Certificate,
        client_certificate_file: Some(data.join("client.pem")),
        client_key_file: Some(data.join("client.key")),
        ca_file: Some(ca),
        ..sink("https", "localhost", server.port)
    };
    let client = OpenSearch::new(&config, None).unwrap();
    let shown = async || {
        client.renew().await;
        client.info().await.unwrap();
        server.shown.lock().unwrap().last().unwrap().clone()
    };
    let first = shown().await;
    lay(folder.path(), "v2", &new.certificate, &old.key);
    assert_eq!(shown().await, first, "a certificate and the key of another are half a rotation");
    lay(folder.path(), "v3", &new.certificate, &new.key);
    let second = shown().await;
    assert_ne!(second, first);
    lay(folder.path(), "v4", "", "");
    assert_eq!(shown().await, second);
}

fn lay(folder: &Path, version: &str, certificate: &str, key: &str) {
    let versioned = folder.join(version);
    std::fs::create_dir(&versioned).unwrap();
    std::fs::write(versioned.join("client.pem"), certificate).unwrap();
    std::fs::write(versioned.join("client.key"), key).unwrap();
    std::os::unix::fs::symlink(&versioned, folder.join("link")).unwrap();
    std::fs::rename(folder.join("link"), folder.join("data")).unwrap();
}
