//! The source against an emulator of SQS and S3, whose endpoint is `SAGETRAIL_TEST_AWS_URL`. Credentials and region
//! come from the environment, as the daemon's do. Without the endpoint each test says so and ends.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Event,
    NotificationConfiguration, QueueConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use sagetrail::aws;
use sagetrail::config::SourceConfig;
use sagetrail::labels::NotificationForm as Form;
use sagetrail::labels::ObjectFailure;
use sagetrail::metrics::Metrics;
use sagetrail::source::deleter::{self, NotDeleted};
use sagetrail::source::key;
use sagetrail::source::notification::{self, NotifiedObject, ObjectRef};
use sagetrail::source::queue::{Message, Queue, QueueError};
use sagetrail::source::store::Store;
use sagetrail::source::visibility::extend_while;
use time::OffsetDateTime;
use url::Url;

/// Long enough for any emulator to deliver a message that is there; a receive returns as soon as it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clients that set the scene, beside those under test.
struct Cloud {
    aws: SdkConfig,
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
    /// A name that no other test and no earlier run has used.
    name: String,
}

/// None, with a line that says so, when there is no emulator.
async fn cloud(test: &str) -> Option<Cloud> {
    let Ok(endpoint) = std::env::var("SAGETRAIL_TEST_AWS_URL") else {
        println!("skipped: SAGETRAIL_TEST_AWS_URL does not name an emulator of SQS and S3");
        return None;
    };
    let aws = aws::load(None).await.into_builder().endpoint_url(endpoint).build();
    let sqs = aws_sdk_sqs::Client::new(&aws);
    let settings = aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(settings);
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_millis();
    Some(Cloud { aws, sqs, s3, name: format!("{test}-{now}-{}", std::process::id()) })
}

impl Cloud {
    async fn create_queue(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Url {
        let mut request = self.sqs.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        let url = request.send().await.expect("a queue can be created").queue_url.expect("it has a URL");
        Url::parse(&url).expect("the emulator's URLs are URLs")
    }

    async fn attribute(&self, url: &Url, attribute: QueueAttributeName) -> String {
        let request =
            self.sqs.get_queue_attributes().queue_url(url.as_str()).attribute_names(attribute.clone());
        let answer = request.send().await.expect("the queue is there");
        answer.attributes.expect("it has attributes").remove(&attribute).expect("it has this one")
    }

    async fn open(&self, url: &Url) -> Result<Queue, QueueError> {
        Queue::open(aws::queue_client(&self.aws, url), url).await
    }

    /// Makes a queue that hides messages for some seconds and holds one message for each body.
    async fn queue_with<'a>(&self, visibility: &str, bodies: impl IntoIterator<Item = &'a str>) -> Queue {
        let url = self.create_queue(&self.name, &[(QueueAttributeName::VisibilityTimeout, visibility)]).await;
        for body in bodies {
            let send = self.sqs.send_message().queue_url(url.as_str()).message_body(body);
            send.send().await.expect("a message can be sent");
        }
        self.open(&url).await.expect("the queue can be opened")
    }

    async fn create_bucket(&self) {
        let mut request = self.s3.create_bucket().bucket(&self.name);
        let region = self.aws.region().expect("the environment names a region").to_string();
        if region != "us-east-1" {
            let constraint = BucketLocationConstraint::from(region.as_str());
            let settings = CreateBucketConfiguration::builder().location_constraint(constraint).build();
            request = request.create_bucket_configuration(settings);
        }
        request.send().await.expect("a bucket can be created");
    }

    async fn put(&self, key: &str, body: &'static [u8]) -> ObjectRef {
        let request = self.s3.put_object().bucket(&self.name).key(key).content_encoding("gzip");
        request.body(ByteStream::from_static(body)).send().await.expect("an object can be put");
        self.object(key)
    }

    fn object(&self, key: &str) -> ObjectRef {
        let (bucket, key) = (self.name.clone(), key.to_owned());
        ObjectRef { bucket, key, ..ObjectRef::default() }
    }

