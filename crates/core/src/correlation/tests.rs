//! Correlations on made-up points, and against Sigma's library.

mod broken;
mod documents;
mod library;
mod rhythm;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::{Correlation, GroupKey, History, Match, Measure, Point, Usual};
use crate::enrich::rules::{RuleSet, RulesError};
use crate::settings::RulesConfig;

/// Three base rules, by the names of their calls.
const BASE: &str = "
title: A was called
name: a
id: aaaaaaaa-0000-4000-8000-000000000000
logsource: {product: aws}
detection:
  s: {eventName: A}
  condition: s
---
title: B was called
name: b
id: bbbbbbbb-0000-4000-8000-000000000000
logsource: {product: aws}
detection:
  s: {eventName: B}
  condition: s
---
title: C was called
name: c
id: cccccccc-0000-4000-8000-000000000000
logsource: {product: aws}
detection:
  s: {eventName: C}
  condition: s
---
title: D is silent
name: d
id: dddddddd-0000-4000-8000-000000000000
logsource: {product: aws}
detection:
  s: {'eventName|expand': '%nobody_configures_this%'}
  condition: s
";
const RULES: [&str; 3] = [
    "aaaaaaaa-0000-4000-8000-000000000000",
    "bbbbbbbb-0000-4000-8000-000000000000",
    "cccccccc-0000-4000-8000-000000000000",
];
const ID: &str = "c0c0c0c0-0000-4000-8000-000000000000";
const START: OffsetDateTime = datetime!(2026-11-10 12:00 UTC);

/// A correlation with the members of `correlation`.
fn document(members: &str) -> String {
    let members: Vec<String> = members.lines().map(|line| format!("  {line}\n")).collect();
    let members = members.concat();
    format!("title: Something is done often\nid: {ID}\nlevel: high\ncorrelation:\n{members}")
}

fn load_text(text: &str, change: impl FnOnce(&mut RulesConfig)) -> Result<RuleSet, RulesError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.yml"), BASE).unwrap();
    std::fs::write(folder.path().join("correlation.yml"), text).unwrap();
    let mut config = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    change(&mut config);
    RuleSet::load_site_alone(&config)
}

fn correlation(members: &str) -> Correlation {
    let rules = load_text(&document(members), |_| {}).unwrap_or_else(|error| panic!("{error}"));
    rules.correlations().get(ID).expect("it is loaded").clone()
}

/// A point some seconds after the start, at which rules matched, with values of fields.
fn point(id: &str, second: i64, rules: &[usize], values: &[(&str, &str)]) -> Point {
    let mut by_field: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (field, value) in values {
        by_field.entry((*field).to_owned()).or_default().push((*value).to_owned());
    }
    Point {
        time: START + Duration::seconds(second),
        id: id.to_owned(),
        rules: rules.iter().map(|rule| RULES[*rule].to_owned()).collect(),
        values: by_field,
    }
}

fn matches(correlation: &Correlation, key: &[&str], points: &[Point]) -> Vec<Match> {
    let key = GroupKey(key.iter().map(|value| (*value).to_owned()).collect());
    correlation.matches(&key, &points.iter().collect::<Vec<_>>())
}

/// First, fired and last in seconds after the start, events and value.
fn told(matches: &[Match]) -> Vec<(i64, i64, i64, usize, f64)> {
    let seconds = |time: OffsetDateTime| (time - START).whole_seconds();
    matches
        .iter()
        .map(|it| (seconds(it.first), seconds(it.fired), seconds(it.last), it.events, it.value))
        .collect()
}

const COUNT: &str = "type: event_count\nrules: [a]\ngroup-by: [user.name]\ntimespan: 1m\ncondition: {gte: 3}";

fn calls(seconds: &[i64]) -> Vec<Point> {
    let id = |(number, second): (usize, &i64)| {
        point(&format!("{number:03}"), *second, &[0], &[("user.name", "ann")])
    };
    seconds.iter().enumerate().map(id).collect()
}

