//! `sagetrail doctor` beside real servers: what works is fine, and what is broken on purpose is named.
//!
//! moto checks no permissions, so a denial is judged by the unit tests alone.

use std::process::Command;
use std::time::Duration;

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, AdvancedFieldSelector};
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::{Stack, trail};

const ACCOUNT: &str = "123456789012";
const TRAIL: &str = "doctor";

/// The cloud as an operator sets it up, and the clients to break it with.
struct World {
    stack: Stack,
    cloud: Cloud,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    cloudtrail: aws_sdk_cloudtrail::Client,
}

impl World {
    async fn healthy(stack: Stack) -> Self {
        let settings = QueueSettings { visibility_timeout: Duration::from_mins(5), max_receive_count: 5 };
        let cloud = Cloud::create(&stack, "doctor", settings).await;
        let aws =
            aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(&stack.aws).load().await;
        let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build();
        let world = Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&aws),
            cloudtrail: aws_sdk_cloudtrail::Client::new(&aws),
            stack,
            cloud,
        };
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}"#;
        world.set_queue(QueueAttributeName::Policy, policy).await;
        world.cloud.upload(&trail::key(ACCOUNT, 1), trail::file(&[trail::record(ACCOUNT, 1)])).await;
        let create = world.cloudtrail.create_trail().name(TRAIL).s3_bucket_name(&world.cloud.bucket);
        create.is_multi_region_trail(true).enable_log_file_validation(true).send().await.unwrap();
        world.cloudtrail.start_logging().name(TRAIL).send().await.unwrap();
        let selector = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(field, value)| {
                AdvancedFieldSelector::builder().field(*field).equals(*value).build().unwrap()
            });
            AdvancedEventSelector::builder().set_field_selectors(Some(fields.collect())).build().unwrap()
        };
        let select = world.cloudtrail.put_event_selectors().trail_name(TRAIL);
        select
            .advanced_event_selectors(selector(&[("eventCategory", "Management")]))
            .advanced_event_selectors(selector(&[
                ("eventCategory", "Data"),
                ("resources.type", "AWS::SageMaker::Endpoint"),
            ]))
            .send()
            .await
            .unwrap();
        world
    }

    async fn set_queue(&self, name: QueueAttributeName, value: &str) {
        let request = self.sqs.set_queue_attributes().queue_url(&self.cloud.queue_url);
        request.attributes(name, value).send().await.unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.stack.aws)
            .env("SAGETRAIL__SOURCE__QUEUE_URL", &self.cloud.queue_url)
            .env("SAGETRAIL__SOURCE__ALLOWED_BUCKETS", format!("[\"{}\"]", self.cloud.bucket))
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
            .env("SAGETRAIL__SINK__URL", &self.stack.opensearch);
        command
    }

    /// The exit code, and the state and text of each finding about a part.
    fn examine(&self) -> (i32, Vec<(String, String, String)>) {
        let output = self.command(&["doctor", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        });
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let findings = report["findings"].as_array().unwrap().iter();
        let findings = findings
            .map(|finding| (text(&finding["state"]), text(&finding["subject"]), text(&finding["text"])))
            .collect();
        (output.status.code().unwrap(), findings)
    }
}

#[tokio::test]
async fn the_doctor_finds_what_works_and_names_what_was_broken() {
    let Some(stack) = Stack::running() else { return };
    let world = World::healthy(stack).await;
    let installed = world.command(&["setup"]).output().unwrap();
    assert!(!installed.stdout.is_empty(), "{}", String::from_utf8_lossy(&installed.stderr));

    let (code, findings) = world.examine();
    let has = |findings: &[(String, String, String)], state: &str, subject: &str, part: &str| {
        assert!(
            findings.iter().any(|(is, of, text)| is == state && of == subject && text.contains(part)),
            "no {state} of {subject} with {part:?} in {findings:#?}"
        );
    };
    let bucket = format!("bucket {}", world.cloud.bucket);
    for (subject, part) in [
        ("identity", "arn:aws:"),
        ("clock", "agrees"),
        ("queue visibility", "300 s"),
        ("queue redrive", "5 deliveries"),
        ("queue policy", "s3.amazonaws.com"),
        ("dead-letter queue", "empty"),
        (&bucket, "notifies the queue"),
        (&bucket, "can be read"),
        ("trail doctor", "digests"),
        ("data events", "AWS::SageMaker::Endpoint"),
        ("opensearch", "answers"),
        ("opensearch clock", "agrees"),
        ("opensearch write", "may be written"),
    ] {
        has(&findings, "fine", subject, part);
    }
    has(&findings, "warning", "data events", "AWS::SageMaker::FeatureGroup");
    has(&findings, "warning", "content", "opensearch-alerting");
    let broken: Vec<_> = findings.iter().filter(|(state, ..)| state == "broken").collect();
    assert!(broken.is_empty() && code == 0, "{code}: {broken:#?}");

    world.cloudtrail.stop_logging().name(TRAIL).send().await.unwrap();
    world.set_queue(QueueAttributeName::KmsMasterKeyId, "alias/aws/sqs").await;
    world.set_queue(QueueAttributeName::Policy, "").await;
    world
        .sqs
        .send_message()
        .queue_url(&world.cloud.dead_letter_url)
        .message_body("lost")
        .send()
        .await
        .unwrap();
    let removed =
        QueueConfiguration::builder().queue_arn(world.cloud.queue_arn().await).events(Event::S3ObjectRemoved);
    let inactive =
        NotificationConfiguration::builder().queue_configurations(removed.build().unwrap()).build();
    let forget = world.s3.put_bucket_notification_configuration().bucket(&world.cloud.bucket);
    forget.notification_configuration(inactive).send().await.unwrap();
    let (code, findings) = world.examine();
    for (subject, part) in [
        ("trail doctor", "does not log"),
        ("queue encryption", "alias/aws/sqs"),
        ("queue policy", "no service may send"),
        ("dead-letter queue", "it holds 1 failed"),
        (&bucket, "has no notification of new objects"),
    ] {
        has(&findings, "broken", subject, part);
    }
    assert_eq!(code, 1);
    // Nothing of all this was changed by looking at it.
    assert_eq!(world.cloud.dead_letters().await, 1);
    world.cloudtrail.delete_trail().name(TRAIL).send().await.unwrap();
}
