//! The cluster: a real OpenSearch, as fast as a client fills it that does nothing but send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{RequestBuilder, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Bulks that the bare client has in flight; which is fastest depends on the cluster.
pub const AT_ONCE: [usize; 3] = [1, 2, 4];
const AFTER_PUSH_BACK: Duration = Duration::from_millis(100);

pub struct Cluster {
    pub url: String,
    http: reqwest::Client,
}

impl Cluster {
    /// The one that `deploy/local/with-stack.sh` started.
    pub fn running() -> Option<Self> {
        let url = std::env::var("SAGETRAIL_TEST_OPENSEARCH_URL").ok()?;
        Some(Self { url, http: reqwest::Client::new() })
    }

    /// Removes every document, and leaves the templates.
    pub async fn clear(&self) {
        let indices = "sagetrail-events-*,sagetrail-objects-*,sagetrail-rejected";
        let url = format!("{}/{indices}?ignore_unavailable=true", self.url);
        let answer = self.http.delete(url).send().await.expect("OpenSearch answers");
        assert!(answer.status().is_success(), "the indices are removed: {}", answer.status());
    }

    /// Documents of records.
    pub async fn records(&self) -> usize {
        let path = "sagetrail-events-*/_count?filter_path=count";
        self.http
            .post(format!("{}/sagetrail-*/_refresh", self.url))
            .send()
            .await
            .expect("OpenSearch answers");
        let answer = self.http.get(format!("{}/{path}", self.url)).send().await.expect("OpenSearch answers");
        let text = answer.text().await.expect("OpenSearch answers");
        text.trim_matches(|other: char| !other.is_ascii_digit()).parse().expect("it is a count")
    }

    /// Sends the bodies of bulks, so many of them at once, and says how many seconds that took.
    pub async fn fill(&self, bodies: &[Bytes], at_once: usize) -> f64 {
        let start = Instant::now();
        let left = Arc::new(Mutex::new(bodies.to_vec()));
        let mut senders = JoinSet::new();
        for _ in 0..at_once {
            let (left, http, url) =
                (Arc::clone(&left), self.http.clone(), format!("{}/_bulk?filter_path=errors", self.url));
            senders.spawn(async move {
                let next = || left.lock().expect("no sender panics").pop();
                while let Some(body) = next() {
                    while !is_stored(http.post(&url).body(body.clone())).await {
                        sleep(AFTER_PUSH_BACK).await;
                    }
                }
            });
        }
        senders.join_all().await;
        start.elapsed().as_secs_f64()
    }
}

/// Sends a bulk. A cluster that has too much to do takes none of it.
async fn is_stored(bulk: RequestBuilder) -> bool {
    let answer =
        bulk.header("content-type", "application/x-ndjson").send().await.expect("OpenSearch answers");
    let status = answer.status();
    let text = answer.text().await.expect("OpenSearch answers");
    assert!(
        status == StatusCode::TOO_MANY_REQUESTS || text == r#"{"errors":false}"#,
        "OpenSearch takes every document: {text}"
    );
    status != StatusCode::TOO_MANY_REQUESTS
}
