//! AWS: SQS and S3 in the place of the SDK's transport, with credentials and a clock that the world moves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Frame;
use sagetrail::aws;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::queue::State;
use crate::schedule::BUCKET;
use crate::world::World;

/// Credentials that are not rotated last this long, so that those which were revoked are soon exchanged.
const CREDENTIALS_LAST: Duration = Duration::from_mins(2);
/// AWS refuses what was signed at a time further off.
const MOST_CLOCK_SKEW: u64 = 15 * 60;

type Answer = Result<HttpResponse, ConnectorError>;

/// The settings of a daemon in this world. The region is the seed's own, because the SDK's budget of retries is shared
/// by all clients of a region.
pub fn settings(world: &Arc<World>, seed: u64) -> SdkConfig {
    let transport = Transport(Arc::clone(world));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(format!("eu-central-{seed}")))
        .endpoint_url("http://aws.test")
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(transport.clone())))
        .credentials_provider(SharedCredentialsProvider::new(Keys(Arc::clone(world))))
        .identity_cache(IdentityCache::lazy().build())
        .time_source(Clock(Arc::clone(world)))
        .timeout_config(aws::timeouts())
        .stalled_stream_protection(aws::stall_protection())
        .build()
}

#[derive(Debug, Clone)]
struct Transport(Arc<World>);

#[derive(Debug)]
struct Keys(Arc<World>);

#[derive(Debug)]
struct Clock(Arc<World>);

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let world = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            if let Some(refusal) = refusal(&world, &request) {
                return Ok(refusal);
            }
            match request.headers().get("x-amz-target") {
                Some(target) => {
                    let operation = target.trim_start_matches("AmazonSQS.").to_owned();
                    let body = request.body().bytes().unwrap_or_default();
                    sqs(&world, &operation, &serde_json::from_slice(body).expect("the SDK writes JSON")).await
                }
                None => s3(&world, request.uri()).await,
            }
        })
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let generation = self.0.lock().credentials;
        let expiry = Some(self.0.clock() + CREDENTIALS_LAST);
        let keys = Credentials::new(format!("AKID{generation}"), "secret", None, expiry, "world");
        provider::future::ProvideCredentials::ready(Ok(keys))
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.0.clock()
    }
}

/// What both services say to whom they do not know or whose clock is wrong.
fn refusal(world: &World, request: &HttpRequest) -> Option<HttpResponse> {
    let mut inner = world.lock();
    let is_s3 = request.headers().get("x-amz-target").is_none();
    let authorization = request.headers().get("authorization").expect("each request is signed");
    let generation = authorization.split_once("Credential=AKID").and_then(|(_, rest)| rest.split('/').next());
    let generation: u32 = generation.expect("ours").parse().expect("a number");
    let code = if generation < inner.oldest_credentials {
        inner.meet("credentials expired");
        "ExpiredToken"
    } else if inner.clock_offset.unsigned_abs() > MOST_CLOCK_SKEW {
        inner.meet("clock too far off");
        "RequestTimeTooSkewed"
    } else {
        return None;
    };
    Some(if is_s3 { s3_error(403, code) } else { sqs_error(403, code) })
}

async fn sqs(world: &World, operation: &str, request: &Value) -> Answer {
    let fault = world.lock().draw(11);
    let is_delete = operation == "DeleteMessageBatch";
    match fault {
        Some(0) => {
            world.lock().meet("sqs: throttled");
            return Ok(sqs_error(400, "RequestThrottled"));
        }
        Some(1) => {
            let mut inner = world.lock();
            inner.meet("sqs: server error");
            return Ok(sqs_error([500, 503][inner.random.usize(..2)], "InternalError"));
        }
        Some(2) => {
            world.lock().meet("sqs: connection failed");
            return Err(ConnectorError::io("connection refused".into()));
        }
        Some(3) => {
            let pause = world.lock().pause(40);
            world.lock().meet("sqs: delayed");
            sleep(pause).await;
        }
        Some(4) => {
            world.lock().meet("sqs: no answer at all");
            return std::future::pending().await;
        }
        Some(7) if operation == "ReceiveMessage" => {
            world.lock().meet("sqs: nothing received");
            return Ok(answer(200, json!({}).to_string()));
        }
        _ => latency(world, 30).await,
    }
    let text = match operation {
        "GetQueueAttributes" => attributes(world),
        "ReceiveMessage" => receive(world, request).await,
        "ChangeMessageVisibility" => match change_visibility(world, request) {
            Some(text) => text,
            None => return Ok(sqs_error(400, "MessageNotInflight")),
        },
        "DeleteMessageBatch" => delete(world, request, fault),
        other => panic!("the daemon has no business with {other}"),
    };
    match fault {
        Some(5) => {
            world.lock().meet("sqs: answer lost");
            Err(ConnectorError::io("connection reset".into()))
        }
        Some(6) if !is_delete => {
            world.lock().meet("sqs: answer cut");
            Ok(answer(200, text[..text.len() / 2].to_owned()))
        }
        _ => Ok(answer(200, text)),
    }
}

