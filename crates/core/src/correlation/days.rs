//! Compares the points of a group with its history, day by day.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::point::Point;
use super::rhythm::{Counted, DAY, History, Rhythm, Usual};
use super::{Correlation, at};

impl History {
    /// Counts a point of a correlation's group.
    pub fn add(&mut self, correlation: &Correlation, point: &Point) {
        let Some(rhythm) = &correlation.rhythm else { return };
        let window = point.time.unix_timestamp().div_euclid(correlation.timespan_seconds());
        let counted = self.0.entry(window).or_default();
        counted.all += 1;
        counted.left_out += u64::from(rhythm.is_left_out(point));
    }

    /// Counts a timespan that begins at a time.
    pub fn insert(&mut self, correlation: &Correlation, start: OffsetDateTime, counted: Counted) {
        self.0.insert(start.unix_timestamp().div_euclid(correlation.timespan_seconds()), counted);
    }

    /// Lets go of what no later match is compared with.
    pub fn forget(&mut self, correlation: &Correlation, now: OffsetDateTime) {
        // A match of yesterday can be looked at again.
        let oldest = correlation.history_from(now).unix_timestamp() - DAY;
        self.0 = self.0.split_off(&oldest.div_euclid(correlation.timespan_seconds()));
    }
}

impl Correlation {
    /// How matches are compared with the days before, where they are.
    pub fn rhythm(&self) -> Option<&Rhythm> {
        self.rhythm.as_ref()
    }

    /// From when points are counted on that decide on matches which a point at this time can change.
    pub fn history_from(&self, time: OffsetDateTime) -> OffsetDateTime {
        let days = self.rhythm.as_ref().map_or(0, Rhythm::history_days);
        self.needs(time).0.saturating_sub(time::Duration::days(days))
    }

    /// Between which times of those given there can be matches at all. Points of all of it need not be looked at: a match has at least
    /// as many points as two timespans that follow each other.
    pub fn candidates(
        &self,
        history: &History,
        (from, to): (OffsetDateTime, OffsetDateTime),
    ) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let Some(rhythm) = &self.rhythm else { return Some((from, to)) };
        let timespan = self.timespan_seconds();
        let windows = from.unix_timestamp().div_euclid(timespan)..=to.unix_timestamp().div_euclid(timespan);
        let mut days = Days::new(self, history);
        let mut count = |window: i64| {
            let Counted { all, left_out } = history.0.get(&window).copied().unwrap_or_default();
            match days.usual(at(window * timespan)) {
                Some(Usual::Unknown { .. }) => all - left_out.min(all),
                _ => all,
            }
        };
        let counts: Vec<(i64, u64)> = history
            .0
            .range(windows)
            .map(|(window, _)| (*window, count(*window).saturating_add(count(window - 1))))
            .collect();
        let mut found: Option<(i64, i64)> = None;
        for (window, count) in counts {
            let usual = days.usual(at(window * timespan));
            if usual.is_some_and(|usual| count >= rhythm.least(usual)) {
                found = Some((found.map_or(window, |(first, _)| first), window));
            }
        }
        let (first, last) = found?;
        Some((at((first - 2) * timespan).max(from), at((last + 1) * timespan).min(to)))
    }
}

/// What is usual on each day that points of a group happened on.
pub struct Days<'c> {
    correlation: &'c Correlation,
    history: &'c History,
    known: BTreeMap<i64, Usual>,
}

impl<'c> Days<'c> {
    pub fn new(correlation: &'c Correlation, history: &'c History) -> Self {
        Self { correlation, history, known: BTreeMap::new() }
    }

    /// What is usual on the day of a point; none where nobody compares.
    pub fn usual(&mut self, time: OffsetDateTime) -> Option<Usual> {
        let Self { correlation, history, known } = self;
        let rhythm = correlation.rhythm.as_ref()?;
        let day = correlation.period_of(time);
        let usual = || rhythm.usual(history, day * correlation.period(), correlation.timespan_seconds());
        Some(*known.entry(day).or_insert_with(usual))
    }

    /// Whether a point counts.
    pub fn counts(&mut self, point: &Point) -> bool {
        match (self.usual(point.time), &self.correlation.rhythm) {
            (Some(Usual::Unknown { .. }), Some(rhythm)) => !rhythm.is_left_out(point),
            _ => true,
        }
    }

    /// Whether so much is a match on the day of a point.
    pub fn is_enough(&mut self, value: f64, time: OffsetDateTime) -> bool {
        match (self.usual(time), &self.correlation.rhythm) {
            #[expect(clippy::cast_precision_loss, reason = "a window holds ten thousand points at most")]
            (Some(usual), Some(rhythm)) => value >= rhythm.least(usual) as f64,
            _ => true,
        }
    }
}
