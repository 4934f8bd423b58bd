//! The cloud of one test: a bucket that notifies a queue that has a dead-letter queue, all in moto.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};

use crate::support::{Stack, eventually};

pub struct Cloud {
    pub bucket: String,
    pub queue_url: String,
    pub dead_letter_url: String,
    pub s3: aws_sdk_s3::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
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
        Self { bucket, queue_url, dead_letter_url, s3, sqs }
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

    /// Waits until nothing waits in the queue and nothing is hidden, which means that all of it was deleted or
    /// redriven.
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

    /// In one request: a message that comes out of hiding between two would be in neither.
    pub async fn depth(&self, url: &str) -> (u64, u64) {
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

pub(super) async fn queue_attribute(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    name: QueueAttributeName,
) -> String {
    let answer = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
    let attributes = answer.expect("moto knows the queue").attributes.expect("the attribute was asked for");
    attributes[&name].clone()
}
