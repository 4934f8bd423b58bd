//! What the sink makes of refusals: whose fault each is, what is told of it, and nothing rejected that is the
//! cluster's.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::document::Document;
use sagetrail::opensearch::OpenSearch;
use sagetrail::sink::{StoreError, Stored};

use crate::sink::fake::{Fake, Rules};
use crate::sink::{
    Running, at_least_one, attempts, config, created, document_of, documents, patiently, rejected,
};
use crate::support::log::Log;

/// The states are those that a real OpenSearch 2.19 answered with.
#[tokio::test]
async fn a_state_of_the_cluster_rejects_no_document_whatever_it_is_and_is_waited_for() {
    for (status, kind, reason) in [
        (400, "invalid_alias_name_exception", "an index exists with the same name as the alias"),
        (400, "invalid_index_name_exception", "Invalid index name"),
        (400, "validation_exception", "Validation Failed: 1: something else;"),
        (400, "illegal_argument_exception", "Limit of total fields [2] has been exceeded"),
        (400, "illegal_argument_exception", "pipeline with id [nope] does not exist"),
        (400, "illegal_argument_exception", "no write index is defined for alias [two]."),
        (400, "illegal_argument_exception", "field [zzz] doesn't exist"),
        (400, "routing_missing_exception", "routing is required for [i]/[x0]"),
        (400, "script_exception", "runtime error"),
        (400, "mapper_parsing_exception", "failed to parse field [message] of type [date]"),
        (400, "strict_dynamic_mapping_exception", "mapping set to strict"),
        (400, "a_state_of_tomorrow_exception", "nobody knows it"),
        (412, "another_exception", ""),
        (409, "resource_already_exists_exception", ""),
        (500, "fail_processor_exception", "nope"),
    ] {
        let rules = Rules { state: Some((status, kind, reason)), ..Rules::default() };
        let fake = Fake::start(rules, []).await;
        let running = Running::new(&config(&fake.url));
        let producer = running.sink.join();
        let submission = producer.submit(documents(0..5)).await.unwrap();
        let lone = producer.submit(documents(5..6)).await.unwrap();
        drop(producer);
        running.until_retried("bulk_item", 12.0).await;
        assert_eq!((fake.events(), fake.reports().len()), (0, 0), "{kind}: {reason}");
        fake.change(Rules::default());
        assert_eq!(patiently(submission.stored()).await, Ok(created(5)), "{kind}: {reason}");
        assert_eq!(patiently(lone.stored()).await, Ok(created(1)), "{kind}: {reason}");
        running.end().await;
    }
}

/// The state is gone between the refusal and the question whether the index takes documents.
#[tokio::test]
async fn a_state_that_ends_just_before_the_question_rejects_nothing() {
    for kind in ["mapper_parsing_exception", "a_state_of_tomorrow_exception"] {
        let state = Some((400, kind, "nobody knows it"));
        let fake = Fake::start(Rules { state, state_lasts: Some(1), ..Rules::default() }, []).await;
        let running = Running::new(&config(&fake.url));
        assert_eq!(running.store(documents(0..5)).await, Ok(created(5)), "{kind}");
        assert_eq!(fake.reports().len(), 0);
        running.end().await;
    }
}

#[tokio::test]
async fn a_state_that_lasts_fails_the_message_and_rejects_nothing() {
    let state = Some((400, "a_state_of_tomorrow_exception", "nobody knows it"));
    let fake = Fake::start(Rules { state, ..Rules::default() }, []).await;
    let mut config = config(&fake.url);
    config.item_attempts = attempts(2);
    let running = Running::new(&config);
    let failed = running.store(documents(0..3)).await;
    assert!(matches!(failed, Err(StoreError::Unavailable { attempts: 2, status: 400, .. })), "{failed:?}");
    assert_eq!((fake.events(), fake.reports().len()), (0, 0));
    running.end().await;
}

