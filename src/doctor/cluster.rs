//! Checks that OpenSearch takes documents, has the needed plugins, and holds the installed content.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use serde_json::Value;
use time::OffsetDateTime;

use super::arrivals;
use super::drills;
use super::finding::Finding;
use super::identity::judge_clock;
use super::memory;
use crate::config::Config;
use crate::opensearch::{self, Method, OpenSearch, OpenSearchError, bulk};
use crate::setup;
use crate::setup::dashboards::Dashboards;
use crate::setup::object::Object;
use crate::setup::outcome::Outcome;
use crate::setup::plan::Edits;
use crate::setup::preview;
use crate::setup::remote::Remote;

pub(super) async fn examine(config: &Config, aws: &SdkConfig) -> Vec<Finding> {
    const FIX: &str = "check [sink] of the configuration, and that the server runs";
    let opensearch = match opensearch::connect(config, Some(aws)).await {
        Ok(opensearch) => opensearch,
        Err(error @ OpenSearchError::Serverless) => {
            return vec![Finding::broken(
                "opensearch",
                error.to_string(),
                "name a managed domain in sink.url",
            )];
        }
        Err(error) => return vec![Finding::broken("opensearch", error.to_string(), FIX)],
    };
    let info = match opensearch.info().await {
        Ok(info) => info,
        Err(error) => return vec![Finding::broken("opensearch", error.to_string(), FIX)],
    };
    if let Err(error) = setup::check_cluster(&opensearch).await {
        return vec![Finding::broken("opensearch", error.to_string(), "upgrade it")];
    }
    let mut findings = vec![Finding::fine("opensearch", format!("version {} answers", info.number))];
    findings.extend(clock(&opensearch).await);
    findings.push(judge_write(write(&opensearch).await));
    findings.extend(content(config, &opensearch).await);
    if config.memory.enabled {
        findings.extend(memory::examine(config, &opensearch).await);
    }
    findings.extend(arrivals::examine(&opensearch).await);
    findings.push(drills::examine(&opensearch).await);
    findings
}

/// The cluster's time, where our role may ask for it.
async fn clock(opensearch: &OpenSearch) -> Option<Finding> {
    let answer = opensearch.request(Method::GET, "_cluster/stats?filter_path=timestamp", None).await.ok()?;
    let answer: Value = serde_json::from_slice(&answer.body).ok()?;
    let theirs =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(answer["timestamp"].as_i64()?) * 1_000_000)
            .ok()?;
    Some(judge_clock("opensearch clock", "OpenSearch", OffsetDateTime::now_utc() - theirs))
}

/// Asks for a write that needs the daemon's privileges and can never happen.
async fn write(opensearch: &OpenSearch) -> Result<u16, String> {
    let rejected = opensearch.names().rejected();
    let exists = opensearch.request(Method::GET, &format!("{rejected}/_settings"), None).await;
    if exists.map_err(|error| error.to_string())?.status == 404 {
        return Err("there is no index yet".to_owned());
    }
    let answer = opensearch.bulk(bulk::trial(&rejected, "{}")).await.map_err(|error| error.to_string())?;
    let items = bulk::read(&answer.body).unwrap_or_default();
    Ok(items.first().map_or(answer.status, |done| done.item().status))
}

fn judge_write(status: Result<u16, String>) -> Finding {
    const SUBJECT: &str = "opensearch write";
    match status {
        Ok(409) => Finding::fine(SUBJECT, "documents may be written"),
        Ok(401) => {
            Finding::broken(SUBJECT, "status 401: the credentials are not accepted", "check them in [sink]")
        }
        Ok(403) => Finding::broken(
            SUBJECT,
            "status 403: writing documents is denied: a privilege is missing, or the index is blocked",
            "grant the role that `sagetrail check --permissions` prints; when a disk is full, make room and remove index.blocks",
        ),
        Ok(status) => Finding::warning(
            SUBJECT,
            format!("a write was answered with {status}"),
            "look at the cluster's log",
        ),
        Err(problem) => Finding::warning(
            SUBJECT,
            format!("it could not be tried: {problem}"),
            "run `sagetrail setup` first",
        ),
    }
}

/// Compares what is installed with what the configuration asks for.
async fn content(config: &Config, opensearch: &OpenSearch) -> Vec<Finding> {
    const SUBJECT: &str = "content";
    let compared = async {
        let objects = setup::content::objects(config).map_err(|error| error.to_string())?;
        let dashboards = Dashboards::new(&config.dashboards).map_err(|error| error.to_string())?;
        let remote =
            Remote::connect(opensearch.clone(), dashboards).await.map_err(|error| error.to_string())?;
        let mut findings = Vec::new();
        for needs in lacking(&remote, &objects) {
            findings.push(Finding::warning(
                SUBJECT,
                format!("objects cannot be installed that need {needs}"),
                "add it, or do without; `sagetrail setup --diff` lists the objects",
            ));
        }
        let differences = preview::difference(&remote, &objects, Edits::Keep).await;
        let mut differences = differences.map_err(|error| error.to_string())?;
        differences.retain(|difference| !matches!(difference.outcome, Outcome::Skipped { .. }));
        findings.push(if differences.is_empty() {
            Finding::fine(SUBJECT, "all content is installed and up to date")
        } else {
            let names: Vec<&str> =
                differences.iter().map(|difference| difference.object.as_str()).take(3).collect();
            Finding::warning(
                SUBJECT,
                format!("{} objects are absent or differ: {}, …", differences.len(), names.join(", ")),
                "see `sagetrail setup --diff`, then run `sagetrail setup`",
            )
        });
        Ok::<_, String>(findings)
    };
    compared.await.unwrap_or_else(|problem| {
        vec![Finding::warning(
            SUBJECT,
            problem,
            "grant what `sagetrail check --permissions` prints for setup, and check [dashboards]",
        )]
    })
}

/// What some of the objects need and the cluster lacks, each once.
fn lacking(remote: &Remote, objects: &[Object]) -> BTreeSet<String> {
    objects.iter().filter_map(|object| remote.lacks(object.kind)).map(|lack| lack.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn only_a_conflict_proves_that_documents_may_be_written() {
        for (status, state) in [
            (Ok(409), State::Fine),
            (Ok(401), State::Broken),
            (Ok(403), State::Broken),
            (Ok(200), State::Warning),
            (Err("there is no index yet".to_owned()), State::Warning),
        ] {
            assert_eq!(judge_write(status.clone()).state, state, "{status:?}");
        }
    }
}
