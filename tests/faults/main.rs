//! The main promise under any fault: each distinct selected record is in OpenSearch exactly once, or its message is
//! still on a queue, or it is in the rejected index with its reason.
//!
//! A seed makes a schedule: what lies in S3, who notifies what, how the daemons are set up, and what goes wrong when.
//! One or two whole daemons then run on Tokio's paused clock against fakes that keep state: SQS and S3 in the place of
//! the SDK's transport, OpenSearch as a server on loopback. Hours pass in milliseconds. The promise is checked whenever
//! a message is deleted, and at the end. So is memory: it is what the records tell that were shipped, whatever the
//! order.
//!
//! `SAGETRAIL_FAULT_SEED=17` replays one schedule and, with `--nocapture`, tells what happened in it;
//! `SAGETRAIL_FAULT_SEEDS=1000..5000` runs others than the usual.

mod clock;
mod correlators;
mod schedule;
mod world;
mod remembered;
mod queue;
mod aws;
mod cluster;
mod run;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use run::{Outcome, run, run_schedule};
use schedule::{Memory, STORM, Schedule};
use tokio::time::Instant;

const USUAL_SEEDS: Range<u64> = 0..1_000;
/// A worker of its own for the test that runs beside the schedules.
const LONE_WORKER: usize = 200;

/// Every fault, as the fakes and the schedule name it. One that no schedule met would test nothing.
const FAULTS: &[&str] = &[
    "sqs: throttled",
    "sqs: server error",
    "sqs: connection failed",
    "sqs: delayed",
    "sqs: no answer at all",
    "sqs: answer lost",
    "sqs: answer cut",
    "sqs: nothing received",
    "sqs: delete lost",
    "sqs: delete entries failed",
    "sqs: delete entries missing",
    "s3: SlowDown",
    "s3: server error",
    "s3: denied",
    "s3: connection failed",
    "s3: name not resolved",
    "s3: delayed",
    "s3: no answer at all",
    "s3: body shorter than announced",
    "s3: body broken off",
    "s3: body stalled",
    "s3: object cut",
    "opensearch: request status",
    "opensearch: too large",
    "opensearch: reset before",
    "opensearch: reset after storing",
    "opensearch: stored and answered too late",
    "opensearch: delayed",
    "opensearch: answer cut on the wire",
    "opensearch: half an answer",
    "opensearch: items not taken",
    "opensearch: items stored and denied",
    "opensearch: conflict of updates",
    "opensearch: recall delayed",
    "opensearch: recall refused",
    "opensearch: recall reset",
    "opensearch: recall lacks a document",
    "opensearch: recall in another order",
    "opensearch: recall with an error",
    "opensearch: recall cut",
    "opensearch: recall of a proxy",
    "opensearch: items swapped",
    "opensearch: item missing",
    "opensearch: item without meaning",
    "opensearch: part stored, then an error",
    "opensearch: a proxy's page",
    "opensearch: down",
    "opensearch: writes blocked",
    "visibility expired early",
    "credentials rotated",
    "credentials expired",
    "clock moved",
    "clock too far off",
    "daemon killed",
    "daemon stopped",
];

#[test]
fn under_any_schedule_of_faults_each_record_is_stored_once_or_still_queued_or_rejected() {
    static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let usual_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.lock().unwrap().push(panic.to_string());
        usual_hook(panic);
    }));

    if let Some(seed) = variable("SAGETRAIL_FAULT_SEED") {
        let seed = seed.parse().expect("a seed is a number");
        let outcome = run(seed, 0);
        println!("{}\n{outcome:#?}", outcome.story.join("\n"));
        assert!(outcome.broken.is_empty() && PANICS.lock().unwrap().is_empty(), "seed {seed}");
        return;
    }
    let seeds = variable("SAGETRAIL_FAULT_SEEDS").map_or(USUAL_SEEDS, |text| self::seeds(&text));
    println!("seeds {seeds:?}");
    let began = Instant::now();
    let mut outcomes = on_all_processors(&seeds, run);
    outcomes.sort_by_key(|outcome| outcome.seed);
    report(&outcomes, began);

    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).collect();
    for outcome in &failed {
        println!("seed {}: {}", outcome.seed, outcome.broken.join("; "));
        println!("  replay it with SAGETRAIL_FAULT_SEED={} cargo test --test faults", outcome.seed);
    }
    assert!(failed.is_empty(), "{} of {} schedules broke the promise", failed.len(), outcomes.len());
    assert!(PANICS.lock().unwrap().is_empty(), "something panicked: {:?}", PANICS.lock().unwrap());
    let met = met(&outcomes);
    let unmet: Vec<_> = FAULTS.iter().filter(|fault| !met.contains_key(*fault)).collect();
    let unknown: Vec<_> = met.keys().filter(|fault| !FAULTS.contains(fault)).collect();
    assert!(unknown.is_empty(), "faults that are not listed: {unknown:?}");
    assert!(unmet.is_empty() || seeds != USUAL_SEEDS, "faults that no schedule met: {unmet:?}");
}

