//! Reads in a running daemon what verifications have found, and reports it as metrics.
//!
//! The daemon does not verify by itself: it would have to list the bucket, and every daemon would repeat it. `sagetrail
//! verify` leaves its findings in OpenSearch, and every daemon reads them there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::day_status::OpenGaps;
use crate::metrics::Metrics;
use crate::opensearch::{OpenSearch, Query, QueryError};

/// Verifications run once a day or once an hour, so a minute is soon enough, and one small search costs nothing.
const PAUSE: Duration = Duration::from_mins(1);

/// How the index of what was verified is asked.
const QUERY: Query = Query { operation: "_search", grant: "read on the index of what was verified" };

/// Reads the findings regularly until dropped. The metrics keep the last findings while they cannot be read.
pub async fn watch(client: OpenSearch, metrics: Arc<Metrics>) {
    let mut is_failing = false;
    let mut gaps = 0;
    loop {
        match read(&client).await {
            Ok(known) => {
                metrics.verification_known(&known.gaps, known.last_run_at);
                let now: u64 = known.gaps.values().sum();
                if now > gaps {
                    warn!(
                        gaps = now,
                        "verifications found gaps that are still open; the document of each day in sagetrail-verified \
                         names the first in verification.objects, and `sagetrail verify` of that day says what to do"
                    );
                }
                gaps = now;
                if is_failing {
                    info!("the findings of verifications can be read again");
                }
                is_failing = false;
            }
            Err(error) => {
                metrics.verification_read_failures.inc();
                if !is_failing {
                    warn!(%error, "the findings of verifications cannot be read, so their metrics stay as they are");
                }
                is_failing = true;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn read(client: &OpenSearch) -> Result<OpenGaps, QueryError> {
    let answer = QUERY.ask(client, &OpenGaps::path(client.names()), &OpenGaps::question()).await?;
    OpenGaps::read(&answer).ok_or_else(|| QUERY.unexpected("a sum is absent"))
}
