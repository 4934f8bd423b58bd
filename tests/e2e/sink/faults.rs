//! What the sink makes of a cluster that fails: nothing lost, nothing twice, and no success that is not proven.

use std::net::SocketAddr;
use std::time::Duration;

use sagetrail::names::Names;
use sagetrail::sink::{StoreError, Stored};
use serde_json::json;

use crate::sink::fake::{Fake, Fault, Rules};
use crate::sink::{
    Running, at_least_one, attempts, config, created, document, document_of, documents, duplicate, patiently,
    rejected,
};

#[tokio::test]
async fn what_is_delivered_again_is_a_duplicate_and_a_success() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    assert_eq!(running.store(documents(0..10)).await, Ok(created(10)));
    assert_eq!(
        running.store(documents(5..15)).await,
        Ok(Stored { created: 5, duplicate: 5, rejected: 0, ..Stored::default() })
    );
    assert_eq!(fake.events(), 15);
    assert!((running.metric("sagetrail_records_indexed_total") - 15.0).abs() < f64::EPSILON);
    assert!((running.metric("sagetrail_records_duplicate_total") - 5.0).abs() < f64::EPSILON);
    running.end().await;
}

#[tokio::test]
async fn a_throttled_third_of_a_bulk_is_sent_again_and_the_rest_is_not() {
    for status in [429, 503, 403] {
        let fake = Fake::start(Rules::default(), [Fault::EveryThird(status); 2]).await;
        let running = Running::new(&config(&fake.url));
        assert_eq!(running.store(documents(0..30)).await, Ok(created(30)), "{status}");
        let counts: Vec<usize> = fake.requests().iter().map(|request| request.documents).collect();
        assert_eq!(counts, [30, 10, 3]);
        running.end().await;
    }
}

#[tokio::test]
async fn whole_requests_that_fail_are_repeated_until_they_do_not() {
    let burst = [500, 502, 503, 429, 504, 401, 404].map(Fault::Status);
    let fake = Fake::start(Rules::default(), burst.into_iter().take(4)).await;
    let running = Running::new(&config(&fake.url));
    assert_eq!(running.store(documents(0..20)).await, Ok(created(20)));
    assert!((running.metric("sagetrail_retries_total{what=\"bulk_request\"}") - 4.0).abs() < f64::EPSILON);
    assert!(
        (running.metric("sagetrail_bulk_requests_total{outcome=\"throttled\"}") - 2.0).abs() < f64::EPSILON
    );
    running.end().await;
    for fault in burst.into_iter().skip(4) {
        let fake = Fake::start(Rules::default(), [fault]).await;
        let running = Running::new(&config(&fake.url));
        assert_eq!(running.store(documents(0..20)).await, Ok(created(20)), "{fault:?}");
        running.end().await;
    }
}

#[tokio::test]
async fn push_back_lowers_the_pace() {
    let fake = Fake::start(Rules::default(), [Fault::Status(429), Fault::Status(429)]).await;
    let mut config = config(&fake.url);
    config.in_flight_bulks = at_least_one(8);
    let running = Running::new(&config);
    assert!((running.metric("sagetrail_bulk_concurrency_limit") - 8.0).abs() < f64::EPSILON);
    assert_eq!(running.store(documents(0..1)).await, Ok(created(1)));
    assert!((running.metric("sagetrail_bulk_concurrency_limit") - 2.0).abs() < f64::EPSILON);
    running.end().await;
}

#[tokio::test]
async fn a_document_that_never_gets_through_fails_its_own_submission_alone() {
    let rules = Rules { blocked: Some(("blocked", 429)), ..Rules::default() };
    let fake = Fake::start(rules, []).await;
    let mut config = config(&fake.url);
    config.item_attempts = attempts(3);
    let running = Running::new(&config);
    let (one, other) = (running.sink.join(), running.sink.join());
    let blocked = vec![document(1), document_of("{\"t\":\"blocked\"}"), document(2)];
    let failing = one.submit(blocked).await.unwrap();
    let passing = other.submit(documents(3..6)).await.unwrap();
    drop((one, other));
    let kind = "fake_429_exception".to_owned();
    let unavailable = StoreError::Unavailable { attempts: 3, status: 429, kind };
    assert_eq!(patiently(passing.stored()).await, Ok(created(3)));
    assert_eq!(patiently(failing.stored()).await, Err(unavailable));
    assert_eq!(fake.events(), 5);
    running.end().await;
}

