//! Correlators as processes beside a real OpenSearch: what becomes an incident, and that neither a repeated round, nor
//! a kill, nor two that both believe they lead, nor a restart of OpenSearch loses or doubles one.

mod backtested;
mod generated;
mod handed;
mod health;
mod hidden;
mod rhythm;
mod site;

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::server::Server;
use crate::support::{Stack, eventually, story};
use site::{Signal, Site, leads, now, rounds, rule_id};

const ANN: &str = "arn:aws:iam::950000000001:role/Ann";
const BOB: &str = "arn:aws:iam::950000000001:role/Bob";

fn signal<'s>(origin: &'s str, rule: u32, level: &'s str) -> Signal<'s> {
    Signal { origin, rule, level, happened: now(), ties: &[] }
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_of_one_origin_are_one_incident_that_opens_escalates_and_takes_in_what_comes_late() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-life").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    site.store(&[signal(ANN, 1, "high").document(1), signal(BOB, 1, "low").document(2)]).await;
    let opened = site.until("one is open", |found| found.len() == 1 && found[0].state() == "open").await;
    assert_eq!(opened[0].source["incident"]["severity"], "high", "{opened:#?}");
    assert_eq!((opened[0].source["incident"]["origins"].clone(), opened[0].version), (json!([ANN]), 1));
    let rule = signal(ANN, 1, "high").document(1);
    let finding = &opened[0].source["incident"]["findings"][0];
    assert_eq!((&finding["first_id"], &finding["count"]), (&json!(rule.0), &json!(1)), "{opened:#?}");

    // Rounds in which nothing comes change nothing.
    rounds(&correlator, 2).await;
    assert_eq!(site.incidents().await, opened);

    site.store(&[signal(ANN, 2, "critical").document(3)]).await;
    let escalated =
        site.until("it escalates", |found| found.len() == 1 && found[0].state() == "escalated").await;
    assert_eq!((escalated[0].version, escalated[0].signals()), (2, 2), "{escalated:#?}");
    assert_eq!(escalated[0].source["incident"]["opened"], opened[0].source["incident"]["opened"]);
    assert_eq!(escalated[0].source["incident"]["severity"], "critical");

    // A record that comes late counts, and one of last month that is shipped again opens nothing.
    let late = Signal { happened: now() - Duration::from_hours(2), ..signal(ANN, 3, "high") };
    let old = Signal { happened: now() - Duration::from_hours(700), ..signal(BOB, 2, "critical") };
    site.store(&[late.document(4), old.document(5)]).await;
    let found =
        site.until("the late one counts", |found| found[0].source.to_string().contains("rule 3")).await;
    assert_eq!(found[0].signals(), 3, "{found:#?}");
    rounds(&correlator, 2).await;
    assert_eq!(site.incidents().await.len(), 1);
    correlator.stop().await;
    let (_, lease) = site.search.request("GET", "incident-life-correlator/_doc/lease", None).await;
    assert_eq!(lease["_source"]["holder"], "", "a stop gives the lease back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_days_in_a_queue_pages_and_what_is_replayed_from_history_does_not() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-late").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let ago = |hours, origin, rule, level| Signal {
        happened: now() - Duration::from_hours(hours),
        ..signal(origin, rule, level)
    };
    let replayed = |number, signal: Signal<'_>| {
        let (id, mut document) = signal.document(number);
        document["tags"] = json!(["replay"]);
        (id, document)
    };
    site.store(&[
        replayed(1, ago(70, BOB, 1, "critical")),
        ago(24 * 8, BOB, 2, "critical").document(2),
        // Each is too little alone, and they are a day apart.
        ago(70, ANN, 11, "medium").document(3),
        ago(44, ANN, 12, "medium").document(4),
    ])
    .await;
    let found = site.until("the backlog is judged", |found| !found.is_empty()).await;
    rounds(&correlator, 2).await;
    assert_eq!(site.incidents().await, found);
    assert_eq!(found.len(), 1, "{found:#?}");
    let incident = &found[0].source["incident"];
    assert_eq!((&incident["origins"], &incident["state"]), (&json!([ANN]), &json!("open")));
    assert_eq!((found[0].signals(), &incident["pages"]), (2, &json!(1)));

    // A replay of what just happened pages: nobody may have seen it.
    site.store(&[replayed(5, ago(20, BOB, 3, "critical"))]).await;
    site.until("what is new counts", |found| found.len() == 2).await;
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_acts_on_what_another_changed_joins_the_incident_also_when_that_came_first() {
    const NOTEBOOK: &str = "arn:aws:sagemaker:eu-central-1:950000000001:notebook-instance/shared";
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-tied").await;
    let correlator = site.correlator().await;
    let tied = |origin, rule, level| Signal { ties: &[NOTEBOOK], ..signal(origin, rule, level) };
    // Too little by itself.
    site.store(&[tied(BOB, 1, "low").document(1)]).await;
    rounds(&correlator, 2).await;
    assert_eq!(site.incidents().await, []);
    site.store(&[tied(ANN, 2, "critical").document(2)]).await;
    let is_joint = |found: &[site::Found]| {
        found.len() == 1
            && found[0].source["incident"]["origins"].as_array().is_some_and(|all| all.len() == 2)
    };
    site.until("both are in one", is_joint).await;
    site.store(&[tied(BOB, 3, "critical").document(3)]).await;
    let found = site.until("three signals", |found| found[0].signals() == 3).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_correlator_is_followed_within_half_a_minute_and_nothing_is_doubled() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-killed").await;
    let mut first = site.correlator().await;
    rounds(&first, 1).await;
    let second = site.correlator().await;
    site.store(&[signal(ANN, 1, "critical").document(1)]).await;
    let before = site.until("one is there", |found| found.len() == 1).await;
    assert!(leads(&first).await && !leads(&second).await);

    first.kill();
    let killed = Instant::now();
    site.store(&[signal(BOB, 1, "critical").document(2)]).await;
    eventually(
        Duration::from_secs(30),
        async || {
            if leads(&second).await { Ok(()) } else { Err(second.log()) }
        },
    )
    .await;
    println!("the second leads {:?} after the kill", killed.elapsed());
    let after = site.until("the second one too", |found| found.len() == 2).await;
    println!("the incident is there {:?} after the kill", killed.elapsed());
    rounds(&second, 2).await;
    assert_eq!(after[0], before[0], "what was decided stays as it is");
    assert_eq!(site.incidents().await, after);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlator_that_is_stopped_by_its_machine_and_goes_on_after_another_took_over_doubles_nothing() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-frozen").await;
    let first = site.correlator().await;
    rounds(&first, 1).await;
    let second = site.correlator().await;
    site.store(&[signal(ANN, 1, "high").document(1)]).await;
    // In the middle of a round, or beside one.
    sleep(Duration::from_millis(300)).await;
    first.signal("STOP");
    site.store(&[signal(ANN, 2, "critical").document(2), signal(BOB, 1, "critical").document(3)]).await;
    let both = |found: &[site::Found]| {
        found.len() == 2 && found.iter().all(|it| it.source["incident"]["severity"] == "critical")
    };
    let before = site.until("the second found both", both).await;
    assert!(leads(&second).await);
    first.signal("CONT");
    rounds(&second, 2).await;
    // It notices when it next renews the lease.
    eventually(site::PATIENCE, async || match (leads(&first).await, leads(&second).await) {
        (false, true) => Ok(()),
        both => Err(format!("{both:?}\n{}\n{}", first.log(), second.log())),
    })
    .await;
    assert_eq!(site.incidents().await, before, "whoever woke up changed nothing");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn correlators_that_all_believe_they_lead_write_each_incident_once() {
    const ORIGINS: u32 = 40;
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-two").await;
    let (first, second) = (site.correlator().await, site.correlator().await);
    let lease = "incident-two-correlator/_doc/lease";
    let origins: Vec<String> = (0..ORIGINS).map(|number| format!("{ANN}{number}")).collect();
    let mut both = 0;
    for (number, origin) in origins.iter().enumerate() {
        // Whoever finds no lease takes it, and whoever held it notices at its next renewal.
        site.search.request("DELETE", lease, None).await;
        let number = u32::try_from(number).expect("a small number");
        site.store(&[signal(origin, 1, "high").document(2 * number)]).await;
        sleep(Duration::from_millis(700)).await;
        site.store(&[signal(origin, 2, "critical").document(2 * number + 1)]).await;
        both += u32::from(leads(&first).await && leads(&second).await);
    }
    assert!(both > 0, "the two never led at once");
    let all =
        |found: &[site::Found]| found.len() >= origins.len() && found.iter().all(|it| it.signals() == 2);
    let found = site.until("each has its two signals", all).await;
    assert_eq!(found.len(), origins.len());
    for incident in found {
        let fields = &incident.source["incident"];
        assert!(incident.version <= 2, "{incident:#?}");
        assert_eq!(
            (&fields["severity"], &fields["pages"]),
            (&json!("critical"), &json!(incident.version)),
            "{fields:#}"
        );
    }
    println!("both led at {both} of {ORIGINS} looks");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opensearch_that_is_killed_in_the_middle_of_rounds_has_each_incident_once_in_the_end() {
    const ORIGINS: u32 = 60;
    let Some(stack) = Stack::running() else { return };
    let node = Server::start("opensearch.sh", "correlated");
    let site = Site::new(Stack { opensearch: node.url(), ..stack }, "incident-node").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let origins: Vec<String> = (0..ORIGINS).map(|number| format!("{ANN}{number}")).collect();
    let documents =
        origins.iter().zip(1..).map(|(origin, number)| signal(origin, 1, "critical").document(number));
    site.store(&documents.collect::<Vec<_>>()).await;
    // As soon as the first is written, others are about to be.
    site.until("the first is there", |found| !found.is_empty()).await;
    node.kill();
    node.run("start");
    site.until("all are there", |found| found.len() == origins.len()).await;
    rounds(&correlator, 2).await;
    let found = site.incidents().await;
    assert_eq!(found.len(), origins.len());
    assert!(found.iter().all(|incident| incident.signals() == 1), "{found:#?}");
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_an_attack_pages_twice_at_most() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-story").await;
    let correlator = site.correlator().await;
    rounds(&correlator, 1).await;
    let end = now();
    let documents = story::documents(&story::attack(end), Some(end));
    let documents: Vec<_> = documents.into_iter().map(|told| (told.id, told.source)).collect();
    site.store(&documents).await;
    site.until("it is there", |found| !found.is_empty()).await;
    rounds(&correlator, 3).await;
    let found = site.incidents().await;
    for incident in &found {
        let fields = &incident.source["incident"];
        println!(
            "{} {} {} {}",
            fields["origins"], fields["score"], fields["pages"], incident.source["message"]
        );
    }
    let pages: u64 = found.iter().map(|it| it.source["incident"]["pages"].as_u64().unwrap()).sum();
    println!("{} documents, {} incidents, {pages} pages", documents.len(), found.len());
    assert!(pages <= 2, "{pages} pages");
    correlator.stop().await;
}

/// Three matches of an ordinary rule within ten minutes by one identity.
fn often() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    let base = format!(
        "title: A model was described\nid: {}\nlevel: informational\nlogsource: {{product: aws}}\n\
         detection:\n  s: {{eventName: DescribeModel}}\n  condition: s\n",
        rule_id(1)
    );
    let correlation = format!(
        "title: Models are described again and again\nid: {}\nlevel: critical\ncorrelation:\n  type: event_count\n  \
         rules: [{}]\n  group-by: [sagemaker.alert.identity]\n  timespan: 10m\n  condition: {{gte: 3}}\n",
        rule_id(900),
        rule_id(1)
    );
    for (file, text) in [("base.yml", base), ("often.yml", correlation)] {
        std::fs::write(folder.path().join(file), text).expect("it can be written");
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_match_a_correlation_only_together_are_an_incident_whatever_the_order_in_which_they_come()
 {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-often").await;
    let folder = often();
    let rules = [("rules.folder", folder.path().to_str().expect("a path"))];
    let correlator = site.correlator_with(&rules).await;
    let began = now();
    // Ordinary records: their rule asks for no look.
    let record = |origin, number: u32| {
        let happened = began - Duration::from_mins(u64::from(number));
        let (id, mut source) = Signal { happened, ..signal(origin, 1, "informational") }.document(number);
        for member in ["findings", "severity"] {
            source["sagemaker"].as_object_mut().expect("an object").remove(member);
        }
        (id, source)
    };
    site.store(&[record(ANN, 1), record(ANN, 3), record(BOB, 2)]).await;
    rounds(&correlator, 2).await;
    assert_eq!((site.correlated().await.len(), site.incidents().await.len()), (0, 0));

    site.store(&[record(ANN, 2 + 4)]).await;
    let found = site.until("one incident", |found| found.len() == 1).await;
    assert_eq!(found[0].source["incident"]["findings"][0]["id"], rule_id(900), "{found:#?}");
    let matched = site.correlated().await;
    assert_eq!(matched.len(), 1, "{matched:#?}");
    let fields = &matched[0]["_source"]["sagemaker"]["correlation"];
    assert_eq!((&fields["events"], &fields["first_id"]), (&json!(3), &json!("document-6")), "{fields:#}");
    rounds(&correlator, 2).await;
    assert_eq!(site.correlated().await, matched, "a repeated round changes nothing");

    // One that comes late begins the episode earlier, so it has another document, and still is one match.
    site.store(&[record(ANN, 8)]).await;
    let again = eventually(site::PATIENCE, async || {
        let found = site.correlated().await;
        match found.as_slice() {
            [one] if one["_source"]["sagemaker"]["correlation"]["events"] == 4 => Ok(found),
            _ => Err(format!("{found:#?}")),
        }
    })
    .await;
    assert_ne!(again[0]["_id"], matched[0]["_id"]);
    rounds(&correlator, 2).await;
    let incidents = site.incidents().await;
    assert_eq!((incidents.len(), incidents[0].signals()), (1, 1), "{incidents:#?}");
    correlator.stop().await;
}
