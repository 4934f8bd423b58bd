//! The notification: what one queue message says about new objects.
use crate::metrics::label_enum;

label_enum! {
    /// How the notification was wrapped on its way to the queue.
    Form {
        /// S3 straight to SQS.
        S3 => "s3",
        /// S3 through an SNS envelope.
        S3OverSns => "s3_sns",
        /// S3 through EventBridge.
        EventBridge => "eventbridge",
        /// CloudTrail's own SNS notification, enveloped or raw.
        CloudTrail => "cloudtrail",
        /// A message that only proves that the way works: `s3:TestEvent`, CloudTrail's validation message.
        Test => "test",
    }
}