/// Answers come at moments of their own. So what follows from one is over, on whatever thread, before the next comes,
/// and a seed tells the same story again.
async fn latency(world: &World, most_milliseconds: u64) {
    let pause = Duration::from_millis(world.lock().random.u64(1..=most_milliseconds));
    sleep(pause).await;
}

fn attributes(world: &World) -> String {
    let inner = world.lock();
    let policy = json!({"maxReceiveCount": inner.queue.max_receive_count, "deadLetterTargetArn": "arn:aws:sqs:::dead"});
    let attributes = json!({
        "VisibilityTimeout": inner.queue.visibility_timeout.as_secs().to_string(),
        "RedrivePolicy": policy.to_string(),
        "ApproximateNumberOfMessages": inner.queue.undeleted().count().to_string(),
    });
    json!({"Attributes": attributes}).to_string()
}

async fn receive(world: &World, request: &Value) -> String {
    let most = usize::try_from(request["MaxNumberOfMessages"].as_u64().unwrap_or(1)).expect("ten");
    let deadline = Instant::now() + Duration::from_secs(request["WaitTimeSeconds"].as_u64().unwrap_or(0));
    loop {
        let rung = world.bell.notified();
        let wake = {
            let mut guard = world.lock();
            let inner = &mut *guard;
            let taken = inner.queue.receive(most, &mut inner.random);
            if !taken.is_empty() {
                inner.tell(format!("received {taken:?}"));
                let messages: Vec<Value> =
                    taken.into_iter().map(|number| message(&inner.queue, number)).collect();
                return json!({"Messages": messages}).to_string();
            }
            inner.queue.next_visible().unwrap_or(deadline).min(deadline)
        };
        if Instant::now() >= deadline {
            return json!({}).to_string();
        }
        tokio::select! {
            () = rung => {}
            () = sleep_until(wake) => {}
        }
    }
}

fn message(queue: &crate::queue::Queue, number: usize) -> Value {
    let message = &queue.messages[number];
    json!({
        "MessageId": format!("m-{number}"), "ReceiptHandle": queue.receipt(number), "Body": message.body,
        "Attributes": {"SentTimestamp": "1793534400000", "ApproximateReceiveCount": message.receives.to_string()},
    })
}

/// None where the message is not in flight any more.
fn change_visibility(world: &World, request: &Value) -> Option<String> {
    let seconds = request["VisibilityTimeout"].as_u64().expect("it is always given");
    let mut inner = world.lock();
    let number = inner.queue.of_receipt(request["ReceiptHandle"].as_str().expect("a receipt"))?;
    let now = Instant::now();
    let message = &mut inner.queue.messages[number];
    if message.state != State::Queued || message.visible_at <= now {
        return None;
    }
    message.visible_at = now + Duration::from_secs(seconds);
    inner.tell(format!("visibility of {number} changed to {seconds} s"));
    drop(inner);
    world.bell.notify_waiters();
    Some("{}".to_owned())
}

