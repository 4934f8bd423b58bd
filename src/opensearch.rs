//! OpenSearch: the client through which every request to a cluster goes, and the form of bulks and of searches.

use aws_config::SdkConfig;

pub use client::{Answer, Info, OpenSearch};
pub use error::OpenSearchError;
pub use query::{Found, Hit, Hits, Page, Query, QueryError};
pub use transport::Method;
pub use view::{StoredHit, View};

use crate::aws;
use crate::config::{AuthKind, Config, Sigv4Service, SinkConfig};

pub mod bulk;
mod client;
mod connection;
mod error;
pub mod events;
mod query;
mod transport;
mod view;

/// Makes the client of the configured cluster; nothing is sent yet. Where requests are signed and no settings of AWS
/// are given, they are loaded.
pub async fn connect(config: &Config, aws: Option<&SdkConfig>) -> Result<OpenSearch, OpenSearchError> {
    refuse_serverless(&config.sink)?;
    let loaded = match (aws, config.sink.auth) {
        (None, AuthKind::Sigv4) => Some(aws::load(config.source.queue_url.as_ref()).await),
        _ => None,
    };
    OpenSearch::new(&config.sink, aws.or(loaded.as_ref()))
}

/// Refuses a service that cannot hold the content, before anything is asked of it.
pub fn refuse_serverless(sink: &SinkConfig) -> Result<(), OpenSearchError> {
    let is_signed_for_it = sink.auth == AuthKind::Sigv4 && sink.sigv4_service == Sigv4Service::Aoss;
    let is_its_address = sink.url.host_str().is_some_and(|host| host.ends_with(".aoss.amazonaws.com"));
    if is_signed_for_it || is_its_address { Err(OpenSearchError::Serverless) } else { Ok(()) }
}
