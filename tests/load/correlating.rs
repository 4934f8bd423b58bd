//! What rounds of the correlator take beside many documents. It prints what it measures and demands nothing of time, so
//! it runs only when it is asked for: `make bench-correlate`, with `DOCUMENTS=3000000` for more of them.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use sagetrail::config::RulesConfig;
use sagetrail::enrich::rules::RuleSet;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, asked_for, eventually, mixed, send_bulk};

/// How many documents there are, where the environment says nothing else.
const DOCUMENTS: u64 = 300_000;
const DAY: Duration = Duration::from_hours(24);
/// From one round to the next.
const PERIOD: Duration = Duration::from_secs(15);
/// How long it is watched how new documents are judged.
const WATCHED: u32 = 10;
const PATIENCE: Duration = Duration::from_mins(15);
/// Who calls. Few of them make most calls.
const ORIGINS: u64 = 400;
/// What is looked at, which is most of what is done.
const LOOKED_AT: &str = "e7fb3f46-c937-4388-967d-d69a83f614dc";
/// Documents in one bulk.
const BULK: u64 = 5_000;

/// A site with documents of an ordinary mix.
struct Site {
    stack: Stack,
    search: Search,
    http: reqwest::Client,
    prefix: &'static str,
    /// Rules that correlations look at.
    base: Vec<String>,
}

impl Site {
    /// Empty, with the templates of its indices.
    async fn new(stack: Stack, prefix: &'static str) -> Self {
        let search = Search::new(&stack.opensearch);
        let names = format!("{prefix}-events-*,{prefix}-incidents,{prefix}-correlated,{prefix}-correlator");
        for name in names.split(',') {
            search.request("DELETE", &format!("{name}?ignore_unavailable=true"), None).await;
        }
        let rules = RuleSet::load(&RulesConfig::default()).expect("the built-in rules are whole");
        let all = rules.correlations().iter().flat_map(sagetrail::correlation::Correlation::base);
        let base = all.map(|base| base.id.clone()).filter(|id| id != LOOKED_AT).collect();
        let site = Self { stack, search, http: reqwest::Client::new(), prefix, base };
        site.correlator().await.stop().await;
        site
    }

    async fn correlator(&self) -> Daemon {
        let binary = std::env::var("SAGETRAIL_BENCH_BINARY").ok().filter(|path| !path.is_empty());
        let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_sagetrail")));
        command.arg("correlate");
        let mut daemon = Daemon::spawn(command, &self.stack, &[("sink.index_prefix", self.prefix)]);
        daemon.until_ready().await;
        daemon
    }

    /// Stores so many documents that happened evenly within `lasting` before `until`, stored when they happened.
    async fn store(&self, first: u64, count: u64, until: OffsetDateTime, lasting: Duration) {
        for begin in (first..first + count).step_by(usize::try_from(BULK).expect("a small number")) {
            let mut lines = String::new();
            for number in begin..(begin + BULK).min(first + count) {
                let [left, all] =
                    [first + count - number, count].map(|it| u32::try_from(it).expect("millions"));
                self.line(&mut lines, number, &self.document(number, until - lasting * left / all));
            }
            send_bulk(&self.stack, &self.http, lines).await;
        }
        self.search.request("POST", &format!("{}-events-*/_refresh", self.prefix), None).await;
    }

    /// Stores a critical signal of somebody of its own, now.
    async fn strike(&self, number: u64) -> String {
        let mut document = self.document(number, OffsetDateTime::now_utc());
        let origin = format!("arn:aws:iam::950000000001:role/Intruder{number}");
        let rule = "00000000-0000-4000-8000-000000000999";
        let alert = &mut document["sagemaker"]["alert"];
        for name in ["origin", "principal", "identity"] {
            alert[name] = json!(origin);
        }
        document["rule"]["id"] = json!([rule]);
        document["sagemaker"]["findings"] = json!([{"id": rule, "title": "Struck", "level": "critical"}]);
        let mut lines = String::new();
        self.line(&mut lines, number, &document);
        send_bulk(&self.stack, &self.http, lines).await;
        origin
    }

    fn line(&self, lines: &mut String, number: u64, document: &Value) {
        let month = document["@timestamp"].as_str().expect("a time")[..7].replace('-', ".");
        let index = format!("{}-events-{month}", self.prefix);
        let action = json!({"create": {"_index": index, "_id": format!("document-{number}")}});
        writeln!(lines, "{action}\n{document}").expect("memory can be written");
    }

