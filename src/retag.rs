//! Enriches stored documents again that other rules have tagged, from the text that they keep.
//!
//! `event.original` is redacted, so rules see `[redacted:FINGERPRINT]` where a secret was, and the text is never
//! redacted a second time. Id, index, times and path stay, and so does what the text no longer shows: a document never
//! knows less than before. It is only written when nobody has changed it since it was read.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{AuthKind, Config};
use crate::enrich::Knowledge;
use crate::setup::{self, SetupError};
use crate::sink::{Answer, Method, OpenSearch, OpenSearchError};
use crate::source::aws;
use crate::source::folder::Wanted;
use crate::telemetry::complain;
use rewrite::{ATTEMPTS, rewrite};
use view::{View, query};

mod view;
mod rewrite;

/// How often a terminal or a log hears how far it is.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The numbers of one retag.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The rules' version that documents have now.
    pub version: String,
    /// Documents that other rules had tagged.
    pub outdated: u64,
    pub retagged: u64,
    /// Documents whose findings changed.
    pub changed: u64,
    /// Documents that keep findings, scripts or fields which their text no longer shows.
    pub carried: u64,
    /// Documents that were changed during each attempt; the next run takes them.
    pub conflicts: u64,
    /// Documents without a readable text.
    pub unreadable: u64,
    /// Documents that OpenSearch refused.
    pub refused: u64,
    pub interrupted: bool,
}

/// Why a retag could not go on. A second run takes what is left.
#[derive(Debug, thiserror::Error)]
pub enum RetagError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(
        "{operation}: OpenSearch answered {status}; the role needs read, write and indices:admin/mapping/put on the indices of events; `sagetrail check --permissions` prints it"
    )]
    Refused { operation: &'static str, status: u16 },
    #[error(
        "{operation}: the answer is not from OpenSearch ({problem}); check whether a proxy or a login page answers at sink.url"
    )]
    Unexpected { operation: &'static str, problem: String },
    #[error(
        "bulk: OpenSearch did not take the documents in {ATTEMPTS} attempts; run the retag again, it goes on from here"
    )]
    Unavailable,
}

/// Enriches each selected document again that other rules have tagged.
pub async fn run(
    config: &Config,
    knowledge: &Knowledge,
    wanted: &Wanted,
    stop: &CancellationToken,
) -> Result<Summary, RetagError> {
    let aws = match config.sink.auth {
        AuthKind::Sigv4 => Some(aws::load(config.source.queue_url.as_ref()).await),
        AuthKind::None | AuthKind::Basic | AuthKind::Certificate => None,
    };
    setup::refuse_serverless(&config.sink)?;
    let client = OpenSearch::new(&config.sink, aws.as_ref())?;
    setup::install_templates(&client).await?;
    map_version(&client).await?;
    let mut summary = Summary { version: knowledge.rules.version().to_owned(), ..Summary::default() };
    let Some(mut view) = View::open(&client).await? else { return Ok(summary) };
    let limit = config.replay.documents_per_second.or(config.sink.documents_per_second);
    let began = Instant::now();
    let mut shown = began;
    let result = loop {
        if stop.is_cancelled() {
            summary.interrupted = true;
            break Ok(());
        }
        let hits = match view.next(&client, &query(wanted, &summary.version), &mut summary.outdated).await {
            Ok(hits) if hits.is_empty() => break Ok(()),
            Ok(hits) => hits,
            Err(error) => break Err(error),
        };
        let read = u32::try_from(hits.len()).expect("a page is small");
        if let Err(error) = rewrite(&client, knowledge, hits, &mut summary).await {
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
    let answer = client.request(Method::Put, &path, Some(Bytes::from(body.to_string()))).await?;
    match answer.status {
        // There are no events yet.
        200 | 404 => Ok(()),
        status => Err(RetagError::Refused { operation: "mapping", status }),
    }
}

fn rate(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate of so many documents needs no last digit")]
    let count = count as f64;
    count / took.as_secs_f64().max(0.001)
}

/// Parses a successful answer of OpenSearch.
fn read<'a, T: Deserialize<'a>>(operation: &'static str, answer: &'a Answer) -> Result<T, RetagError> {
    if !(200..300).contains(&answer.status) {
        return Err(RetagError::Refused { operation, status: answer.status });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| RetagError::Unexpected { operation, problem: error.to_string() })
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, outdated, retagged, changed, carried, conflicts, unreadable, refused, .. } = self;
        writeln!(formatter, "rules      {version}")?;
        writeln!(formatter, "outdated   {outdated} documents")?;
        writeln!(formatter, "retagged   {retagged}, {changed} of them with other findings")?;
        writeln!(
            formatter,
            "carried    {carried} documents keep what their text no longer shows (sagemaker.rules.carried)"
        )?;
        writeln!(
            formatter,
            "left       {conflicts} changed meanwhile, {unreadable} unreadable, {refused} refused"
        )
    }
}
