//! The run: one world from its first record to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sagetrail::config::{Config, RulesConfig};
use sagetrail::correlator::Correlator;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enricher, tie_key};
use sagetrail::metrics::Metrics;
use sagetrail::opensearch::OpenSearch;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::schedule::{Attack, Event, FLOOD, Kind, Passing, STORM, Schedule};
use super::server::Door;
use super::store::{Inner, World, at};
use crate::clock;

/// From the last fault until all is decided: a lease is taken within 30 s, and an answer is waited for as long.
const SETTLING: Duration = Duration::from_mins(4);
const RESTART: Duration = Duration::from_secs(5);
const EVENTS: &str = "sagetrail-events-2026.11";
/// A rule of ordinary records, and the correlation that looks at them.
const ORDINARY: &str = "00000000-0000-4000-8000-000000000001";
const TOGETHER: &str = "00000000-0000-4000-8000-000000000900";
/// With two clauses for each these are more than OpenSearch takes.
const MANY_TIES: usize = 600;
const A_YEAR: i64 = 365 * 24 * 60 * 60;
const THREE_DAYS: i64 = 3 * 24 * 60 * 60;

static KNOWLEDGE: LazyLock<Arc<Enricher>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room");
    let base = format!(
        "title: A model was described\nid: {ORDINARY}\nlevel: informational\nlogsource: {{product: aws}}\n\
         detection:\n  s: {{eventName: DescribeModel}}\n  condition: s\n"
    );
    let together = format!(
        "title: Models are described again and again\nid: {TOGETHER}\nlevel: critical\ncorrelation:\n  type: event_count\n  \
         rules: [{ORDINARY}]\n  group-by: [sagemaker.alert.identity]\n  timespan: 10m\n  condition: {{gte: 3}}\n"
    );
    for (file, text) in [("base.yml", base), ("together.yml", together)] {
        std::fs::write(folder.path().join(file), text).expect("it can be written");
    }
    let config = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let rules = RuleSet::load(&config).expect("the rules are whole");
    Arc::new(Enricher { rules: Arc::new(rules), ..Enricher::built_in(sagetrail::config::Scope::Sagemaker) })
});

#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub broken: Vec<String>,
    pub met: BTreeMap<&'static str, u64>,
    pub story: Vec<String>,
    pub pages: u64,
    pub escalated: u64,
    pub versions: u64,
}

/// Runs the schedule of a seed. Each worker has a loopback address of its own.
pub fn run(seed: u64, worker: usize) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed);
    let schedule = Schedule::new(&mut random);
    run_schedule(seed, worker, schedule, random)
}

/// Runs a schedule; what is drawn in it is drawn from `random`.
pub fn run_schedule(seed: u64, worker: usize, schedule: Schedule, random: fastrand::Rng) -> Outcome {
    clock::live(seed, live(seed, worker, schedule, random))
}

async fn live(seed: u64, worker: usize, schedule: Schedule, random: fastrand::Rng) -> Outcome {
    let world = Arc::new(World::new(random));
    world.lock().likelihood = schedule.likelihood;
    world.lock().slowness = schedule.slowness;
    world.lock().tell(format!("{schedule:#?}"));
    let paced = Arc::clone(&world);
    let pacing = clock::pace(move || paced.traffic.load(Ordering::Relaxed));
    let _pacing = AbortOnDropHandle::new(tokio::spawn(pacing));
    let (up, _) = watch::channel(true);
    let (mut doors, mut orders, mut running) = (Vec::new(), Vec::new(), Vec::new());
    for (number, clock) in schedule.clocks.iter().enumerate() {
        let door = Door::open(&world, crate::run::host(worker), &up).await;
        let (order, received) = mpsc::channel(8);
        let supervisor = supervise(number, Arc::clone(&world), door.address, *clock, received);
        running.push(AbortOnDropHandle::new(tokio::spawn(supervisor)));
        doors.push(door);
        orders.push(order);
    }
    let mut waiting = Waiting::new(&schedule);
    while !waiting.is_over(world.began.elapsed()) {
        waiting.bring(&world, &up, &doors, &orders);
        sleep(Duration::from_millis(250)).await;
    }
    let mut inner = world.lock();
    for (number, attack) in schedule.attacks.iter().enumerate() {
        if let Some(problem) = judge(&inner, number, attack) {
            inner.breach(problem);
        }
    }
    Outcome {
        seed,
        broken: std::mem::take(&mut inner.broken),
        met: std::mem::take(&mut inner.met),
        story: std::mem::take(&mut inner.story),
        pages: inner.pages.len() as u64,
        escalated: inner.pages.keys().filter(|page| page.ends_with("/2")).count() as u64,
        versions: inner.versions,
    }
}

