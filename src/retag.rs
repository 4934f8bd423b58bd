//! Enriches stored documents again that other rules have tagged, or that were shipped without what memory knows, from
//! the text that they keep.
//!
//! `event.original` is redacted, so rules see `[redacted:FINGERPRINT]` where a secret was, and the text is never
//! redacted a second time. Id, index, times and path stay, and so does what the text no longer shows: a document never
//! knows less than before. It is only written when nobody has changed it since it was read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::enrich::Enricher;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::opensearch::{self, Method, OpenSearch};
use crate::setup;
use crate::source::folder::TrailFilter;
use crate::stored::View;
use crate::telemetry::complain;
pub use outcome::{RetagError, Summary};
use rewrite::Rewriting;
use view::query;

mod outcome;
mod view;
mod rewrite;

/// How often a terminal or a log hears how far it is.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Enriches each selected document again that other rules have tagged.
pub async fn run(
    config: &Config,
    enricher: &Enricher,
    filter: &TrailFilter,
    stop: &CancellationToken,
) -> Result<Summary, RetagError> {
    let client = opensearch::connect(config, None).await?;
    setup::install_templates(&client).await?;
    map_version(&client).await?;
    let memory =
        if config.memory.enabled { Memory::new(&config.memory, &client, &metrics()) } else { Memory::off() };
    let rewriting = Rewriting { client: &client, enricher, memory: &memory };
    let mut summary = Summary { version: enricher.rules.version().to_owned(), ..Summary::default() };
    let Some(mut view) = View::open(&client, view::GRANT).await? else { return Ok(summary) };
    let limit = config.replay.documents_per_second.or(config.sink.documents_per_second);
    let began = Instant::now();
    let mut shown = began;
    let result = loop {
        if stop.is_cancelled() {
            summary.interrupted = true;
            break Ok(());
        }
        let hits = match view.next(&client, &query(filter, &summary.version), &mut summary.outdated).await {
            Ok(hits) if hits.is_empty() => break Ok(()),
            Ok(hits) => hits,
            Err(error) => break Err(error.into()),
        };
        let read = u32::try_from(hits.len()).expect("a page is small");
        if let Err(error) = rewriting.rewrite(hits, &mut summary).await {
            break Err(error);
        }
        if shown.elapsed() >= LINE_INTERVAL {
            shown = Instant::now();
            let rate = rate(summary.retagged, began.elapsed());
            complain(&format!(
                "{} of {} documents, {rate:.0} documents/s",
                summary.retagged, summary.outdated
            ));
        }
        if let Some(limit) = limit {
            sleep(Duration::from_secs(1).mul_f64(f64::from(read) / f64::from(limit.get()))).await;
        }
    };
    view.close(&client).await;
    result.map(|()| summary)
}

/// Adds the version field to the mapping of indices that are older than it, so that searches can ask for it.
async fn map_version(client: &OpenSearch) -> Result<(), RetagError> {
    let path = format!("{}-*/_mapping", client.names().events());
    let fields = json!({"version": {"type": "keyword", "ignore_above": 8191}, "retagged": {"type": "date", "ignore_malformed": true},
                        "carried": {"type": "keyword", "ignore_above": 8191}});
    let body = json!({"properties": {"sagemaker": {"properties": {"rules": {"properties": fields}}}}});
    let answer = client.request(Method::PUT, &path, Some(Bytes::from(body.to_string()))).await?;
    match answer.status {
        // There are no events yet.
        200 | 404 => Ok(()),
        status => Err(view::question("mapping").refused(status).into()),
    }
}

/// Nobody reads what a retag counts of recalls.
fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new())
}

fn rate(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate of so many documents needs no last digit")]
    let count = count as f64;
    count / took.as_secs_f64().max(0.001)
}
