//! Tells with one search who did too little for an incident and is tied to none (pure). Most origins with signals are
//! so, and to sum up what each of them did would take long.

use std::collections::BTreeSet;

use sagetrail_core::incident::assets::WHOLE;
use sagetrail_core::incident::{Tally, Weights};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::changed::at;
use super::standing::Standing;
use super::tally;
use crate::enrich::{NO_KEY, Severity};
use crate::timestamp;

/// Origins in one search: each has as many buckets as it has names.
pub(super) const AT_ONCE: usize = 200;
/// Names of an origin that are looked at. Who has more is not weak.
const MOST_NAMES: usize = 50;
/// There are five.
const MOST_LEVELS: usize = 5;
/// Rules that nobody has who is weak.
const MOST_RULES: u32 = 100;

/// The fields of rules that matched.
const MATCHES: [&str; 2] = ["findings", "attempts"];

/// The search for how much some origins did from a time on.
pub(super) fn question(origins: &BTreeSet<&str>, from: OffsetDateTime) -> Value {
    let names = |field: &str| json!({"terms": {"field": field, "size": MOST_NAMES}});
    let mut aggregations = json!({
        "first": {"min": {"field": "@timestamp"}},
        "ties": names("sagemaker.alert.ties"),
        "principals": names("sagemaker.alert.principal")
    });
    for of in MATCHES {
        aggregations[format!("{of}-levels")] =
            json!({"terms": {"field": format!("sagemaker.{of}.level"), "size": MOST_LEVELS}});
        aggregations[format!("{of}-rules")] = json!({"cardinality": {"field": format!("sagemaker.{of}.id"), "precision_threshold": MOST_RULES}});
    }
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": [
            tally::signals(),
            {"terms": {"sagemaker.alert.origin": origins}},
            {"range": {"@timestamp": {"gte": timestamp::format(from)}}}
        ]}},
        "aggs": {"origins": {
            "terms": {"field": "sagemaker.alert.origin", "size": AT_ONCE, "include": origins},
            "aggs": aggregations
        }}
    })
}

/// Who of them is weak.
pub(super) fn read(answer: &Value, weights: &Weights, standing: Option<&Standing>) -> BTreeSet<String> {
    let origins = answer["aggregations"]["origins"]["buckets"].as_array().into_iter().flatten();
    let is_weak = |bucket: &Value| {
        let tally = tally(bucket)?;
        let is_tied = standing.is_none_or(|standing| standing.tied(&tally).is_some());
        (!is_tied && most_points(bucket, weights)? < u64::from(weights.limits.opens_at.value))
            .then(|| bucket["key"].as_str().map(str::to_owned))?
    };
    origins.filter_map(is_weak).collect()
}

/// No more than this is what the findings count together: as if all were of the worst level, rare, spread, and had
/// happened to what is worth most.
fn most_points(bucket: &Value, weights: &Weights) -> Option<u64> {
    let mut points = 0;
    for of in MATCHES {
        let levels = bucket[format!("{of}-levels")]["buckets"].as_array()?;
        let rules = bucket[format!("{of}-rules")]["value"].as_u64()?;
        let worst = levels.iter().filter_map(|level| Severity::deserialize(&level["key"]).ok()).max();
        points += rules * u64::from(worst.map_or(0, |worst| weights.points(worst)));
    }
    let factors = &weights.factors;
    let factor = |percent: u32| u64::from(percent.max(WHOLE));
    let asset = weights.assets.iter().map(|asset| asset.percent).max().unwrap_or(WHOLE);
    let most = [factors.rare.value, factors.spread.value, asset].map(factor).iter().product::<u64>();
    Some(points * most / u64::from(WHOLE).pow(3))
}