#[tokio::test]
async fn an_answer_that_does_not_prove_storage_is_not_believed() {
    for fault in [Fault::CutAnswer, Fault::ShortAnswer] {
        let fake = Fake::start(Rules::default(), [fault]).await;
        let running = Running::new(&config(&fake.url));
        assert_eq!(running.store(documents(0..10)).await, Ok(duplicate(10)), "{fault:?}");
        assert_eq!(fake.events(), 10);
        running.end().await;
    }
}

#[tokio::test]
async fn what_was_stored_although_the_answer_came_too_late_is_stored_once() {
    let fake = Fake::start(Rules::default(), [Fault::LateAnswer]).await;
    let mut config = config(&fake.url);
    config.request_timeout = Duration::from_millis(300);
    let running = Running::new(&config);
    assert_eq!(running.store(documents(0..10)).await, Ok(duplicate(10)));
    assert_eq!(fake.events(), 10);
    running.end().await;
}

#[tokio::test]
async fn a_bulk_that_is_never_answered_in_time_goes_through_in_smaller_pieces() {
    let fake = Fake::start(Rules { overwhelmed: Some(100_000), ..Rules::default() }, []).await;
    let mut config = config(&fake.url);
    config.request_timeout = Duration::from_millis(300);
    config.bulk_max_bytes = at_least_one(200_000);
    let running = Running::new(&config);
    let all = (0..190).map(|n| document_of(format!("{{\"n\":{n},\"t\":\"{:900}\"}}", "x"))).collect();
    assert_eq!(running.store(all).await, Ok(created(190)));
    running.end().await;
}

