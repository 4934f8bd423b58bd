//! What rules cost: microseconds per record with the built-in rules and with four and sixteen times as many.
//!
//! The further rules are copies of the built-in ones with ids of their own, in the ways in which a pack can grow: for
//! other services, for SageMaker's other operations, and, which no pack does, all for the same operations. All sizes of
//! a way take turns within each round, so that a ratio compares neighbours in time.

mod growth;

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sagetrail::config::ContentHash;
use sagetrail::decode::{Limits, Scratch, decode};
use sagetrail::enrich::catalogue::Catalogue;
use sagetrail::enrich::networks::Networks;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::sigma_event::SigmaEvent;
use sagetrail::enrich::unpacked::Unpacked;
use sagetrail::enrich::{Enricher, Origin, enrich};
use sagetrail::record::Record;
use time::OffsetDateTime;

use growth::{Growth, files, grown};

const SIZES: [usize; 3] = [1, 4, 16];
const ROUNDS: usize = 15;
/// Records of one mix; more only take longer.
const MOST_RECORDS: usize = 2_000;

fn main() {
    let mixes =
        [("fixtures", records(Path::new("tests/fixtures"))), ("real records", records(&real_records()))];
    println!(
        "{:<14} {:<18} {:<11} {:>9} {:>9} {:>9} {:>7} {:>7}",
        "records", "growth", "work", "1x µs", "4x µs", "16x µs", "4x/1x", "16x/1x"
    );
    for (growth, name) in [
        (Growth::OtherServices, "other services"),
        (Growth::OtherOperations, "other operations"),
        (Growth::SameOperations, "same operations"),
    ] {
        let sets = SIZES.map(|size| grown(growth, size));
        for (mix, records) in &mixes {
            if records.is_empty() {
                println!("{mix:<14} skipped: no such folder; name one in SAGETRAIL_TEST_RECORDS");
                continue;
            }
            report(mix, name, "evaluation", &sets, |set| evaluate(records, &set.rules));
            report(mix, name, "whole", &sets, |set| enrich_all(records, set));
        }
    }
}

/// Prints the medians over all rounds, per record, and of each round's ratios.
fn report(mix: &str, growth: &str, work: &str, sets: &[Enricher; 3], run: impl Fn(&Enricher) -> Duration) {
    let rounds: Vec<[f64; 3]> =
        (0..ROUNDS).map(|_| [0, 1, 2].map(|size| run(&sets[size]).as_secs_f64() * 1e6)).collect();
    let median = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let mut line = format!("{mix:<14} {growth:<18} {work:<11}");
    for size in 0..3 {
        let _ = write!(line, " {:>9.2}", median(&|round| round[size]));
    }
    for size in 1..3 {
        let _ = write!(line, " {:>7.2}", median(&|round| round[size] / round[0]));
    }
    println!("{line}");
}

/// The time that one record takes to be parsed already and meet the rules.
fn evaluate(records: &[Vec<u8>], rules: &RuleSet) -> Duration {
    let parsed: Vec<Record<'_>> = records.iter().filter_map(|raw| Record::parse(raw).ok()).collect();
    let unpacked: Vec<Unpacked> = parsed.iter().map(Unpacked::of).collect();
    let (catalogue, networks) = (Catalogue::built_in(), Networks::built_in());
    let start = processor_time();
    let mut matches = 0;
    for (record, unpacked) in parsed.iter().zip(&unpacked) {
        matches += rules.matches(&SigmaEvent::new(record, unpacked, &catalogue, &networks)).len();
    }
    std::hint::black_box(matches);
    per_record(start, records)
}

/// The time that one record takes from its bytes to its document, or to not being selected.
fn enrich_all(records: &[Vec<u8>], enricher: &Enricher) -> Duration {
    let origin = Origin { path: "bench", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    let start = processor_time();
    for raw in records {
        std::hint::black_box(enrich(raw, origin, enricher));
    }
    per_record(start, records)
}

/// Of this thread, so that other work on the machine hardly counts.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("less than a second");
    Duration::new(u64::try_from(time.tv_sec).expect("a clock that starts at nought"), nanoseconds)
}

fn per_record(start: Duration, records: &[Vec<u8>]) -> Duration {
    processor_time().saturating_sub(start) / u32::try_from(records.len()).expect("a mix is small")
}

fn real_records() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cloudtrail");
    std::env::var_os("SAGETRAIL_TEST_RECORDS").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

/// Records of the folder's files, evenly chosen where there are too many.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    let limits = Limits { uncompressed_bytes: 1 << 30, record_bytes: 8 << 20 };
    let mut records = Vec::new();
    for path in files(folder, ".json.gz") {
        let mut bytes = Vec::new();
        let mut file = std::fs::File::open(path).expect("a file of records can be opened");
        file.read_to_end(&mut bytes).expect("a file of records can be read");
        decode(&bytes, &limits, ContentHash::None, &mut Scratch::default(), |raw| {
            records.push(raw.to_vec());
            std::ops::ControlFlow::Continue(())
        });
    }
    let step = records.len().div_ceil(MOST_RECORDS).max(1);
    records.into_iter().step_by(step).collect()
}