    /// A small document of one of many ordinary kinds. Its number alone decides what it says.
    fn document(&self, number: u64, happened: OffsetDateTime) -> Value {
        let drawn = |salt: u64, below: u64| mixed(number.wrapping_mul(31).wrapping_add(salt)) % below;
        let caller = drawn(1, ORIGINS) * drawn(2, ORIGINS) / ORIGINS;
        let origin = format!("arn:aws:iam::950000000001:role/Team{caller}");
        let happened = sagetrail::timestamp::format(happened);
        let kind = drawn(3, 100);
        let rule = match kind {
            0..70 => LOOKED_AT,
            _ => &self.base[usize::try_from(drawn(4, self.base.len() as u64)).expect("a small number")],
        };
        let action = match kind {
            // People have habits; few are curious.
            0..70 => format!("Describe{}", drawn(5, if caller % 50 == 7 { 40 } else { 6 })),
            _ => format!("Do{}", drawn(5, 12)),
        };
        let mut document = json!({
            "@timestamp": happened,
            "message": format!("{origin} did {action}"),
            "event": {"id": number.to_string(), "outcome": "success", "ingested": happened, "action": action,
                "provider": "sagemaker.amazonaws.com", "severity": 1},
            "cloud": {"account": {"id": "950000000001"}, "region": "eu-central-1"},
            "source": {"address": "203.0.113.5", "ip": "203.0.113.5"},
            "user": {"name": format!("Team{caller}")},
            "rule": {"id": [rule]},
            "sagemaker": {
                "alert": {
                    "origin": origin, "principal": origin, "identity": origin,
                    "resource": format!("arn:aws:sagemaker:eu-central-1:950000000001:endpoint/e{}", drawn(6, 2_000))
                },
                "resource": {"type": "endpoint"}
            }
        });
        // Two of a hundred are signals, each weak.
        if kind < 2 {
            let level =
                ["low", "low", "low", "medium"][usize::try_from(drawn(7, 4)).expect("a small number")];
            let id = format!("00000000-0000-4000-8000-{:012}", drawn(8, 40));
            document["sagemaker"]["findings"] =
                json!([{"id": id, "title": format!("Weak sign {id}"), "level": level}]);
        }
        document
    }

    /// What OpenSearch has spent of its processors, which other work on the machine changes less than times.
    async fn spent(&self) -> Duration {
        let path = "_nodes/stats/process?filter_path=nodes.*.process.cpu.total_in_millis";
        let (_, answer) = self.search.request("GET", path, None).await;
        let nodes = answer["nodes"].as_object().expect("it has nodes").values();
        nodes
            .map(|node| node["process"]["cpu"]["total_in_millis"].as_u64().unwrap_or_default())
            .map(Duration::from_millis)
            .sum()
    }

    async fn is_found(&self, origin: &str) -> bool {
        let path = format!("{}-incidents/_count?ignore_unavailable=true", self.prefix);
        let question = json!({"query": {"term": {"incident.origins": origin}}});
        let (status, answer) = self.search.request("POST", &path, Some(question)).await;
        status == 200 && answer["count"].as_u64() > Some(0)
    }

    /// How long it takes until there is an incident of somebody, from a moment on.
    async fn lateness(&self, origin: &str, since: Instant) -> Duration {
        let found = async || if self.is_found(origin).await { Ok(()) } else { Err(origin.to_owned()) };
        eventually(PATIENCE, found).await;
        since.elapsed()
    }

    async fn forget(self) {
        for name in ["events-*", "incidents", "correlated", "correlator"] {
            self.search.request("DELETE", &format!("{}-{name}", self.prefix), None).await;
        }
    }
}

/// What a correlator says of its rounds.
struct Rounds {
    complete: u32,
    unfinished: u32,
    failed: u32,
    seconds: f64,
    /// By the upper bound of a bucket, in seconds, how many rounds took no longer.
    no_longer: Vec<(f64, u32)>,
}

