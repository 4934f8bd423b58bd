use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::Poll;

use time::macros::datetime;

use super::super::fake::{Fake, Step};
use super::*;
use crate::labels::ObjectFailure;

const KIB: usize = 1024;

fn object(size: Option<u64>) -> ObjectRef {
    ObjectRef {
        bucket: "trail-bucket".to_owned(),
        key: "a+b ü.json.gz".to_owned(),
        region: None,
        size,
        put_at: None,
        version: None,
    }
}

struct Setup {
    fake: Fake,
    store: Store,
    metrics: Arc<Metrics>,
}

async fn setup(config: SourceConfig, script: impl IntoIterator<Item = Step>) -> Setup {
    let fake = Fake::start(script).await;
    let metrics = Arc::new(Metrics::new());
    let store = Store::new(&fake.aws(), &config, Arc::clone(&metrics)).await;
    Setup { fake, store, metrics }
}

fn limits(in_flight_bytes: usize, max_object_bytes: u64) -> SourceConfig {
    let in_flight_bytes = NonZeroUsize::new(in_flight_bytes).expect("the limit is not zero");
    SourceConfig { in_flight_bytes, max_object_bytes, ..SourceConfig::default() }
}

fn good(body: &[u8]) -> Step {
    Step::answer(200, &[("Last-Modified", "Sun, 01 Mar 2026 02:10:11 GMT")], body)
}

/// Announces more than it sends.
fn cut() -> Step {
    Step::raw(200, &[("Content-Length", "10")], b"0123")
}

fn retries(metrics: &Metrics) -> u64 {
    let exposition = metrics.expose();
    let line =
        exposition.lines().find_map(|line| line.strip_prefix("sagetrail_retries_total{what=\"object\"} "));
    line.and_then(|count| count.parse().ok()).expect("the series exists from the start")
}

