//! Three weeks of generated records, moment by moment: what `sagetrail backtest` tells of them, and what the rounds of
//! the correlator decide beside a real OpenSearch, is the same.
//!
//! `make test` takes a few thousand; `tests/detection/README.md` says how to take more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sagetrail::config::{Config, Scope};
use sagetrail::correlator::Stepwise;
use sagetrail::enrich::Enricher;
use sagetrail::opensearch;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use super::site::Site;
use crate::support::Stack;

/// From the first record of a round to its end.
const ROUND: Duration = Duration::seconds(15);
const FEW: u64 = 3_000;
/// Incidents that are compared in one request.
const PAGE: usize = 5_000;

/// What both must say of an incident.
///
/// What differs, and is not compared:
/// - the score: of a round in which several origins join, it keeps the highest that was decided on the way, and who
///   joins first differs;
/// - the sentence of a page: `backtest` tells it as it was when the incident opened, and a monitor as it is at the end
///   of the round, when those who are tied to it have joined;
/// - the first of two pages of one round: `backtest` tells that an incident opened and escalated, and who looks after
///   the round sees that it escalated. How many pages there were is compared;
/// - which of several matches of one correlation at one time is named as its first: they have no id of an event, by
///   which OpenSearch orders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    id: String,
    origin: String,
    origins: BTreeSet<String>,
    follows: Option<String>,
    severity: String,
    state: String,
    signals: u64,
    failures: u64,
    pages: u64,
    opened: String,
    /// How often each rule matched, and the document that told it first; of a correlation, when that was.
    findings: BTreeMap<String, (u64, String)>,
}

impl Said {
    fn of(incident: &Value) -> Self {
        let fields = &incident["incident"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let number = |value: &Value| value.as_u64().expect("a number");
        let list = |member: &str| fields[member].as_array().expect("a list").iter();
        Self {
            id: text(&fields["id"]).expect("an id"),
            origin: text(&fields["origin"]).expect("an origin"),
            origins: list("origins").filter_map(text).collect(),
            follows: text(&fields["follows"]),
            severity: text(&fields["severity"]).expect("a severity"),
            state: text(&fields["state"]).expect("a state"),
            signals: number(&fields["signals"]),
            failures: number(&fields["outcome"]["failure"]),
            pages: number(&fields["pages"]),
            opened: text(&fields["opened"]).expect("a time"),
            findings: list("findings")
                .map(|found| {
                    // Ids of records begin with those of their events.
                    let of_record = text(&found["first_id"]).filter(|id| id.contains('-'));
                    let first = of_record.or_else(|| text(&found["first"])).expect("an id or a time");
                    (text(&found["id"]).expect("an id"), (number(&found["count"]), first))
                })
                .collect(),
        }
    }
}

/// A page: when, of which incident, and how severe.
type Paged = (String, String, String);

fn texts<const N: usize>(value: &Value, members: [&str; N]) -> [String; N] {
    members.map(|member| value[member].as_str().expect("a text").to_owned())
}

/// The product with the settings of the correlator's site, over files.
fn product(arguments: &[&str], files: &[PathBuf]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .args(files)
        .env_remove("SAGETRAIL_CONFIG")
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .env("SAGETRAIL__REDACTION__KEY", "5b1f0d9c8e7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a")
        .stderr(Stdio::null());
    command
}

/// Files with so many records, or None where they cannot be made here.
fn generated(folder: &Path, records: u64) -> Option<Vec<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/detection/generate.py");
    let seed = std::env::var("SAGETRAIL_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut command = Command::new("python3");
    let status = command.arg("-B").arg(script).arg(folder).args([records.to_string(), seed]).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: python3 cannot generate records here");
        return None;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    files.sort();
    Some(files)
}

/// Documents of one moment.
struct Moment {
    documents: Vec<Value>,
    begin: OffsetDateTime,
}

impl Moment {
    /// Whether a correlator has anything to do about it.
    fn tells_anything(&self) -> bool {
        self.documents.iter().any(|document| !document["_source"]["rule"]["id"].is_null())
    }

