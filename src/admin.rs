//! The admin endpoint: what operators and orchestrators ask the daemon over HTTP.
//!
//! `/metrics` is for Prometheus, `/healthz` says that the process runs, `/readyz` that it can do its work: the queue
//! answers and OpenSearch answers. It listens on loopback unless the configuration says otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::sink::OpenSearch;

/// How long `/readyz` waits for OpenSearch: below the second that orchestrators give a probe by default.
const READY_TIMEOUT: Duration = Duration::from_millis(800);

/// What the endpoint reads.
#[derive(Clone)]
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub opensearch: OpenSearch,
    pub readiness: Arc<Readiness>,
}

/// What has to be so before the daemon can do its work.
#[derive(Debug, Default)]
pub struct Readiness {
    started: AtomicBool,
    queue_answers: AtomicBool,
}

impl Readiness {
    /// The templates are installed and the receivers run.
    pub fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    pub fn queue_answered(&self) {
        self.queue_answers.store(true, Ordering::Relaxed);
    }

    pub fn queue_failed(&self) {
        self.queue_answers.store(false, Ordering::Relaxed);
    }
}

/// Why the endpoint does not serve.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("admin.listen: cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the admin endpoint failed: {0}")]
    Serve(std::io::Error),
}

/// Takes the port, so that a taken one ends the start and not a task later on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(address).await.map_err(|source| AdminError::Listen { address, source })
}

/// Serves until told to stop.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> Result<(), AdminError> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(admin);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(AdminError::Serve)
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.expose())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if !admin.readiness.started.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    }
    if !admin.readiness.queue_answers.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer\n");
    }
    match tokio::time::timeout(READY_TIMEOUT, admin.opensearch.info()).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "OpenSearch does not answer\n"),
    }
}
