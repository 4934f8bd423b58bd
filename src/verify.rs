//! Verifies that everything that CloudTrail says it delivered was shipped, unchanged.
//!
//! CloudTrail's digests name each delivered file with its hash. They are signed and chained, so a removed or altered
//! file or digest is found. What they name is compared with the ledger and with the bucket.

pub mod digest;
pub mod keys;
mod chain;
pub(crate) mod content;
mod due;
mod error;
pub(crate) mod expected;
mod fetched;
mod finding;
mod context;
mod shipped;
mod judge;
mod region;
pub mod report;
pub mod day_status;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use serde_json::{Value, json};
use time::{Date, Duration, OffsetDateTime};
use tokio::task::JoinSet;

pub use self::context::Plan;
use self::context::VerifyContext;
pub use self::error::VerifyError;
use self::expected::{BY_BUCKET, BY_RECORDS, Expected};
pub use self::finding::Finding;
use self::finding::plural;
pub use self::judge::Reread;
use self::region::{Region, Verified};
pub use self::report::Report;
pub use self::watch::watch;
use crate::aws;
use crate::config::Config;
use crate::enrich::Enricher;
use crate::labels::{FindingKind, Label};
use crate::opensearch::{self, Method, OpenSearch};
use crate::replay::{self, Job, Options, Place};
use crate::setup;
use crate::source::bucket::ListError;
use crate::source::folder::{self, TrailFilter};
use crate::timestamp;

/// Regions of accounts that are verified at once. Each holds the keys of two days.
const REGIONS_AT_ONCE: usize = 8;

/// Compares digests, ledger and bucket. With knowledge, missing files that are as they were signed are shipped.
pub async fn run(config: &Config, plan: Plan, repair: Option<Enricher>) -> Result<Report, VerifyError> {
    let place = Place::Bucket { bucket: plan.bucket.clone(), prefix: plan.prefix.clone() };
    let filter = TrailFilter {
        kind: folder::Kind::Records,
        accounts: plan.accounts.clone(),
        regions: plan.regions.clone(),
        from: Some(plan.from),
        to: Some(plan.to),
    };
    let mut report = Report::new(place.to_string(), plan.from, plan.to);
    Job::new(vec![place], filter.clone())?.check_allowed(&config.source)?;
    opensearch::refuse_serverless(&config.sink)?;
    let aws = aws::load(config.source.queue_url.as_ref()).await;
    let context = Arc::new(VerifyContext::new(config, plan, &aws).await?);
    setup::install_templates(&context.opensearch).await?;
    map_fields(&context.opensearch).await?;

    let found = Found::of(&context, &filter).await?;
    let place = report.place.clone();
    report.day_status.cover_trail(&place, context.plan.from);
    let days = found.records.iter().chain(found.digests.values().flatten());
    report.day_status.cover(&context.plan.bucket, days, (context.plan.from, context.plan.to));
    if found.known.is_empty() {
        let nothing =
            "there is no digest in this period, so nothing is proven; switch on log file validation";
        let detail = found.nothing.as_deref().unwrap_or(nothing).to_owned();
        report.find(Finding::new(
            FindingKind::MissingDigest,
            &context.plan.bucket,
            &context.plan.prefix,
            detail,
        ));
    }
    let mut running = JoinSet::new();
    let mut homes = BTreeSet::new();
    let mut end = |ended, report: &mut Report| {
        let Verified { report: of_region, homes: of_its_trails } = joined(ended)?;
        homes.extend(of_its_trails);
        report.merge(of_region);
        Ok::<(), VerifyError>(())
    };
    for (base, known) in &found.known {
        if running.len() >= REGIONS_AT_ONCE {
            end(running.join_next().await, &mut report)?;
        }
        let region = Region::new(Arc::clone(&context), base.clone(), known.clone());
        let days = found.digests.get(base).cloned().unwrap_or_default();
        running.spawn(async move { region.verify(&days).await });
    }
    while !running.is_empty() {
        end(running.join_next().await, &mut report)?;
    }
    for finding in homeless(&context.plan, &homes, &found.known) {
        report.find(finding);
    }
    report.sort();
    if let Some(enricher) = repair {
        ship_missing(config, enricher, &aws, &mut report).await?;
    }
    record(&context.opensearch, &report).await?;
    Ok(report)
}

