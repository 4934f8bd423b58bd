//! Compares the points of a group with its history, day by day.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::point::Point;
use super::rhythm::{COUNTS_OF_TIMESPAN, DAY, History, Rhythm, Usual};
use super::{Correlation, at};

impl History {
    /// Counts a point of a correlation's group.
    pub fn add(&mut self, correlation: &Correlation, point: &Point) {
        if correlation.rhythm.is_some() {
            *self.0.entry(correlation.half_of(point.time)).or_default() += 1;
        }
    }

    /// Says how many points came in the [half of a timespan](Correlation::counted_seconds) that begins at a time.
    pub fn insert(&mut self, correlation: &Correlation, start: OffsetDateTime, count: u64) {
        self.0.insert(correlation.half_of(start), count);
    }

    /// Lets go of what no later match is compared with.
    pub fn forget(&mut self, correlation: &Correlation, now: OffsetDateTime) {
        // A match of yesterday can be looked at again.
        let oldest = correlation.history_from(now).unix_timestamp() - DAY;
        self.0 = self.0.split_off(&oldest.div_euclid(correlation.counted_seconds()));
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

    /// The seconds of which the points of a history are counted together: half a timespan.
    pub fn counted_seconds(&self) -> i64 {
        self.timespan_seconds() / COUNTS_OF_TIMESPAN
    }

    fn half_of(&self, time: OffsetDateTime) -> i64 {
        time.unix_timestamp().div_euclid(self.counted_seconds())
    }

    /// Between which times of those given there can be matches at all. Points of all of it need not be looked at: a
    /// timespan has at most as many as three halves that follow each other.
    pub fn candidates(
        &self,
        history: &History,
        (from, to): (OffsetDateTime, OffsetDateTime),
    ) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let Some(rhythm) = &self.rhythm else { return Some((from, to)) };
        let half = self.counted_seconds();
        let mut days = Days::new(self, history);
        let count = |number: i64| history.0.get(&number).copied().unwrap_or_default();
        let mut found: Option<(i64, i64)> = None;
        for (number, _) in history.0.range(self.half_of(from)..=self.half_of(to)) {
            let most = (number - COUNTS_OF_TIMESPAN..=*number).map(count).fold(0, u64::saturating_add);
            let usual = days.usual(at(number * half));
            if usual.is_some_and(|usual| most >= rhythm.least(usual)) {
                found = Some((found.map_or(*number, |(first, _)| first), *number));
            }
        }
        let (first, last) = found?;
        // Before the timespan of the first lies the point at which the condition does not hold yet.
        let first = first - 2 * COUNTS_OF_TIMESPAN;
        Some((at(first * half).max(from), at((last + 1) * half).min(to)))
    }
}

/// What is usual on each day that points of a group happened on.
pub struct Days<'c> {
    correlation: &'c Correlation,
    history: &'c History,
    known: BTreeMap<i64, Usual>,
}

impl<'c> Days<'c> {
    /// Begins with no day known; each is worked out when it is first asked for.
    pub fn new(correlation: &'c Correlation, history: &'c History) -> Self {
        Self { correlation, history, known: BTreeMap::new() }
    }

    /// What is usual on the day of a point; none where nobody compares.
    pub fn usual(&mut self, time: OffsetDateTime) -> Option<Usual> {
        let Self { correlation, history, known } = self;
        let rhythm = correlation.rhythm.as_ref()?;
        let day = correlation.period_of(time);
        let usual = || rhythm.usual(history, day * correlation.period(), correlation.counted_seconds());
        Some(*known.entry(day).or_insert_with(usual))
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
