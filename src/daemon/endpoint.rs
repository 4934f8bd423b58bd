//! Starts and ends the admin endpoint of a daemon.

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::control::CLOSING_TIME;
use super::error::DaemonError;
use crate::admin::{self, Admin, AdminError};
use crate::config::Config;

/// Starts the admin endpoint.
pub(super) async fn serve(
    config: &Config,
    admin: Admin,
    serving: &CancellationToken,
) -> Result<JoinHandle<Result<(), AdminError>>, DaemonError> {
    let listener = admin::listen(config.admin.listen).await?;
    info!(address = %admin::address(&listener, config.admin.listen), "the admin endpoint listens");
    Ok(tokio::spawn(admin::serve(listener, admin, serving.clone())))
}

pub(super) async fn close_admin(
    serving: &CancellationToken,
    task: JoinHandle<Result<(), AdminError>>,
) -> Result<(), DaemonError> {
    serving.cancel();
    match timeout(CLOSING_TIME, task).await {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(_panicked)) => Err(DaemonError::Ended("admin endpoint")),
        // A client that keeps its connection open must not keep the daemon from ending.
        Err(_elapsed) => Ok(()),
    }
}
