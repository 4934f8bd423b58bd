//! What is told of a match, and the values of its points that tell it.

use std::collections::{BTreeMap, BTreeSet};

use super::Correlation;
use super::group::GroupKey;
use super::matched::Match;
use super::point::Point;

/// A match with everything that it is told from.
pub struct Said<'m> {
    pub correlation: &'m Correlation,
    pub key: &'m GroupKey,
    pub matched: &'m Match,
    /// Those of the match alone.
    pub points: &'m [&'m Point],
}

impl Said<'_> {
    /// The outcome in ECS: `success` where a call of one of the points succeeded, else `failure`.
    pub fn outcome(&self) -> &'static str {
        let succeeded =
            |point: &&Point| point.values("event.outcome").iter().any(|outcome| outcome == "success");
        if self.points.iter().any(succeeded) { "success" } else { "failure" }
    }

    /// What the group has in common.
    pub fn key_texts(&self) -> Vec<String> {
        let values = self.key.0.iter();
        self.correlation.group_by().zip(values).map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// The most frequent value of a field; of several as frequent, the first in the alphabet.
    pub fn most(&self, field: &str) -> Option<String> {
        self.values(field, 1).pop()
    }

    /// The values of a field, the most frequent first.
    pub fn values(&self, field: &str, most: usize) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for value in self.points.iter().flat_map(|point| point.values(field)) {
            *counts.entry(value).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.into_iter().take(most).map(|(value, _)| value.to_owned()).collect()
    }

    /// How many values a field has.
    pub fn count(&self, field: &str) -> usize {
        let values: BTreeSet<&String> = self.points.iter().flat_map(|point| point.values(field)).collect();
        values.len()
    }
}