/// Runs the schedules on every processor. Each has a thread of its own for its whole life, so its seed alone decides.
fn on_all_processors<O: Send>(seeds: &Range<u64>, run: fn(u64, usize) -> O) -> Vec<O> {
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for worker in 0..processors {
            let (next, outcomes) = (&next, &outcomes);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, worker);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

fn met(outcomes: &[Outcome]) -> BTreeMap<&'static str, u64> {
    let mut met = BTreeMap::new();
    for (&fault, &times) in outcomes.iter().flat_map(|outcome| &outcome.met) {
        *met.entry(fault).or_default() += times;
    }
    met
}

fn report(outcomes: &[Outcome], began: Instant) {
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    println!(
        "{} schedules in {:.0?}: {} virtual hours, {} messages deleted and {} left, {} documents stored, {} rejected",
        outcomes.len(),
        began.elapsed(),
        sum(|outcome| outcome.lasted.as_secs()) / 3_600,
        sum(|outcome| outcome.deleted),
        sum(|outcome| outcome.left),
        sum(|outcome| outcome.stored),
        sum(|outcome| outcome.rejected),
    );
    for (fault, times) in met(outcomes) {
        println!("{times:>7} {fault}");
    }
}

fn seeds(text: &str) -> Range<u64> {
    let (first, end) = text.split_once("..").expect("seeds are written FIRST..END");
    first.parse().expect("a number")..end.parse().expect("a number")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[test]
fn neither_a_lone_record_nor_a_backlog_of_objects_with_one_each_waits_for_a_bulk_to_age() {
    const BACKLOG: usize = 300;
    let mut times = vec![Duration::ZERO; BACKLOG];
    times.extend([30, 60, 90].map(Duration::from_secs));
    let outcome = run_schedule(Schedule::of_lone_records(&times), 0, LONE_WORKER);
    assert!(outcome.broken.is_empty(), "{outcome:?}");
    assert_eq!((outcome.stored, outcome.left), (times.len() as u64, 0), "{outcome:?}");
    // A bulk ages for an hour.
    assert!(outcome.lasted < STORM + Duration::from_secs(10), "{outcome:?}");
}

#[test]
fn a_memory_that_never_answers_delays_nothing() {
    let last = last_deleted(Memory::Silent, LONE_WORKER + 1);
    // If each waited for its recall, they would take longer than the storm.
    assert!(last < Duration::from_secs(30), "{last:?}");
}

#[test]
fn small_objects_do_not_wait_for_one_another_while_memory_is_slow() {
    let slow = Duration::from_millis(400);
    let last = last_deleted(Memory::Slow(slow), LONE_WORKER + 2);
    // Twenty at once would be too few.
    assert!(last < slow * u32::try_from(BACKLOG).expect("hundreds") / 20, "{last:?}");
}

/// Objects that wait at the start, each with one record.
const BACKLOG: usize = 300;

/// When the last of many lone records was shipped whose recall is answered so.
fn last_deleted(memory: Memory, worker: usize) -> Duration {
    let mut schedule = Schedule::of_lone_records(&[Duration::ZERO; BACKLOG]);
    schedule.memory = memory;
    let outcome = run_schedule(schedule, 0, worker);
    assert!(outcome.broken.is_empty(), "{outcome:?}");
    assert_eq!((outcome.stored, outcome.left), (BACKLOG as u64, 0), "{outcome:?}");
    assert!(outcome.lasted < STORM + Duration::from_secs(10), "{outcome:?}");
    let last = outcome.story.iter().rfind(|line| line.contains(" deleted ")).expect("messages are deleted");
    let last: f64 = last.trim().split(' ').next().expect("a time").parse().expect("a number");
    println!("{BACKLOG} objects took {last} s while memory was {memory:?}");
    Duration::from_secs_f64(last)
}

#[test]
fn a_seed_makes_the_same_schedule_each_time() {
    for seed in 0..20 {
        let (first, second) = (Schedule::new(seed), Schedule::new(seed));
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}