/// What ties the origin to others; none where there is more than was asked for.
fn tally(bucket: &Value) -> Option<Tally> {
    let mut tally = Tally::default();
    let first = at(bucket["first"]["value"].as_f64()?)?;
    tally.origins.add(bucket["key"].as_str()?, first);
    for (name, kept) in [("ties", &mut tally.ties), ("principals", &mut tally.principals)] {
        let names = &bucket[name];
        if names["sum_other_doc_count"].as_u64()? > 0 {
            return None;
        }
        for key in names["buckets"].as_array()?.iter().filter_map(|bucket| bucket["key"].as_str()) {
            if key != NO_KEY {
                kept.add(key, first);
            }
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use sagetrail_core::incident::{Signal, Surroundings, judge};
    use time::macros::datetime;

    use super::*;

    const NOTEBOOK: &str = "arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/n";

    /// What matched: findings or attempts, how many rules, and at which level.
    type Matched = (&'static str, usize, &'static str);

    /// One bucket, as OpenSearch answers for an origin with these matches.
    fn bucket(origin: &str, matched: &[Matched], ties: &[&str], more_ties: u64) -> Value {
        let of = |name: &'static str| matched.iter().filter(move |(of, _, _)| *of == name);
        let names = |names: &[&str], more: u64| {
            let buckets: Vec<Value> = names.iter().map(|name| json!({"key": name})).collect();
            json!({"buckets": buckets, "sum_other_doc_count": more})
        };
        let mut bucket = json!({
            "key": origin, "first": {"value": 1.8e12}, "ties": names(ties, more_ties), "principals": names(&[origin], 0)
        });
        for name in MATCHES {
            let levels: Vec<&str> = of(name).map(|(_, _, level)| *level).collect();
            bucket[format!("{name}-levels")] = names(&levels, 0);
            bucket[format!("{name}-rules")] =
                json!({"value": of(name).map(|(_, rules, _)| rules).sum::<usize>()});
        }
        bucket
    }

    /// In percent, the most that the built-in weights have.
    const WORST_ASSET: u32 = 125;

    /// The same matches, each of them at as many resources as make it count for more, all worth the most.
    fn signals(origin: &str, matched: &[Matched]) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (number, (of, rules, level)) in matched.iter().enumerate() {
            for (rule, resource) in (0..*rules).flat_map(|rule| [0, 1, 2].map(|resource| (rule, resource))) {
                let source = json!({
                    "@timestamp": "2026-11-29T12:00:00.000Z", "event": {"outcome": "success"},
                    "sagemaker": {
                        (*of): [{"id": format!("{number}-{rule}"), "title": "x", "level": level}],
                        "alert": {"origin": origin, "principal": origin, "resource": format!("r{resource}")}
                    }
                });
                let id = format!("{number}-{rule}-{resource}");
                let signal = Signal::read("i", &id, &source).expect("it is complete");
                signals.push(Signal { asset: WORST_ASSET, ..signal });
            }
        }
        signals
    }

    #[test]
    fn nobody_is_weak_whose_signals_would_open_an_incident() {
        let weights = Weights::built_in();
        let cases: [(&[Matched], bool); 8] = [
            (&[("findings", 1, "low")], true),
            (&[("findings", 5, "low")], true),
            (&[("findings", 6, "low")], false),
            (&[("findings", 1, "medium")], true),
            (&[("findings", 1, "medium"), ("attempts", 2, "low")], false),
            (&[("findings", 1, "high")], false),
            (&[("attempts", 1, "critical")], false),
            (&[("findings", 1, "critical")], false),
        ];
        for (matched, expected) in cases {
            let answer = json!({"aggregations": {"origins": {"buckets": [bucket("ann", matched, &[], 0)]}}});
            let is_weak = read(&answer, &weights, Some(&Standing::default())).contains("ann");
            assert_eq!(is_weak, expected, "{matched:?}");
            let tally = Tally::of(&signals("ann", matched));
            let around = Surroundings {
                usual: &BTreeSet::new(),
                weights: &weights,
                now: datetime!(2026-11-29 12:00 UTC),
            };
            assert!(!is_weak || judge(&tally, None, around).is_none(), "{matched:?}");
        }
    }

    #[test]
    fn nobody_is_weak_who_is_tied_to_what_stands_or_has_more_ties_than_are_looked_at() {
        let mut incident = crate::correlator::tests::incident();
        incident.incident.ties = vec![NOTEBOOK.to_owned()];
        let mut standing = Standing::default();
        standing.put(incident, crate::opensearch::bulk::Action::Create);
        let low: &[Matched] = &[("findings", 1, "low")];
        let buckets = [
            bucket("tied", low, &[NOTEBOOK], 0),
            bucket("tied to many", low, &["x"], 1),
            bucket("alone", low, &["x"], 0),
        ];
        let answer = json!({"aggregations": {"origins": {"buckets": buckets}}});
        assert_eq!(read(&answer, &Weights::built_in(), Some(&standing)), ["alone".to_owned()].into());
        // Where it is not known what stands, nobody is.
        assert_eq!(read(&answer, &Weights::built_in(), None), BTreeSet::new());
    }
}
