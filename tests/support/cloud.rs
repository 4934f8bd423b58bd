//! The cloud of one test: a bucket that notifies a queue that has a dead-letter queue, all in moto.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, NotificationConfiguration, QueueConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};

use super::{Stack, eventually};

pub struct Cloud {
    pub bucket: String,
    pub queue_url: String,
    pub dead_letter_url: String,
    pub queue_arn: String,
    pub s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
}

/// How the queue treats messages.
pub struct QueueSettings {
    pub visibility_timeout: Duration,
    pub max_receive_count: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(10), max_receive_count: 100 }
    }
}

impl Cloud {
    /// Makes everything, named after the test. Notifications are on once this returns, and the test event that S3 sends
    /// first is in the queue.
    pub async fn create(stack: &Stack, name: &str, settings: QueueSettings) -> Self {
        let aws =
            aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(&stack.aws).load().await;
        let s3 = aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build(),
        );
        let sqs = aws_sdk_sqs::Client::new(&aws);
        let dead_letter_url = create_queue(&sqs, &format!("{name}-dead"), HashMap::new()).await;
        let dead_letter_arn = queue_attribute(&sqs, &dead_letter_url, QueueAttributeName::QueueArn).await;
        let redrive = format!(
            r#"{{"deadLetterTargetArn":"{dead_letter_arn}","maxReceiveCount":"{}"}}"#,
            settings.max_receive_count
        );
        let attributes = HashMap::from([
            (QueueAttributeName::VisibilityTimeout, settings.visibility_timeout.as_secs().to_string()),
            (QueueAttributeName::RedrivePolicy, redrive),
        ]);
        let queue_url = create_queue(&sqs, name, attributes).await;
        let queue_arn = queue_attribute(&sqs, &queue_url, QueueAttributeName::QueueArn).await;
        let bucket = format!("{name}-trail");
        s3.create_bucket().bucket(&bucket).send().await.expect("moto makes the bucket");
        let notify = QueueConfiguration::builder()
            .queue_arn(&queue_arn)
            .events(Event::S3ObjectCreated)
            .build()
            .expect("the configuration is whole");
        s3.put_bucket_notification_configuration()
            .bucket(&bucket)
            .notification_configuration(
                NotificationConfiguration::builder().queue_configurations(notify).build(),
            )
            .send()
            .await
            .expect("moto takes the notification configuration");
        Self { bucket, queue_url, dead_letter_url, queue_arn, s3, sqs }
    }

    /// Uploads an object, which notifies the queue.
    pub async fn upload(&self, key: &str, bytes: Vec<u8>) {
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .expect("moto stores the object");
    }

    /// Uploads an object with a signature in its metadata, as CloudTrail does with digests.
    pub async fn upload_signed(&self, key: &str, bytes: Vec<u8>, signature: &str) {
        self.upload_made_at(key, bytes, signature, None).await;
    }

    /// Uploads a digest, with the time when it was made where that is not its end, as CloudTrail does with backfills.
    pub async fn upload_made_at(&self, key: &str, bytes: Vec<u8>, signature: &str, made_at: Option<&str>) {
        let mut request = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .metadata("signature", signature)
            .metadata("signature-algorithm", "SHA256withRSA");
        if let Some(made_at) = made_at {
            request = request.metadata("backfill-generation-timestamp", made_at);
        }
        request.body(ByteStream::from(bytes)).send().await.expect("moto stores the object");
    }

    /// Removes an object without a word to the queue.
    pub async fn remove(&self, key: &str) {
        self.s3.delete_object().bucket(&self.bucket).key(key).send().await.expect("moto removes the object");
    }

    /// Makes the bucket keep versions and notify nobody, because the emulator's notifications do not name them.
    pub async fn keep_versions(&self) {
        let request = self.s3.put_bucket_notification_configuration().bucket(&self.bucket);
        let nobody = NotificationConfiguration::builder().build();
        request
            .notification_configuration(nobody)
            .send()
            .await
            .expect("moto takes the notification configuration");
        let settings = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.s3.put_bucket_versioning().bucket(&self.bucket).versioning_configuration(settings);
        request.send().await.expect("moto keeps versions");
    }

    /// Uploads an object and returns the version that it has.
    pub async fn upload_version(&self, key: &str, bytes: Vec<u8>) -> String {
        let request = self.s3.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(bytes));
        request.send().await.expect("moto stores the object").version_id.expect("the bucket keeps versions")
    }

    /// Lets nobody read an object.
    pub async fn forbid(&self, key: &str) {
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{}/{key}", self.bucket)
        }]});
        let request = self.s3.put_bucket_policy().bucket(&self.bucket).policy(policy.to_string());
        request.send().await.expect("moto takes the policy");
    }

    /// Sends messages as they are, ten with a request.
    pub async fn send(&self, bodies: impl IntoIterator<Item = String>) {
        let bodies: Vec<String> = bodies.into_iter().collect();
        for batch in bodies.chunks(10) {
            let entries = batch.iter().enumerate().map(|(position, body)| {
                SendMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .message_body(body)
                    .build()
                    .expect("the entry is whole")
            });
            let answer = self
                .sqs
                .send_message_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .expect("moto takes the messages");
            assert!(answer.failed.is_empty());
        }
    }

    /// A notification as S3 sends it.
    pub fn notification(&self, key: &str) -> String {
        serde_json::json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-11-01T12:00:00.000Z", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": {"key": key}}
        }]})
        .to_string()
    }

    /// The same from a bucket that keeps versions.
    pub fn notification_of_version(&self, key: &str, version: &str) -> String {
        let mut notification: serde_json::Value =
            serde_json::from_str(&self.notification(key)).expect("it is JSON");
        notification["Records"][0]["s3"]["object"]["versionId"] = version.into();
        notification.to_string()
    }

    /// Waits until nothing waits in the queue and nothing is hidden, which means that all of it was deleted or redriven.
    pub async fn until_empty(&self, patience: Duration) {
        eventually(patience, async || match self.depth(&self.queue_url).await {
            (0, 0) => Ok(()),
            (waiting, hidden) => Err(format!("{waiting} messages wait and {hidden} are hidden")),
        })
        .await;
    }

    /// Messages in the dead-letter queue.
    pub async fn dead_letters(&self) -> u64 {
        let (waiting, hidden) = self.depth(&self.dead_letter_url).await;
        waiting + hidden
    }

    /// Messages of the queue that wait and that are hidden.
    pub async fn backlog(&self) -> (u64, u64) {
        self.depth(&self.queue_url).await
    }

    /// In one request: a message that comes out of hiding between two would be in neither.
    async fn depth(&self, url: &str) -> (u64, u64) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request =
            self.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let answer = request.send().await.expect("moto knows the queue");
        let attributes = answer.attributes.expect("they were asked for");
        let [waiting, hidden] = names.map(|name| attributes[&name].parse().expect("a number"));
        (waiting, hidden)
    }
}

async fn create_queue(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    attributes: HashMap<QueueAttributeName, String>,
) -> String {
    let answer = sqs.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await;
    answer.expect("moto makes the queue").queue_url.expect("a queue has a URL")
}

async fn queue_attribute(sqs: &aws_sdk_sqs::Client, url: &str, name: QueueAttributeName) -> String {
    let answer = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    let attributes = answer.expect("moto knows the queue").attributes.expect("the attribute was asked for");
    attributes[&name].clone()
}
