//! Tells what rules and the correlator would have found and paged over records of the past, without any server.

mod report;

use std::path::PathBuf;

use serde_json::Value;
use time::OffsetDateTime;

use crate::config::Config;
use crate::decode::Limits;
use crate::document::Document;
use crate::enrich::Enricher;
use crate::incident::{Rounds, Weights};
use crate::offline::{self, OfflineError, Summary};
pub use report::{Change, Changes, Report, RuleReport, compare};

/// Judges the records of files, the older ones first, and decides incidents as the correlator would have. What is older
/// than `since` is the site's history: it is remembered, and not reported.
pub fn backtest(
    files: &[PathBuf],
    config: &Config,
    enricher: &Enricher,
    since: Option<OffsetDateTime>,
    complain: impl FnMut(&OfflineError),
) -> Result<(Report, Summary), OfflineError> {
    let source = &config.source;
    let limits =
        Limits { uncompressed_bytes: source.max_uncompressed_bytes, record_bytes: source.max_record_bytes };
    let mut rounds =
        Rounds::new(Weights::with_assets(&config.incidents.assets), enricher.rules.correlations());
    let mut report = Report::new(since);
    let take = |document: &Document| {
        let source: Value = serde_json::from_slice(&document.source).expect("documents are written as JSON");
        if let Some(signal) = rounds.take(document.index.as_str(), document.id.as_str(), &source) {
            report.count(&signal);
        }
        Ok(())
    };
    let summary = offline::each_document(files, &limits, enricher, take, complain)?;
    report.end(rounds.finish());
    Ok((report, summary))
}
