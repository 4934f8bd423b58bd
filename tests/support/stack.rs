//! Where the real servers are, and how to wait for what they do.
//!
//! They are started by `deploy/local/with-stack.sh`, which says in the environment where they are. Without them
//! a test skips and says so. Tests run side by side on the same servers, so each has its own account, bucket and queue.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The addresses of the real parts.
#[derive(Clone)]
pub struct Stack {
    pub opensearch: String,
    pub aws: String,
    /// That of the queue, when it is not moto's.
    pub sqs: Option<String>,
}

impl Stack {
    /// The running servers, or none, after saying that the test is skipped.
    pub fn running() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let stack = variable("SAGETRAIL_TEST_OPENSEARCH_URL").zip(variable("SAGETRAIL_TEST_AWS_URL"));
        if stack.is_none() {
            println!("skipped: no OpenSearch and moto in the environment; run it with `make test`");
        }
        stack.map(|(opensearch, aws)| Self { opensearch, aws, sqs: None })
    }
}

/// Asks again until the answer is there, and fails with the last refusal when it does not come in time.
pub async fn eventually<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let give_up = Instant::now() + patience;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(refusal) if Instant::now() >= give_up => panic!("not within {patience:?}: {refusal}"),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}