#[test]
fn an_episode_lasts_for_as_long_as_the_condition_holds_and_begins_with_the_first_of_its_points() {
    type Case<'c> = (&'c [i64], Vec<(i64, i64, i64, usize, f64)>);
    let count = correlation(COUNT);
    let cases: [Case<'_>; 6] = [
        (&[0, 10], vec![]),
        (&[0, 10, 60], vec![(0, 60, 60, 3, 3.0)]),
        (&[0, 10, 61], vec![]),
        (&[0, 10, 20, 30, 40], vec![(0, 20, 40, 5, 5.0)]),
        (&[0, 10, 20, 100, 110, 120], vec![(0, 20, 20, 3, 3.0), (100, 120, 120, 3, 3.0)]),
        (&[0, 30, 60, 90, 120], vec![(0, 60, 120, 5, 3.0)]),
    ];
    for (seconds, expected) in cases {
        assert_eq!(told(&matches(&count, &["ann"], &calls(seconds))), expected, "{seconds:?}");
    }
    assert!(matches(&count, &["bob"], &calls(&[0, 1, 2])).is_empty(), "these are not his");
}

#[test]
fn an_episode_that_goes_on_is_another_match_each_day_so_that_no_more_than_a_day_has_to_be_read() {
    let count = correlation(COUNT);
    let half_a_minute_apart: Vec<i64> = (0..5 * 60 * 24).map(|number| number * 30).collect();
    let points = calls(&half_a_minute_apart);
    let all = matches(&count, &["ann"], &points);
    let days: Vec<_> = told(&all).iter().map(|(first, _, last, ..)| (*first, *last)).collect();
    let noon = 12 * 3600;
    let midnights = [noon, noon + 86_400, i64::try_from(points.len()).unwrap() * 30];
    assert_eq!(days.len(), 3, "{days:?}");
    for ((first, last), midnight) in days.iter().zip(midnights) {
        assert!(*first < midnight && *last < midnight && midnight - last <= 30, "{days:?}");
    }
    for late in &all[1..] {
        let (from, to) = count.touched(late.last);
        let (since, until) = count.needs(late.last);
        let near: Vec<Point> =
            points.iter().filter(|point| (since..=until).contains(&point.time)).cloned().collect();
        let mut found = matches(&count, &["ann"], &near);
        found.retain(|it| (from..=to).contains(&it.last));
        assert!(found.contains(late), "{found:?} lacks {late:?}");
    }
}

#[test]
fn a_sum_adds_up_a_number_of_each_record_and_its_window_slides() {
    type Case<'c> = (&'c [(i64, &'c [&'c str])], Option<(i64, f64, usize)>);
    let sum = correlation(
        "type: value_sum\nrules: [a]\ngroup-by: [user.name]\ntimespan: 1m\ncondition: {field: sagemaker.instance.total, gte: 50}",
    );
    let cases: [Case<'_>; 6] = [
        (&[(0, &["50"])], Some((0, 50.0, 1))),
        (&[(0, &["20"]), (10, &["29"])], None),
        (&[(0, &["20"]), (10, &["20"]), (20, &["10"])], Some((20, 50.0, 3))),
        (&[(0, &["20"]), (50, &["20"]), (61, &["29"])], None),
        // A record without the number adds nothing, and one with several the largest.
        (&[(0, &["49"]), (10, &[])], None),
        (&[(0, &["20", "25"]), (10, &["24", "1"])], None),
    ];
    for (number, (told, expected)) in cases.into_iter().enumerate() {
        let points: Vec<Point> = told
            .iter()
            .map(|(second, totals)| {
                let totals = totals.iter().map(|total| ("sagemaker.instance.total", *total));
                let values: Vec<_> = [("user.name", "ann")].into_iter().chain(totals).collect();
                point(&second.to_string(), *second, &[0], &values)
            })
            .collect();
        let found = matches(&sum, &["ann"], &points);
        let fired = found.first().map(|it| ((it.fired - START).whole_seconds(), it.value, it.events));
        assert_eq!(fired, expected, "case {number}");
    }
}

#[test]
fn more_points_than_are_looked_at_are_told_and_the_latest_count() {
    let count = correlation(COUNT);
    let points = calls(&[0, 1, 2, 3, 4, 5, 200, 201, 202]);
    let points: Vec<&Point> = points.iter().collect();
    let key = GroupKey(vec!["ann".to_owned()]);
    let cut = |capacity| -> Vec<(bool, f64)> {
        count
            .matches_of(&key, &points, &History::default(), capacity)
            .iter()
            .map(|it| (it.cut, it.value))
            .collect()
    };
    assert_eq!(cut(4), [(true, 4.0), (false, 3.0)]);
    assert_eq!(cut(6), [(false, 6.0), (false, 3.0)]);
}