    fn end(&self) -> OffsetDateTime {
        self.begin + ROUND
    }
}

fn time_of(document: &Value) -> OffsetDateTime {
    let time = document["_source"]["@timestamp"].as_str().expect("every document has a time");
    sagetrail::timestamp::parse(time).expect("documents have times that can be read")
}

/// A correlator with a clock of the test, and the pages that it made.
struct Online<'s> {
    site: &'s Site,
    steps: Stepwise,
    enricher: Enricher,
    /// Lines of the next bulk.
    lines: String,
    pages: BTreeSet<Paged>,
    /// When the last moment ended.
    ended: OffsetDateTime,
    rounds: u64,
    slowest: std::time::Duration,
}

impl Online<'_> {
    async fn live_through(&mut self, moment: Moment) {
        let now = moment.end();
        self.write(&moment.documents, now);
        if !moment.tells_anything() {
            return;
        }
        self.rest(now).await;
        self.see_pages(self.ended, now).await;
        self.ended = now;
        self.store().await;
        let began = Instant::now();
        for attempt in 1.. {
            match self.steps.round(now, &self.enricher).await {
                Ok(()) => break,
                Err(error) => tell_of(attempt, &error),
            }
        }
        self.slowest = self.slowest.max(began.elapsed());
        self.rounds += 1;
        self.see_pages(now, now).await;
    }

    /// Notes the pages of a time. What is written again without a page keeps the time of its last one.
    async fn see_pages(&mut self, from: OffsetDateTime, to: OffsetDateTime) {
        let paged = json!({"range": {"incident.paged": {"gte": at(from), "lte": at(to)}}});
        for incident in self.incidents(&paged).await {
            let [severity, id, time] = texts(&incident["incident"], ["severity", "id", "paged"]);
            self.pages.insert((time, id, severity));
        }
    }

    /// Lives through what is left: what came too soon after a page still pages.
    async fn end(&mut self, end: OffsetDateTime) {
        self.rest(end).await;
        let news = json!({"bool": {
            "filter": [{"exists": {"field": "incident.news.due"}}], "must_not": [{"term": {"incident.state": "closed"}}]
        }});
        let news = self.incidents(&news).await;
        let due = |incident: &Value| {
            let [due] = texts(&incident["incident"]["news"], ["due"]);
            sagetrail::timestamp::parse(&due)
        };
        let last = news.iter().filter_map(due).max().unwrap_or(end).max(end);
        self.rest(last).await;
        self.see_pages(self.ended, last).await;
    }

    async fn rest(&mut self, now: OffsetDateTime) {
        for attempt in 1.. {
            match self.steps.rest(now).await {
                Ok(()) => break,
                Err(error) => tell_of(attempt, &error),
            }
        }
    }

    /// Adds documents to the next bulk. What tells nothing waits for what does, as no round asks before that.
    fn write(&mut self, documents: &[Value], now: OffsetDateTime) {
        for document in documents {
            let mut source = document["_source"].clone();
            source["event"]["ingested"] = json!(at(now));
            let index = document["_index"].as_str().expect("a name").replace("sagetrail", self.site.prefix);
            let create = json!({"create": {"_index": index, "_id": document["_id"]}});
            writeln!(self.lines, "{create}\n{source}").expect("memory can be written");
        }
    }

    async fn store(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let answer = self.site.search.send("_bulk?refresh=true", lines).await;
        let items = answer["items"].as_array().expect("items");
        let refused = items.iter().find(|item| {
            let status = item["create"]["status"].as_u64();
            // The generator never writes a record twice, and fixtures have one that is there twice.
            !matches!(status, Some(201 | 409))
        });
        assert!(refused.is_none(), "{refused:?}");
    }

    async fn incidents(&self, query: &Value) -> Vec<Value> {
        let path = format!(
            "{}-incidents/_search?ignore_unavailable=true&allow_no_indices=true&size={PAGE}",
            self.site.prefix
        );
        let (status, answer) = self.site.search.request("POST", &path, Some(json!({"query": query}))).await;
        assert_eq!(status, 200, "{answer}");
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        hits.into_iter().map(|mut hit| hit["_source"].take()).collect()
    }
}

