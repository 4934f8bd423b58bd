//! What correlations find in what is at hand, and what they keep of it.

use super::*;
use crate::enrich::Enricher;
use crate::settings::Scope;

const STOPPED: &str = "f094cd4b-002b-48c8-806a-ab3ffd83b569";
const EXCHANGED: &str = "897b060f-07b0-4897-92a5-9689c3db5900";
const STARTED: &str = "37c6f9aa-9a1d-4ac4-8445-af0491d64484";
/// *Notebook Stopped, Given A Script And Started*, within a day.
const HIJACKED: &str = "e3aeb30e-7963-49f1-98e6-2fd8bbacb7e9";

/// How often a hijack is told where the notebook is stopped again so many minutes after all else.
fn hijacks(again: i64) -> usize {
    let enricher = Enricher::built_in(Scope::All);
    let mut rounds = Rounds::new(Weights::built_in(), enricher.rules.correlations());
    let calls = [(0, STOPPED), (90, STOPPED), (120, EXCHANGED), (121, STARTED), (121 + again, STOPPED)];
    for (number, (minute, rule)) in calls.into_iter().enumerate() {
        let mut document = document(minute, "mallory", &[], &[]);
        document["rule"] = json!({"id": [rule]});
        rounds.take("events", &number.to_string(), &document);
    }
    let decided = rounds.finish();
    decided.correlated.iter().filter(|counted| counted.id == HIJACKED).count()
}

#[test]
fn a_match_is_one_also_when_its_first_points_are_forgotten_before_something_else_comes() {
    for again in (30..4 * 24 * 60).step_by(30) {
        assert_eq!(hijacks(again), 1, "after {again} minutes");
    }
}