impl Rounds {
    async fn of(correlator: &Daemon) -> Self {
        let (_, text) = correlator.get("metrics").await.expect("the metrics are served");
        let value = |series: &str| text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let ended = |outcome: &str| {
            let value = value(&format!("sagetrail_correlator_rounds_total{{outcome=\"{outcome}\"}}"));
            value.map_or(0, |count| count.parse().expect("a count"))
        };
        let bucket = |line: &str| {
            let rest = line.strip_prefix("sagetrail_correlator_round_duration_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        };
        Self {
            complete: ended("complete"),
            unfinished: ended("unfinished"),
            failed: ended("failed"),
            seconds: value("sagetrail_correlator_round_duration_seconds_sum")
                .map_or(0.0, |seconds| seconds.parse().expect("seconds")),
            no_longer: text.lines().filter_map(bucket).collect(),
        }
    }

    fn all(&self) -> u32 {
        self.complete + self.unfinished + self.failed
    }

    /// Says what happened since.
    fn tell(&self, before: &Self, what: &str) {
        let all = (self.all() - before.all()).max(1);
        let counts: Vec<(f64, u32)> = self
            .no_longer
            .iter()
            .zip(&before.no_longer)
            .map(|((bound, now), (_, then))| (*bound, now - then))
            .collect();
        let longest =
            counts.iter().find(|(_, count)| *count >= all).map_or(f64::INFINITY, |(bound, _)| *bound);
        println!(
            "{what}: {} rounds complete, {} unfinished, {} failed; {:.2} s each, the longest at most {longest} s",
            self.complete - before.complete,
            self.unfinished - before.unfinished,
            self.failed - before.failed,
            (self.seconds - before.seconds) / f64::from(all)
        );
    }
}

async fn until_complete(correlator: &Daemon, more: u32) -> Option<Rounds> {
    let before = Rounds::of(correlator).await.complete;
    let give_up = Instant::now() + PATIENCE;
    loop {
        let rounds = Rounds::of(correlator).await;
        if rounds.complete >= before + more {
            return Some(rounds);
        }
        if Instant::now() >= give_up {
            println!("no complete round in {PATIENCE:?}\n{}", correlator.log());
            return None;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and takes minutes"]
async fn rounds_beside_a_day_of_an_ordinary_mix() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "bench-day").await;
    let (count, began) = (asked_for("SAGETRAIL_BENCH_DOCUMENTS").unwrap_or(DOCUMENTS), Instant::now());
    site.store(0, count, OffsetDateTime::now_utc(), DAY).await;
    println!("{count} documents of a day were stored in {:.0?}", began.elapsed());

    let correlator = site.correlator().await;
    let began = Instant::now();
    let Some(mut before) = until_complete(&correlator, 1).await else { return };
    println!(
        "the first complete round after {:.1?}, {} MiB",
        began.elapsed(),
        correlator.peak_memory() >> 20
    );
    let each =
        u64::try_from(u128::from(count) * PERIOD.as_millis() / DAY.as_millis()).expect("a small number");
    let mut next = count;
    let mut late = Vec::new();
    let mut spent = site.spent().await;
    for part in 0..WATCHED {
        let began = Instant::now();
        let many = if part % 4 == 3 { each * 10 } else { each };
        site.store(next, many, OffsetDateTime::now_utc(), PERIOD).await;
        next += many;
        let origin = site.strike(next).await;
        next += 1;
        late.push(site.lateness(&origin, began).await);
        sleep(PERIOD.saturating_sub(began.elapsed())).await;
        let now = Rounds::of(&correlator).await;
        let now_spent = site.spent().await;
        let of_node = now_spent.saturating_sub(spent);
        now.tell(&before, &format!("{many} more ({of_node:.1?} of OpenSearch's processors)"));
        (before, spent) = (now, now_spent);
    }
    println!("pages came after {late:.1?}; {} MiB at most", correlator.peak_memory() >> 20);
    correlator.stop().await;
    site.forget().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and takes minutes"]
async fn rounds_beside_a_flood_that_comes_at_once() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "bench-flood").await;
    let correlator = site.correlator().await;
    until_complete(&correlator, 1).await;
    let before = Rounds::of(&correlator).await;
    let (count, began) = (asked_for("SAGETRAIL_BENCH_DOCUMENTS").unwrap_or(DOCUMENTS), Instant::now());
    let first = site.strike(count).await;
    let spent = site.spent().await;
    let now = OffsetDateTime::now_utc() - Duration::from_secs(1);
    let storing = site.store(0, count, now, Duration::from_mins(10));
    let (first, ()) = tokio::join!(site.lateness(&first, began), storing);
    println!("{count} documents were stored in {:.0?}", began.elapsed());
    println!("OpenSearch spent {:.0?} of its processors meanwhile", site.spent().await.saturating_sub(spent));
    let (spent, stored) = (site.spent().await, Instant::now());
    let last = site.strike(count + 1).await;
    let last = site.lateness(&last, stored).await;
    println!("the page of what came before them after {first:.1?}, of what came after them {last:.1?}");
    if let Some(rounds) = until_complete(&correlator, 1).await {
        println!(
            "all was judged {:.0?} after the last was stored, for {:.1?} of OpenSearch's processors",
            stored.elapsed(),
            site.spent().await.saturating_sub(spent)
        );
        rounds.tell(&before, "the flood");
        let later = until_complete(&correlator, 3).await;
        if let Some(later) = later {
            later.tell(&rounds, "three rounds more");
        }
    }
    println!("{} MiB at most", correlator.peak_memory() >> 20);
    correlator.stop().await;
    site.forget().await;
}
