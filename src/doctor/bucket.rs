//! Checks that the bucket notifies the queue of new files, and that they can be read and decrypted.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput as Configuration;
use aws_sdk_s3::types::Event;

use super::finding::Finding;
use crate::aws;
use crate::config::SourceConfig;
use crate::metrics::Metrics;
use crate::source::buckets::S3Clients;
use crate::source::key::classify;
use crate::source::notification::ObjectRef;
use crate::source::store::Store;

/// Folders from the bucket's root down to a day: prefix (rarely more than three), `AWSLogs`, organisation, account,
/// kind, region, year, month, day.
const DEEPEST: usize = 12;

pub(super) async fn examine(
    aws: &SdkConfig,
    config: &SourceConfig,
    bucket: &str,
    queue_arn: Option<&str>,
) -> Vec<Finding> {
    let subject = format!("bucket {bucket}");
    let client = match client(&S3Clients::new(aws, config).await, bucket).await {
        Ok(client) => client,
        Err(problem) => {
            let fix = "check the name in source.allowed_buckets, grant s3:ListBucket on it, and for another account's bucket set source.assume_role_arn";
            return vec![Finding::broken(subject, problem, fix)];
        }
    };
    let configuration = client.get_bucket_notification_configuration().bucket(bucket).send().await;
    let mut findings = vec![match configuration {
        Ok(configuration) => judge(&subject, &configuration, queue_arn),
        Err(error) => Finding::warning(
            &subject,
            format!("GetBucketNotificationConfiguration failed: {}", aws::cause(&error)),
            "grant s3:GetBucketNotification, or see yourself that new files are notified to the queue",
        ),
    }];
    findings.push(match newest(&client, bucket).await {
        Err(problem) => Finding::broken(
            &subject,
            format!("ListObjectsV2 failed: {problem}"),
            "grant s3:ListBucket on the bucket, so that a missing object shows as missing",
        ),
        Ok(None) => Finding::warning(
            &subject,
            "no file of CloudTrail was found in its newest folders, so none could be read",
            "see whether a trail writes to this bucket",
        ),
        Ok(Some(key)) => read(aws, config, &subject, bucket, key).await,
    });
    findings
}

/// The client of the bucket's own region, which S3 names when a request goes to another one.
async fn client(buckets: &S3Clients, bucket: &str) -> Result<Client, String> {
    let head = async |client: Client| client.head_bucket().bucket(bucket).send().await.map(|_| client);
    let found = buckets.ask(bucket, None, head).await;
    found.map_err(|error| format!("HeadBucket failed: {}", aws::cause(&*error)))
}

/// Judges whether the bucket notifies the queue of new objects.
fn judge(subject: &str, configuration: &Configuration, queue_arn: Option<&str>) -> Finding {
    let created =
        |events: &[Event]| events.iter().any(|event| event.as_str().starts_with("s3:ObjectCreated:"));
    let queues = configuration.queue_configurations().iter().filter(|to| created(to.events()));
    let topics = configuration.topic_configurations().iter().filter(|to| created(to.events()));
    if queues.clone().any(|to| Some(to.queue_arn()) == queue_arn) {
        return Finding::fine(subject, "it notifies the queue of new objects");
    }
    if let Some(topic) = topics.clone().next() {
        return Finding::fine(
            subject,
            format!("it notifies {}; the queue has to be subscribed to that topic", topic.topic_arn()),
        );
    }
    if configuration.event_bridge_configuration().is_some() {
        return Finding::fine(subject, "it notifies EventBridge; a rule there has to send to the queue");
    }
    Finding::broken(
        subject,
        "it has no notification of new objects, unless the trail itself notifies through SNS",
        "configure the bucket to notify the queue of s3:ObjectCreated:*",
    )
}

/// The key of a recent file, found by going down the last folder at each level.
async fn newest(client: &Client, bucket: &str) -> Result<Option<String>, String> {
    let mut prefix = String::new();
    for _ in 0..DEEPEST {
        let request = client.list_objects_v2().bucket(bucket).delimiter("/").prefix(&prefix);
        let answer = request.send().await.map_err(|error| aws::cause(&error))?;
        let keys = answer.contents().iter().filter_map(|object| object.key());
        if let Some(key) = keys.rev().find(|key| classify(key).is_ok()) {
            return Ok(Some(key.to_owned()));
        }
        let folders: Vec<&str> =
            answer.common_prefixes().iter().filter_map(|folder| folder.prefix()).collect();
        match next_folder(&folders) {
            Some(folder) => folder.clone_into(&mut prefix),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The folder to descend into: record files are beside digests, Insights and other services' logs.
fn next_folder<'a>(folders: &[&'a str]) -> Option<&'a str> {
    let named = |name: &str| {
        folders.iter().copied().find(|folder| folder.trim_end_matches('/').rsplit('/').next() == Some(name))
    };
    named("AWSLogs").or_else(|| named("CloudTrail")).or_else(|| folders.last().copied())
}

/// Reads a file as the daemon does, with its region, role, size limit and payer.
async fn read(aws: &SdkConfig, config: &SourceConfig, subject: &str, bucket: &str, key: String) -> Finding {
    let store = Store::new(aws, config, Arc::new(Metrics::new())).await;
    let object = ObjectRef { bucket: bucket.to_owned(), key, ..ObjectRef::default() };
    match store.get(&object).await {
        Ok(_) => Finding::fine(subject, format!("{} can be read", object.key)),
        // The store's errors say what to grant.
        Err(error) => Finding::broken(subject, error.to_string(), "see the text"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{EventBridgeConfiguration, QueueConfiguration, TopicConfiguration};

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_bucket_has_to_tell_the_queue_of_new_objects_in_one_of_three_ways() {
        let ours = "arn:aws:sqs:eu-west-1:111122223333:trail";
        let queue =
            |arn: &str, event| QueueConfiguration::builder().queue_arn(arn).events(event).build().unwrap();
        let topic = TopicConfiguration::builder()
            .topic_arn("arn:aws:sns:eu-west-1:111122223333:files")
            .events(Event::S3ObjectCreatedPut)
            .build()
            .unwrap();
        let empty = Configuration::builder;
        let cases = [
            (empty().queue_configurations(queue(ours, Event::S3ObjectCreated)), State::Fine),
            (empty().queue_configurations(queue(ours, Event::S3ObjectRemoved)), State::Broken),
            (
                empty().queue_configurations(queue(
                    "arn:aws:sqs:eu-west-1:111122223333:other",
                    Event::S3ObjectCreated,
                )),
                State::Broken,
            ),
            (empty().topic_configurations(topic), State::Fine),
            (empty().event_bridge_configuration(EventBridgeConfiguration::builder().build()), State::Fine),
            (empty(), State::Broken),
        ];
        for (configuration, state) in cases {
            let finding = judge("bucket", &configuration.build(), Some(ours));
            assert_eq!(finding.state, state, "{}", finding.text);
        }
    }

    #[test]
    fn the_way_down_leads_to_records_and_not_to_digests() {
        for (folders, next) in [
            (vec!["other/", "prefix/"], "prefix/"),
            (vec!["p/AWSLogs/", "p/zzz/"], "p/AWSLogs/"),
            (vec!["AWSLogs/111122223333/", "AWSLogs/o-abc/"], "AWSLogs/o-abc/"),
            (
                vec!["a/1/CloudTrail-Digest/", "a/1/CloudTrail-Insight/", "a/1/CloudTrail/", "a/1/Config/"],
                "a/1/CloudTrail/",
            ),
        ] {
            assert_eq!(next_folder(&folders), Some(next));
        }
        assert_eq!(next_folder(&[]), None);
    }
}
