//! Serves scripted HTTP answers, broken ones too, to tests.
//!
//! Each request gets the next step of the script. A request beyond the script fails the test, and so does a step that
//! no request asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One answer, to the byte.
pub(super) struct Step {
    bytes: Vec<u8>,
    then: Then,
}

/// What the server does with the connection after its answer.
enum Then {
    Close,
    Hang,
}

impl Step {
    /// An answer as it should be.
    pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", &length)]].concat();
        Self::raw(status, &headers, body)
    }

    /// An answer that announces nothing but what is given.
    pub(super) fn raw(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self { bytes, then: Then::Close }
    }

    /// An S3 error.
    pub(super) fn s3_error(status: u16, code: &str, message: &str, headers: &[(&str, &str)]) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Self::answer(status, &[headers, &[("Content-Type", "application/xml")]].concat(), body.as_bytes())
    }

    /// The connection ends before anything was answered.
    pub(super) fn reset() -> Self {
        Self { bytes: Vec::new(), then: Then::Close }
    }

    /// The connection stays open after what was sent.
    pub(super) fn hanging(self) -> Self {
        Self { then: Then::Hang, ..self }
    }
}

/// What has happened at the server so far.
#[derive(Default, Clone)]
pub(super) struct Seen {
    /// The head of each request, in lower case.
    pub(super) requests: Vec<String>,
    /// Hanging connections that the client closed.
    pub(super) abandoned: usize,
}

/// The running server.
pub(super) struct Fake {
    url: String,
    script: Script,
    seen: watch::Receiver<Seen>,
}

type Script = Arc<Mutex<VecDeque<Step>>>;

impl Fake {
    pub(super) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        let (sender, seen) = watch::channel(Seen::default());
        tokio::spawn(serve(listener, Arc::clone(&script), sender));
        Self { url, script, seen }
    }

    /// Settings whose clients talk to this server, and soon ask again what failed.
    pub(super) fn aws(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "fake");
        let stalls = StalledStreamProtectionConfig::enabled().grace_period(Duration::from_millis(100));
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(&self.url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_max_backoff(Duration::from_millis(5)))
            .stalled_stream_protection(stalls.build())
            .build()
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits for something to have happened.
    pub(super) async fn until(&self, condition: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        assert!(seen.wait_for(condition).await.is_ok(), "the server ended before it happened");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let leftovers = self.script.lock().expect("no step panics while it is taken").len();
            assert_eq!(leftovers, 0, "steps that nobody came for, after {:#?}", self.seen().requests);
        }
    }
}

async fn serve(listener: TcpListener, script: Script, seen: watch::Sender<Seen>) {
    let seen = Arc::new(seen);
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&script), Arc::clone(&seen)));
    }
}

async fn answer(mut stream: TcpStream, script: Script, seen: Arc<watch::Sender<Seen>>) {
    let Some(head) = read_request(&mut stream).await else { return };
    seen.send_modify(|seen| seen.requests.push(head));
    let step = script.lock().expect("no step panics while it is taken").pop_front();
    // 418 is no status that any client repeats, so a request beyond the script ends the test at once.
    let step = step.unwrap_or_else(|| Step::s3_error(418, "BeyondTheScript", "no step is left", &[]));
    if stream.write_all(&step.bytes).await.is_ok() && matches!(step.then, Then::Hang) {
        let _ = stream.read(&mut [0]).await;
        seen.send_modify(|seen| seen.abandoned += 1);
    }
}

/// Reads a request with its body, and returns its head. None is a connection that was opened and not used.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(head);
        }
    }
}
