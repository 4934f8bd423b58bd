//! Finds the matches of correlations among points that are at hand, as the correlator does among those that are stored.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;

use crate::correlation::{Correlations, GroupKey, History, Point};

/// Where matches would be stored.
pub const INDEX: &str = "sagetrail-correlated";

/// The points of each group that can still decide on a match.
#[derive(Debug)]
pub struct Correlated<'c> {
    correlations: &'c Correlations,
    base: BTreeSet<&'c str>,
    fields: BTreeSet<String>,
    /// By the place of the correlation and the group.
    points: BTreeMap<(usize, GroupKey), Vec<Point>>,
    /// What came before, by the same.
    histories: BTreeMap<(usize, GroupKey), History>,
    /// Groups with points since they were judged last, and when the first and the last of these were.
    touched: BTreeMap<(usize, GroupKey), (OffsetDateTime, OffsetDateTime)>,
}

impl<'c> Correlated<'c> {
    /// Begins with no points for these correlations.
    pub fn new(correlations: &'c Correlations) -> Self {
        let (base, fields) = (correlations.base(), correlations.fields());
        Self {
            correlations,
            base,
            fields,
            points: BTreeMap::new(),
            histories: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Takes a document that a base rule may have matched.
    pub fn take(&mut self, id: &str, document: &Value) {
        let rules = document["rule"]["id"].as_array().into_iter().flatten();
        if !rules.filter_map(Value::as_str).any(|rule| self.base.contains(rule)) {
            return;
        }
        let Some(point) = Point::of_document(id, document, &self.fields) else { return };
        for (place, correlation) in self.correlations.iter().enumerate() {
            for key in correlation.keys(&point) {
                let times = self.touched.entry((place, key.clone())).or_insert((point.time, point.time));
                *times = (times.0.min(point.time), times.1.max(point.time));
                if correlation.rhythm().is_some() {
                    self.histories.entry((place, key.clone())).or_default().add(correlation, &point);
                }
                self.points.entry((place, key)).or_default().push(point.clone());
            }
        }
    }

    /// The matches of the groups with new points, as documents with their ids. One that was there before comes again as
    /// it is now.
    pub fn judge(&mut self, now: OffsetDateTime) -> Vec<(String, Value)> {
        let mut matches = Vec::new();
        for (place, correlation) in self.correlations.iter().enumerate() {
            let groups = self.touched.iter().filter(|((of, _), _)| *of == place);
            for ((_, key), (first, last)) in groups {
                // Of those that ended before, not all points are there any more.
                let ends = correlation.touched(*first).0..=correlation.touched(*last).1;
                let Some(points) = self.points.get_mut(&(place, key.clone())) else { continue };
                let oldest = correlation.needs(now).0;
                points.retain(|point| point.time >= oldest);
                let history = self.histories.entry((place, key.clone())).or_default();
                history.forget(correlation, now);
                let Some((from, to)) = correlation.candidates(history, correlation.needs(now)) else {
                    continue;
                };
                let points: Vec<&Point> =
                    points.iter().filter(|point| (from..=to).contains(&point.time)).collect();
                let found = correlation.matches_after(key, &points, history).into_iter();
                for found in found.filter(|found| ends.contains(&found.last)) {
                    let (id, document) = found.document(correlation, key, &points, now);
                    matches.push((id.as_str().to_owned(), document));
                }
            }
        }
        self.touched.clear();
        matches
    }

    /// Lets go of the points that decide on nothing any more.
    pub fn forget(&mut self, now: OffsetDateTime) {
        let oldest: Vec<OffsetDateTime> =
            self.correlations.iter().map(|correlation| correlation.needs(now).0).collect();
        self.points.retain(|(place, _), points| {
            points.retain(|point| point.time >= oldest[*place]);
            !points.is_empty()
        });
    }
}
