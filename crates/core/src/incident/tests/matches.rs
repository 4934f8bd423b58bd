//! What correlations find in what is at hand, and what they keep of it.

use super::*;
use crate::correlation::{GroupKey, Point};
use crate::enrich::Enricher;
use crate::settings::Scope;

const STOPPED: &str = "f094cd4b-002b-48c8-806a-ab3ffd83b569";
const EXCHANGED: &str = "897b060f-07b0-4897-92a5-9689c3db5900";
const STARTED: &str = "37c6f9aa-9a1d-4ac4-8445-af0491d64484";
/// *Notebook Stopped, Given A Script And Started*, within a day.
const HIJACKED: &str = "e3aeb30e-7963-49f1-98e6-2fd8bbacb7e9";

#[test]
fn what_is_found_bit_by_bit_is_what_is_found_in_all_however_late_the_last_of_it_comes() {
    let enricher = Enricher::built_in(Scope::All);
    let correlations = enricher.rules.correlations();
    let (correlation, key) = (correlations.get(HIJACKED).unwrap(), GroupKey(vec![NOTEBOOK.to_owned()]));
    for again in (30..4 * 24 * 60).step_by(30) {
        let calls =
            [(-690, STOPPED), (90, STOPPED), (120, EXCHANGED), (121, STARTED), (121 + again, STOPPED)];
        let documents = calls.map(|(minute, rule)| {
            let mut document = document(minute, "mallory", &[], &[]);
            document["rule"] = json!({"id": [rule]});
            document
        });
        let mut rounds = Rounds::new(Weights::built_in(), correlations);
        let mut points = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            rounds.take("events", &number.to_string(), document);
            points.extend(Point::of_document(&number.to_string(), document, &correlations.fields()));
        }
        let told = rounds.finish().correlated.iter().filter(|counted| counted.id == HIJACKED).count();
        let whole = correlation.matches(&key, &points.iter().collect::<Vec<_>>()).len();
        assert_eq!(told, whole, "the notebook is stopped again after {again} minutes");
    }
}