fn delete(world: &World, request: &Value, fault: Option<u8>) -> String {
    let mut inner = world.lock();
    match fault {
        Some(8) => inner.meet("sqs: delete lost"),
        Some(9) => inner.meet("sqs: delete entries failed"),
        Some(10) => inner.meet("sqs: delete entries missing"),
        _ => {}
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in request["Entries"].as_array().expect("entries") {
        let id = &entry["Id"];
        let number =
            inner.queue.of_receipt(entry["ReceiptHandle"].as_str().expect("a receipt")).expect("ours");
        match fault {
            Some(8) => successful.push(json!({"Id": id})),
            Some(9) if inner.random.bool() => {
                let sender_fault = inner.random.bool();
                failed.push(json!({"Id": id, "SenderFault": sender_fault, "Code": "InternalError"}));
            }
            _ => {
                if inner.queue.messages[number].state != State::Deleted {
                    inner.tell(format!("deleted {number}"));
                    inner.check_deletion(number);
                    inner.queue.messages[number].state = State::Deleted;
                }
                if fault != Some(10) || inner.random.bool() {
                    successful.push(json!({"Id": id}));
                }
            }
        }
    }
    json!({"Successful": successful, "Failed": failed}).to_string()
}

async fn s3(world: &World, uri: &str) -> Answer {
    let fault = world.lock().draw(11);
    let key = uri.split_once(&format!("/{BUCKET}/")).map(|(_, key)| key.split('?').next().expect("one part"));
    let key = key.unwrap_or_else(|| panic!("no object is at {uri}"));
    let whole = {
        let inner = world.lock();
        let object = inner.objects.iter().find(|object| object.key == key).expect("a message named it");
        (!object.missing).then(|| Bytes::from(object.bytes.clone()))
    };
    let meet = |name| world.lock().meet(name);
    match fault {
        Some(0) => {
            meet("s3: SlowDown");
            return Ok(s3_error(503, "SlowDown"));
        }
        Some(1) => {
            meet("s3: server error");
            return Ok(s3_error(500, "InternalError"));
        }
        Some(2) => {
            meet("s3: denied");
            return Ok(s3_error(403, "AccessDenied"));
        }
        Some(3) => {
            meet("s3: connection failed");
            return Err(ConnectorError::io("connection reset".into()));
        }
        Some(4) => {
            meet("s3: name not resolved");
            return Err(ConnectorError::io("failed to lookup address information".into()));
        }
        Some(5) => {
            let pause = world.lock().pause(60);
            meet("s3: delayed");
            sleep(pause).await;
        }
        Some(6) => {
            meet("s3: no answer at all");
            return std::future::pending().await;
        }
        _ => latency(world, 300).await,
    }
    let Some(whole) = whole else { return Ok(s3_error(404, "NoSuchKey")) };
    let half = whole.slice(..whole.len() / 2);
    let (length, body) = match fault {
        Some(7) => {
            meet("s3: body shorter than announced");
            (whole.len(), SdkBody::from(half))
        }
        Some(8) => {
            meet("s3: body broken off");
            (whole.len(), SdkBody::from_body_1_x(HalfBody { first: Some(half), then: Then::BreaksOff }))
        }
        Some(9) => {
            meet("s3: body stalled");
            (whole.len(), SdkBody::from_body_1_x(HalfBody { first: Some(half), then: Then::Stalls }))
        }
        Some(10) => {
            meet("s3: object cut");
            (half.len(), SdkBody::from(half))
        }
        _ => (whole.len(), SdkBody::from(whole)),
    };
    let mut response = HttpResponse::new(200.try_into().expect("a status"), body);
    response.headers_mut().insert("content-length", length.to_string());
    response.headers_mut().insert("last-modified", "Sun, 01 Nov 2026 12:00:00 GMT");
    Ok(response)
}

/// A body that does not come to its end.
struct HalfBody {
    first: Option<Bytes>,
    then: Then,
}

enum Then {
    BreaksOff,
    Stalls,
}

impl http_body::Body for HalfBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.first.take(), &self.then) {
            (Some(first), _) => Poll::Ready(Some(Ok(Frame::data(first)))),
            (None, Then::BreaksOff) => Poll::Ready(Some(Err(std::io::Error::other("connection reset")))),
            (None, Then::Stalls) => Poll::Pending,
        }
    }
}

fn answer(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn sqs_error(status: u16, code: &str) -> HttpResponse {
    answer(status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "as drawn"}).to_string())
}

fn s3_error(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>as drawn</Message></Error>");
    HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body))
}
