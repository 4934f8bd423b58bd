use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::enrich::networks::Networks;
use crate::enrich::sigma_event::{FoundFacts, SigmaEvent};
use crate::enrich::unpacked::Unpacked;
use crate::memory::Fact;

fn facts_of(subnets: usize, buckets: usize) -> (Vec<Fact>, BTreeSet<&'static str>) {
    let subnets: Vec<String> = (0..subnets).map(|number| format!("subnet-{number:08x}")).collect();
    let inputs: Vec<serde_json::Value> = (0..buckets)
        .map(|number| json!({"dataSource": {"s3DataSource": {"s3Uri": format!("s3://acme-{number}/in/")}}}))
        .collect();
    let raw = json!({
        "eventID": "1", "eventTime": "2026-11-03T09:00:00Z", "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateTrainingJob", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "accountId": "111122223333"},
        "requestParameters": {
            "trainingJobName": "a", "vpcConfig": {"subnets": subnets}, "inputDataConfig": inputs,
            "outputDataConfig": {"s3OutputPath": "s3://acme-0/out/"}, "roleArn": "arn:aws:iam::111122223333:role/r",
        },
    })
    .to_string();
    let record = Record::parse(raw.as_bytes()).unwrap();
    let (unpacked, catalogue, networks) = (Unpacked::default(), Catalogue::built_in(), Networks::built_in());
    let FoundFacts { context, actor, network, .. } =
        SigmaEvent::new(&record, &unpacked, &catalogue, &networks).into_facts();
    let id = DocumentId::of(Some("1"), raw.as_bytes());
    let time = datetime!(2026-11-03 09:00 UTC);
    let (record, context, actor) = (&record, &context, &actor);
    let keys = &Keys::of(record, context, actor);
    let pairs = &Usual::of(record, context, actor, &network);
    let time = &Times::of(time, &id);
    let subject = Subject { record, context, actor, keys, pairs, catalogue: &catalogue, matches: &[], time };
    let more = learnt_in_part(record, context, pairs);
    (facts(&subject).into_iter().map(Told::into_fact).collect(), more)
}

fn of_kind<'f>(facts: &'f [Fact], kind: &str) -> Vec<&'f Fact> {
    facts.iter().filter(|fact| fact.state.value("resource.type") == Some(kind)).collect()
}

#[test]
fn one_record_makes_a_bounded_number_of_each_kind_known_and_says_what_it_left_out() {
    let (facts, more) = facts_of(LEARNT_AT_ONCE, LEARNT_AT_ONCE);
    assert_eq!(of_kind(&facts, "subnet").len(), LEARNT_AT_ONCE);
    assert_eq!(more, BTreeSet::new());
    let (facts, more) = facts_of(LEARNT_AT_ONCE + 1, 1_000);
    assert_eq!(of_kind(&facts, "subnet").len(), LEARNT_AT_ONCE);
    assert_eq!(of_kind(&facts, "bucket").len(), LEARNT_AT_ONCE);
    assert_eq!(more, BTreeSet::from(["bucket", "subnet"]));
}

#[test]
fn training_makes_its_output_an_artefact_of_the_bucket_and_gives_all_its_places_to_the_role() {
    let (facts, _) = facts_of(1, 2);
    let members = |fact: &Fact, set| fact.state.members(set).map(|(it, _)| it.to_owned()).collect::<Vec<_>>();
    let buckets: Vec<Vec<String>> =
        of_kind(&facts, "bucket").iter().map(|it| members(it, artefact::ARTEFACTS)).collect();
    assert_eq!(buckets.concat(), ["acme-0/out/"]);
    let role = of_kind(&facts, "role");
    assert_eq!(members(role[0], artefact::GIVEN), ["acme-0/in/", "acme-0/out/", "acme-1/in/"]);
}
