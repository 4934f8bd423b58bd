//! What can be known of a group without its points: whether the condition could hold at all.

use rsigma_parser::CorrelationType;
use time::{Duration, OffsetDateTime};

use super::{Correlation, MAX_POINTS};

/// What of the points of a group is at least as much as a correlation counts of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure<'c> {
    /// How many there are.
    Points,
    /// How many different values of this field they have.
    Values(&'c str),
    /// How many of the base rules matched one of them.
    Bases,
    /// Nothing that is known without them.
    Unknown,
}

impl Correlation {
    /// What to count first, so that groups in which the condition cannot hold need not be read.
    pub fn measure(&self) -> Measure<'_> {
        let compiled = &self.compiled;
        match (compiled.correlation_type, compiled.condition.field.as_deref()) {
            (CorrelationType::EventCount, _) => Measure::Points,
            (CorrelationType::ValueCount, Some([field])) => Measure::Values(field),
            (CorrelationType::Temporal, _) if compiled.extended_expr.is_some() => Measure::Unknown,
            (CorrelationType::Temporal | CorrelationType::TemporalOrdered, _) => Measure::Bases,
            _ => Measure::Unknown,
        }
    }

    /// Whether the condition holds for any count up to this one.
    pub fn can_hold(&self, most: u64) -> bool {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        most as usize > MAX_POINTS || (0..=most).any(|value| self.compiled.condition.check(f64::from(value)))
    }

    /// The time around points within which anything lies that decides whether they change a match: the windows that
    /// they are in, and those of the points that these windows hold.
    pub fn around(&self, first: OffsetDateTime, last: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        // Windows are whole seconds, as Sigma's library counts.
        let timespan = self.timespan().saturating_add(Duration::SECOND);
        (first.saturating_sub(timespan * 2), last.saturating_add(timespan))
    }
}
