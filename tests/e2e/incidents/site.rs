//! A site of a test's own: its indices on a real OpenSearch, the signals in them, and correlators beside them.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use sagetrail::enrich::tie_key;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, eventually};

/// From a signal to its incident, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const ACCOUNT: &str = "950000000001";

pub struct Site {
    pub stack: Stack,
    pub search: Search,
    pub prefix: &'static str,
    /// The kinds of incidents that the test is about. Records of another day are late, which is trouble of its own.
    pub kinds: &'static [&'static str],
}

/// An incident as it is stored, with how often it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub version: u64,
    pub source: Value,
}

impl Found {
    pub fn state(&self) -> &str {
        self.source["incident"]["state"].as_str().expect("it has a state")
    }

    pub fn signals(&self) -> u64 {
        self.source["incident"]["signals"].as_u64().expect("it has signals")
    }
}

impl Site {
    /// Without anything that an earlier run has left.
    pub async fn new(stack: Stack, prefix: &'static str) -> Self {
        let search = Search::new(&stack.opensearch);
        let site = Self { stack, search, prefix, kinds: &["attack"] };
        for index in ["incidents", "correlated", "correlator", &month("events", now())] {
            site.search.request("DELETE", &format!("{prefix}-{index}"), None).await;
        }
        site
    }

    /// Starts a correlator, which installs the templates.
    pub async fn correlator(&self) -> Daemon {
        self.correlator_with(&[]).await
    }

    pub async fn correlator_with(&self, settings: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.arg("correlate");
        let settings = [&[("sink.index_prefix", self.prefix), ("correlate.period", "1s")], settings].concat();
        let mut daemon = Daemon::spawn(command, &self.stack, &settings);
        daemon.until_ready().await;
        daemon
    }

    pub async fn store(&self, documents: &[(String, Value)]) {
        let mut lines = String::new();
        for (id, source) in documents {
            let index = format!("{}-{}", self.prefix, month("events", now()));
            writeln!(lines, "{}\n{source}", json!({"create": {"_index": index, "_id": id}}))
                .expect("memory can be written");
        }
        let answer = self.search.send("_bulk?refresh=true", lines).await;
        assert_eq!(answer["errors"], false, "{answer}");
    }

    /// Every incident of these kinds, by when it was opened.
    pub async fn incidents(&self) -> Vec<Found> {
        let index = format!("{}-incidents", self.prefix);
        self.search.request("POST", &format!("{index}/_refresh?ignore_unavailable=true"), None).await;
        let path = format!("{index}/_search?ignore_unavailable=true&version=true&size=100");
        let question = json!({
            "query": {"terms": {"incident.kind": self.kinds}},
            "sort": [{"incident.opened": {"order": "asc", "unmapped_type": "date"}}]
        });
        let hits = self.hits(&path, Some(question)).await;
        let found = |hit: Value| Found {
            version: hit["_version"].as_u64().expect("it was asked for"),
            source: hit["_source"].clone(),
        };
        hits.into_iter().map(found).collect()
    }

    /// The stored matches of correlations, by their ids.
    pub async fn correlated(&self) -> Vec<Value> {
        let index = format!("{}-correlated", self.prefix);
        self.search.request("POST", &format!("{index}/_refresh?ignore_unavailable=true"), None).await;
        self.hits(&format!("{index}/_search?ignore_unavailable=true&version=true&size=100"), None).await
    }

    /// What a search finds. One of an index that was made this moment is refused until its shards are there.
    async fn hits(&self, path: &str, question: Option<Value>) -> Vec<Value> {
        let answer =
            eventually(PATIENCE, async || match self.search.request("POST", path, question.clone()).await {
                (200, answer) => Ok(answer),
                (503, answer) => Err(answer.to_string()),
                (status, answer) => panic!("{status}: {answer}"),
            });
        answer.await["hits"]["hits"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the incidents are so.
    pub async fn until(&self, what: &str, are: impl Fn(&[Found]) -> bool) -> Vec<Found> {
        eventually(PATIENCE, async || {
            let incidents = self.incidents().await;
            if are(&incidents) { Ok(incidents) } else { Err(format!("{what}: {incidents:#?}")) }
        })
        .await
    }
}

/// Waits until a correlator has completed so many rounds more.
pub async fn rounds(correlator: &Daemon, more: u64) {
    const COMPLETE: &str = r#"sagetrail_correlator_rounds_total{outcome="complete"}"#;
    let before = correlator.count(COMPLETE).await;
    eventually(PATIENCE, async || match correlator.count(COMPLETE).await {
        count if count >= before + more => Ok(()),
        count => Err(format!("{count} rounds, and {before} before\n{}", correlator.log())),
    })
    .await;
}

pub async fn leads(correlator: &Daemon) -> bool {
    correlator.count("sagetrail_correlator_leads").await == 1
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn month(index: &str, time: OffsetDateTime) -> String {
    format!("{index}-{}.{:02}", time.year(), u8::from(time.month()))
}

pub fn rule_id(rule: u32) -> String {
    format!("00000000-0000-4000-8000-{rule:012}")
}

/// What a signal of a test says.
#[derive(Clone)]
pub struct Signal<'s> {
    pub origin: &'s str,
    /// One number is one rule.
    pub rule: u32,
    pub level: &'s str,
    pub happened: OffsetDateTime,
    pub ties: &'s [&'s str],
}

impl Signal<'_> {
    /// A document as the daemon would store it now.
    pub fn document(&self, number: u32) -> (String, Value) {
        let Self { origin, rule, level, happened, ties } = self;
        let rule_id = rule_id(*rule);
        let title = format!("What rule {rule} is about");
        let at = sagetrail::timestamp::format;
        let source = json!({
            "@timestamp": at(*happened),
            "message": format!("{origin} did what rule {rule} is about"),
            "event": {"id": format!("{number}"), "outcome": "success", "ingested": at(now()), "severity": 4},
            "cloud": {"account": {"id": ACCOUNT}, "region": "eu-central-1"},
            "source": {"address": "203.0.113.5", "ip": "203.0.113.5"},
            "rule": {"id": [rule_id], "name": [title], "level": [level]},
            "sagemaker": {
                "categories": ["configuration-change"],
                "severity": level,
                "findings": [{"id": rule_id, "title": title, "level": level}],
                "alert": {
                    "origin": origin, "principal": origin, "identity": origin,
                    "resource": format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:notebook-instance/n{number}"),
                    "finding": [title], "selves": [tie_key(origin)], "ties": ties
                }
            }
        });
        (format!("document-{number}"), source)
    }
}
