//! When batches set out, how many at once, and what happens when the sink stops.

use std::time::Duration;

use sagetrail::sink::{SinkClosed, StoreError};
use tokio::time::Instant;

use crate::sink::fake::{Fake, Fault, Rules};
use crate::sink::{Running, at_least_one, config, created, document, document_of, documents, patiently};

/// Long enough for the sink to have seen what was handed over, and to have gone back to waiting.
const A_WHILE: Duration = Duration::from_millis(150);
/// Far below any age in these tests, far above what a request on one machine takes.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_lone_record_sets_out_at_once() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    let began = Instant::now();
    assert_eq!(running.store(vec![document(1)]).await, Ok(created(1)));
    assert!(began.elapsed() < AT_ONCE);
    running.end().await;
}

#[tokio::test]
async fn a_backlog_of_objects_with_one_record_each_is_not_paced_by_the_age_either() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    let began = Instant::now();
    for round in 0..20 {
        let stores = (0..8).map(|number| running.store(vec![document(round * 8 + number)]));
        for stored in stores {
            assert_eq!(stored.await, Ok(created(1)));
        }
    }
    assert!(began.elapsed() < AT_ONCE);
    running.end().await;
}

#[tokio::test]
async fn messages_that_are_in_flight_together_share_a_bulk() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    let producers: Vec<_> = (0..10).map(|_| running.sink.join()).collect();
    let mut submissions = Vec::new();
    for (number, producer) in producers.into_iter().enumerate() {
        submissions.push(producer.submit(vec![document(number)]).await.unwrap());
    }
    for submission in submissions {
        assert_eq!(patiently(submission.stored()).await, Ok(created(1)));
    }
    assert_eq!(fake.requests().len(), 1);
    running.end().await;
}

#[tokio::test]
async fn a_batch_that_waits_for_more_sets_out_when_its_last_producer_leaves() {
    let fake = Fake::start(Rules::default(), []).await;
    let running = Running::new(&config(&fake.url));
    let (first, second) = (running.sink.join(), running.sink.join());
    let submission = first.submit(vec![document(1)]).await.unwrap();
    drop(first);
    tokio::time::sleep(A_WHILE).await;
    assert!(fake.requests().is_empty(), "the second may still hand over");
    drop(second);
    assert_eq!(patiently(submission.stored()).await, Ok(created(1)));
    running.end().await;
}

