//! A match of a correlation.

use time::OffsetDateTime;

use super::point::Point;
use super::rhythm::Usual;

/// An episode in which the condition of a correlation held for a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// When its first point happened.
    pub first: OffsetDateTime,
    /// When the point happened at which the condition held for the first time.
    pub fired: OffsetDateTime,
    /// When the point happened at which the condition held for the last time.
    pub last: OffsetDateTime,
    /// The id of the first point's document.
    pub first_id: String,
    /// How many points it consists of.
    pub events: usize,
    /// The largest count in a window: of events, of values, or of base rules.
    pub value: f64,
    /// The ids of its first points.
    pub points: Vec<String>,
    /// Whether there were more points within a timespan than are looked at.
    pub cut: bool,
    /// What was usual before, where that is compared.
    pub usual: Option<Usual>,
}

impl Match {
    /// Whether a point of the group belongs to it.
    pub fn has(&self, point: &Point) -> bool {
        (self.first..=self.last).contains(&point.time)
    }
}
