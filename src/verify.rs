//! The verification: whether everything that CloudTrail says it delivered was shipped, and is what it was.
//!
//! CloudTrail's digests name each delivered file with its hash. They are signed and chained, so whoever removes or alters
//! a file or a digest is found out. What they name is compared with the ledger and with the bucket.

pub mod digest;
pub mod keys;
mod chain;
mod shipped;
mod judge;
mod region;
pub mod report;
pub mod standing;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use serde_json::{Value, json};
use time::{Date, Duration, OffsetDateTime, Time};
use tokio::task::JoinSet;

use self::keys::{Keys, KeysError};
use self::region::Region;
pub use self::report::{Finding, Kind, Report};
pub use self::shipped::LedgerError;
pub use self::watch::watch;
use crate::config::{AuthKind, Config};
use crate::enrich::{Knowledge, format_time};
use crate::metrics::Metrics;
use crate::replay::{self, Job, JobError, Options, Place, ReplayError};
use crate::setup::{self, SetupError};
use crate::sink::{Method, OpenSearch, OpenSearchError};
use crate::source::aws;
use crate::source::bucket::{Bucket, ListError};
use crate::source::folder::{self, Wanted};
use crate::source::store::{Store, StoreError};

/// Regions of accounts that are verified at once. Each holds the keys of two days.
const REGIONS_AT_ONCE: usize = 8;

/// What is to be verified.
#[derive(Debug, Clone)]
pub struct Plan {
    pub bucket: String,
    pub prefix: String,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    /// The first and the last day of delivery, in UTC.
    pub from: Date,
    pub to: Date,
    /// What took longer than this is late.
    pub late: Duration,
    /// A file of public keys in place of the API.
    pub keys: Option<PathBuf>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("a task panicked, which is a bug")]
    Panicked,
    #[error(
        "{index}: the verification could not be recorded, OpenSearch answered {status}; grant the role create_index and write on it"
    )]
    NotRecorded { index: String, status: u16 },
}

/// Everything that the verification of one region needs.
struct Scene {
    plan: Plan,
    bucket: Bucket,
    store: Store,
    opensearch: OpenSearch,
    keys: Keys,
    limits: crate::decode::Limits,
}

/// Compares digests, ledger and bucket. With knowledge, missing files that are as they were signed are shipped.
pub async fn run(config: &Config, plan: Plan, repair: Option<Knowledge>) -> Result<Report, VerifyError> {
    let place = Place::Bucket { bucket: plan.bucket.clone(), prefix: plan.prefix.clone() };
    let wanted = Wanted {
        kind: folder::Kind::Records,
        accounts: plan.accounts.clone(),
        regions: plan.regions.clone(),
        from: Some(plan.from),
        to: Some(plan.to),
    };
    let mut report = Report::new(place.to_string(), plan.from, plan.to);
    Job::new(vec![place], wanted.clone())?.check_allowed(&config.source)?;
    setup::refuse_serverless(&config.sink)?;
    let aws = aws::load(config.source.queue_url.as_ref()).await;
    let scene = Arc::new(Scene::new(config, plan, &aws).await?);
    setup::install_templates(&scene.opensearch).await?;

    let records = scene.bucket.days(&scene.plan.prefix, &wanted).await?;
    // What is delivered late on the last day is in a digest of the next.
    let digests = Wanted { kind: folder::Kind::Digests, to: wanted.to.and_then(Date::next_day), ..wanted };
    let digests = by_region(scene.bucket.days(&scene.plan.prefix, &digests).await?);
    let place = report.place.clone();
    report.standing.cover_trail(&place, scene.plan.from);
    report.standing.cover(
        &scene.plan.bucket,
        records.iter().chain(digests.values().flatten()),
        scene.plan.to,
    );
    for finding in without_digests(&scene.plan, &records, &digests) {
        report.find(finding);
    }
    let mut running = JoinSet::new();
    for days in digests.into_values() {
        if running.len() >= REGIONS_AT_ONCE {
            report.merge(joined(running.join_next().await)?);
        }
        running.spawn(Region::new(Arc::clone(&scene)).verify(days));
    }
    while !running.is_empty() {
        report.merge(joined(running.join_next().await)?);
    }
    report.sort();
    if let Some(knowledge) = repair {
        ship_missing(config, knowledge, &aws, &mut report).await?;
    }
    record(&scene.opensearch, &report).await?;
    Ok(report)
}

impl Scene {
    async fn new(config: &Config, plan: Plan, aws: &SdkConfig) -> Result<Self, VerifyError> {
        let signing = (config.sink.auth == AuthKind::Sigv4).then_some(aws);
        let keys = match &plan.keys {
            Some(path) => Keys::of_file(path)?,
            None => {
                // A digest is signed with a key that is valid at its end, and no digest has an end in the future.
                let midnight = |day: Date| day.with_time(Time::MIDNIGHT).assume_utc();
                let from = midnight(plan.from);
                let to = (midnight(plan.to) + Duration::days(2)).min(OffsetDateTime::now_utc());
                Keys::of_api(aws, from, to.max(from))
            }
        };
        Ok(Self {
            bucket: Bucket::new(aws, &config.source, plan.bucket.clone()).await,
            store: Store::new(aws, &config.source, Arc::new(Metrics::new())).await,
            opensearch: OpenSearch::new(&config.sink, signing)?,
            keys,
            limits: crate::decode::Limits {
                uncompressed_bytes: config.source.max_uncompressed_bytes,
                record_bytes: config.source.max_record_bytes,
            },
            plan,
        })
    }
}

fn joined(
    ended: Option<Result<Result<Report, VerifyError>, tokio::task::JoinError>>,
) -> Result<Report, VerifyError> {
    ended.and_then(Result::ok).ok_or(VerifyError::Panicked)?
}

