//! Asks every part that the daemon needs whether it works, and AWS and the index whether they see everything.
//!
//! The doctor changes nothing anywhere. Each part has a file that asks, and in it a pure function that judges the
//! answers, so tests cover each judgement without a server.

use crate::aws;
use crate::config::Config;

use finding::{Finding, Report};

pub mod finding;
mod identity;
mod queue;
mod policy;
mod trail;
mod coverage;
mod bucket;
mod cluster;
mod alertmanager;
mod arrivals;
mod drills;
mod memory;
pub mod permissions;

/// Examines every part that the configuration names. A part that cannot be asked is a finding too.
pub async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    let aws = aws::load(config.source.queue_url.as_ref()).await;
    let identity = identity::examine(&aws).await;
    report.extend(identity.findings);
    if let Some(account) = &identity.account {
        let queue = queue::examine(&aws, config.source.queue_url.as_ref()).await;
        let trails = trail::examine(&aws, account).await;
        let buckets = buckets(&config.source.allowed_buckets, &trails.buckets);
        report.extend(queue.findings);
        if buckets.is_empty() {
            report.extend([Finding::warning(
                "bucket",
                "source.allowed_buckets is empty and no trail names a bucket, so no bucket was checked",
                "name the bucket of the trail in source.allowed_buckets",
            )]);
        }
        for bucket in &buckets {
            report.extend(bucket::examine(&aws, &config.source, bucket, queue.arn.as_deref()).await);
        }
        report.extend(trails.findings);
    }
    report.extend(cluster::examine(config, &aws).await);
    report.extend(alertmanager::examine(config, &aws).await);
    report
}

/// Finds the buckets of the trail: those that the configuration allows, else those that the queue's policy names, else
/// those that the trails write to. Fails when AWS cannot be asked.
pub async fn known_buckets(config: &Config) -> Result<Vec<String>, String> {
    if !config.source.allowed_buckets.is_empty() {
        return Ok(config.source.allowed_buckets.clone());
    }
    let aws = aws::load(config.source.queue_url.as_ref()).await;
    if let Some(url) = &config.source.queue_url {
        let named = queue::buckets(&aws, url).await?;
        if !named.is_empty() {
            return Ok(named.into_iter().collect());
        }
    }
    let identity = identity::examine(&aws).await;
    let account = identity.account.ok_or("AWS does not say which identity this is")?;
    Ok(buckets(&[], &trail::examine(&aws, &account).await.buckets))
}

/// The buckets to look at: those that the configuration allows, or else those that the trails write to.
fn buckets(allowed: &[String], of_trails: &[String]) -> Vec<String> {
    let mut buckets = if allowed.is_empty() { of_trails.to_vec() } else { allowed.to_vec() };
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}
