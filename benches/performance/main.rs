//! How fast sagetrail ships: ratios between things that are measured in one run on one machine, by processor time.
//!
//! What takes part in a ratio takes turns within each round, and the ratio is the median over the rounds, so that a
//! machine whose speed drifts does not move it. `docs/performance.md` explains the table.

#![expect(clippy::cast_precision_loss, reason = "figures of a table have a few digits")]

mod core;
mod shipper;
mod loopback;
#[allow(dead_code, reason = "the tests use more of the queue")]
#[path = "../../tests/support/sqs.rs"]
mod sqs;
mod cluster;
#[allow(dead_code, reason = "the other benchmark grows the rules in more ways")]
#[path = "../rules/growth.rs"]
mod growth;
mod trail;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use sagetrail::config::Scope;
use sagetrail::enrich::Enricher;

use cluster::Cluster;
use growth::Growth;
use loopback::Loopback;
use shipper::{Cost, Shipper};
use trail::{Shape, Trail};

/// Records of SageMaker among a hundred: an organisation's trail, a data science account's, and one of SageMaker alone.
const SHARES: [usize; 3] = [1, 10, 100];
/// What is shipped of which trail, and how many times as fast as the fastest script that has to be.
const SHIPPED: [(usize, &str, f64); 4] =
    [(1, "related", 12.0), (10, "related", 4.0), (100, "related", 1.2), (1, "all", 1.5)];
const ROUNDS: usize = 5;
/// What memory knows for a minute is shipped within it, and all of it fits into the cache.
const KNOWN: Shape = Shape { files: 1, records: 1_000, share: 100 };
const ROUNDS_KNOWN: usize = 45;
/// Fewer where a round takes a minute.
const FEW_ROUNDS: usize = 3;
const CORE: Shape = Shape { files: 20, records: 1_000, share: 0 };
const BACKLOG: Shape = Shape { files: 200, records: 1_000, share: 0 };
const PEAK_MEGABYTES: f64 = 100.0;
/// How much processor time memory may cost, times that without.
const MOST_FOR_MEMORY: f64 = 1.15;

/// What can be measured by itself, in the order of the table.
const PARTS: [&str; 6] = ["core", "shipping", "memory", "cluster", "growth", "latency"];

fn main() -> ExitCode {
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    if let Some(unknown) = only.as_deref().filter(|only| !PARTS.contains(only)) {
        eprintln!("the benchmark has no part {unknown:?}; it has {}", PARTS.join(", "));
        return ExitCode::from(2);
    }
    let runs = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    table::begin();
    if runs("core") {
        measure_core();
    }
    if runs("shipping") {
        runtime.block_on(measure_shipping());
    }
    if runs("memory") {
        runtime.block_on(measure_memory());
    }
    if runs("cluster") {
        runtime.block_on(measure_cluster());
    }
    if runs("growth") {
        measure_rules();
        runtime.block_on(measure_growth());
        runtime.block_on(measure_daemons());
    }
    if runs("latency") {
        runtime.block_on(measure_latency());
    }
    ExitCode::SUCCESS
}

/// From the bytes of a file to the body of a bulk, against merely decompressing the same files.
fn measure_core() {
    let enricher = Enricher::built_in(Scope::Related);
    for (share, goal) in SHARES.into_iter().zip([1.2, 0.6, 0.12]) {
        let trail = Trail::generate(Shape { share, ..CORE });
        let rounds: Vec<[f64; 3]> = (0..ROUNDS)
            .map(|_| {
                let pass = core::ship(&trail, &enricher);
                assert_eq!(pass.selected, trail.selected, "only SageMaker's records are selected");
                [core::gunzip(&trail), core::libdeflate(&trail), pass.seconds]
            })
            .collect();
        let megabytes = megabytes(&trail);
        let compression = trail.raw_bytes() as f64 / trail.gzip_bytes() as f64;
        table::note(&format!("{share} % of SageMaker, {megabytes:.0} MB raw, {compression:.1}:1"));
        for (way, name) in ["flate2 streams", "libdeflate inflates", "the core"].into_iter().enumerate() {
            table::speed(name, median(rounds.iter().map(|round| megabytes / round[way])), "MB/s");
        }
        let times = |floor: usize| median(rounds.iter().map(|round| round[floor] / round[2]));
        table::ratio("the core, times flate2's speed", times(0), Some(goal));
        table::ratio("the core, times libdeflate's speed", times(1), None);
    }
}