#[test]
fn a_point_counts_once_whatever_it_shows_and_its_values_each() {
    let both = correlation(
        "type: event_count\nrules: [a, b]\ngroup-by: [user.name]\ntimespan: 1m\ncondition: {gte: 2}",
    );
    let ann = [("user.name", "ann")];
    assert!(matches(&both, &["ann"], &[point("1", 0, &[0, 1], &ann)]).is_empty());
    let tuples = correlation(
        "type: value_count\nrules: [a]\ngroup-by: [user.name]\ntimespan: 1m\ncondition: {gte: 3, field: [cloud.region, eventName]}",
    );
    let values = [("user.name", "ann"), ("cloud.region", "r"), ("event.action", "x"), ("event.action", "y")];
    let lacking = [("user.name", "ann"), ("cloud.region", "r")];
    let other = [("user.name", "ann"), ("cloud.region", "s"), ("event.action", "x")];
    let points = [
        point("1", 0, &[0], &values),
        point("2", 1, &[0], &lacking),
        point("3", 2, &[0], &values),
        point("4", 3, &[0], &other),
    ];
    assert_eq!(told(&matches(&tuples, &["ann"], &points)), [(0, 3, 3, 3, 3.0)]);
}

#[test]
fn aliases_find_the_group_in_the_field_of_each_rule() {
    let aliased = correlation(
        "type: temporal\nrules: [a, b]\ngroup-by: [who]\ntimespan: 1m\naliases:\n  who:\n    a: user.name\n    b: sagemaker.actor.origin",
    );
    let assumed = point("1", 0, &[0], &[("user.name", "ann"), ("sagemaker.actor.origin", "x")]);
    let acted = point("2", 1, &[1], &[("user.name", "role"), ("sagemaker.actor.origin", "ann")]);
    let keys = |point| aliased.keys(point).into_iter().flat_map(|key| key.0).collect::<Vec<_>>();
    assert_eq!((keys(&assumed), keys(&acted)), (vec!["ann".to_owned()], vec!["ann".to_owned()]));
    assert_eq!(told(&matches(&aliased, &["ann"], &[assumed, acted])), [(0, 1, 1, 2, 2.0)]);
    let fields: Vec<_> = aliased.sources().into_iter().map(|source| (source.rules, source.fields)).collect();
    let of = |rule: usize, field: &str| (vec![RULES[rule].to_owned()], vec![field.to_owned()]);
    assert_eq!(fields, [of(0, "user.name"), of(1, "sagemaker.actor.origin")]);
}

#[test]
fn a_point_without_a_field_is_in_no_group_and_one_with_several_values_in_several() {
    let by_two = correlation(
        "type: event_count\nrules: [a]\ngroup-by: [user.name, cloud.region]\ntimespan: 1m\ncondition: {gte: 1}",
    );
    let keys = |values: &[(&str, &str)]| -> Vec<Vec<String>> {
        by_two.keys(&point("1", 0, &[0], values)).into_iter().map(|key| key.0).collect()
    };
    assert!(keys(&[("user.name", "ann")]).is_empty());
    let several = [("user.name", "ann"), ("cloud.region", "r"), ("cloud.region", "s")];
    assert_eq!(keys(&several), [["ann", "r"], ["ann", "s"]]);
    assert!(by_two.keys(&point("1", 0, &[1], &several)).is_empty(), "another rule matched");
}

/// A number of calls of three rules by two persons within some minutes.
fn some_points() -> impl Strategy<Value = Vec<Point>> {
    let one = (0..150_i64, 0..3_usize, 0..2_usize, 0..4_usize);
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let points = all.into_iter().enumerate().map(|(number, (second, rule, person, region))| {
            let (person, region) = (["ann", "bob"][person], ["r", "s", "t", "u"][region]);
            let action = ["A", "B", "C"][rule];
            let values = [("user.name", person), ("cloud.region", region), ("event.action", action)];
            point(&format!("{number:03}"), second, &[rule], &values)
        });
        points.collect()
    })
}

