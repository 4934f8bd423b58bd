//! What is compared with the days before.

use std::sync::LazyLock;

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::{Correlation, GroupKey, History, Match, Point, START, Usual, correlation, point};

const MEMBERS: &str =
    "type: event_count\nrules: [a]\ngroup-by: [user.name]\ntimespan: 1h\ncondition: {gte: 10}";
const RHYTHM: &str = "rhythm: {history_days: 7, known_days: 3, times: 3}";
const DAY: i64 = 86_400;

static FLOOD: LazyLock<Correlation> = LazyLock::new(|| {
    let text = format!("{}{RHYTHM}\n", super::document(MEMBERS));
    let rules = super::load_text(&text, |_| {}).unwrap_or_else(|error| panic!("{error}"));
    rules.correlations().get(super::ID).expect("it is loaded").clone()
});

/// So many calls within half an hour, so many days after the start.
fn burst(day: i64, count: i64) -> Vec<Point> {
    later(day, count, 0)
}

/// The same, so many seconds later.
fn later(day: i64, count: i64, seconds: i64) -> Vec<Point> {
    let id = |number: i64| format!("{day:03}-{number:05}");
    let at = |number: i64| day * DAY + seconds + number * 1_800 / count.max(1);
    (0..count).map(|number| point(&id(number), at(number), &[0], &[("user.name", "ann")])).collect()
}

fn days(counts: &[i64]) -> Vec<Point> {
    (0..).zip(counts).flat_map(|(day, count)| burst(day, *count)).collect()
}

fn key() -> GroupKey {
    GroupKey(vec!["ann".to_owned()])
}

fn on_day(day: i64, points: &[Point]) -> Vec<Match> {
    let mut found = FLOOD.matches(&key(), &points.iter().collect::<Vec<_>>());
    found.retain(|it| (it.fired - START).whole_seconds() / DAY == day);
    found
}

#[test]
fn a_count_is_compared_with_the_middle_of_the_busiest_hours_of_the_days_before() {
    let cases: [(&str, &[i64], Option<Usual>); 7] = [
        ("each day is like that", &[20, 20, 20, 20], None),
        ("a little more", &[20, 20, 20, 59], None),
        ("three times as much", &[20, 20, 20, 60], Some(Usual::Known { count: 20 })),
        (
            "what is usual is less than the condition asks for",
            &[1, 1, 1, 10],
            Some(Usual::Known { count: 1 }),
        ),
        ("one short of the condition", &[1, 1, 1, 9], None),
        // A flood of yesterday makes none of today usual.
        ("one day was a flood", &[20, 90, 20, 20, 60], Some(Usual::Known { count: 20 })),
        ("most days were", &[20, 90, 90, 90, 90], None),
    ];
    for (case, counts, expected) in cases {
        let day = i64::try_from(counts.len()).unwrap() - 1;
        let found = on_day(day, &days(counts));
        assert_eq!(found.first().map(|it| it.usual), expected.map(Some), "{case}");
    }
}

#[test]
fn while_too_few_days_are_known_the_condition_counts_alone() {
    let first = on_day(0, &burst(0, 10));
    assert_eq!(first[0].usual, Some(Usual::Unknown { days: 0 }));
    assert!(on_day(0, &burst(0, 9)).is_empty());
    let points = [days(&[1, 1]), burst(2, 10)].concat();
    assert_eq!(on_day(2, &points)[0].usual, Some(Usual::Unknown { days: 2 }));
    // What is longer ago than the history is not known.
    let points = [days(&[20, 20, 20]), burst(10, 20)].concat();
    assert_eq!(on_day(10, &points)[0].usual, Some(Usual::Unknown { days: 0 }));
}

#[test]
fn a_job_that_goes_on_into_the_next_hour_of_the_clock_is_one_job() {
    for minutes in (0..60).step_by(5) {
        let day = |day: i64, count: i64| later(day, count, minutes * 60);
        let before = [day(0, 40), day(1, 40), day(2, 40), day(3, 40)].concat();
        let usual = on_day(4, &[before.clone(), day(4, 200)].concat())[0].usual;
        assert_eq!(usual, Some(Usual::Known { count: 40 }), "at minute {minutes}");
        assert!(on_day(4, &[before, day(4, 100)].concat()).is_empty(), "at minute {minutes}");
    }
}

