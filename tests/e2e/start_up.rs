//! The start of the daemon: what it warns of, and what it refuses to start with.

use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::any;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::{Daemon, free_port};
use crate::support::{Stack, eventually};

/// The start waits for nothing that these tests put in its way.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_redrive_policy_is_warned_of_and_one_with_it_is_not() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "start-redrive", QueueSettings::default()).await;
    // Nothing comes after a dead-letter queue, so it is a queue without such a policy.
    for (queue, is_warned) in [(&cloud.queue_url, false), (&cloud.dead_letter_url, true)] {
        let mut daemon = Daemon::start(&stack, &cloud, &[("source.queue_url", queue)]);
        daemon.until_ready().await;
        let log = daemon.log();
        let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains("no redrive policy"));
        assert_eq!(warnings.count(), usize::from(is_warned), "{log}");
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_ends_the_start_with_its_name_and_what_to_do() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "start-refused", QueueSettings::default()).await;
    let old = old_cluster().await;
    let nowhere = format!("{}-that-is-not", cloud.queue_url);
    let fifo = format!("{}.fifo", cloud.queue_url);
    let redirecting = redirecting().await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("source.queue_url", &nowhere)], "there is no such queue; check source.queue_url"),
        (&[("source.queue_url", &fifo)], "is a FIFO queue"),
        (&[("source.queue_url", "arn:aws:sqs:eu-west-1:111122223333:trail")], "it is an ARN"),
        (
            &[("sink.url", &redirecting)],
            "the server redirects (302) to https://login.example, and redirects are not followed",
        ),
        (
            &[("sink.url", &old)],
            "the cluster runs opensearch 2.9.0; sagetrail needs OpenSearch 2.11 or later",
        ),
        (&[("sink.ca_file", "/no/such/ca.pem")], "sink.ca_file: cannot read /no/such/ca.pem"),
        (&[("log.filter", "a=b=c")], "log.filter"),
    ];
    for (settings, said) in cases {
        let mut daemon = Daemon::start(&stack, &cloud, settings);
        let status = daemon.until_ended(PATIENCE).await;
        let log = daemon.log();
        assert_eq!(status.code(), Some(1), "{settings:?}: {log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(last.starts_with("sagetrail: ") && last.contains(said), "{settings:?}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_swallows_requests_is_told_of_within_seconds_and_once() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "start-swallowed", QueueSettings::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let swallowing = format!("http://{}", listener.local_addr().expect("it is bound"));
    let mut daemon =
        Daemon::start(&stack, &cloud, &[("sink.url", &swallowing), ("sink.request_timeout", "8s")]);
    let told = |log: &str| log.lines().filter(|line| line.contains("waiting for OpenSearch")).count();
    // Long enough for the second attempt to be as silent as the first.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let log = daemon.log();
    daemon.kill();
    assert_eq!(told(&log), 1, "{log}");
    let line = log.lines().find(|line| line.contains("waiting for OpenSearch")).unwrap_or_default();
    assert!(
        line.contains("WARN") && line.contains("sink.url") && line.contains("has not answered yet"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_waits_for_opensearch_tells_it_and_why_before_it_can_work() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "start-waiting", QueueSettings::default()).await;
    let nobody = format!("127.0.0.1:{}", free_port());
    let daemon = Daemon::start(&stack, &cloud, &[("sink.url", &format!("http://{nobody}"))]);
    eventually(PATIENCE, async || match daemon.get("readyz").await {
        Ok((503, why)) if why.contains("waiting for OpenSearch") && why.contains(&nobody) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(daemon.count("sagetrail_ready").await, 0);
    assert_eq!(daemon.count(r#"sagetrail_waiting{for="opensearch"}"#).await, 1);
    assert_eq!(daemon.count(r#"sagetrail_waiting{for="queue"}"#).await, 0);
    assert_eq!(daemon.get("healthz").await.expect("it answers").0, 200);
    daemon.stop().await;

    let mut ready = Daemon::start(&stack, &cloud, &[]);
    ready.until_ready().await;
    assert_eq!(ready.count("sagetrail_ready").await, 1);
    assert_eq!(ready.count(r#"sagetrail_waiting{for="opensearch"}"#).await, 0);
    assert_eq!(ready.count(r#"sagetrail_queue_messages{queue="dead_letter"}"#).await, 0);
    ready.stop().await;
}

/// A login page before a cluster.
async fn redirecting() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let target = [(header::LOCATION, "https://login.example/sso?token=hidden")];
    let router = Router::new().fallback(any(move || async move { (StatusCode::FOUND, target) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A server that says what an OpenSearch of long ago said.
async fn old_cluster() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let info = r#"{"name":"n","cluster_name":"c","version":{"distribution":"opensearch","number":"2.9.0"}}"#;
    let router = Router::new()
        .fallback(any(move || async move { ([(header::CONTENT_TYPE, "application/json")], info) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