/// What is wrong with the pages of an attack.
fn judge(inner: &Inner, number: usize, attack: &Attack) -> Option<String> {
    let origin = origin(number);
    let incidents: Vec<&String> =
        inner.origins.iter().filter(|(_, of)| of.contains(&origin)).map(|(id, _)| id).collect();
    let count = inner.pages.values().filter(|incident| incidents.contains(incident)).count();
    let expected = match attack.kind {
        Kind::Critical | Kind::Late | Kind::Correlated | Kind::Tied => 1..=1,
        Kind::Soon | Kind::Joining => 2..=2,
        // Whether it was seen in between depends on when rounds were.
        Kind::Escalating | Kind::Hidden => 1..=2,
        Kind::Weak | Kind::Replayed => 0..=0,
    };
    let is_expected = !expected.contains(&0);
    let joins = matches!(attack.kind, Kind::Joining | Kind::Tied);
    let is_joint = inner.origins.values().any(|of| of.contains(&origin) && of.contains(&another(number)));
    let is_as_told = expected.contains(&count)
        && incidents.len() == usize::from(is_expected)
        && inner.is_critical(&origin) == is_expected
        && is_joint == joins;
    let kind = attack.kind;
    (!is_as_told).then(|| {
        format!(
            "attack {number} ({kind:?}) has {count} pages of {} incidents, critical: {}",
            incidents.len(),
            inner.is_critical(&origin)
        )
    })
}

fn origin(number: usize) -> String {
    format!("arn:aws:iam::950000000001:role/Attacker{number}")
}

/// Somebody else of the same attack.
fn another(number: usize) -> String {
    format!("{}-and-another", origin(number))
}

/// Keeps one correlator running, whatever becomes of it.
async fn supervise(
    number: usize,
    world: Arc<World>,
    address: std::net::SocketAddr,
    off: i64,
    mut orders: mpsc::Receiver<Event>,
) {
    let mut config = Config::default();
    config.sink.url = format!("http://{address}").parse().expect("a URL");
    config.sink.gzip = false;
    let client = OpenSearch::new(&config.sink, None).expect("nothing is read");
    let (_rules, current) = watch::channel(Arc::clone(&KNOWLEDGE));
    loop {
        let clock = Arc::clone(&world);
        let clock = Arc::new(move || clock.now() + time::Duration::seconds(off));
        let metrics = Arc::new(Metrics::new());
        let correlator =
            Correlator::new(client.clone(), &config, current.clone(), metrics).expect("no file is read");
        let stop = CancellationToken::new();
        let running = correlator.with_clock(clock).run(stop.clone());
        let mut running = AbortOnDropHandle::new(tokio::spawn(running));
        world.lock().tell(format!("correlator {number} starts"));
        tokio::select! {
            ended = &mut running => world.lock().breach(format!("correlator {number} ended: {ended:?}")),
            order = orders.recv() => match order {
                Some(Event::Stop(_)) => {
                    world.lock().meet("stopped");
                    stop.cancel();
                    let _ = running.await;
                }
                Some(_) => {
                    world.lock().meet("killed");
                    running.abort();
                    let _ = running.await;
                }
                None => return,
            }
        }
        sleep(RESTART).await;
    }
}

/// What is still to come.
struct Waiting {
    records: Vec<(Duration, usize, usize, Kind, Duration, i64)>,
    events: Vec<(Duration, Event)>,
    ends: Vec<(Duration, End)>,
    last: Duration,
}

enum End {
    Storm,
    Door(usize),
    Down,
    WritesBlocked,
}