    async fn store(&self, config: SourceConfig) -> Store {
        let config = SourceConfig { force_path_style: true, ..config };
        Store::new(&self.aws, &config, Arc::new(Metrics::new())).await
    }
}

async fn receive_one(queue: &Queue) -> Message {
    let mut messages = queue.receive(1, PATIENCE).await.expect("the queue answers");
    assert_eq!(messages.len(), 1, "the queue has a message");
    messages.remove(0)
}

#[tokio::test]
async fn a_queues_own_settings_are_read() {
    let Some(cloud) = cloud("settings").await else { return };
    let dead = cloud.create_queue(&format!("{}-dead", cloud.name), &[]).await;
    let arn = cloud.attribute(&dead, QueueAttributeName::QueueArn).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":4}}"#);
    let attributes =
        [(QueueAttributeName::VisibilityTimeout, "7"), (QueueAttributeName::RedrivePolicy, policy.as_str())];
    let url = cloud.create_queue(&cloud.name, &attributes).await;
    cloud.sqs.send_message().queue_url(url.as_str()).message_body("1").send().await.expect("it can be sent");

    let queue = cloud.open(&url).await.expect("the queue can be opened");
    assert_eq!(queue.visibility_timeout(), Duration::from_secs(7));
    assert_eq!(queue.backlog(), Some(1));
    let redrive = queue.redrive().expect("it has a redrive policy");
    assert_eq!((redrive.max_receive_count, redrive.dead_letter_queue_arn.as_str()), (4, arn.as_str()));

    let dead = cloud.open(&dead).await.expect("the queue can be opened");
    assert_eq!((dead.visibility_timeout(), dead.redrive()), (Duration::from_secs(30), None));
}

#[tokio::test]
async fn a_queue_that_cannot_work_is_refused_with_what_to_do() {
    let Some(cloud) = cloud("refused").await else { return };
    let url = cloud.create_queue(&cloud.name, &[(QueueAttributeName::VisibilityTimeout, "0")]).await;
    let error = cloud.open(&url).await.err().expect("it hides nothing").to_string();
    assert!(error.contains(url.as_str()) && error.contains("set VisibilityTimeout to 60 or more"), "{error}");

    let nowhere = Url::parse(&format!("{url}-that-is-not")).expect("it is a URL");
    let error = cloud.open(&nowhere).await.err().expect("there is no such queue");
    assert!(matches!(error, QueueError::Missing { .. }), "{error:?}");
    let text = format!("GetQueueAttributes on {nowhere}: there is no such queue; check source.queue_url");
    assert!(error.to_string().starts_with(&text), "{error}");
}

#[tokio::test]
async fn a_message_arrives_with_what_is_known_of_it_and_comes_back_at_once_when_released() {
    let Some(cloud) = cloud("released").await else { return };
    let queue = cloud.queue_with("600", ["{\"ü\": \"<&>\"}"]).await;
    let first = receive_one(&queue).await;
    assert_eq!(first.body, "{\"ü\": \"<&>\"}");
    assert_eq!(first.receive_count, Some(1));
    let age = OffsetDateTime::now_utc() - first.sent_at.expect("the queue says when it was sent");
    assert!(age.whole_seconds().abs() < 60, "{age}");
    assert!(queue.receive(10, Duration::ZERO).await.expect("the queue answers").is_empty(), "it is hidden");

    queue.release(&first.receipt).await.expect("it can be released");
    let again = receive_one(&queue).await;
    assert_eq!((again.id, again.receive_count), (first.id, Some(2)));
}

#[tokio::test]
async fn a_held_message_stays_hidden_past_its_timeout_and_comes_back_when_it_is_let_go() {
    let Some(cloud) = cloud("held").await else { return };
    let queue = cloud.queue_with("2", ["1"]).await;
    let metrics = Metrics::new();
    let message = receive_one(&queue).await;
    let seen = extend_while(&queue, &message, &metrics, async {
        // Another receiver waits through more than two timeouts.
        queue.receive(10, Duration::from_secs(5)).await.expect("the queue answers").len()
    });
    assert_eq!(seen.await, 0, "nobody else receives it");
    assert!(!metrics.expose().contains("visibility_renewals_total{outcome=\"renewed\"} 0"));
    assert_eq!(receive_one(&queue).await.receive_count, Some(2));
}