/// The days of each region's folder, which ends before the year.
fn by_region(days: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut regions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for day in days {
        regions.entry(region_of(&day).to_owned()).or_default().push(day);
    }
    regions
}

fn region_of(day: &str) -> &str {
    day.trim_end_matches('/').rsplitn(4, '/').last().unwrap_or_default()
}

/// Regions that have files and no digest at all, and a trail without any.
fn without_digests(plan: &Plan, records: &[String], digests: &BTreeMap<String, Vec<String>>) -> Vec<Finding> {
    let detail = "there is no digest in this period, so nothing is proven; switch on log file validation";
    let find = |place: &str| Finding::new(Kind::MissingDigest, &plan.bucket, place, detail.to_owned());
    let regions: BTreeSet<String> = records
        .iter()
        .map(|day| {
            region_of(day)
                .replace("/CloudTrail-NetworkActivity/", "/CloudTrail-Digest/")
                .replace("/CloudTrail/", "/CloudTrail-Digest/")
        })
        .filter(|region| !digests.contains_key(region))
        .collect();
    if regions.is_empty() && digests.is_empty() {
        return vec![find(&plan.prefix)];
    }
    regions.iter().map(|region| find(&format!("{region}/"))).collect()
}

/// Ships the files that are missing and neither deleted nor altered: what somebody has changed is evidence and no record.
async fn ship_missing(
    config: &Config,
    knowledge: Knowledge,
    aws: &SdkConfig,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let missing = report.repairable();
    if missing.is_empty() {
        return Ok(());
    }
    let (pipeline, sink_task) = replay::build(config, knowledge, aws, &Options::default()).await?;
    let mut running = JoinSet::new();
    let mut left = missing.into_iter();
    loop {
        while running.len() < config.replay.in_flight_objects.get()
            && let Some(object) = left.next()
        {
            let pipeline = Arc::clone(&pipeline);
            running.spawn(async move {
                let shipped = replay::ship_named(&pipeline, &object).await;
                (object, shipped)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (object, shipped) = ended.map_err(|_| VerifyError::Panicked)?;
        match shipped {
            Ok(()) => report.repair(&object),
            Err(error) => tracing::warn!(object, %error, "a missing file could not be shipped"),
        }
    }
    drop(pipeline);
    sink_task.drain().await;
    Ok(())
}

/// Leaves a document that says when what was verified and what it came to, and one for each day that it speaks of.
async fn record(client: &OpenSearch, report: &Report) -> Result<(), VerifyError> {
    let (names, now) = (client.names(), OffsetDateTime::now_utc());
    for body in report.standing.bulks(&names.verified(), now) {
        let path = "_bulk?refresh=true&filter_path=errors";
        let answer = client.request(Method::Post, path, Some(body)).await?;
        let is_taken = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|it| it["errors"] == false);
        if answer.status != 200 || !is_taken {
            return Err(VerifyError::NotRecorded { index: names.verified(), status: answer.status });
        }
    }
    let body = Bytes::from(document(report, now).to_string());
    let index = names.verification();
    let answer = client.request(Method::Post, &format!("{index}/_doc?refresh=true"), Some(body)).await?;
    match answer.status {
        200 | 201 => Ok(()),
        status => Err(VerifyError::NotRecorded { index, status }),
    }
}

fn document(report: &Report, now: OffsetDateTime) -> Value {
    let mut verification = json!({
        "place": report.place, "from": report.from.to_string(), "to": report.to.to_string(),
        "outcome": if report.gaps() == 0 { "whole" } else { "gap" }, "gaps": report.gaps(),
        "chains": report.chains, "digests": report.digests, "delivered": report.delivered,
        "shipped": report.shipped, "repaired": report.repaired
    });
    for kind in Kind::ALL {
        verification[kind.field()] = json!(report.count(kind));
    }
    json!({"@timestamp": format_time(now), "verification": verification})
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn plan() -> Plan {
        Plan {
            bucket: "b".to_owned(),
            prefix: String::new(),
            accounts: vec![],
            regions: vec![],
            from: date!(2026 - 03 - 01),
            to: date!(2026 - 03 - 02),
            late: Duration::hours(1),
            keys: None,
        }
    }

    #[test]
    fn a_region_with_files_and_without_digests_proves_nothing() {
        let day = |kind: &str, region: &str| format!("AWSLogs/111122223333/{kind}/{region}/2026/03/01/");
        let digests = by_region(vec![day("CloudTrail-Digest", "eu-west-1")]);
        let found = |records: &[String], digests| {
            without_digests(&plan(), records, digests)
                .into_iter()
                .map(|finding| finding.object)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&[day("CloudTrail", "eu-west-1")], &digests), [""; 0]);
        let missing = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/";
        assert_eq!(found(&[day("CloudTrail", "us-east-1")], &digests), [missing]);
        assert_eq!(found(&[], &BTreeMap::new()), ["s3://b/"]);
    }

    #[test]
    fn every_field_of_the_document_is_in_the_mapping() {
        let report = Report::new("s3://b/".to_owned(), date!(2026 - 03 - 01), date!(2026 - 03 - 02));
        let document = document(&report, datetime!(2026-03-04 00:00 UTC));
        let template: Value =
            serde_json::from_str(include_str!("../mappings/template-verification.json")).unwrap();
        let mapping = &template["template"]["mappings"]["properties"];
        assert!(mapping["@timestamp"].is_object());
        for name in document["verification"].as_object().unwrap().keys() {
            assert!(mapping["verification"]["properties"][name].is_object(), "{name}");
        }
    }
}