/// The daemon and two scripts end to end, in raw megabytes for each second of their processor time.
async fn measure_shipping() {
    let python = std::env::var_os("SAGETRAIL_BENCH_PYTHON").map(PathBuf::from);
    if python.is_none() {
        table::note("the scripts are skipped: SAGETRAIL_BENCH_PYTHON names no Python with their packages");
    }
    for (share, scope, goal) in SHIPPED {
        let mut trail = Trail::generate(Shape { share, ..BACKLOG });
        if scope == "all" {
            trail.selected = BACKLOG.files * BACKLOG.records;
        }
        let daemon = |loopback: &Loopback| Shipper::daemon_with_scope(scope, loopback);
        let (mut floors, mut daemons, mut scripts) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..FEW_ROUNDS {
            floors.push(core::gunzip(&trail));
            daemons.push(shipper::ship(&trail, daemon).await);
            for (packages, costs) in SCRIPTS.into_iter().zip(&mut scripts) {
                if let Some(python) = &python {
                    let script = |loopback: &Loopback| Shipper::script(python, packages, scope, loopback);
                    costs.push(shipper::ship(&trail, script).await);
                }
            }
        }
        let megabytes = megabytes(&trail);
        table::note(&format!("end to end, {share} % of SageMaker, scope {scope}, {megabytes:.0} MB raw"));
        let speed = |costs: &[Cost]| median(costs.iter().map(|cost| megabytes / cost.cpu_seconds));
        table::speed("the daemon", speed(&daemons), "MB/CPU-s");
        let times = floors.iter().zip(&daemons).map(|(floor, daemon)| floor / daemon.cpu_seconds);
        table::ratio("the daemon, times flate2's speed", median(times), None);
        for (packages, costs) in SCRIPTS.into_iter().zip(&scripts).filter(|(_, costs)| !costs.is_empty()) {
            table::speed(&format!("boto3 with {packages}"), speed(costs), "MB/CPU-s");
            let times =
                costs.iter().zip(&daemons).map(|(script, daemon)| script.cpu_seconds / daemon.cpu_seconds);
            let goal = (packages == FASTEST).then_some(goal);
            table::ratio(&format!("the daemon, times boto3 with {packages}"), median(times), goal);
        }
        table::speed(
            "the daemon, by the clock",
            median(daemons.iter().map(|cost| megabytes / cost.wall_seconds)),
            "MB/s",
        );
        memory("the daemon's peak memory", &daemons);
    }
}

/// The daemon end to end with memory, of which it has all at hand, and without.
async fn measure_memory() {
    let trails = Trail::generate_rounds(KNOWN, ROUNDS_KNOWN);
    let mut rounds = Vec::new();
    for _ in 0..FEW_ROUNDS {
        rounds.push(shipper::ship_known(&trails, [Shipper::daemon, Shipper::daemon_without_memory]).await);
    }
    table::note("memory end to end, 100 % of SageMaker, all of it known");
    let records = trails[shipper::ROUNDS_OF_TURN..].iter().map(|trail| trail.selected).sum::<usize>() as f64;
    for (way, name) in ["with memory", "without memory"].into_iter().enumerate() {
        let microseconds = rounds.iter().map(|round| 1e6 * round[way] / records);
        table::speed(&format!("processor time for a record, {name}"), median(microseconds), "µs");
    }
    let times = rounds.iter().map(|[with, without]| with / without);
    table::most("with memory, times without", median(times), "times", MOST_FOR_MEMORY);
}

/// What `shipper.py` may use.
const SCRIPTS: [&str; 2] = ["json", FASTEST];
const FASTEST: &str = "orjson";

/// A real OpenSearch, filled by the daemon and by a client that sends the same bodies and does nothing else.
async fn measure_cluster() {
    let Some(cluster) = Cluster::running() else {
        table::note("OpenSearch is skipped: there is none in the environment; run it with `make bench`");
        return;
    };
    let trail = Trail::generate(Shape { share: 100, ..CORE });
    let mut loopback = Loopback::serve(&trail).await;
    loopback.opensearch.clone_from(&cluster.url);
    let bodies = core::bodies(&trail, &Enricher::built_in(Scope::Related));
    let bytes: usize = bodies.iter().map(bytes::Bytes::len).sum();
    table::note(&format!(
        "into OpenSearch, {} documents in {} MB of bulks",
        trail.selected,
        bytes / 1_000_000
    ));

    // The daemon installs the templates, and a Java machine becomes quicker with what it has done.
    let daemon = [Shipper::daemon(&loopback)];
    shipper::clear_backlog(&loopback, &trail, &daemon).await;
    let mut rounds = Vec::new();
    for _ in 0..FEW_ROUNDS {
        let mut bare = f64::INFINITY;
        for at_once in cluster::AT_ONCE {
            cluster.clear().await;
            bare = bare.min(cluster.fill(&bodies, at_once).await);
        }
        cluster.clear().await;
        let shipped = shipper::clear_backlog(&loopback, &trail, &daemon).await.wall_seconds;
        assert_eq!(cluster.records().await, trail.selected, "every record is stored once");
        rounds.push([bare, shipped]);
    }
    cluster.clear().await;
    for (way, name) in ["a bare client, at its fastest", "the daemon"].into_iter().enumerate() {
        table::speed(name, median(rounds.iter().map(|round| trail.selected as f64 / round[way])), "1/s");
    }
    table::ratio(
        "the daemon, times a bare client",
        median(rounds.iter().map(|[bare, shipped]| bare / shipped)),
        None,
    );
}

