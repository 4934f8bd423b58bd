//! The points of one group, in one order, with what each adds to a window.

use rsigma_parser::CorrelationType;

use super::Correlation;
use super::group::{GroupKey, combinations};
use super::point::Point;

/// A point of the group.
#[derive(Debug)]
pub struct Hit<'p> {
    pub point: &'p Point,
    /// In seconds, as Sigma's library counts.
    pub second: i64,
    /// The positions of the base rules that matched it.
    pub base: Vec<usize>,
    /// The values that are counted, each once.
    pub values: Vec<String>,
    /// What it adds to a sum: of several numbers the largest, so that nobody makes more of one call by repeating
    /// himself.
    pub number: i64,
}

/// Separates the values of several fields, as Sigma's library does.
const SEPARATOR: &str = "\u{1f}";

impl Correlation {
    /// The points that belong to the group, each once and in the order of time.
    pub(super) fn hits<'p>(&self, key: &GroupKey, points: &[&'p Point]) -> Vec<Hit<'p>> {
        let mut points = points.to_vec();
        points.sort_unstable();
        let mut hits: Vec<Hit<'p>> = points.into_iter().filter_map(|point| self.hit(key, point)).collect();
        // Two documents with one id are one, and its first reading counts.
        let mut seen = std::collections::HashSet::new();
        hits.retain(|hit| seen.insert(hit.point.id.as_str()));
        hits
    }

    fn hit<'p>(&self, key: &GroupKey, point: &'p Point) -> Option<Hit<'p>> {
        let matched = |base: &super::Base| point.rules.contains(&base.id) && self.is_in(key, point, base);
        let base: Vec<usize> = self
            .base
            .iter()
            .enumerate()
            .filter(|(_, base)| matched(base))
            .map(|(position, _)| position)
            .collect();
        let values = match &self.compiled.condition.field {
            None => Vec::new(),
            Some(fields) => {
                let lists: Vec<&[String]> = fields.iter().map(|field| point.values(field)).collect();
                combinations(&lists).into_iter().map(|values| values.join(SEPARATOR)).collect()
            }
        };
        let number = match self.compiled.correlation_type {
            CorrelationType::ValueSum => values.iter().filter_map(|value| value.parse().ok()).max()?,
            _ => 0,
        };
        let counts = self.compiled.condition.field.is_none() || !values.is_empty();
        let second = point.time.unix_timestamp();
        (counts && !base.is_empty()).then_some(Hit { point, second, base, values, number })
    }
}
