//! Checks that CloudTrail writes records of all regions, with digests and without errors.

use std::collections::BTreeSet;

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types::Trail as Described;
use time::{Duration, OffsetDateTime};

use super::coverage::{Coverage, judge as judge_coverage};
use super::finding::Finding;
use crate::aws;

/// CloudTrail writes every five minutes in any account in which something happens; CloudTrail's own calls are enough.
const LATE: Duration = Duration::hours(1);

pub(super) struct Trails {
    /// The buckets that trails write to.
    pub(super) buckets: Vec<String>,
    pub(super) findings: Vec<Finding>,
}

/// The facts about a trail.
struct Trail {
    name: String,
    bucket: String,
    reach: Reach,
    validated: bool,
    status: Result<Status, String>,
    coverage: Result<Coverage, String>,
}

/// The regions that a trail logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    AllRegions,
    OneRegion,
}

struct Status {
    logging: bool,
    delivery_error: Option<String>,
    delivered_at: Option<OffsetDateTime>,
}

pub(super) async fn examine(aws: &SdkConfig, account: &str) -> Trails {
    let client = Client::new(aws);
    let described = match client.describe_trails().include_shadow_trails(true).send().await {
        Ok(answer) => answer.trail_list.unwrap_or_default(),
        Err(error) => {
            let text = format!("DescribeTrails failed: {}", aws::cause(&error));
            let fix = "grant cloudtrail:DescribeTrails, cloudtrail:GetTrailStatus and cloudtrail:GetEventSelectors, or look yourself whether the trail covers what you expect";
            return Trails { buckets: Vec::new(), findings: vec![Finding::warning("trails", text, fix)] };
        }
    };
    let mut trails = Vec::new();
    for trail in described {
        trails.push(ask(aws, trail).await);
    }
    let buckets: BTreeSet<String> =
        trails.iter().map(|trail| trail.bucket.clone()).filter(|bucket| !bucket.is_empty()).collect();
    Trails {
        buckets: buckets.into_iter().collect(),
        findings: judge(&trails, account, OffsetDateTime::now_utc()),
    }
}

/// Asks about a trail in its home region; in other regions it is only a shadow trail.
async fn ask(aws: &SdkConfig, trail: Described) -> Trail {
    let region = trail.home_region.map(Region::new).or_else(|| aws.region().cloned());
    let client = Client::from_conf(aws_sdk_cloudtrail::config::Builder::from(aws).region(region).build());
    let arn = trail.trail_arn.unwrap_or_default();
    let status = client.get_trail_status().name(&arn).send().await;
    let selectors = client.get_event_selectors().trail_name(&arn).send().await;
    Trail {
        name: trail.name.unwrap_or(arn),
        bucket: trail.s3_bucket_name.unwrap_or_default(),
        reach: if trail.is_multi_region_trail == Some(true) { Reach::AllRegions } else { Reach::OneRegion },
        validated: trail.log_file_validation_enabled == Some(true),
        status: status.map(|answer| status_of(&answer)).map_err(|error| aws::cause(&error)),
        coverage: selectors.map(|answer| Coverage::of(&answer)).map_err(|error| aws::cause(&error)),
    }
}

fn status_of(answer: &GetTrailStatusOutput) -> Status {
    Status {
        logging: answer.is_logging == Some(true),
        delivery_error: answer.latest_delivery_error.clone().filter(|error| !error.is_empty()),
        delivered_at: answer
            .latest_delivery_time
            .and_then(|time| OffsetDateTime::from_unix_timestamp(time.secs()).ok()),
    }
}

fn judge(trails: &[Trail], account: &str, now: OffsetDateTime) -> Vec<Finding> {
    if trails.is_empty() {
        return vec![Finding::warning(
            "trails",
            format!("no trail can be seen from account {account}"),
            "create one, or run this in the account that has it; its coverage could not be checked",
        )];
    }
    let mut findings: Vec<Finding> = trails.iter().flat_map(|trail| judge_trail(trail, now)).collect();
    let logging = trails.iter().filter(|trail| trail.status.as_ref().is_ok_and(|status| status.logging));
    let logging: Vec<&Trail> = logging.collect();
    if !logging.iter().any(|trail| trail.reach == Reach::AllRegions) {
        findings.push(Finding::warning(
            "trail regions",
            "no trail logs all regions: what happens elsewhere is not seen",
            "aws cloudtrail update-trail --is-multi-region-trail --include-global-service-events --name NAME",
        ));
    }
    let known: Vec<&Coverage> = logging.iter().filter_map(|trail| trail.coverage.as_ref().ok()).collect();
    findings.extend(judge_coverage(&known));
    findings
}