#[tokio::test]
async fn while_more_may_come_a_batch_waits_for_its_age_and_no_longer() {
    const AGE: Duration = Duration::from_millis(300);
    let fake = Fake::start(Rules::default(), []).await;
    let mut config = config(&fake.url);
    config.bulk_max_age = AGE;
    let running = Running::new(&config);
    let producer = running.sink.join();
    let began = Instant::now();
    let first = producer.submit(documents(0..3)).await.unwrap();
    let second = producer.submit(documents(3..5)).await.unwrap();
    assert_eq!(patiently(first.stored()).await, Ok(created(3)));
    assert_eq!(patiently(second.stored()).await, Ok(created(2)));
    assert!(began.elapsed() >= AGE && began.elapsed() < AGE + AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(fake.requests().len(), 1);
    drop(producer);
    running.end().await;
}

#[tokio::test]
async fn full_batches_set_out_although_more_may_come() {
    let fake = Fake::start(Rules::default(), []).await;
    let mut config = config(&fake.url);
    config.bulk_max_documents = at_least_one(10);
    let running = Running::new(&config);
    let producer = running.sink.join();
    let full = producer.submit(documents(0..20)).await.unwrap();
    assert_eq!(patiently(full.stored()).await, Ok(created(20)));
    let counts: Vec<usize> = fake.requests().iter().map(|request| request.documents).collect();
    assert_eq!(counts, [10, 10]);
    drop(producer);
    running.end().await;
}

#[tokio::test]
async fn no_bulk_is_larger_than_configured_except_for_one_document_that_is() {
    const MOST: usize = 20_000;
    let fake = Fake::start(Rules::default(), []).await;
    let mut config = config(&fake.url);
    config.bulk_max_bytes = at_least_one(MOST);
    let running = Running::new(&config);
    let mut all: Vec<_> =
        (0..40).map(|n| document_of(format!("{{\"n\":{n},\"t\":\"{:3000}\"}}", "x"))).collect();
    all.push(document_of(format!("{{\"t\":\"{:50000}\"}}", "x")));
    assert_eq!(running.store(all).await, Ok(created(41)));
    for request in fake.requests() {
        assert!(request.bytes <= MOST || request.documents == 1, "{request:?}");
    }
    assert!(fake.requests().len() < 12, "batches are filled");
    running.end().await;
}

#[tokio::test]
async fn while_all_slots_are_busy_the_next_batch_grows() {
    let fake = Fake::start(Rules { delay: Duration::from_millis(200), ..Rules::default() }, []).await;
    let mut config = config(&fake.url);
    config.in_flight_bulks = at_least_one(2);
    let running = Running::new(&config);
    let mut submissions = Vec::new();
    for number in 0..50 {
        let producer = running.sink.join();
        submissions.push(producer.submit(vec![document(number)]).await.unwrap());
        drop(producer);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for submission in submissions {
        assert_eq!(patiently(submission.stored()).await, Ok(created(1)));
    }
    assert_eq!(fake.most_in_flight(), 2);
    assert!(fake.requests().len() < 15, "{} requests for 50 documents", fake.requests().len());
    running.end().await;
}

#[tokio::test]
async fn more_than_there_is_room_for_passes_through_bit_by_bit() {
    let fake = Fake::start(Rules::default(), []).await;
    let mut config = config(&fake.url);
    config.queue_bytes = at_least_one(2_000);
    config.bulk_max_bytes = at_least_one(2_000);
    let running = Running::new(&config);
    assert_eq!(running.store(documents(0..500)).await, Ok(created(500)));
    assert_eq!(fake.events(), 500);
    running.end().await;
}

#[tokio::test]
async fn a_batch_that_is_not_full_makes_room_for_a_large_document_that_waits() {
    let fake = Fake::start(Rules::default(), []).await;
    let mut config = config(&fake.url);
    config.queue_bytes = at_least_one(2_000);
    config.bulk_max_bytes = at_least_one(2_000);
    let running = Running::new(&config);
    // The second document fits only once the first is stored, and the producer may still hand over more.
    let large = document_of(format!("{{\"t\":\"{:1880}\"}}", "x"));
    let producer = running.sink.join();
    let first = producer.submit(vec![document(1)]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    let second = patiently(producer.submit(vec![large])).await.unwrap();
    drop(producer);
    assert_eq!(patiently(first.stored()).await, Ok(created(1)));
    assert_eq!(patiently(second.stored()).await, Ok(created(1)));
    running.end().await;
}

#[tokio::test]
async fn a_drained_sink_has_answered_everything() {
    let fake = Fake::start(Rules { delay: Duration::from_millis(100), ..Rules::default() }, []).await;
    let running = Running::new(&config(&fake.url));
    let producer = running.sink.join();
    let submission = producer.submit(documents(0..100)).await.unwrap();
    drop((producer, running.sink));
    patiently(running.task.drain()).await;
    assert_eq!(patiently(submission.stored()).await, Ok(created(100)));
}

#[tokio::test]
async fn a_sink_that_is_dropped_leaves_nobody_waiting() {
    let fake = Fake::start(Rules::default(), [Fault::Status(503)]).await;
    let mut config = config(&fake.url);
    config.queue_bytes = at_least_one(1_000);
    config.bulk_max_bytes = at_least_one(1_000);
    fake.change(Rules { max_body: None, blocked: Some(("\"n\"", 503)), ..Rules::default() });
    let running = Running::new(&config);
    let producer = running.sink.join();
    let queued = producer.submit(vec![document(1)]).await.unwrap();
    let second = running.sink.join();
    let waiting = tokio::spawn(async move { second.submit(documents(2..50)).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(running.task);
    assert_eq!(patiently(queued.stored()).await, Err(StoreError::Closed));
    assert_eq!(patiently(waiting).await.unwrap(), Err(SinkClosed));
    assert_eq!(producer.submit(documents(50..51)).await.map(|_| ()), Err(SinkClosed));
}
