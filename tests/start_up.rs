//! The start of the daemon: what it warns of, and what it refuses to start with.

mod support;

use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::any;
use support::Stack;
use support::cloud::{Cloud, QueueSettings};
use support::daemon::Daemon;

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
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("source.queue_url", &nowhere)], "there is no such queue; check source.queue_url"),
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
