//! Holds the AWS settings that the clients of SQS and S3 share.
//!
//! Region, credentials and endpoints come the AWS way: environment, profile, web identity, container, instance. The
//! SDK's standard retries (three attempts, or `AWS_MAX_ATTEMPTS`) cover each request up to its response's head.

use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use url::Url;

use crate::advice::{self, Place};
use crate::causes::chain;
use crate::denial;
use crate::record::is_region;

/// A connection within a region takes milliseconds; one that takes longer meets a firewall.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// The first byte of an answer: longer than the longest poll that SQS grants (20 s), with as much again to spare.
const READ_TIMEOUT: Duration = Duration::from_secs(40);
/// One attempt from its signature to its answer's head, connection included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(45);
/// A body that brings less than a byte a second for this long is given up, and the object asked for again.
const STALL_GRACE: Duration = Duration::from_secs(15);

/// What to do when a request cannot be signed.
pub(crate) const GIVE_IDENTITY: &str = "give credentials and a region the AWS way: a role of the task, pod or instance, AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION";

/// Loads the settings. The queue's URL tells the region where nothing else does.
pub async fn load(queue_url: Option<&Url>) -> SdkConfig {
    let region = RegionProviderChain::default_provider().or_else(queue_url.and_then(queue_region));
    aws_config::defaults(BehaviorVersion::latest())
        .app_name(AppName::new("sagetrail").expect("the name has only letters"))
        .region(region)
        .timeout_config(timeouts())
        .stalled_stream_protection(stall_protection())
        .load()
        .await
}

/// How long one attempt of a request may take.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

/// When a body that stopped coming is given up.
pub fn stall_protection() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build()
}

/// The client of a queue, in the region that its URL names: a queue elsewhere would look as if it did not exist.
pub fn queue_client(aws: &SdkConfig, queue_url: &Url) -> aws_sdk_sqs::Client {
    let region = queue_region(queue_url).or_else(|| aws.region().cloned());
    aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::config::Builder::from(aws).region(region).build())
}

/// Reads the region from `sqs.REGION.…`, `sqs-fips.REGION.…`, `REGION.queue.…` or `NAME.sqs.REGION.vpce.…`.
pub(crate) fn queue_region(url: &Url) -> Option<Region> {
    let host = url.host_str()?;
    if !host.contains(".amazonaws.") && !host.contains(".api.aws") {
        return None;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let region = labels.windows(2).find_map(|pair| match pair {
        ["sqs" | "sqs-fips", region] | [region, "queue"] => Some(*region),
        _ => None,
    })?;
    is_region(region).then(|| Region::new(region.to_owned()))
}

/// What went wrong with a request, on one line: the service's own words, or the chain of causes down to the socket.
pub(crate) fn cause<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => chain(error),
    };
    let advice = advice::of_connection(&cause, &Place::Aws);
    let advice = advice.or_else(|| denial::signed_elsewhere(&cause, None));
    advice.map_or(cause.clone(), |advice| format!("{cause}; {advice}"))
}

/// All that an answer says, its body included: what stands between us and AWS answers with pages that the SDK drops.
pub(crate) fn said<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let body = error.raw_response().and_then(|response| response.body().bytes()).unwrap_or_default();
    format!("{}\n{}", cause(error), String::from_utf8_lossy(body))
}

/// Whether a request was never sent, for want of credentials or a region.
pub(crate) fn is_unsigned(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    // The SDK has no type for a region that is missing.
    causes
        .into_iter()
        .any(|cause| cause.is::<CredentialsError>() || cause.to_string().ends_with("Missing Region"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_queue_tells_its_region() {
        for (url, region) in [
            ("https://sqs.eu-central-1.amazonaws.com/111122223333/trail", Some("eu-central-1")),
            ("https://sqs-fips.us-gov-west-1.amazonaws.com/111122223333/trail", Some("us-gov-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail", Some("cn-north-1")),
            ("https://sqs.eu-west-1.api.aws/111122223333/trail", Some("eu-west-1")),
            ("https://us-west-2.queue.amazonaws.com/111122223333/trail", Some("us-west-2")),
            ("https://vpce-0a1b-2c3d.sqs.eu-west-3.vpce.amazonaws.com/111122223333/trail", Some("eu-west-3")),
            ("https://queue.amazonaws.com/111122223333/trail", None),
            ("http://127.0.0.1:5000/111122223333/trail", None),
            ("http://sqs.eu-central-1.localhost.localstack.cloud:4566/000000000000/trail", None),
        ] {
            let url = Url::parse(url).expect("the table holds URLs");
            assert_eq!(queue_region(&url), region.map(Region::from_static), "{url}");
        }
    }
}