#[tokio::test]
async fn a_lone_document_at_fault_is_rejected_because_the_index_takes_another() {
    let rules = Rules { refused: Some("bad"), doubtful: Some("odd"), ..Rules::default() };
    let fake = Fake::start(rules, []).await;
    let running = Running::new(&config(&fake.url));
    assert_eq!(running.store(vec![document_of("{\"t\":\"bad\"}")]).await, Ok(rejected(1)));
    let bulks = fake.requests().len();
    assert_eq!(bulks, 4, "the document, whether the index takes another, the document again, and the report");
    assert_eq!(running.store(vec![document_of("{\"t\":\"odd\"}")]).await, Ok(rejected(1)));
    assert_eq!(
        fake.requests().len() - bulks,
        10,
        "three times each, for a reason that nobody knows, and the report"
    );
    assert_eq!(fake.events(), 0, "a question stores nothing");
    running.end().await;
}

#[tokio::test]
async fn what_a_pipeline_dropped_is_not_stored_and_its_message_fails_if_that_lasts() {
    let fake = Fake::start(Rules { drops: true, ..Rules::default() }, []).await;
    let mut config = config(&fake.url);
    config.item_attempts = attempts(2);
    let running = Running::new(&config);
    let dropped = running.store(documents(0..3)).await;
    let kind = "dropped_by_a_pipeline".to_owned();
    assert_eq!(dropped, Err(StoreError::Unavailable { attempts: 2, status: 200, kind }));
    assert!(running.metric("sagetrail_records_indexed_total").abs() < f64::EPSILON);
    fake.change(Rules::default());
    assert_eq!(running.store(documents(0..3)).await, Ok(created(3)));
    running.end().await;
}

/// Stores documents at a server that refuses whole requests, and takes them after a look at what happened meanwhile.
async fn refuse_for_a_while(fake: &Fake, running: Running, all: Vec<Document>, look: impl FnOnce()) {
    let expected = Ok(created(all.len() as u64));
    let producer = running.sink.join();
    let submission = producer.submit(all).await.unwrap();
    drop(producer);
    running.until_retried("bulk_request", 2.0).await;
    assert_eq!((fake.events(), fake.reports().len()), (0, 0));
    look();
    fake.change(Rules::default());
    assert_eq!(patiently(submission.stored()).await, expected);
    running.end().await;
}