/// One of each type, and of each form of a condition.
const TYPES: &[&str] = &[
    "type: event_count\nrules: [a, b]\ngroup-by: [userName]\ntimespan: 20s\ncondition: {gte: 3}",
    "type: event_count\nrules: [a]\ngroup-by: [userName]\ntimespan: 30s\ncondition: {gt: 1, lt: 4}",
    "type: event_count\nrules: [a, b, c]\ntimespan: 10s\ncondition: {eq: 4}",
    "type: event_count\nrules: [a, b]\ngroup-by: [userName]\ntimespan: 20s\ncondition: {gte: 2, neq: 3}",
    "type: value_count\nrules: [a, b, c]\ngroup-by: [userName]\ntimespan: 20s\ncondition: {gte: 3, field: awsRegion}",
    "type: value_count\nrules: [a, b, c]\ngroup-by: [userName]\ntimespan: 20s\ncondition: {gte: 5, lte: 6, field: [awsRegion, eventName]}",
    "type: temporal\nrules: [a, b, c]\ngroup-by: [userName]\ntimespan: 10s\ncondition: a and b and c",
    "type: temporal\nrules: [a, b, c]\ngroup-by: [userName, awsRegion]\ntimespan: 30s\ncondition: {gte: 2}",
    "type: temporal\nrules: [a, b, c]\ngroup-by: [userName]\ntimespan: 10s\ncondition: c and (a or not b)",
    "type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [userName]\ntimespan: 20s",
];

/// The types with their correlations, whose points have other names of fields than the records of the library.
static CORRELATIONS: LazyLock<Vec<(&str, Correlation)>> = LazyLock::new(|| {
    TYPES.iter().map(|members| (*members, correlation(&members.replace("userName", "user.name")))).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_and_the_repetition_of_points_change_nothing(
        points in some_points(), order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        for (members, correlation) in CORRELATIONS.iter() {
            let mut shuffled: Vec<&Point> = points.iter().collect();
            for index in order.iter().filter(|_| !points.is_empty()) {
                let again = index.get(&points);
                shuffled.insert(index.index(shuffled.len() + 1), again);
            }
            let keys: std::collections::BTreeSet<GroupKey> =
                points.iter().flat_map(|point| correlation.keys(point)).collect();
            for key in keys {
                let in_order = correlation.matches(&key, &points.iter().collect::<Vec<_>>());
                prop_assert_eq!(&in_order, &correlation.matches(&key, &shuffled), "{}", members);
            }
        }
    }
}

#[test]
fn a_time_at_the_end_of_all_times_is_one_like_any_other() {
    let count = correlation(COUNT);
    for time in [datetime!(9999-12-31 23:59:59.999 UTC), datetime!(9999-01-01 0:00 UTC)] {
        let ((from, to), needs) = (count.touched(time), count.needs(time));
        assert!(from <= time && time <= to && needs.0 <= from, "{time}: {from} {to} {needs:?}");
    }
}

#[test]
fn a_condition_cannot_hold_where_its_measure_stays_below() {
    const ENDING: &str = "group-by: [user.name]\ntimespan: 1h";
    let cases = [
        ("type: event_count\nrules: [a]\ncondition: {gte: 3}", Measure::Points, 3),
        (
            "type: value_count\nrules: [a]\ncondition: {field: event.action, gt: 3}",
            Measure::Values("event.action"),
            4,
        ),
        ("type: temporal\nrules: [a, b]", Measure::Bases, 2),
        ("type: temporal_ordered\nrules: [a, b, c]", Measure::Bases, 3),
    ];
    for (members, measure, least) in cases {
        let correlation = correlation(&format!("{members}\n{ENDING}"));
        assert_eq!(correlation.measure(), measure, "{members}");
        for most in 0..6 {
            assert_eq!(correlation.can_hold(most), most >= least, "{members}: {most}");
        }
        assert!(correlation.can_hold(u64::MAX), "{members}");
    }
}

proptest! {
    /// What the measure rules out around a new point matches nowhere that the point could have changed.
    #[test]
    fn a_point_with_too_few_around_it_changes_no_match(
        mut seconds in prop::collection::vec(0i64..900, 1..30), new in 0i64..900
    ) {
        let correlation = correlation(COUNT);
        seconds.push(new);
        let after = calls(&seconds);
        let time = START + Duration::seconds(new);
        let (from, to) = correlation.around(time, time);
        let around = after.iter().filter(|point| (from..=to).contains(&point.time)).count() as u64;
        if !correlation.can_hold(around) {
            let before = matches(&correlation, &["ann"], &after[..seconds.len() - 1]);
            prop_assert_eq!(before, matches(&correlation, &["ann"], &after));
        }
    }
}