#[test]
fn the_comparison_is_read_whole_and_mistakes_are_refused_with_their_line() {
    let cases = [
        ("rhythm: {history_days: 0, known_days: 1, times: 3}", "between 1 and 60"),
        ("rhythm: {history_days: 2, known_days: 3, times: 3}", "`known_days` is between"),
        ("rhythm: {history_days: 7, known_days: 3, times: 0}", "`times` is between"),
        ("rhythm: {history_days: 7, known_days: 3}", "missing field `times`"),
        ("rhythm: {history_days: 7, known_days: 3, times: 3, hours: 2}", "unknown field `hours`"),
    ];
    for (rhythm, expected) in cases {
        let text = format!("{}{rhythm}\n", super::document(MEMBERS));
        let error = format!("{:?}", super::load_text(&text, |_| {}).unwrap_err());
        assert!(error.contains(expected) && error.contains("rhythm"), "{rhythm}: {error}");
    }
    let of_values =
        MEMBERS.replace("event_count", "value_count").replace("{gte: 10}", "{gte: 10, field: user.name}");
    let (uneven, odd) = (MEMBERS.replace("1h", "7h"), MEMBERS.replace("1h", "27s"));
    let often = MEMBERS.replace("1h", "2m");
    for (members, expected) in [
        (of_values, "for event_count"),
        (uneven, "divides a day"),
        (odd, "an even number of seconds"),
        (often, "5000 times the `timespan`"),
    ] {
        let text = format!("{}{RHYTHM}\n", super::document(&members));
        let error = format!("{:?}", super::load_text(&text, |_| {}).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
    assert!(correlation(MEMBERS).rhythm().is_none());
}

fn some_days() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(prop_oneof![Just(0), 1..30_i64, 30..120_i64], 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Counts in place of points, as OpenSearch answers with them, and no other points than those of candidates.
    #[test]
    fn the_points_between_candidates_are_enough(counts in some_days(), minutes in 0..60_i64) {
        let points: Vec<Point> =
            (0..).zip(&counts).flat_map(|(day, count)| later(day, *count, minutes * 60)).collect();
        let mut history = History::default();
        for together in points.chunk_by(|a, b| half_hour(a) == half_hour(b)) {
            history.insert(&FLOOD, half_hour(&together[0]), u64::try_from(together.len()).unwrap());
        }
        let whole = FLOOD.matches(&key(), &points.iter().collect::<Vec<_>>());
        let span = (START - Duration::days(1), START + Duration::days(20));
        let between = FLOOD.candidates(&history, span);
        let near: Vec<&Point> = points
            .iter()
            .filter(|point| between.is_some_and(|(from, to)| (from..=to).contains(&point.time)))
            .collect();
        prop_assert_eq!(FLOOD.matches_after(&key(), &near, &history), whole);
    }

    /// Whoever raises their calls slowly over a day has made none of it usual in the end.
    #[test]
    fn nobody_makes_a_flood_usual_on_its_own_day(usual in 4..20_i64, step in 1..6_i64) {
        let mut points = days(&[usual; 4]);
        let mut number = 0;
        for half_hour in 0..20_i64 {
            for call in 0..half_hour * step {
                let second = 4 * DAY - 6 * 3_600 + half_hour * 1_800 + call * 1_800 / (half_hour * step);
                points.push(point(&format!("ramp-{number:05}"), second, &[0], &[("user.name", "ann")]));
                number += 1;
            }
        }
        let midnight = START + Duration::days(4) - Duration::hours(12);
        let ramp = points.iter().filter(|point| point.id.starts_with("ramp") && point.time >= midnight);
        let found = FLOOD.matches(&key(), &points.iter().collect::<Vec<_>>());
        let reached = largest_hour(&ramp.map(|point| point.time).collect::<Vec<_>>());
        let is_told = found.iter().any(|it| it.fired >= midnight);
        prop_assert!(is_told || reached < (3 * usual).max(10), "{reached} calls an hour are not told");
    }
}

fn half_hour(point: &Point) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(point.time.unix_timestamp().div_euclid(1_800) * 1_800).unwrap()
}

/// The most within an hour.
fn largest_hour(times: &[OffsetDateTime]) -> i64 {
    let within = |end: &OffsetDateTime| {
        times.iter().filter(|time| **time >= *end - Duration::hours(1) && **time <= *end).count()
    };
    i64::try_from(times.iter().map(within).max().unwrap_or(0)).unwrap()
}