#[tokio::test]
async fn a_server_that_refuses_every_request_as_a_whole_rejects_nothing() {
    let fake = Fake::start(Rules { malformed: Some("_id"), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    refuse_for_a_while(&fake, running, documents(0..20), || {
        let bulks = fake.requests().iter().filter(|request| request.documents == 20).count();
        assert!(bulks >= 2, "it is not divided");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_takes_no_compressed_request_is_waited_for_and_told_of() {
    let fake = Fake::start(Rules { plain_only: true, ..Rules::default() }, []).await;
    let mut config = config(&fake.url);
    config.gzip = true;
    let log = Log::start();
    let running = Running::new(&config);
    let all = (0..20).map(|n| document_of(format!("{{\"n\":{n},\"t\":\"{:2000}\"}}", "x"))).collect();
    refuse_for_a_while(&fake, running, all, || {
        assert_eq!(log.lines("sink.gzip = false").len(), 1, "{}", log.text());
    })
    .await;
}

#[tokio::test]
async fn a_document_that_a_firewall_refuses_is_rejected_and_blocks_no_other() {
    let fake = Fake::start(Rules { firewall: Some("/etc/passwd"), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let mut all = documents(0..30);
    let source = "{\"t\":\"cat /etc/passwd\"}";
    all.insert(11, document_of(source));
    assert_eq!(
        running.store(all).await,
        Ok(Stored { created: 30, duplicate: 0, rejected: 1, ..Stored::default() })
    );
    let report = &fake.reports()[0];
    assert_eq!(report["error"]["type"], "refused_on_the_way");
    assert_eq!(report["text_encoding"], "base64", "in a form that the firewall lets through");
    let text = BASE64_STANDARD.decode(report["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, source.as_bytes());
    running.end().await;
}

#[tokio::test]
async fn a_firewall_that_lets_nothing_through_rejects_nothing() {
    let fake = Fake::start(Rules { firewall: Some("_id"), ..Rules::default() }, []).await;
    let log = Log::start();
    let running = Running::new(&config(&fake.url));
    refuse_for_a_while(&fake, running, documents(0..20), || {
        assert_eq!(log.lines("before the server refused the request").len(), 1, "{}", log.text());
    })
    .await;
}

#[tokio::test]
async fn a_denial_is_told_by_its_own_cause() {
    for (status, said, told) in [
        (401, "Unauthorized", "AWS does not know the credentials"),
        (403, r#"{"message":"The security token included in the request is expired"}"#, "have expired"),
        (403, r#"{"message":"Signature expired: 20260101T000000Z is now earlier"}"#, "clock of this host"),
        (403, r#"{"message":"The request signature we calculated does not match"}"#, "does not match"),
        (
            403,
            r#"{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk] and User [name=me]"}}"#,
            "indices:data/write/bulk is not granted",
        ),
        (
            403,
            r#"{"Message":"User: arn:aws:iam::1:role/x is not authorized to perform: es:ESHttpPost"}"#,
            "es:ESHttpPost is not granted",
        ),
    ] {
        let fake = Fake::start(Rules { denial: Some((status, said)), ..Rules::default() }, []).await;
        let log = Log::start();
        let running = Running::new(&config(&fake.url));
        refuse_for_a_while(&fake, running, documents(0..2), || {
            assert_eq!(log.lines(told).len(), 1, "{said}: {}", log.text());
            assert!(!log.text().contains("name=me"), "{}", log.text());
        })
        .await;
    }
}

#[tokio::test]
async fn over_the_limit_of_requests_is_push_back_and_no_denial() {
    let said = r#"{"__type":"RequestLimitExceeded"}"#;
    let fake = Fake::start(Rules { denial: Some((403, said)), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let producer = running.sink.join();
    let submission = producer.submit(documents(0..2)).await.unwrap();
    drop(producer);
    running.until_retried("bulk_request", 1.0).await;
    assert!(running.metric("sagetrail_bulk_requests_total{outcome=\"throttled\"}") >= 1.0);
    fake.change(Rules::default());
    assert_eq!(patiently(submission.stored()).await, Ok(created(2)));
    running.end().await;
}

#[tokio::test]
async fn the_size_that_was_too_large_once_is_not_sent_again_and_told_once() {
    let fake = Fake::start(Rules { max_body: Some(20_000), ..Rules::default() }, []).await;
    let log = Log::start();
    let mut config = config(&fake.url);
    config.bulk_max_bytes = at_least_one(50_000);
    let running = Running::new(&config);
    for round in 0..5 {
        let all = (0..100).map(|n| document_of(format!("{{\"n\":\"{round}-{n}\",\"t\":\"{:900}\"}}", "x")));
        assert_eq!(running.store(all.collect()).await, Ok(created(100)));
    }
    let refused = fake.requests().iter().filter(|request| request.bytes > 20_000).count();
    assert!(refused <= 4, "{refused} bulks were too large");
    assert!(log.lines("(413)").len() <= 2, "{}", log.text());
    running.end().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_is_named() {
    for status in [301, 302, 303, 307, 308] {
        let other = Fake::start(Rules::default(), []).await;
        let target = format!("{}/_bulk?token=hidden", other.url);
        let router = axum::Router::new().fallback(move || async move {
            (axum::http::StatusCode::from_u16(status).unwrap(), [("location", target)])
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let log = Log::start();
        let running = Running::new(&config(&url));
        let producer = running.sink.join();
        let submission = producer.submit(documents(0..20)).await.unwrap();
        drop(producer);
        running.until_retried("bulk_request", 2.0).await;
        assert!(other.requests().is_empty(), "{status} was followed");
        assert_eq!(log.lines(&other.url).len(), 1, "{status}: {}", log.text());
        assert!(!log.text().contains("hidden"), "{}", log.text());
        drop(running);
        assert_eq!(submission.stored().await, Err(StoreError::Closed));
        let client = OpenSearch::new(&config(&url), None).unwrap();
        let error = client.info().await.unwrap_err().to_string();
        assert!(error.contains(&other.url) && error.contains("not followed"), "{error}");
        server.abort();
    }
}