/// What is known before any digest is read.
struct Found {
    /// The folders of the days of files in the period.
    records: Vec<String>,
    /// The folders of the days of digests, by the region's folder; also of days before the period and of the one after.
    digests: BTreeMap<String, BTreeSet<String>>,
    /// Each region of an account of which anything is known in the period, and what beside its digests.
    known: Expected,
    /// Why the bucket holds no trail at all, where it holds none.
    nothing: Option<String>,
}

impl Found {
    async fn of(context: &VerifyContext, filter: &TrailFilter) -> Result<Self, VerifyError> {
        let VerifyContext { plan, bucket, opensearch, .. } = context;
        // What is delivered late on the last day is in a digest of the next.
        let digests = TrailFilter {
            kind: folder::Kind::Digests,
            from: plan.from.checked_sub(Duration::days(expected::KNOWN_DAYS)),
            to: plan.to.next_day(),
            ..filter.clone()
        };
        let root = root_of(&plan.prefix);
        let by_ledger = expected::by_ledger(opensearch, plan, &root).await?;
        let by_standing = expected::by_standing(opensearch, plan, &root).await?;
        let (records, digests, nothing) =
            match (bucket.days(&plan.prefix, filter).await, bucket.days(&plan.prefix, &digests).await) {
                (Ok(records), Ok(digests)) => (records, digests, None),
                // If it is known to have held something, somebody may have emptied it.
                (Err(error @ ListError::NoTrail { .. }), _)
                    if !by_ledger.is_empty() || !by_standing.is_empty() =>
                {
                    (Vec::new(), Vec::new(), Some(error.to_string()))
                }
                (Err(error), _) | (_, Err(error)) => return Err(error.into()),
            };
        let known = known(plan.from, &records, &digests, [by_ledger, by_standing]);
        let mut by_region: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for day in digests {
            by_region.entry(expected::base_of(&day).unwrap_or_default()).or_default().insert(day);
        }
        Ok(Self { records, digests: by_region, known, nothing })
    }
}

/// The regions of which anything is known, and what.
fn known(from: Date, records: &[String], digests: &[String], others: [Expected; 2]) -> Expected {
    let mut known = Expected::new();
    let of_records = records.iter().map(|day| (day, Some(BY_RECORDS)));
    let of_digests = digests.iter().map(|day| (day, (folder::day_of(day) < Some(from)).then_some(BY_BUCKET)));
    for (day, reason) in of_records.chain(of_digests) {
        if let Some(base) = expected::base_of(day) {
            let reasons = known.entry(base).or_default();
            reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
        }
    }
    for (base, reasons) in others.into_iter().flatten() {
        known.entry(base).or_default().extend(reasons);
    }
    known
}

/// The home regions of trails that have digests elsewhere and none there, of which nothing else is known.
fn homeless(plan: &Plan, homes: &BTreeSet<String>, known: &Expected) -> Vec<Finding> {
    let is_wanted = |base: &str| {
        let region = base.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        plan.regions.is_empty() || plan.regions.iter().any(|filter| filter == region)
    };
    homes
        .iter()
        .filter(|base| !known.contains_key(*base) && is_wanted(base))
        .map(|base| {
            let detail = "there is no digest of it in this period, although a trail is at home there whose digests are \
                          in other regions";
            Finding::new(FindingKind::MissingDigest, &plan.bucket, base, detail.to_owned())
        })
        .collect()
}

/// Where a trail's tree begins, at or below the prefix.
fn root_of(prefix: &str) -> String {
    let folder = match prefix {
        "" => String::new(),
        _ => format!("{}/", prefix.trim_end_matches('/')),
    };
    if folder::is_rooted(&folder) { folder } else { format!("{folder}{}/", folder::ROOT) }
}

/// Indices that are older than a field lack it in their mapping, so that nobody could count it.
async fn map_fields(client: &OpenSearch) -> Result<(), VerifyError> {
    for (index, template) in [
        (client.names().verification(), include_str!("../mappings/template-verification.json")),
        (client.names().verified(), include_str!("../mappings/template-verified.json")),
    ] {
        let template: Value =
            serde_json::from_str(template).expect("the template is part of the binary and tested");
        let body = json!({"properties": template["template"]["mappings"]["properties"]});
        let answer = client
            .request(Method::PUT, &format!("{index}/_mapping"), Some(Bytes::from(body.to_string())))
            .await?;
        // Without the index there is nothing to map.
        if !matches!(answer.status, 200 | 404) {
            return Err(VerifyError::NotRecorded { index, status: answer.status });
        }
    }
    Ok(())
}

fn joined(
    ended: Option<Result<Result<Verified, VerifyError>, tokio::task::JoinError>>,
) -> Result<Verified, VerifyError> {
    ended.and_then(Result::ok).ok_or(VerifyError::Panicked)?
}

