//! Shows the service control policies of `deploy/guardrails`, and what each would have denied in a site's own history.

mod judge;
mod keys;
mod library;
mod policy;
mod simulate;
mod text;

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::config::Config;
use crate::document::Document;
use crate::enrich::Enricher;
use crate::offline::{OfflineError, Records, parsed};
use crate::opensearch::events::{self, no_drills};
use crate::opensearch::{OpenSearch, OpenSearchError, QueryError};
use crate::timestamp;
pub use judge::{Judge, Judged};
pub use library::{GuardError, Guardrail, find, guardrails, list};
pub use policy::Verdict;
pub use simulate::{Report, Simulation};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Files(#[from] OfflineError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

/// The fields of documents that are read.
const FIELDS: [&str; 10] = [
    "@timestamp",
    "event.id",
    "event.action",
    "event.outcome",
    "event.original",
    "cloud.account.id",
    "sagemaker.omitted",
    "sagemaker.alert.identity",
    "sagemaker.actor.works_for",
    "aws.cloudtrail.user_identity.in_scope_of",
];

/// Tries every policy on the calls that were stored of the last days, a page after the other.
pub async fn simulate_index(
    client: &OpenSearch,
    config: &Config,
    days: u16,
    now: OffsetDateTime,
) -> Result<Report, SimulateError> {
    let mut simulation = Simulation::new(&config.rules.placeholders)?;
    let from = now - Duration::days(i64::from(days));
    let range = json!({"gte": timestamp::format(from), "lt": timestamp::format(now)});
    let calls: Vec<Value> = simulation
        .calls()
        .iter()
        .map(|call| json!({"term": {"event.action": {"value": call, "case_insensitive": true}}}))
        .collect();
    let query = json!({"bool": {
        "filter": [{"range": {"@timestamp": range}}, {"bool": {"should": calls, "minimum_should_match": 1}}, no_drills()],
        "must_not": [{"term": {"event.outcome": "failure"}}]
    }});
    let period = format!("{} to {}", timestamp::format(from), timestamp::format(now));
    events::read(client, &query, &FIELDS, |hits| {
        for hit in &hits {
            simulation.take(&hit.source);
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(simulation.report(period))
}

/// Tries every policy on the calls of files.
pub fn simulate_files(
    files: &[PathBuf],
    config: &Config,
    enricher: &Enricher,
    mut complain: impl FnMut(&OfflineError),
) -> Result<Report, SimulateError> {
    let mut simulation = Simulation::new(&config.rules.placeholders)?;
    let take = |document: &Document| {
        simulation.take(&parsed(document));
        ControlFlow::Continue(())
    };
    let mut flawed = 0;
    let note = |error: &OfflineError| {
        flawed += 1;
        complain(error);
    };
    let records = Records::read(files, &config.source.limits(), enricher, note)?;
    records.judge(enricher, take)?;
    let only_in_part =
        if flawed > 0 { format!(", {flawed} of them not read or only in part") } else { String::new() };
    Ok(simulation.report(format!("{} file(s){only_in_part}", records.files())))
}

#[cfg(test)]
mod tests;