/// A busy OpenSearch may answer too late, and a correlator goes on with its next round then.
fn tell_of(attempt: u32, error: &dyn std::error::Error) {
    assert!(attempt < 20, "OpenSearch does not answer: {error}");
    println!("attempt {attempt}: {error}");
}

fn at(time: OffsetDateTime) -> String {
    sagetrail::timestamp::format(time)
}

/// What only one of both says, and how many are the same.
fn differences<T: Ord + std::fmt::Debug>(told: &BTreeSet<T>, decided: &BTreeSet<T>) -> (usize, String) {
    let mut text = String::new();
    for (who, some, others) in [("backtest", told, decided), ("correlator", decided, told)] {
        for only in some.difference(others) {
            writeln!(text, "only the {who}: {only:?}").expect("memory can be written");
        }
    }
    (told.intersection(decided).count(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_of_generated_weeks_tells_the_incidents_and_pages_that_the_rounds_decide() {
    let Some(stack) = Stack::running() else { return };
    let records =
        std::env::var("SAGETRAIL_TEST_GENERATED").map_or(FEW, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("there is room");
    let Some(files) = generated(folder.path(), records) else { return };
    let site = Site::new(stack, "incident-generated").await;
    for month in ["2026.11"] {
        site.search.request("DELETE", &format!("{}-events-{month}", site.prefix), None).await;
    }
    // It installs the templates.
    site.correlator().await.stop().await;

    let began = Instant::now();
    let output = product(&["backtest", "--json"], &files).output().expect("the binary runs");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    println!("backtest took {:?}", began.elapsed());
    let list = |member: &str| report[member].as_array().expect("a list").iter();
    let told: BTreeSet<Said> = list("incidents").map(Said::of).collect();
    let told_pages: BTreeMap<(String, String), String> = list("pages")
        .map(|page| texts(page, ["time", "incident", "severity"]))
        .map(|[time, incident, severity]| ((time, incident), severity))
        .collect();
    let told_pages: BTreeSet<Paged> =
        told_pages.into_iter().map(|((time, incident), severity)| (time, incident, severity)).collect();

    let mut config: Config = Config::default();
    config.sink.url = site.stack.opensearch.parse().expect("a URL");
    config.sink.index_prefix = site.prefix.to_owned();
    let client = opensearch::connect(&config, None).await.expect("the address is right");
    let mut online = Online {
        site: &site,
        steps: Stepwise::new(client),
        enricher: Enricher::built_in(Scope::All),
        lines: String::new(),
        pages: BTreeSet::new(),
        ended: OffsetDateTime::UNIX_EPOCH,
        rounds: 0,
        slowest: std::time::Duration::ZERO,
    };
    let began = Instant::now();
    let mut child = product(&["enrich"], &files).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut moment: Option<Moment> = None;
    let mut documents = 0;
    for line in lines {
        let document: Value = serde_json::from_str(&line.expect("a text")).expect("a line of JSON");
        let time = time_of(&document);
        documents += 1;
        if let Some(ended) = moment.take_if(|moment| time >= moment.end()) {
            online.live_through(ended).await;
        }
        moment.get_or_insert_with(|| Moment { documents: Vec::new(), begin: time }).documents.push(document);
    }
    let end = moment.as_ref().map(Moment::end);
    if let Some(last) = moment {
        online.live_through(last).await;
    }
    assert!(child.wait().expect("it ends").success());
    if let Some(end) = end {
        online.end(end).await;
    }
    let decided: BTreeSet<Said> =
        online.incidents(&json!({"match_all": {}})).await.iter().map(Said::of).collect();
    println!(
        "{records} records, {documents} documents, {} rounds in {:?}, the slowest {:?}, {} incidents, {} pages",
        online.rounds,
        began.elapsed(),
        online.slowest,
        decided.len(),
        online.pages.len()
    );
    let (same_incidents, incidents) = differences(&told, &decided);
    let (same_pages, pages) = differences(&told_pages, &online.pages);
    println!("the same: {same_incidents} incidents, {same_pages} pages");
    assert!(same_incidents > 0 && same_pages > 0, "records that page nobody show nothing");
    assert!(incidents.is_empty() && pages.is_empty(), "{incidents}{pages}");
}
