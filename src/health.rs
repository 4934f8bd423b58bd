//! Asks a running daemon's admin endpoint how it is, for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longer than the daemon itself waits for OpenSearch before it answers.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is asked of the daemon.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// Whether the process runs, for a liveness probe.
    Live,
    /// Whether it can do its work, which a restart would not change while a server is away.
    Ready,
}

/// Why the daemon is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error(
        "GET {url}: no answer; check that the daemon runs and that admin.listen is its address: {source}"
    )]
    NoAnswer { url: String, source: reqwest::Error },
    #[error("GET {url}: {status}: {reason}")]
    NotReady { url: String, status: u16, reason: String },
}

/// Asks the daemon that listens on this address.
pub async fn check(listen: SocketAddr, probe: Probe) -> Result<(), HealthError> {
    let path = match probe {
        Probe::Live => "healthz",
        Probe::Ready => "readyz",
    };
    let url = format!("http://{}/{path}", reachable(listen));
    let no_answer = |source| HealthError::NoAnswer { url: url.clone(), source };
    // It is this very host, which no proxy stands before, and no TLS.
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().tls_danger_accept_invalid_certs(true);
    let client = client.build().map_err(no_answer)?;
    let answer = client.get(&url).send().await.map_err(no_answer)?;
    let status = answer.status().as_u16();
    if status == 200 {
        return Ok(());
    }
    let reason = answer.text().await.map_err(no_answer)?.trim().to_owned();
    Err(HealthError::NotReady { url, status, reason })
}

/// An address to connect to: "every address" is one to listen on only.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    /// Serves one answer on a free port of every address.
    async fn serve(status: StatusCode, text: &'static str) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(move || async move { (status, text) }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn ask(address: SocketAddr, probe: Probe) -> Result<(), String> {
        check(address, probe).await.map_err(|error| error.to_string())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ready_daemon_is_healthy_and_another_says_why_it_is_not() {
        assert_eq!(ask(serve(StatusCode::OK, "ready\n").await, Probe::Ready).await, Ok(()));
        let waiting = serve(StatusCode::SERVICE_UNAVAILABLE, "OpenSearch does not answer\n").await;
        assert!(ask(waiting, Probe::Ready).await.unwrap_err().ends_with("503: OpenSearch does not answer"));
        assert_eq!(ask(waiting, Probe::Live).await, Ok(()), "a restart would not help it");
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for probe in [Probe::Live, Probe::Ready] {
            assert!(ask(nobody, probe).await.unwrap_err().contains("check that the daemon runs"));
        }
    }
}