#[tokio::test]
async fn finished_messages_are_deleted_all_of_them() {
    let Some(cloud) = cloud("deleted").await else { return };
    let bodies: Vec<String> = (0..25).map(|number| number.to_string()).collect();
    let queue = cloud.queue_with("600", bodies.iter().map(String::as_str)).await;
    let mut messages = Vec::new();
    while messages.len() < 25 {
        let more = queue.receive(100, PATIENCE).await.expect("the queue answers");
        assert!((1..=10).contains(&more.len()), "{} at once", more.len());
        messages.extend(more);
    }
    let metrics = Arc::new(Metrics::new());
    let (deleter, task) = deleter::start(queue.clone(), Arc::clone(&metrics));
    let deletions: Vec<_> = messages
        .iter()
        .map(|message| {
            let (deleter, receipt) = (deleter.clone(), message.receipt.clone());
            tokio::spawn(async move { deleter.delete(receipt).await })
        })
        .collect();
    for deletion in deletions {
        assert_eq!(deletion.await.expect("deleting does not panic"), Ok(()));
    }
    let url = Url::parse(queue.url()).expect("it is a URL");
    for attribute in [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ] {
        assert_eq!(cloud.attribute(&url, attribute).await, "0");
    }

    let gone = queue.renew(&messages[0].receipt).await.expect_err("it is deleted");
    assert!(matches!(gone, QueueError::Gone { .. }), "{gone:?}");
    let other = Cloud { name: format!("{}-other", cloud.name), ..cloud };
    let other = other.queue_with("600", ["1"]).await;
    let foreign = receive_one(&other).await.receipt;
    assert_eq!(deleter.delete(foreign).await, Err(NotDeleted), "the receipt is another queue's");
    assert!(metrics.expose().contains("sagetrail_delete_failures_total 1"));
    drop(deleter);
    task.await.expect("the task ends with its last owner");
}