/// Ships the files that are missing and neither deleted nor altered: what somebody has changed is evidence and no
/// record.
async fn ship_missing(
    config: &Config,
    enricher: Enricher,
    aws: &SdkConfig,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let missing = report.repairable();
    if missing.is_empty() {
        return Ok(());
    }
    let (pipeline, sink_task) = replay::build(config, enricher, aws, &Options::default()).await?;
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
            Err(error) => tracing::warn!(object, %error, "a missing file could not be repaired"),
        }
    }
    drop(pipeline);
    sink_task.drain().await;
    if report.repaired > 0 {
        let since = report.from.previous_day().unwrap_or(report.from);
        tracing::warn!(
            files = report.repaired,
            "no incident is opened by what was repaired and happened more than a week ago; `sagetrail backtest --index --since {since}` tells the pages that would have come"
        );
    }
    Ok(())
}

/// Leaves a document that says when what was verified and what it came to, and one for each day that it speaks of.
async fn record(client: &OpenSearch, report: &Report) -> Result<(), VerifyError> {
    let (names, now) = (client.names(), OffsetDateTime::now_utc());
    for body in report.day_status.bulks(&names.verified(), now) {
        if let Err(answer) = client.bulk_whole(body).await? {
            return Err(VerifyError::NotRecorded { index: names.verified(), status: answer.status });
        }
    }
    let body = Bytes::from(document(report, now).to_string());
    let index = names.verification();
    let answer = client.request(Method::POST, &format!("{index}/_doc?refresh=true"), Some(body)).await?;
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
    for kind in FindingKind::ALL.iter().copied() {
        verification[plural(kind)] = json!(report.count(kind));
    }
    json!({"@timestamp": timestamp::format(now), "verification": verification})
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
            reread: Reread::WhatIsUnproven,
        }
    }

    #[test]
    fn a_region_is_known_by_its_files_its_digests_the_ledger_or_an_earlier_verification() {
        let day = |kind: &str, region: &str, month: u8| {
            format!("AWSLogs/111122223333/{kind}/{region}/2026/{month:02}/01/")
        };
        let base = |region: &str| format!("AWSLogs/111122223333/CloudTrail-Digest/{region}/");
        let by_ledger = Expected::from([(base("eu-west-1"), vec![expected::BY_LEDGER])]);
        let by_standing = Expected::from([(base("eu-west-3"), vec![expected::BY_STANDING])]);
        let records = [day("CloudTrail", "eu-west-1", 3), day("CloudTrail", "us-east-1", 3)];
        let digests = [
            day("CloudTrail-Digest", "eu-west-1", 3),
            day("CloudTrail-Digest", "eu-west-2", 2),
            day("CloudTrail-Digest", "sa-east-1", 3),
        ];
        let expected = Expected::from([
            (base("eu-west-1"), vec![BY_RECORDS, expected::BY_LEDGER]),
            (base("eu-west-2"), vec![BY_BUCKET]),
            (base("eu-west-3"), vec![expected::BY_STANDING]),
            (base("sa-east-1"), vec![]),
            (base("us-east-1"), vec![BY_RECORDS]),
        ]);
        assert_eq!(known(plan().from, &records, &digests, [by_ledger, by_standing]), expected);
    }

    #[test]
    fn a_trail_has_digests_where_it_is_at_home() {
        let base = |region: &str| format!("AWSLogs/111122223333/CloudTrail-Digest/{region}/");
        let homes = BTreeSet::from([base("eu-west-1"), base("us-east-1")]);
        let known = Expected::from([(base("eu-west-1"), vec![])]);
        let found = |regions: &[&str]| {
            let regions = regions.iter().map(|region| (*region).to_owned()).collect();
            homeless(&Plan { regions, ..plan() }, &homes, &known)
                .into_iter()
                .map(|finding| finding.object)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), [format!("s3://b/{}", base("us-east-1"))]);
        assert_eq!(found(&["eu-west-1"]), [""; 0], "the other region was not asked for");
    }

    #[test]
    fn the_tree_begins_at_or_below_the_prefix() {
        for (prefix, root) in [
            ("", "AWSLogs/"),
            ("a/b", "a/b/AWSLogs/"),
            ("a/", "a/AWSLogs/"),
            ("a/AWSLogs/o-1", "a/AWSLogs/o-1/"),
        ] {
            assert_eq!(root_of(prefix), root, "{prefix}");
        }
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
