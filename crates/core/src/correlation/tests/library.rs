//! Holds matches against the correlation engine of Sigma's library, fed in the order of time.
//!
//! Where they differ on purpose: the library counts an event twice that two base rules matched, keeps a group of its
//! own for events that lack a field, finds no group in a field with several values, and reads a temporal correlation
//! without a condition as "at least one rule".

use std::collections::BTreeMap;

use proptest::prelude::*;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};
use rsigma_parser::parse_sigma_yaml;
use serde_json::json;

use super::{BASE, CORRELATIONS, Correlation, GroupKey, Point, START, correlation, document, some_points};

/// The second after the start at which each group fires for the first time.
type Fired = BTreeMap<Vec<String>, i64>;

fn by_library(members: &str, points: &[Point]) -> Fired {
    let collection = parse_sigma_yaml(&format!("{BASE}---\n{}", document(members))).unwrap();
    let mut engine = CorrelationEngine::new(CorrelationConfig::default());
    engine.add_collection(&collection).unwrap();
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort();
    let mut fired = Fired::new();
    for point in sorted {
        let value = |field: &str| point.values(field)[0].clone();
        let event = json!({
            "eventName": value("event.action"), "userName": value("user.name"), "awsRegion": value("cloud.region"),
        });
        let second = (point.time - START).whole_seconds();
        for result in engine.process_event_at(&JsonEvent::borrow(&event), point.time.unix_timestamp()) {
            if let Some(correlation) = result.as_correlation() {
                let key = correlation.group_key.iter().map(|(_, value)| value.clone()).collect();
                fired.entry(key).or_insert(second);
            }
        }
    }
    fired
}

fn by_us(correlation: &Correlation, points: &[Point]) -> Fired {
    let keys: std::collections::BTreeSet<GroupKey> =
        points.iter().flat_map(|point| correlation.keys(point)).collect();
    let points: Vec<&Point> = points.iter().collect();
    keys.into_iter()
        .filter_map(|key| {
            let first = correlation.matches(&key, &points).into_iter().next()?;
            Some((key.0, (first.fired - START).whole_seconds()))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_group_fires_for_the_first_time_when_it_does_in_the_library(points in some_points()) {
        for (members, correlation) in CORRELATIONS.iter() {
            prop_assert_eq!(by_us(correlation, &points), by_library(members, &points), "{}", members);
        }
    }
}

#[test]
fn a_temporal_correlation_without_a_condition_asks_for_all_rules_where_the_library_asks_for_one() {
    let members = "type: temporal\nrules: [a, b]\ngroup-by: [userName]\ntimespan: 10s";
    let values = [("user.name", "ann"), ("cloud.region", "r"), ("event.action", "A")];
    let only_a = [super::point("1", 0, &[0], &values)];
    assert!(by_us(&correlation(&members.replace("userName", "user.name")), &only_a).is_empty());
    assert_eq!(by_library(members, &only_a).len(), 1);
}
