//! Which rules match at the site anyway: a finding of another counts for more.

use std::collections::BTreeSet;

use sagetrail_core::incident::{Incident, Weights, hour_of};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asking::Asking;
use super::standing::Standing;
use crate::opensearch::QueryError;
use crate::opensearch::events::{no_drills, no_replays};
use crate::timestamp;

/// Rules that are known to be usual; there are some hundred in all.
const MOST_RULES: usize = 5_000;
/// Origins that are left out. OpenSearch takes 65,536 terms; what the incidents opened last are about counts first.
const MOST_SUSPECTS: usize = 10_000;

/// What is usual, and since which hour.
#[derive(Debug, Default)]
pub(super) struct Usual {
    rules: BTreeSet<String>,
    /// Who was left out.
    suspects: BTreeSet<String>,
    hour: Option<OffsetDateTime>,
}

impl Usual {
    pub(super) fn rules(&self) -> &BTreeSet<String> {
        &self.rules
    }

    /// Asks anew in each hour, and when incidents were opened, joined or closed.
    pub(super) async fn renew(
        &mut self,
        asking: &Asking,
        indices: &str,
        weights: &Weights,
        standing: &Standing,
        now: OffsetDateTime,
    ) -> Result<(), QueryError> {
        let suspects = suspects(standing.incidents());
        let hour = hour_of(now);
        if self.hour == Some(hour) && suspects == self.suspects {
            return Ok(());
        }
        self.rules = read(&asking.search(indices, &question(weights, &suspects, hour)).await?);
        self.suspects = suspects;
        self.hour = Some(hour);
        Ok(())
    }
}

/// Whose incidents stand.
fn suspects<'i>(standing: impl Iterator<Item = &'i Incident>) -> BTreeSet<String> {
    standing.flat_map(|incident| &incident.incident.origins).take(MOST_SUSPECTS).cloned().collect()
}

/// What matched before the time within which signals count together, but for those whose incident stands, and for what
/// came late itself: an attack must not make itself usual, however long it takes or waited in a queue. History that is
/// replayed is known at once.
fn question(weights: &Weights, suspects: &BTreeSet<String>, hour: OffsetDateTime) -> Value {
    let (from, to) = (hour - weights.times.history.value, hour - weights.times.window.value);
    let rules = |field: &str| json!({"terms": {"field": field, "size": MOST_RULES}});
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {
            "filter": [
                super::tally::signals(),
                no_drills(),
                {"range": {"@timestamp": {"gte": timestamp::format(from), "lt": timestamp::format(to)}}}
            ],
            "must_not": [
                {"terms": {"sagemaker.alert.origin": suspects}},
                {"bool": {"filter": [{"range": {"event.ingested": {"gte": timestamp::format(to)}}}, no_replays()]}}
            ]
        }},
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
        let asked = question(&Weights::built_in(), &BTreeSet::new(), datetime!(2026-11-29 12:00 UTC));
        let range = &asked["query"]["bool"]["filter"][2]["range"]["@timestamp"];
        let expected = json!({"gte": "2026-11-15T12:00:00.000Z", "lt": "2026-11-28T12:00:00.000Z"});
        assert_eq!(*range, expected);
        let answer = json!({"aggregations": {"findings": {"buckets": [{"key": "a"}]}, "attempts": {"buckets": [{"key": "b"}]}}});
        assert_eq!(read(&answer), ["a", "b"].map(str::to_owned).into());
        assert_eq!(read(&json!({})), BTreeSet::new());
    }

    #[test]
    fn what_those_did_whose_incident_stands_makes_nothing_usual_and_only_so_many_are_named() {
        let incident = |origins: &[String]| {
            let mut incident = crate::correlator::tests::incident();
            incident.incident.origins = origins.to_vec();
            incident
        };
        let few = [incident(&["b".to_owned()]), incident(&["a".to_owned(), "b".to_owned()])];
        let asked = question(&Weights::built_in(), &suspects(few.iter()), datetime!(2026-11-29 12:00 UTC));
        let expected = json!({"terms": {"sagemaker.alert.origin": ["a", "b"]}});
        assert_eq!(asked["query"]["bool"]["must_not"][0], expected);

        let name = |number: usize| format!("role-{number:05}");
        let latest = incident(&[name(0)]);
        let older = incident(&(1..=MOST_SUSPECTS).map(name).collect::<Vec<_>>());
        let many = suspects([latest, older].iter());
        assert_eq!((many.len(), many.contains(&name(0))), (MOST_SUSPECTS, true));
    }
}
