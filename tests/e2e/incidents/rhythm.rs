//! A flood on a real OpenSearch is compared with what the same caller did on the days before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::site::{ACCOUNT, PATIENCE, Site, now, rounds};
use crate::support::{Stack, eventually};

/// *Model Or Feature Asked*, which *A Flood Of Calls At One Resource* looks at.
const ASKED: &str = "060fb4db-f2e2-4083-bde2-dfc709984e97";
const ENDPOINT: &str = "arn:aws:sagemaker:eu-central-1:950000000001:endpoint/churn";
const DAY: Duration = Duration::from_hours(24);
const QUARTER: i64 = 15 * 60;

/// The middle of the last quarter of an hour that is over. Days are counted in quarters: what happens around the end of
/// one is in two of them, and at midnight in two days.
fn middle_of_the_last_quarter() -> OffsetDateTime {
    let this = now().unix_timestamp() / QUARTER * QUARTER;
    OffsetDateTime::from_unix_timestamp(this - QUARTER / 2).expect("the time is one")
}

/// So many calls of somebody within two minutes, so long ago.
fn calls(who: &str, count: u32, ago: Duration) -> Vec<(String, Value)> {
    let identity = format!("arn:aws:iam::{ACCOUNT}:role/{who}");
    let at = sagetrail::timestamp::format;
    let last = middle_of_the_last_quarter();
    let call = |number: u32| {
        let happened = last - ago - Duration::from_millis(u64::from(number) * 120_000 / u64::from(count));
        let source = json!({
            "@timestamp": at(happened), "message": "asked", "rule": {"id": [ASKED]},
            "event": {"id": format!("{who}-{ago:?}-{number}"), "action": "InvokeEndpoint", "outcome": "success",
                "ingested": at(now() - ago)},
            "cloud": {"account": {"id": ACCOUNT}, "region": "eu-central-1"}, "user": {"name": who},
            "sagemaker": {"alert": {"origin": identity, "principal": identity, "identity": identity,
                "resource": ENDPOINT}},
        });
        (format!("{who}-{}-{number}", ago.as_secs()), source)
    };
    (0..count).map(call).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_three_times_as_much_as_the_caller_does_on_other_days() {
    // How many on each of three days before, how many now, and what the sentence says of it.
    let cases = [
        ("app", 120, 350, None),
        ("misused", 100, 350, Some("where 100 are the most on a usual day")),
        ("stranger", 0, 350, Some("and nothing is known of earlier days")),
        ("tester", 0, 299, None),
    ];
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-rhythm").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    for (who, before, today, _) in cases {
        for day in 1..=3 {
            if before > 0 {
                site.store(&calls(who, before, DAY * day)).await;
            }
        }
        site.store(&calls(who, today, Duration::ZERO)).await;
    }
    let expected: BTreeMap<&str, &str> =
        cases.iter().filter_map(|(who, .., said)| Some((*who, (*said)?))).collect();
    eventually(PATIENCE, async || {
        let found = site.correlated().await;
        if found.len() >= expected.len() { Ok(()) } else { Err(format!("{found:#?}\n{}", correlator.log())) }
    })
    .await;
    rounds(&correlator, 1).await;
    let found = site.correlated().await;
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for hit in found {
        let message = hit["_source"]["message"].as_str().expect("it has a sentence");
        let who = message.split(' ').next().expect("it begins with who");
        assert!(message.contains(expected[who]), "{message}");
        println!("{message}");
    }
    correlator.stop().await;
}
