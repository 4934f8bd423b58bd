//! The cloud of one test, with what only some of these tests do: signed objects, versions, refusals.

#[path = "../../support/cloud.rs"]
mod base;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, NotificationConfiguration, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;

use base::queue_attribute;
pub use base::{Cloud, QueueSettings};

impl Cloud {
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

    /// The same from a bucket that keeps versions.
    pub fn notification_of_version(&self, key: &str, version: &str) -> String {
        let mut notification: serde_json::Value =
            serde_json::from_str(&self.notification(key)).expect("it is JSON");
        notification["Records"][0]["s3"]["object"]["versionId"] = version.into();
        notification.to_string()
    }

    /// The name of the queue that a notification of the bucket needs.
    pub async fn queue_arn(&self) -> String {
        queue_attribute(&self.sqs, &self.queue_url, QueueAttributeName::QueueArn).await
    }

    /// Messages of the queue that wait and that are hidden.
    pub async fn backlog(&self) -> (u64, u64) {
        self.depth(&self.queue_url).await
    }
}
