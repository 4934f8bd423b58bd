//! What is wrong with the pipeline itself: each rule fires, is quiet just below its threshold, and its incident is
//! closed when it is well again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::site::{Found, Site, now, rounds};
use super::{ANN, signal};
use crate::alertmanager::Alertmanager;
use crate::support::Stack;

const REGION: &str = "eu-central-1";
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn ago(span: Duration) -> String {
    sagetrail::timestamp::format(now() - span)
}

/// A record of an account that happened and was stored so long ago.
fn record(account: &str, happened: Duration, stored: Duration) -> Value {
    json!({"@timestamp": ago(happened), "event": {"ingested": ago(stored), "id": format!("{account}-{happened:?}")},
        "cloud": {"account": {"id": account}, "region": REGION}})
}

struct Documents(Vec<(&'static str, String, Value)>);

impl Documents {
    fn add(&mut self, index: &'static str, count: usize, source: &Value) {
        for _ in 0..count {
            let number = self.0.len();
            let mut source = source.clone();
            if index == "events" {
                // Each has an id of its own but those that shall have the same.
                let id = source["event"]["id"].as_str().unwrap_or_default();
                let id = if id.starts_with("same") { id.to_owned() } else { format!("{id}-{number}") };
                source["event"]["id"] = json!(id);
            }
            self.0.push((index, format!("{index}-{number}"), source));
        }
    }
}

impl Site {
    async fn add(&self, documents: Documents) {
        let mut lines = String::new();
        for (index, id, source) in documents.0 {
            let today = now();
            let index = match index {
                "events" => format!("{}-events-{}.{:02}", self.prefix, today.year(), u8::from(today.month())),
                index => format!("{}-{index}", self.prefix),
            };
            writeln!(lines, "{}\n{source}", json!({"index": {"_index": index, "_id": id}})).unwrap();
        }
        let answer = self.search.send("_bulk?refresh=true", lines).await;
        assert_eq!(answer["errors"], false, "{answer}");
    }

    async fn remove(&self, index: &str, query: Value) {
        let path = format!("{}-{index}/_delete_by_query?refresh=true&conflicts=proceed", self.prefix);
        let (status, answer) = self.search.request("POST", &path, Some(json!({"query": query}))).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Lets incidents of a rule look as if their trouble was seen last so long ago.
    async fn age(&self, rule: &str, span: Duration) {
        let script = json!({"source": "ctx._source.event.start = params.at; ctx._source.event.end = params.at",
            "params": {"at": ago(span)}});
        let body = json!({"query": {"term": {"incident.rule": rule}}, "script": script});
        let path = format!("{}-incidents/_update_by_query?refresh=true", self.prefix);
        let (status, answer) = self.search.request("POST", &path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// Rule, subject and state of each incident about health.
fn told(found: &[Found]) -> BTreeSet<String> {
    let of_health = found.iter().filter(|it| it.source["incident"]["kind"] == "health");
    of_health
        .map(|it| {
            let own = &it.source["incident"];
            let text = |name: &str| own[name].as_str().unwrap().to_owned();
            format!("{} {} {}", text("state"), text("rule"), text("subject"))
        })
        .collect()
}

const EXPECTED: [&str; 6] = [
    "silence 111111111101 eu-central-1",
    "lag 111111111104 eu-central-1",
    "rejected malformed",
    "verification_gap 111111111107 eu-central-1",
    "verification_silence s3://stopped/",
    "two_contents same-1",
];

/// Each pair is what has to be told, and what stays just below.
fn troubles() -> Documents {
    let mut documents = Documents(Vec::new());
    let day = HOUR * 25;
    documents.add("events", 200, &record("111111111101", day, day));
    documents.add("events", 199, &record("111111111102", day, day));
    // What was old when it came is neither life nor history.
    documents.add("events", 200, &record("111111111103", day * 40, day));
    documents.add("events", 10, &record("111111111104", MINUTE * 33, MINUTE));
    documents.add("events", 9, &record("111111111105", MINUTE * 33, MINUTE));
    documents.add("events", 10, &record("111111111106", MINUTE * 33, MINUTE));
    documents.add("events", 1, &record("111111111106", MINUTE * 29, MINUTE));
    for (reason, count) in [("malformed", 2), ("refused", 1)] {
        documents.add("rejected", count, &json!({"@timestamp": ago(MINUTE), "reason": reason}));
    }
    let verified = |account: &str, outcome: &str, gaps: u32| {
        json!({"@timestamp": ago(HOUR), "cloud": {"account": {"id": account}, "region": REGION},
            "verification": {"outcome": outcome, "gaps": gaps}})
    };
    documents.add("verified", 1, &verified("111111111107", "gap", 2));
    documents.add("verified", 1, &verified("111111111108", "whole", 0));
    for (place, runs, last) in [("stopped", 3, HOUR * 73), ("by-hand", 2, HOUR * 73), ("runs", 3, HOUR * 71)]
    {
        let run = json!({"@timestamp": ago(last), "verification": {"place": format!("s3://{place}/")}});
        documents.add("verification", runs, &run);
    }
    let mut same = record("111111111109", MINUTE * 8, MINUTE * 7);
    same["event"]["id"] = json!("same-1");
    documents.add("events", 2, &same);
    same["event"]["id"] = json!("same-2");
    documents.add("events", 1, &same);
    documents
}

async fn fresh(stack: Stack, prefix: &'static str) -> Site {
    let site = Site { kinds: &["attack", "health"], ..Site::new(stack, prefix).await };
    for index in ["rejected", "verified", "verification"] {
        site.search.request("DELETE", &format!("{prefix}-{index}"), None).await;
    }
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_of_the_pipeline_is_told_just_above_its_threshold_and_closed_when_it_is_over() {
    let settings = [("health.rejected_records", "2")];
    let Some(stack) = Stack::running() else { return };
    let site = fresh(stack, "incident-health").await;
    let correlator = site.correlator_with(&settings).await;
    rounds(&correlator, 1).await;
    assert_eq!(site.incidents().await, [], "a new site has no trouble");
    correlator.stop().await;

    site.add(troubles()).await;
    // What somebody does beside it is another incident.
    site.store(&[signal(ANN, 1, "critical").document(1)]).await;
    let correlator = site.correlator_with(&settings).await;
    let opened: BTreeSet<String> = EXPECTED.iter().map(|it| format!("open {it}")).collect();
    let found = site.until("all are told", |found| told(found) == opened && found.len() == 7).await;
    for it in &found {
        println!("{} | {}", it.source["message"], it.source["incident"]["next"]);
    }
    rounds(&correlator, 1).await;
    assert_eq!(told(&site.incidents().await), opened, "and nothing else");
    let attacks: Vec<_> = found.iter().filter(|it| it.source["incident"]["kind"] == "attack").collect();
    assert_eq!((attacks.len(), attacks[0].signals()), (1, 1), "{attacks:#?}");
    assert_eq!(correlator.count(r#"sagetrail_health_incidents{rule="silence"}"#).await, 1);
    correlator.stop().await;

    // All is well again.
    let mut documents = Documents(Vec::new());
    documents.add("events", 1, &record("111111111101", MINUTE, Duration::ZERO));
    let run = json!({"@timestamp": ago(Duration::ZERO), "verification": {"place": "s3://stopped/"}});
    documents.0.push(("verification", "another".to_owned(), run));
    site.add(documents).await;
    site.remove("events*", json!({"term": {"cloud.account.id": "111111111104"}})).await;
    site.remove("rejected", json!({"match_all": {}})).await;
    site.remove("verified", json!({"term": {"verification.outcome": "gap"}})).await;
    site.remove("events*", json!({"term": {"event.id": "same-1"}})).await;
    let correlator = site.correlator_with(&settings).await;
    // What was late a moment ago, and what was forged today, stands.
    let closed = |open: &[&str]| -> BTreeSet<String> {
        let state = |it: &&str| if open.iter().any(|name| it.starts_with(name)) { "open" } else { "closed" };
        EXPECTED.iter().map(|it| format!("{} {it}", state(it))).collect()
    };
    let well = closed(&["lag", "two_contents"]);
    site.until("what is over is closed", |found| told(found) == well).await;
    correlator.stop().await;
    site.age("lag", MINUTE * 16).await;
    site.age("two_contents", HOUR * 25).await;
    let mut documents = Documents(Vec::new());
    documents.add("rejected", 2, &json!({"@timestamp": ago(MINUTE), "reason": "malformed"}));
    site.add(documents).await;
    let correlator = site.correlator_with(&settings).await;
    let mut again = closed(&[]);
    again.insert("open rejected malformed".to_owned());
    let found = site.until("all are closed, and one comes again", |found| told(found) == again).await;
    let rejected: BTreeMap<&str, &Value> = found
        .iter()
        .map(|it| &it.source["incident"])
        .filter(|own| own["rule"] == "rejected")
        .map(|own| (own["state"].as_str().unwrap(), own))
        .collect();
    assert_eq!(rejected["open"]["follows"], rejected["closed"]["id"]);
    correlator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_is_told_of_a_trouble_and_of_its_end() {
    let Some(stack) = Stack::running() else { return };
    let Some(mut server) = Alertmanager::start().await else { return };
    let site = fresh(stack, "incident-unwell").await;
    let url = format!("http://127.0.0.1:{}", server.port);
    let channel = [("channels.am.kind", "alertmanager"), ("channels.am.url", url.as_str())];
    let correlator = site.correlator_with(&channel).await;
    rounds(&correlator, 1).await;
    correlator.stop().await;
    let mut documents = Documents(Vec::new());
    documents.add("rejected", 1, &json!({"@timestamp": ago(MINUTE), "reason": "malformed"}));
    site.add(documents).await;
    let correlator = site.correlator_with(&channel).await;
    let (told, alert) = server.notification().await;
    let labels = &alert["labels"];
    assert_eq!((told.as_str(), &labels["alertname"]), ("firing high", &json!("SagetrailHealth")), "{alert}");
    assert_eq!(labels["rule"], "rejected");
    let sentence = "High: 1 record was rejected within 15 minutes, for the reason: malformed.";
    assert_eq!(alert["annotations"]["summary"], sentence);
    assert!(alert["annotations"]["next_steps"].as_str().unwrap().contains("Runbook: "), "{alert}");
    correlator.stop().await;

    site.remove("rejected", json!({"match_all": {}})).await;
    let correlator = site.correlator_with(&channel).await;
    let (told, resolved) = server.notification().await;
    assert_eq!((told.as_str(), &resolved["labels"]["incident"]), ("resolved high", &labels["incident"]));
    correlator.stop().await;
}