#[tokio::test]
async fn a_bulk_that_is_too_large_is_divided_until_it_is_not() {
    let fake = Fake::start(Rules { max_body: Some(1_000), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    assert_eq!(running.store(documents(0..100)).await, Ok(created(100)));
    assert_eq!(fake.events(), 100);
    running.end().await;
}

#[tokio::test]
async fn a_document_too_large_even_for_the_rejected_index_fails_its_submission() {
    let fake = Fake::start(Rules { max_body: Some(1_000), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let mut all = documents(0..10);
    all.insert(5, document_of(format!("{{\"t\":\"{:2000}\"}}", "x")));
    let refused = running.store(all).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { bytes: 2_000.. })), "{refused:?}");
    assert_eq!((fake.events(), fake.reports().len()), (10, 0));
    running.end().await;
}

#[tokio::test]
async fn a_bulk_refused_as_a_whole_is_divided_down_to_the_document_at_fault() {
    let fake = Fake::start(Rules { malformed: Some("{\"n\":13}\n"), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let stored = Stored { created: 49, duplicate: 0, rejected: 1, ..Stored::default() };
    assert_eq!(running.store(documents(0..50)).await, Ok(stored));
    assert_eq!(fake.reports()[0]["text"], "{\"n\":13}");
    running.end().await;
}

#[tokio::test]
async fn a_refused_document_is_rejected_with_its_reason_and_whole_text() {
    let fake = Fake::start(Rules { refused: Some("bad"), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let source = "{\"t\":\"bad \\\"quoted\\\" é\"}";
    let all = vec![document(1), document_of(source), document(2)];
    let stored = Stored { created: 2, duplicate: 0, rejected: 1, ..Stored::default() };
    assert_eq!(running.store(all.clone()).await, Ok(stored));
    let [report] = &fake.reports()[..] else { panic!("one report") };
    assert_eq!(report["text"], source);
    assert_eq!(report["reason"], "refused_by_opensearch");
    assert_eq!(report["error"], json!({"type": "mapper_parsing_exception", "message": "as told"}));
    assert_eq!(report["index"], "sagetrail-events-2025.06");
    let series = "sagetrail_records_rejected_total{reason=\"refused_by_opensearch\"}";
    assert!((running.metric(series) - 1.0).abs() < f64::EPSILON);

    let again = Stored { created: 0, duplicate: 2, rejected: 1, ..Stored::default() };
    assert_eq!(running.store(all).await, Ok(again), "delivered again, it is still rejected once");
    assert_eq!(fake.reports().len(), 1);
    assert!((running.metric(series) - 1.0).abs() < f64::EPSILON);
    running.end().await;
}

#[tokio::test]
async fn a_refused_document_that_cannot_be_rejected_is_no_success() {
    let rules = Rules { refused: Some("bad"), refuses_reports: true, ..Rules::default() };
    let fake = Fake::start(rules, []).await;
    let running = Running::new(&config(&fake.url));
    let refused = StoreError::Refused { kind: "mapper_parsing_exception".to_owned() };
    assert_eq!(running.store(vec![document(1), document_of("{\"t\":\"bad\"}")]).await, Err(refused));
    assert_eq!((fake.events(), fake.reports().len()), (1, 0));
    running.end().await;
}

#[tokio::test]
async fn a_document_meant_for_the_rejected_index_counts_as_rejected() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    let mut document = document(1);
    document.index = sagetrail::document::IndexName::rejected(&Names::default());
    assert_eq!(running.store(vec![document.clone()]).await, Ok(rejected(1)));
    assert_eq!(running.store(vec![document]).await, Ok(rejected(1)));
    assert!(running.metric("sagetrail_records_indexed_total").abs() < f64::EPSILON);
    running.end().await;
}

#[tokio::test]
async fn each_of_several_messages_in_one_bulk_gets_its_own_answer() {
    let rules = Rules { refused: Some("bad"), ..Rules::default() };
    let fake = Fake::start(rules, [Fault::EveryThird(429)]).await;
    let running = Running::new(&config(&fake.url));
    let producers: Vec<_> = (0..3).map(|_| running.sink.join()).collect();
    let first = producers[0].submit(documents(0..4)).await.unwrap();
    let bad = producers[1].submit(vec![document_of("{\"t\":\"bad\"}"), document(10)]).await.unwrap();
    let third = producers[2].submit(documents(20..25)).await.unwrap();
    drop(producers);
    assert_eq!(patiently(first.stored()).await, Ok(created(4)));
    assert_eq!(
        patiently(bad.stored()).await,
        Ok(Stored { created: 1, duplicate: 0, rejected: 1, ..Stored::default() })
    );
    assert_eq!(patiently(third.stored()).await, Ok(created(5)));
    running.end().await;
}

#[tokio::test]
async fn a_cluster_that_is_down_is_waited_for() {
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let running = Running::new(&config(&format!("http://{address}")));
    let producer = running.sink.join();
    let submission = producer.submit(documents(0..10)).await.unwrap();
    drop(producer);
    running.until_retried("bulk_request", 1.0).await;
    let fake = Fake::start_at(address, Rules::default(), []).await;
    assert_eq!(patiently(submission.stored()).await, Ok(created(10)));
    assert_eq!(fake.events(), 10);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_all_this_at_once_nothing_is_lost_and_nothing_is_stored_twice() {
    const MESSAGES: usize = 120;
    const EACH: usize = 25;
    let faults = [
        Fault::EveryThird(429),
        Fault::None,
        Fault::CutAnswer,
        Fault::EveryThird(503),
        Fault::Status(503),
        Fault::LateAnswer,
        Fault::None,
        Fault::ShortAnswer,
        Fault::Status(429),
        Fault::EveryThird(429),
    ];
    let rules = Rules { refused: Some("7}"), max_body: Some(6_000), ..Rules::default() };
    let fake = Fake::start(rules, faults).await;
    let mut config = config(&fake.url);
    config.request_timeout = Duration::from_millis(500);
    config.queue_bytes = at_least_one(60_000);
    config.bulk_max_bytes = at_least_one(8_000);
    config.in_flight_bulks = at_least_one(4);
    let running = Running::new(&config);
    let mut messages = tokio::task::JoinSet::new();
    for message in 0..MESSAGES {
        let producer = running.sink.join();
        messages.spawn(async move {
            let mut sum = 0;
            let mut submissions = Vec::new();
            for part in 0..5 {
                let first = message * EACH + part * 5;
                submissions.push(producer.submit(documents(first..first + 5)).await.unwrap());
                tokio::task::yield_now().await;
            }
            drop(producer);
            for submission in submissions {
                let Stored { created, duplicate, rejected, .. } =
                    patiently(submission.stored()).await.unwrap();
                sum += created + duplicate + rejected;
            }
            sum
        });
    }
    let sums = patiently(messages.join_all()).await;
    assert!(sums.iter().all(|sum| *sum == EACH as u64));
    let refused = (0..MESSAGES * EACH).filter(|number| number % 10 == 7).count();
    assert_eq!((fake.events(), fake.reports().len()), (MESSAGES * EACH - refused, refused));
    running.end().await;
}