impl Waiting {
    fn new(schedule: &Schedule) -> Self {
        let records = schedule.attacks.iter().enumerate().flat_map(|(number, attack)| {
            let records = attack.records.iter().enumerate();
            records
                .map(move |(part, time)| (*time, number, part, attack.kind, attack.found_after, attack.skew))
        });
        Self {
            records: records.collect(),
            events: schedule.events.clone(),
            ends: vec![(STORM, End::Storm)],
            last: STORM,
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        let is_empty = self.records.is_empty() && self.events.is_empty() && self.ends.is_empty();
        is_empty && now >= self.last + SETTLING
    }

    fn bring(
        &mut self,
        world: &World,
        up: &watch::Sender<bool>,
        doors: &[Door],
        orders: &[mpsc::Sender<Event>],
    ) {
        let now = world.began.elapsed();
        for (time, number, part, kind, found_after, skew) in self.records.extract_if(.., |it| it.0 <= now) {
            self.last = self.last.max(now);
            store(world, time, number, part, kind, found_after, skew);
        }
        for (_, end) in self.ends.extract_if(.., |(time, _)| *time <= now) {
            self.last = self.last.max(now);
            let mut inner = world.lock();
            match end {
                End::Storm => inner.likelihood = 0.0,
                End::Door(who) => drop(doors[who].passing.send_replace(Passing::Open)),
                End::Down => drop(up.send_replace(true)),
                End::WritesBlocked => inner.writes_are_blocked = false,
            }
        }
        for (_, event) in self.events.extract_if(.., |(time, _)| *time <= now) {
            let mut inner = world.lock();
            inner.tell(format!("{event:?}"));
            match event {
                Event::Kill(who) | Event::Stop(who) => drop(orders[who].try_send(event)),
                Event::LeaseLost => {
                    inner.meet("two lead");
                    inner.give_lease_away();
                }
                Event::LeaseDeleted => {
                    inner.meet("lease deleted");
                    inner.delete_lease();
                }
                Event::Door(who, passing, lasts) => {
                    inner.meet(passing.name());
                    doors[who].passing.send_replace(passing);
                    self.ends.push((now + lasts, End::Door(who)));
                }
                Event::Down(lasts) => {
                    inner.meet("opensearch: down");
                    up.send_replace(false);
                    self.ends.push((now + lasts, End::Down));
                }
                Event::WritesBlocked(lasts) => {
                    inner.meet("opensearch: writes blocked");
                    inner.writes_are_blocked = true;
                    self.ends.push((now + lasts, End::WritesBlocked));
                }
            }
        }
    }
}

impl Passing {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::CutOff => "cut off",
            Self::Frozen => "frozen",
            Self::AnswersLost => "answers lost",
            Self::BulksFrozen => "decisions frozen",
        }
    }
}

fn store(
    world: &World,
    time: Duration,
    number: usize,
    part: usize,
    kind: Kind,
    found_after: Duration,
    skew: i64,
) {
    let stored = time.saturating_sub(found_after);
    let happened = match (kind, part) {
        (Kind::Replayed, 0) => -A_YEAR,
        (Kind::Replayed | Kind::Late, _) => -THREE_DAYS,
        _ => -60,
    };
    let happened = at(stored, happened);
    let level = match (kind, part) {
        (Kind::Critical | Kind::Late | Kind::Replayed | Kind::Soon | Kind::Joining, _)
        | (Kind::Escalating | Kind::Tied, 1)
        | (Kind::Hidden, FLOOD) => Some("critical"),
        (Kind::Escalating, _) => Some("high"),
        (Kind::Hidden, _) => Some("informational"),
        (Kind::Weak | Kind::Tied, _) => Some("low"),
        (Kind::Correlated, _) => None,
    };
    let rule = if level.is_some() {
        let number = match kind {
            Kind::Hidden => part / 2,
            Kind::Joining => 0,
            _ => part,
        };
        format!("00000000-0000-4000-8000-{:012}", 100 + number)
    } else {
        ORDINARY.to_owned()
    };
    let origin = match (kind, part) {
        (Kind::Joining, 1) | (Kind::Tied, 0) => another(number),
        _ => origin(number),
    };
    let notebook = |which: usize| format!("notebook-{number}-{which}");
    let ties: Vec<String> = match (kind, part) {
        (Kind::Joining, _) => vec![notebook(0)],
        (Kind::Tied, 0) => vec![notebook(MANY_TIES - 1)],
        (Kind::Tied, _) => (0..MANY_TIES).map(notebook).collect(),
        _ => Vec::new(),
    };
    let mut source = json!({
        "@timestamp": happened, "message": format!("{origin} did it"),
        "event": {"id": format!("{number}-{part}"), "outcome": "success", "ingested": at(stored, skew), "action": "DescribeModel"},
        "cloud": {"account": {"id": "950000000001"}, "region": "eu-central-1"}, "source": {"address": "203.0.113.5"},
        "rule": {"id": [rule]},
        "sagemaker": {"categories": ["configuration-change"], "alert": {
            "origin": origin, "principal": origin, "identity": origin, "resource": format!("resource-{number}"),
            "selves": [tie_key(&origin)], "ties": ties
        }}
    });
    if (kind, part) == (Kind::Replayed, 1) {
        source["tags"] = json!(["replay"]);
    }
    if let Some(level) = level {
        source["sagemaker"]["findings"] =
            json!([{"id": rule, "title": format!("Rule {part}"), "level": level}]);
    }
    let mut inner = world.lock();
    inner.tell(format!("record {part} of attack {number} is found"));
    inner.write("create", EVENTS, &format!("document-{number}-{part}"), None, source);
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("World")
    }
}
