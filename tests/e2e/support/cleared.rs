//! The OpenSearch that a test may clear and block as a whole, for as long as it has the turn.

use tokio::sync::{Mutex, MutexGuard};

/// Tests of one process take turns by this, and those of several by the group `cleared` of `.config/nextest.toml`.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Cleared {
    pub url: String,
    _turn: MutexGuard<'static, ()>,
}

impl Cleared {
    /// The running server, or none, after saying that the test is skipped.
    pub async fn running() -> Option<Self> {
        let url = std::env::var("SAGETRAIL_TEST_OPENSEARCH_CLEARED_URL").ok().filter(|url| !url.is_empty());
        let Some(url) = url else {
            println!("skipped: no OpenSearch to clear in the environment; run it with `make test`");
            return None;
        };
        Some(Self { url, _turn: TURN.lock().await })
    }
}
