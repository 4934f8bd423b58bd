//! What somebody does beside much else is seen: decoys push nothing out of what is asked of OpenSearch.

use std::time::Duration;

use sagetrail::enrich::tie_key;
use serde_json::json;

use super::site::{Signal, Site, now, rounds, rule_id};
use super::{ANN, BOB, signal};
use crate::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn the_one_critical_match_among_two_hundred_rules_that_match_more_often_opens_an_incident() {
    const DECOYS: u32 = 200;
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-rarest").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let decoy = |number: u32| signal(ANN, 1 + number % DECOYS, "low").document(number);
    let mut documents: Vec<_> = (0..2 * DECOYS).map(decoy).collect();
    documents.push(signal(ANN, 900, "critical").document(1_000));
    site.store(&documents).await;
    // A round between two refreshes sees the decoys alone.
    let is_found = |found: &[super::site::Found]| {
        found.len() == 1 && found[0].source["incident"]["findings"][0]["id"] == rule_id(900)
    };
    let found = site.until("the critical one is there", is_found).await;
    assert_eq!(found[0].source["incident"]["severity"], "critical", "{found:#?}");
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tie_that_comes_after_six_hundred_others_ties() {
    const DECOYS: usize = 600;
    const NOTEBOOK: &str = "arn:aws:sagemaker:eu-central-1:950000000001:notebook-instance/shared";
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-ties").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let name =
        |number| format!("arn:aws:sagemaker:eu-central-1:950000000001:notebook-instance/decoy-{number}");
    let decoys: Vec<String> = (0..DECOYS).map(name).collect();
    let decoys: Vec<&str> = decoys.iter().map(String::as_str).collect();
    let early = Signal { happened: now() - Duration::from_mins(5), ties: &decoys, ..signal(BOB, 1, "low") };
    let tied = |origin, rule, level| Signal { ties: &[NOTEBOOK], ..signal(origin, rule, level) };
    site.store(&[early.document(1), tied(BOB, 1, "low").document(2)]).await;
    site.store(&[tied(ANN, 2, "critical").document(3)]).await;
    let is_joint = |found: &[super::site::Found]| {
        found.len() == 1
            && found[0].source["incident"]["origins"].as_array().is_some_and(|all| all.len() == 2)
    };
    site.until("both are in one", is_joint).await;
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_a_path_that_acted_before_somebody_handed_it_on_belongs_to_what_they_did() {
    const ROLE: &str = "arn:aws:iam::950000000001:role/service-role/AmazonSageMaker-ExecutionRole";
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-paths").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let early = Signal { happened: now() - Duration::from_mins(5), ..signal(ROLE, 1, "low") };
    site.store(&[early.document(1)]).await;
    rounds(&correlator, 2).await;
    let key = tie_key(ROLE);
    site.store(&[Signal { ties: &[&key], ..signal(ANN, 2, "critical") }.document(2)]).await;
    let is_joint = |found: &[super::site::Found]| {
        found.len() == 1 && found[0].source["incident"]["origins"] == json!([ROLE, ANN])
    };
    site.until("both are in one", is_joint).await;
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_an_asset_counts_as_that_also_when_it_came_after_sixty_other_resources() {
    const OTHERS: u32 = 60;
    // Spread, rare and medium are 75 points, and a rare low finding is 10. With what the registry is worth it is
    // enough.
    let cases = [(ANN, "model-package-group/churn/3", 0), (BOB, "notebook-instance/churn-3", 1_000)];
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-assets").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let mut documents = Vec::new();
    for (origin, last, first) in cases {
        let early =
            Signal { happened: now() - Duration::from_mins(5), ..signal(origin, first + 1, "medium") };
        documents.extend((first..first + OTHERS).map(|number| early.document(number)));
        let (id, mut source) = signal(origin, first + 1, "medium").document(first + OTHERS);
        source["sagemaker"]["alert"]["resource"] =
            json!(format!("arn:aws:sagemaker:eu-central-1:950000000001:{last}"));
        documents.push((id, source));
        documents.push(signal(origin, first + 2, "low").document(first + OTHERS + 1));
    }
    site.store(&documents).await;
    let found = site.until("one is there", |found| !found.is_empty()).await;
    rounds(&correlator, 2).await;
    assert_eq!(site.incidents().await.len(), 1);
    assert_eq!(found[0].source["incident"]["origins"], json!([ANN]));
    correlator.stop().await;
}
