//! Which rules match at the site anyway: a finding of another counts for more.

use std::collections::BTreeSet;
use std::time::Duration;

use sagetrail_core::incident::Weights;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::asking::Asking;
use crate::opensearch::QueryError;
use crate::timestamp;

/// It changes within days.
const RENEWAL: Duration = Duration::from_hours(1);
/// Rules that are known to be usual; there are some hundred in all.
const MOST_RULES: usize = 5_000;

/// What is usual, and when that was asked.
#[derive(Debug, Default)]
pub(super) struct Usual {
    rules: BTreeSet<String>,
    asked_at: Option<Instant>,
}

impl Usual {
    pub(super) fn rules(&self) -> &BTreeSet<String> {
        &self.rules
    }

    /// Asks anew now and then.
    pub(super) async fn renew(
        &mut self,
        asking: &Asking,
        indices: &str,
        weights: &Weights,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        if self.asked_at.is_some_and(|at| at.elapsed() < RENEWAL) {
            return Ok(());
        }
        self.rules = read(&asking.search(indices, &question(weights, now)).await?);
        self.asked_at = Some(Instant::now());
        Ok(())
    }
}

/// What matched before the time within which signals count together: an attack must not make itself usual.
fn question(weights: &Weights, now: OffsetDateTime) -> Value {
    let (from, to) = (now - weights.times.history.value, now - weights.times.window.value);
    let rules = |field: &str| json!({"terms": {"field": field, "size": MOST_RULES}});
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": [
            super::summed::signals(),
            {"range": {"@timestamp": {"gte": timestamp::format(from), "lt": timestamp::format(to)}}}
        ]}},
        "aggs": {"findings": rules("sagemaker.findings.id"), "attempts": rules("sagemaker.attempts.id")}
    })
}

fn read(answer: &Value) -> BTreeSet<String> {
    let buckets = ["findings", "attempts"]
        .into_iter()
        .flat_map(|of| answer["aggregations"][of]["buckets"].as_array().into_iter().flatten());
    buckets.filter_map(|bucket| bucket["key"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_matched_before_the_last_day_is_usual_and_what_matched_within_it_is_not() {
        let asked = question(&Weights::built_in(), datetime!(2026-11-29 12:00 UTC));
        let range = &asked["query"]["bool"]["filter"][1]["range"]["@timestamp"];
        let expected = json!({"gte": "2026-11-15T12:00:00.000Z", "lt": "2026-11-28T12:00:00.000Z"});
        assert_eq!(*range, expected);
        let answer = json!({"aggregations": {"findings": {"buckets": [{"key": "a"}]}, "attempts": {"buckets": [{"key": "b"}]}}});
        assert_eq!(read(&answer), ["a", "b"].map(str::to_owned).into());
        assert_eq!(read(&json!({})), BTreeSet::new());
    }
}