fn judge_trail(trail: &Trail, now: OffsetDateTime) -> Vec<Finding> {
    let name = &trail.name;
    let subject = format!("trail {name}");
    let mut findings = Vec::new();
    match &trail.status {
        Err(problem) => findings.push(Finding::warning(
            &subject,
            format!("GetTrailStatus failed: {problem}"),
            "grant cloudtrail:GetTrailStatus; of an organisation's trail its management account alone may be asked",
        )),
        Ok(Status { logging: false, .. }) => findings.push(Finding::broken(
            &subject,
            "it does not log",
            format!("aws cloudtrail start-logging --name {name}, and see who stopped it"),
        )),
        Ok(Status { delivery_error: Some(error), .. }) => findings.push(Finding::broken(
            &subject,
            format!("it cannot write to {}: {error}", trail.bucket),
            "mend the policy of the bucket or its KMS key",
        )),
        Ok(Status { delivered_at, .. }) => findings.push(match delivered_at {
            Some(time) if now - *time >= LATE => Finding::warning(
                &subject,
                format!("it wrote its last file {} h ago", (now - *time).whole_hours()),
                "see whether the account was silent that long",
            ),
            Some(_) => Finding::fine(&subject, format!("it writes to {}", trail.bucket)),
            None => Finding::warning(
                &subject,
                "it has not written yet",
                "wait a quarter of an hour and look again",
            ),
        }),
    }
    findings.push(if trail.validated {
        Finding::fine(&subject, "digests let an altered or deleted file be found")
    } else {
        Finding::warning(
            &subject,
            "it writes no digests: a deleted or altered file leaves no trace",
            format!("aws cloudtrail update-trail --enable-log-file-validation --name {name}"),
        )
    });
    if let Err(problem) = &trail.coverage {
        findings.push(Finding::warning(
            &subject,
            format!("GetEventSelectors failed: {problem}"),
            "grant cloudtrail:GetEventSelectors",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::finding::State;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn trail() -> Trail {
        let delivered_at = Some(NOW - Duration::minutes(4));
        Trail {
            name: "main".to_owned(),
            bucket: "logs".to_owned(),
            reach: Reach::AllRegions,
            validated: true,
            status: Ok(Status { logging: true, delivery_error: None, delivered_at }),
            coverage: Ok(Coverage::everything()),
        }
    }

    fn worst(trails: &[Trail]) -> (State, String) {
        let findings = judge(trails, "111122223333", NOW);
        let worst = findings.into_iter().max_by_key(|finding| finding.state).expect("each has one");
        (worst.state, worst.text)
    }

    #[test]
    fn a_trail_is_fine_only_when_it_writes_everywhere_with_digests_and_without_errors() {
        let status = |logging, error: Option<&str>, delivered_at| {
            Ok(Status { logging, delivery_error: error.map(str::to_owned), delivered_at })
        };
        let denied = || "AccessDenied".to_owned();
        let cases = [
            (trail(), State::Fine, ""),
            (Trail { status: status(false, None, Some(NOW)), ..trail() }, State::Broken, "does not log"),
            (
                Trail { status: status(true, Some("NoSuchBucket"), Some(NOW)), ..trail() },
                State::Broken,
                "NoSuchBucket",
            ),
            (Trail { status: status(true, None, None), ..trail() }, State::Warning, "not written yet"),
            (
                Trail { status: status(true, None, Some(NOW - Duration::hours(3))), ..trail() },
                State::Warning,
                "3 h ago",
            ),
            (Trail { validated: false, ..trail() }, State::Warning, "no digests"),
            (Trail { reach: Reach::OneRegion, ..trail() }, State::Warning, "no trail logs all regions"),
            (Trail { coverage: Err(denied()), ..trail() }, State::Warning, "AccessDenied"),
        ];
        for (trail, state, text) in cases {
            let (found, said) = worst(&[trail]);
            assert_eq!(found, state, "{said}");
            assert!(said.contains(text), "{said}");
        }
        assert_eq!(worst(&[]).0, State::Warning);
    }

    #[test]
    fn two_trails_cover_together() {
        let one_region = Trail { reach: Reach::OneRegion, ..trail() };
        assert_eq!(worst(&[one_region, trail()]).0, State::Fine);
    }
}
