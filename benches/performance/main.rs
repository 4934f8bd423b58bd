//! How fast sagetrail ships: ratios between things that are measured in one run on one machine, by processor time.
//!
//! What takes part in a ratio takes turns within each round, and the ratio is the median over the rounds, so that a
//! machine whose speed drifts does not move it. `docs/performance.md` explains the table.

#![expect(clippy::cast_precision_loss, reason = "figures of a table have a few digits")]

mod core;
#[allow(dead_code, reason = "the other benchmark grows the rules in more ways")]
#[path = "../rules/growth.rs"]
mod growth;
mod table;
mod trail;

use sagetrail::config::Scope;
use sagetrail::enrich::Knowledge;

use growth::Growth;
use trail::{Shape, Trail};

/// Records of SageMaker among a hundred: an organisation's trail, a data science account's, and one of SageMaker alone.
const SHARES: [usize; 3] = [1, 10, 100];
const ROUNDS: usize = 5;
const CORE: Shape = Shape { files: 20, records: 1_000, share: 0 };

fn main() {
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let runs = |part: &str| only.as_deref().is_none_or(|only| only == part);
    table::begin();
    if runs("core") {
        measure_core();
    }
    if runs("growth") {
        measure_rules();
    }
}

/// From the bytes of a file to the body of a bulk, against merely decompressing the same files.
fn measure_core() {
    let knowledge = Knowledge::built_in(Scope::Related);
    for (share, goal) in SHARES.into_iter().zip([1.2, 0.6, 0.12]) {
        let trail = Trail::generate(Shape { share, ..CORE });
        let rounds: Vec<[f64; 3]> = (0..ROUNDS)
            .map(|_| {
                let pass = core::ship(&trail, &knowledge);
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

fn megabytes(trail: &Trail) -> f64 {
    trail.raw_bytes() as f64 / 1e6
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