#[tokio::test]
async fn objects_are_read_whatever_their_keys_hold() {
    let Some(cloud) = cloud("keys").await else { return };
    cloud.create_bucket().await;
    let store = cloud.store(SourceConfig::default()).await;
    for key in ["plain.json.gz", "a+b c/ü/日本/%2B.json.gz", "=&?#;:@$,'\"()!*~/x", "a//b", "😀\u{7f}"] {
        let object = cloud.put(key, b"\x1f\x8bno gzip at all").await;
        let read = store.get(&object).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&read.bytes[..], b"\x1f\x8bno gzip at all", "its encoding is left alone");
        assert_eq!(read.stored_bytes, 16);
        let age = OffsetDateTime::now_utc() - read.last_modified.expect("S3 says when it was put");
        assert!(age.whole_seconds().abs() < 60, "{age}");
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_says_why() {
    let Some(cloud) = cloud("unreadable").await else { return };
    cloud.create_bucket().await;
    let large = cloud.put("large", &[7; 1025]).await;
    let forbidden = cloud.put("forbidden", b"1").await;
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{}/forbidden"}}]}}"#,
        cloud.name
    );
    cloud.s3.put_bucket_policy().bucket(&cloud.name).policy(policy).send().await.expect("it can be set");

    let limit = NonZeroUsize::new(1024).expect("it is not zero");
    let config = SourceConfig { in_flight_bytes: limit, max_object_bytes: 1024, ..SourceConfig::default() };
    let store = cloud.store(config).await;
    let nowhere = ObjectRef { bucket: format!("{}-that-is-not", cloud.name), ..large.clone() };
    for (object, failure, text) in [
        (cloud.object("missing"), ObjectFailure::Missing, "no such object"),
        (nowhere, ObjectFailure::Missing, "no such bucket"),
        (forbidden, ObjectFailure::Forbidden, "was denied"),
        (
            large,
            ObjectFailure::TooLarge,
            "it has 1025 bytes or more, and source.max_object_bytes allows 1024",
        ),
    ] {
        let error = store.get(&object).await.expect_err(text);
        assert_eq!(error.failure(), failure, "{error}");
        assert!(error.to_string().starts_with(&format!("GetObject {object}")), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_role_is_assumed_to_read_anothers_bucket() {
    let Some(cloud) = cloud("role").await else { return };
    cloud.create_bucket().await;
    let object = cloud.put("1.json.gz", b"1").await;
    let config = SourceConfig {
        assume_role_arn: Some("arn:aws:iam::123456789012:role/trail-reader".to_owned()),
        external_id: Some("sagetrail-test".to_owned()),
        ..SourceConfig::default()
    };
    let read = cloud.store(config).await.get(&object).await;
    assert_eq!(&read.expect("the role may read it").bytes[..], b"1");
}

#[tokio::test]
async fn an_object_is_found_through_the_notification_of_its_bucket() {
    let Some(cloud) = cloud("notified").await else { return };
    cloud.create_bucket().await;
    let queue = cloud.queue_with("600", []).await;
    let url = Url::parse(queue.url()).expect("it is a URL");
    let target = QueueConfiguration::builder()
        .queue_arn(cloud.attribute(&url, QueueAttributeName::QueueArn).await)
        .events(Event::S3ObjectCreated)
        .build()
        .expect("its members are set");
    let settings = NotificationConfiguration::builder().queue_configurations(target).build();
    let request = cloud.s3.put_bucket_notification_configuration().bucket(&cloud.name);
    request.notification_configuration(settings).send().await.expect("it can be set");

    let test = notification::parse(&receive_one(&queue).await.body).expect("it is understood");
    assert_eq!((test.form, test.objects.len()), (Form::Test, 0));

    let file = "111122223333_CloudTrail_eu-central-1_20260301T0210Z_Mu0KsOhtH1ar15ZZ.json.gz";
    let put = format!("my logs/AWSLogs/111122223333/CloudTrail/eu-central-1/2026/03/01/{file}");
    cloud.put(&put, b"1").await;
    let notification = notification::parse(&receive_one(&queue).await.body).expect("it is understood");
    assert_eq!(notification.form, Form::S3);
    let [NotifiedObject::Created(object)] = &notification.objects[..] else {
        panic!("{notification:?}");
    };
    assert_eq!((&object.bucket, &object.key, object.size), (&cloud.name, &put, Some(1)));
    assert!(key::classify(&object.key).is_ok());
    let read = cloud.store(SourceConfig::default()).await.get(object).await;
    assert_eq!(&read.expect("it is there").bytes[..], b"1");
}

#[tokio::test]
async fn the_version_of_a_notification_is_read_whatever_became_of_the_object() {
    let Some(cloud) = cloud("versions").await else { return };
    cloud.create_bucket().await;
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = cloud.s3.put_bucket_versioning().bucket(&cloud.name).versioning_configuration(versions);
    request.send().await.expect("the bucket keeps versions");
    let first = cloud.s3.put_object().bucket(&cloud.name).key("x").body(ByteStream::from_static(b"first"));
    let version = first.send().await.expect("it can be put").version_id;
    assert!(version.is_some());
    let announced = ObjectRef { version: version.clone(), ..cloud.object("x") };
    let store = cloud.store(SourceConfig::default()).await;
    cloud.put("x", b"second").await;
    let read = store.get(&announced).await.expect("it is there");
    assert_eq!((&read.bytes[..], &read.version), (&b"first"[..], &version));
    cloud.s3.delete_object().bucket(&cloud.name).key("x").send().await.expect("it can be deleted");
    assert_eq!(&store.get(&announced).await.expect("it is there").bytes[..], b"first");
    let error = store.get(&cloud.object("x")).await.expect_err("there is no current version");
    assert_eq!(error.failure(), ObjectFailure::Missing, "{error}");

    cloud.put("x", b"third").await;
    cloud
        .s3
        .delete_object()
        .bucket(&cloud.name)
        .key("x")
        .set_version_id(version)
        .send()
        .await
        .expect("it can");
    let read = store.get(&announced).await.expect("the current one is there");
    assert_eq!(&read.bytes[..], b"third");
    assert!(read.version.is_some() && read.version != announced.version);
}