/// Whether a future still waits, seen by polling it once.
async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn an_object_arrives_as_it_is_stored() {
    let encoded = Step::answer(200, &[("Content-Encoding", "gzip")], b"\x1f\x8bnot really");
    let config = SourceConfig { requester_pays: true, ..SourceConfig::default() };
    let Setup { fake, store, metrics } = setup(config, [good(b"0123456789"), good(b""), encoded]).await;

    let whole = store.get(&object(Some(10))).await.expect("the object is there");
    assert_eq!((&whole.bytes[..], whole.stored_bytes), (&b"0123456789"[..], 10));
    assert_eq!(whole.last_modified, Some(datetime!(2026-03-01 02:10:11 UTC)));
    let empty = store.get(&object(None)).await.expect("the object is there");
    assert_eq!(empty.stored_bytes, 0);
    let encoded = store.get(&object(None)).await.expect("the object is there");
    assert_eq!(&encoded.bytes[..], b"\x1f\x8bnot really");

    assert_eq!(retries(&metrics), 0);
    for head in fake.seen().requests {
        assert!(head.starts_with("get /trail-bucket/a%2bb%20%c3%bc.json.gz?"), "{head}");
        assert!(head.contains("x-amz-request-payer: requester"), "{head}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_counted() {
    for (name, script, retried) in [
        ("a body that broke off", vec![cut(), cut(), good(b"0123456789")], 2),
        ("a body that stalled", vec![cut().hanging(), good(b"0123456789")], 1),
        (
            "S3 asking for patience",
            vec![
                Step::s3_error(503, "SlowDown", "Please reduce your request rate.", &[]),
                Step::s3_error(500, "InternalError", "We encountered an internal error.", &[]),
                good(b"0123456789"),
            ],
            2,
        ),
        ("a connection that was reset", vec![Step::reset(), good(b"0123456789")], 1),
        ("all of it", vec![Step::reset(), cut(), Step::reset(), good(b"0123456789")], 3),
    ] {
        let Setup { fake: _fake, store, metrics } = setup(SourceConfig::default(), script).await;
        let read = store.get(&object(Some(10))).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&read.bytes[..], b"0123456789", "{name}");
        assert_eq!(retries(&metrics), retried, "{name}");
    }
}

#[tokio::test]
async fn what_does_not_pass_ends_as_unavailable_after_a_handful_of_attempts() {
    let slow = || Step::s3_error(503, "SlowDown", "Please reduce your request rate.", &[]);
    for (script, text) in [
        (vec![cut(), cut(), cut(), cut()], "its body broke off 4 times"),
        (vec![slow(), slow(), slow()], "SlowDown: Please reduce"),
        (vec![Step::reset(), Step::reset(), Step::reset()], "failed: "),
    ] {
        let Setup { fake: _fake, store, .. } = setup(SourceConfig::default(), script).await;
        let error = store.get(&object(None)).await.expect_err("S3 never answers well");
        assert_eq!(error.failure(), ObjectFailure::Unavailable, "{error}");
        assert!(error.to_string().starts_with("GetObject s3://trail-bucket/a+b ü.json.gz"), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_sorted_by_what_the_operator_must_do() {
    let kms = "User: arn:aws:sts::111122223333:assumed-role/sagetrail/i-0a is not authorized to perform: kms:Decrypt on the resource";
    for (status, code, message, failure, text) in [
        (404, "NoSuchKey", "The specified key does not exist.", ObjectFailure::Missing, "no such object"),
        (
            404,
            "NoSuchBucket",
            "The specified bucket does not exist",
            ObjectFailure::Missing,
            "no such bucket",
        ),
        (403, "AccessDenied", "Access Denied", ObjectFailure::Forbidden, "grant s3:GetObject"),
        (403, "AccessDenied", kms, ObjectFailure::Forbidden, "grant kms:Decrypt"),
        (
            400,
            "KMS.DisabledException",
            "It is disabled",
            ObjectFailure::Forbidden,
            "use of its KMS key was denied",
        ),
        (403, "ExpiredToken", "The provided token has expired.", ObjectFailure::Forbidden, "have expired"),
        (403, "SignatureDoesNotMatch", "no", ObjectFailure::Forbidden, "the signature does not match"),
        (403, "InvalidAccessKeyId", "No such key id", ObjectFailure::Forbidden, "InvalidAccessKeyId"),
        (403, "InvalidObjectState", "Not valid for the storage class", ObjectFailure::Archived, "restore it"),
        (
            400,
            "InvalidRequest",
            "Something else",
            ObjectFailure::Unavailable,
            "InvalidRequest: Something else",
        ),
        (301, "PermanentRedirect", "Elsewhere", ObjectFailure::Unavailable, "PermanentRedirect"),
    ] {
        let script = [Step::s3_error(status, code, message, &[])];
        let Setup { fake: _fake, store, metrics } = setup(SourceConfig::default(), script).await;
        let error = store.get(&object(None)).await.expect_err(code);
        assert_eq!(error.failure(), failure, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(retries(&metrics), 0, "{error}");
    }
}

#[tokio::test]
async fn an_object_beyond_the_cap_is_refused_before_its_body_is_read() {
    // The body never comes, so only a refusal by the announced length can end this.
    let announced = Step::raw(200, &[("Content-Length", "101")], b"").hanging();
    let Setup { fake: _fake, store, .. } = setup(limits(KIB, 100), [announced, good(&[7; 100])]).await;
    let error = store.get(&object(None)).await.expect_err("it is too large");
    assert_eq!(error.failure(), ObjectFailure::TooLarge);
    assert!(
        error.to_string().contains("101 bytes or more, and source.max_object_bytes allows 100"),
        "{error}"
    );

    let claimed_too_large = object(Some(u64::MAX));
    let read = store.get(&claimed_too_large).await.expect("S3 decides what its size is, not the claim");
    assert_eq!(read.stored_bytes, 100);
}

#[tokio::test]
async fn an_object_of_unknown_length_is_stopped_at_the_cap() {
    let script = [Step::raw(200, &[], &[7; 100]), Step::raw(200, &[], &[7; 101])];
    let Setup { fake: _fake, store, .. } = setup(limits(KIB, 100), script).await;
    assert_eq!(store.get(&object(None)).await.expect("it fits").stored_bytes, 100);
    let error = store.get(&object(None)).await.expect_err("it is too large");
    assert_eq!(error.failure(), ObjectFailure::TooLarge);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found_and_remembered() {
    let elsewhere = || {
        let region = [("x-amz-bucket-region", "us-west-2")];
        Step::s3_error(301, "PermanentRedirect", "The bucket must be addressed elsewhere.", &region)
    };
    let script = [elsewhere(), good(b"1"), good(b"2"), elsewhere()];
    let Setup { fake, store, .. } = setup(SourceConfig::default(), script).await;
    let notified = ObjectRef { region: Some("eu-west-1".to_owned()), ..object(None) };
    for body in [b"1", b"2"] {
        assert_eq!(&store.get(&notified).await.expect("it is followed").bytes[..], body);
    }
    let error = store.get(&notified).await.expect_err("a redirect to the same region leads nowhere");
    assert!(error.to_string().contains("PermanentRedirect"), "{error}");

    let regions: Vec<bool> =
        fake.seen().requests.iter().map(|head| head.contains("/us-west-2/s3/")).collect();
    assert_eq!(regions, [false, true, true, true]);
    assert!(fake.seen().requests[0].contains("/eu-west-1/s3/"), "the notification's region comes first");
}

#[tokio::test]
async fn a_region_that_is_none_is_not_made_a_part_of_a_hosts_name() {
    let Setup { fake, store, .. } = setup(SourceConfig::default(), [good(b"1")]).await;
    let hostile = ObjectRef { region: Some("eu-1.example.com/?".to_owned()), ..object(None) };
    store.get(&hostile).await.expect("the default region is asked");
    assert!(fake.seen().requests[0].contains("/eu-central-1/s3/"));
}

#[tokio::test]
async fn objects_in_memory_share_one_budget() {
    let body = [7; 600];
    let Setup { fake, store, .. } =
        setup(limits(2 * KIB, 2 * KIB as u64), [good(&body), good(&body), good(&body)]).await;
    let first = store.get(&object(Some(600))).await.expect("there is room");
    let second = store.get(&object(Some(600))).await.expect("there is room");
    let known = object(Some(600));
    let mut third = Box::pin(store.get(&known));
    assert!(waits(&mut third).await, "two objects fill the budget of two units");
    assert_eq!(fake.seen().requests.len(), 2, "what has no room is not asked for");

    drop(first);
    assert_eq!(third.await.expect("there is room again").stored_bytes, 600);
    drop(second);
}

#[tokio::test]
async fn an_object_whose_size_was_not_known_waits_without_an_open_response() {
    let body = [7; 1_500];
    // A notified size may be too small as well: the object was written again since.
    for (notified, budget) in [(None, 2 * KIB), (Some(1), 3 * KIB)] {
        let unread = Step::raw(200, &[("Content-Length", "1500")], b"").hanging();
        let script = [good(&body), unread, good(&body)];
        let Setup { fake, store, .. } = setup(limits(budget, 2 * KIB as u64), script).await;
        let first = store.get(&object(None)).await.expect("there is room");
        let unknown = object(notified);
        let (second, ()) = tokio::join!(store.get(&unknown), async {
            fake.until(|seen| seen.abandoned == 1).await;
            drop(first);
        });
        assert_eq!(second.expect("there is room again").stored_bytes, 1_500);
        assert_eq!(store.budget.available_permits(), budget / KIB, "everything was given back");
    }
}

#[tokio::test]
async fn what_was_reserved_beyond_an_objects_size_is_given_back_at_once() {
    let Setup { fake: _fake, store, .. } = setup(limits(4 * KIB, 4 * KIB as u64), [good(b"1")]).await;
    let small = store.get(&object(Some(4_000))).await.expect("there is room");
    assert_eq!(store.budget.available_permits(), 3);
    drop(small);
    assert_eq!(store.budget.available_permits(), 4);
}

fn announced() -> ObjectRef {
    ObjectRef { version: Some("v 1".to_owned()), ..object(None) }
}

fn passed_over(metrics: &Metrics) -> Vec<String> {
    let exposition = metrics.expose();
    let lines =
        exposition.lines().filter(|line| line.starts_with("sagetrail_object_versions_passed_over_total"));
    lines.map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_announced_version_is_asked_for_and_no_other() {
    let found = Step::answer(200, &[("x-amz-version-id", "v 1")], b"first");
    let Setup { fake, store, metrics } = setup(SourceConfig::default(), [found, good(b"current")]).await;
    let read = store.get(&announced()).await.unwrap();
    assert_eq!((&read.bytes[..], read.version.as_deref()), (&b"first"[..], Some("v 1")));
    let read = store.get(&object(None)).await.unwrap();
    assert_eq!((&read.bytes[..], read.version.as_deref()), (&b"current"[..], None));
    let requests = fake.seen().requests;
    assert!(requests[0].contains("versionid=v%201") && !requests[1].contains("versionid"), "{requests:?}");
    assert_eq!(passed_over(&metrics), ["0", "0"]);
}

#[tokio::test]
async fn a_version_that_cannot_be_read_gives_way_to_the_current_one_which_says_so() {
    for (status, code, counted) in [
        (403, "AccessDenied", ["1", "0"]),
        (404, "NoSuchVersion", ["0", "1"]),
        (400, "InvalidArgument", ["0", "1"]),
        (405, "MethodNotAllowed", ["0", "1"]),
    ] {
        let current = Step::answer(200, &[("x-amz-version-id", "v2")], b"current");
        let script = [Step::s3_error(status, code, "No", &[]), current];
        let Setup { fake, store, metrics } = setup(SourceConfig::default(), script).await;
        let read = store.get(&announced()).await.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!((&read.bytes[..], read.version.as_deref()), (&b"current"[..], Some("v2")), "{code}");
        assert!(!fake.seen().requests[1].contains("versionid"), "{code}");
        assert_eq!(passed_over(&metrics), counted, "{code}");
    }
}

#[tokio::test]
async fn without_a_current_version_the_error_says_what_to_grant_and_other_errors_are_their_own() {
    let denied = || Step::s3_error(403, "AccessDenied", "Access Denied", &[]);
    let missing = || Step::s3_error(404, "NoSuchKey", "The specified key does not exist.", &[]);
    for (script, text) in [
        (vec![denied(), missing()], "grant s3:GetObjectVersion"),
        (vec![denied(), denied()], "grant s3:GetObject on it"),
        (vec![missing(), missing()], "no such object"),
        (vec![Step::s3_error(403, "InvalidObjectState", "Archived", &[])], "restore it"),
        (vec![Step::s3_error(404, "NoSuchBucket", "None", &[])], "no such bucket"),
        (
            vec![Step::s3_error(403, "AccessDenied", "not authorized to perform: kms:Decrypt", &[])],
            "kms:Decrypt",
        ),
    ] {
        let Setup { fake: _fake, store, .. } = setup(SourceConfig::default(), script).await;
        let error = store.get(&announced()).await.unwrap_err().to_string();
        assert!(error.contains(text), "{text}: {error}");
    }
}