/// What four times the rules cost, when three quarters of them are for other services and operations.
fn measure_rules() {
    table::note("growth of the rules");
    for (growth, name) in
        [(Growth::OtherServices, "other services"), (Growth::OtherOperations, "other operations")]
    {
        let sets = [growth::grown(growth, 1), growth::grown(growth, 4)];
        for share in [1, 100] {
            let trail = Trail::generate(Shape { share, ..CORE });
            let slower = (0..ROUNDS).map(|_| {
                let [one, four] = [0, 1].map(|set| core::ship(&trail, &sets[set]).seconds);
                one / four
            });
            let name = format!("4 times the rules, for {name}, {share} %: speed");
            table::ratio(&name, median(slower), None);
        }
    }
}

/// What more files and larger ones cost: processor time for each raw megabyte, and memory.
async fn measure_growth() {
    let base = Trail::generate(Shape { files: 100, records: 1_000, share: 10 });
    let trails = [
        ("100 files", base.repeated(1)),
        ("10 times the files", base.repeated(10)),
        ("files 10 times as large", Trail::generate(Shape { files: 10, records: 10_000, share: 10 })),
        ("files a tenth as large", Trail::generate(Shape { files: 1_000, records: 100, share: 10 })),
    ];
    table::note("growth, 10 % of SageMaker");
    let mut costs = trails.each_ref().map(|_| Vec::new());
    for _ in 0..FEW_ROUNDS {
        for ((_, trail), costs) in trails.iter().zip(&mut costs) {
            costs.push(shipper::ship(trail, Shipper::daemon).await);
        }
    }
    for ((name, trail), costs_of_trail) in trails.iter().zip(&costs) {
        let speed = |trail: &Trail, cost: &Cost| megabytes(trail) / cost.cpu_seconds;
        let times = costs_of_trail
            .iter()
            .zip(&costs[0])
            .map(|(cost, first)| speed(trail, cost) / speed(&trails[0].1, first));
        table::ratio(&format!("{name}: speed"), median(times), None);
        memory(&format!("{name}: peak memory"), costs_of_trail);
    }
}

/// One daemon on one processor, and two on two.
async fn measure_daemons() {
    let trail = Trail::generate(Shape { share: 10, ..BACKLOG });
    let (mut by_cpu, mut by_clock) = (Vec::new(), Vec::new());
    for _ in 0..FEW_ROUNDS {
        let one = shipper::ship_side_by_side(&trail, 1).await;
        let two = shipper::ship_side_by_side(&trail, 2).await;
        by_cpu.push(2.0 * one.cpu_seconds / two.cpu_seconds);
        by_clock.push(one.wall_seconds / two.wall_seconds);
    }
    table::note("two daemons, each on a processor of its own");
    table::ratio("times one daemon, by processor time", median(by_cpu.into_iter()), Some(1.8));
    table::ratio("times one daemon, by the clock, beside the servers", median(by_clock.into_iter()), None);
}

async fn measure_latency() {
    table::note("a lone record in an idle queue");
    let lone = Shape { files: 10, records: 1, share: 100 };
    let seconds = shipper::latencies(&Trail::generate(lone)).await;
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    table::most("from its notification to its bulk, at worst", worst, "s", 2.0);
    table::note("a backlog of files with one record each");
    let trail = Trail::generate(Shape { files: 1_000, ..lone });
    let cost = shipper::ship(&trail, Shipper::daemon).await;
    table::speed("files a second", trail.files.len() as f64 / cost.wall_seconds, "1/s");
    table::speed("processor time for a file", 1e3 * cost.cpu_seconds / trail.files.len() as f64, "ms");
}

fn memory(name: &str, costs: &[Cost]) {
    let peak = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default();
    table::most(name, peak as f64 / 1e6, "MB", PEAK_MEGABYTES);
}

fn megabytes(trail: &Trail) -> f64 {
    trail.raw_bytes() as f64 / 1e6
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
