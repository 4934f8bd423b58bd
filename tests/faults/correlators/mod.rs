//! Correlators under any fault: each attack pages as often as it should, whatever becomes of those who correlate.
//!
//! A seed makes a schedule: who does what when, how far off the clocks are, and what goes wrong. Two or three whole
//! correlators then run on Tokio's paused clock beside an OpenSearch that keeps state and answers what they ask. Pages
//! are what monitors would see of the incidents that were ever written.
//!
//! `SAGETRAIL_CORRELATOR_SEED=17` replays one schedule and, with `--nocapture`, tells what happened in it;
//! `SAGETRAIL_CORRELATOR_SEEDS=100..500` runs others than the usual.

mod aggregated;
mod asked;
mod run;
mod schedule;
mod server;
mod store;

use std::collections::BTreeMap;
use std::ops::Range;

use run::{Outcome, run, run_schedule};
use schedule::{Kind, Schedule};

const SEEDS: Range<u64> = 0..40;
/// Beside those that run seeds.
const FIXED_WORKER: usize = 90;

/// Every fault. One that no schedule met would test nothing.
const FAULTS: [&str; 14] = [
    "killed",
    "stopped",
    "two lead",
    "cut off",
    "frozen",
    "answers lost",
    "decisions frozen",
    "lease deleted",
    "opensearch: down",
    "opensearch: writes blocked",
    "opensearch: status",
    "opensearch: reset",
    "opensearch: reset after storing",
    "opensearch: delayed",
];

#[test]
fn whatever_becomes_of_correlators_no_page_is_lost_and_none_is_doubled_and_none_is_of_a_replay() {
    if let Some(seed) = crate::variable("SAGETRAIL_CORRELATOR_SEED") {
        let outcome = run(seed.parse().expect("a seed is a number"), 0);
        println!("{}", outcome.story.join("\n"));
        assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
        return;
    }
    let seeds = crate::variable("SAGETRAIL_CORRELATOR_SEEDS").map_or(SEEDS, |text| crate::seeds(&text));
    let outcomes = crate::on_all_processors(&seeds, run);
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).collect();
    for outcome in &failed {
        println!("seed {}: {}", outcome.seed, outcome.broken.join("; "));
    }
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();
    for (fault, times) in outcomes.iter().flat_map(|outcome| &outcome.met) {
        *met.entry(fault).or_default() += times;
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    println!(
        "{} schedules, {} pages, {} of them the second of their incident, {} versions of incidents; {met:?}",
        outcomes.len(),
        sum(|outcome| outcome.pages),
        sum(|outcome| outcome.escalated),
        sum(|outcome| outcome.versions),
    );
    assert!(failed.is_empty(), "{} of {} schedules broke the promise", failed.len(), outcomes.len());
    let unmet: Vec<&&str> = FAULTS.iter().filter(|fault| !met.contains_key(**fault)).collect();
    assert!(unmet.is_empty() || seeds != SEEDS, "faults that no schedule met: {unmet:?}");
    assert!(sum(|outcome| outcome.escalated) > 0 || seeds != SEEDS, "no schedule saw an incident escalate");
}

#[test]
fn no_late_decision_replaces_a_later_one_and_neither_a_flood_nor_blocked_writes_hide_a_finding() {
    let schedules: [(&str, Schedule, u64); 7] = [
        ("a critical finding behind a flood of others", Schedule::of_a_hidden_finding(), 1),
        ("a late decision", Schedule::of_a_late_decision(), 2),
        ("writes that are blocked for long", Schedule::of_long_blocked_writes(), 1),
        ("a round that nobody remembers", Schedule::of_a_forgotten_round(), 1),
        ("a second rule soon after a page", Schedule::of_a_second_page(Kind::Soon), 2),
        ("somebody else soon after a page", Schedule::of_a_second_page(Kind::Joining), 2),
        ("more ties than one question holds", Schedule::of_many_ties(), 1),
    ];
    for (what, schedule, pages) in schedules {
        let outcome = run_schedule(0, FIXED_WORKER, schedule, fastrand::Rng::with_seed(0));
        assert!(outcome.broken.is_empty(), "{what}: {:#?}\n{}", outcome.broken, outcome.story.join("\n"));
        assert_eq!(outcome.pages, pages, "{what}: {}", outcome.story.join("\n"));
    }
}
