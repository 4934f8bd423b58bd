//! Serves the admin endpoint, which operators and orchestrators ask over HTTP.
//!
//! `/metrics` is for Prometheus. `/healthz` says that the process runs. `/readyz`, and the metric `sagetrail_ready`,
//! say that the queue and OpenSearch answer. The endpoint listens on loopback unless the configuration says otherwise.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::labels::Wait;
use crate::metrics::Metrics;
use crate::opensearch::OpenSearch;

/// How long `/readyz` waits for OpenSearch: below the second that orchestrators give a probe by default.
const READY_TIMEOUT: Duration = Duration::from_millis(800);

/// The state that the endpoint reads.
#[derive(Clone)]
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub opensearch: OpenSearch,
    pub readiness: Arc<Readiness>,
}

/// The conditions under which the daemon is ready.
#[derive(Debug, Default)]
pub struct Readiness {
    queue_opened: AtomicBool,
    started: AtomicBool,
    queue_answers: AtomicBool,
    /// Why the last attempt to prepare OpenSearch failed.
    problem: Mutex<Option<String>>,
}

/// Why the daemon is not ready.
struct Unready {
    wait: Wait,
    why: String,
}

impl Readiness {
    /// Of a process that receives nothing.
    pub fn without_queue() -> Self {
        Self { queue_opened: true.into(), queue_answers: true.into(), ..Self::default() }
    }

    /// The queue's attributes are known.
    pub fn queue_opened(&self) {
        self.queue_opened.store(true, Ordering::Relaxed);
    }

    /// OpenSearch is not prepared yet, and this is why.
    pub fn not_prepared(&self, problem: String) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    /// The templates are installed and the receivers run.
    pub fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// The last request to receive messages was answered, also when it brought none.
    pub fn queue_answered(&self) {
        self.queue_answers.store(true, Ordering::Relaxed);
    }

    /// The last request to receive messages failed, so the daemon is not ready until one is answered.
    pub fn queue_failed(&self) {
        self.queue_answers.store(false, Ordering::Relaxed);
    }

    fn judge(&self) -> Result<(), Unready> {
        if !self.queue_opened.load(Ordering::Relaxed) {
            return Err(unready(Wait::Queue, "starting: waiting for the queue"));
        }
        if !self.started.load(Ordering::Relaxed) {
            let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            let why = problem.as_deref().unwrap_or("it has not answered yet");
            return Err(unready(Wait::OpenSearch, &format!("starting: waiting for OpenSearch: {why}")));
        }
        if !self.queue_answers.load(Ordering::Relaxed) {
            return Err(unready(Wait::Queue, "the queue does not answer"));
        }
        Ok(())
    }
}

fn unready(wait: Wait, why: &str) -> Unready {
    Unready { wait, why: why.to_owned() }
}

/// Why the endpoint does not serve.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("admin.listen: cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the admin endpoint at admin.listen failed: {0}")]
    Serve(std::io::Error),
}

/// Takes the port, so that a taken one ends the start and not a task later on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(address).await.map_err(|source| AdminError::Listen { address, source })
}

/// Where it listens: with port 0 the system chose one.
pub fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
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
    let judgement = judge(&admin).await;
    admin.metrics.readiness(judgement.err().map(|unready| unready.wait));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.expose())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    match judge(&admin).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(Unready { why, .. }) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn judge(admin: &Admin) -> Result<(), Unready> {
    admin.readiness.judge()?;
    match tokio::time::timeout(READY_TIMEOUT, admin.opensearch.info()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unready(Wait::OpenSearch, &format!("OpenSearch does not answer: {error}"))),
        Err(_elapsed) => Err(unready(Wait::OpenSearch, "OpenSearch does not answer")),
    }
}
