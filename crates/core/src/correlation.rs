//! Evaluates Sigma correlations: rules about what several records show together.
//!
//! A correlation names base rules, which are ordinary rules that judge single records. Each stored document that one of
//! them matched is a [`Point`]. The points of one group, such as those of one identity, are judged as a set: whatever
//! their order of arrival, and however often one of them is handed over, the [matches](Correlation::matches) are the
//! same. What is counted is nowhere kept between two calls.

mod bound;
pub(crate) mod check;
mod compile;
mod days;
mod document;
mod episodes;
mod fields;
mod group;
mod hits;
mod matched;
mod point;
mod problem;
mod rhythm;
mod said;
mod sentence;
mod set;
mod window;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use rsigma_eval::CompiledCorrelation;
use time::macros::datetime;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

use crate::enrich::{Named, Place, Severity};
pub use bound::Measure;
pub use episodes::MAX_POINTS;
pub use group::{GroupKey, Source};
pub use matched::Match;
pub use point::{Point, TOLD_FIELDS};
pub use problem::Problem;
pub use rhythm::{History, Rhythm, Usual};
pub use set::{Correlations, InactiveCorrelation};

/// A correlation that is ready to judge points.
#[derive(Debug, Clone)]
pub struct Correlation {
    pub id: String,
    pub name: Option<String>,
    pub title: String,
    pub description: String,
    pub level: Severity,
    /// Threat categories, such as `cryptojacking`.
    pub categories: Vec<String>,
    pub tactics: Vec<Named>,
    pub techniques: Vec<Named>,
    /// Where to read on; the first says how to contain it.
    pub references: Vec<String>,
    pub false_positives: Vec<String>,
    pub place: Place,
    /// What the site has changed about it.
    pub change: Option<Change>,
    compiled: CompiledCorrelation,
    rhythm: Option<Rhythm>,
    /// In the order in which the correlation names them.
    base: Vec<Base>,
}

/// A rule whose matches a correlation looks at.
#[derive(Debug, Clone)]
pub struct Base {
    pub id: String,
    pub name: Option<String>,
    pub title: String,
}

/// What an override of the configuration makes of a correlation.
#[derive(Debug, Clone)]
pub struct Change {
    /// The new level; none where its matches are muted.
    pub level: Option<Severity>,
    pub reason: String,
    /// The last day on which it applies, in UTC.
    pub until: Date,
}

impl Change {
    pub fn applies_at(&self, at: OffsetDateTime) -> bool {
        at.to_offset(UtcOffset::UTC).date() <= self.until
    }
}

/// The last second whose year has four digits, which is all that documents can say.
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// Seconds after which an episode that goes on becomes another match, counted from the beginning of a day in UTC.
const PERIOD: i64 = 24 * 60 * 60;

impl Correlation {
    /// The rules whose matches it looks at, in the order in which it names them.
    pub fn base(&self) -> &[Base] {
        &self.base
    }

    pub fn timespan(&self) -> Duration {
        Duration::seconds(self.timespan_seconds())
    }

    /// The timespan in words, such as "15 minutes".
    pub fn timespan_text(&self) -> String {
        let seconds = self.timespan_seconds();
        let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
        let (size, unit) = units.into_iter().find(|(size, _)| seconds % size == 0).unwrap_or((1, "second"));
        let count = seconds / size;
        if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
    }

    /// `event_count`, `value_count`, `value_sum`, `temporal` or `temporal_ordered`.
    pub fn kind(&self) -> &'static str {
        self.compiled.correlation_type.as_str()
    }

    /// The names of what it groups by: fields of documents, or aliases for them.
    pub fn group_by(&self) -> impl Iterator<Item = &str> {
        self.compiled.group_by.iter().map(rsigma_eval::GroupByField::name)
    }

    /// The fields of documents that its points need.
    pub fn fields(&self) -> BTreeSet<String> {
        let groups = self.sources().into_iter().flat_map(|source| source.fields);
        let counted = self.compiled.condition.field.iter().flatten().cloned();
        groups.chain(counted).chain(TOLD_FIELDS.iter().map(|field| (*field).to_owned())).collect()
    }

    /// The time within which a point at this time can change matches, from and to. Matches whose `last` lies in it are
    /// whole when all points [from the beginning of what it needs](Self::needs) are at hand.
    pub fn touched(&self, time: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        let from = self.period_of(time) * self.period();
        let to = (self.period_of(time.saturating_add(self.timespan())) + 1) * self.period() - 1;
        (at(from), at(to) + Duration::nanoseconds(999_999_999))
    }

    /// The points from and to which decide on the matches that a point at this time can change.
    pub fn needs(&self, time: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        let (from, to) = self.touched(time);
        (from.saturating_sub(self.timespan()), to)
    }

    /// The level that counts at a time; none where the site mutes it.
    pub fn level_at(&self, time: OffsetDateTime) -> Option<Severity> {
        match self.change.as_ref().filter(|change| change.applies_at(time)) {
            Some(change) => change.level,
            None => Some(self.level),
        }
    }

    fn timespan_seconds(&self) -> i64 {
        i64::try_from(self.compiled.timespan_secs).expect("a longer one is refused")
    }

    fn period(&self) -> i64 {
        PERIOD.max(self.timespan_seconds())
    }

    fn period_of(&self, time: OffsetDateTime) -> i64 {
        time.unix_timestamp().div_euclid(self.period())
    }
}

/// A second, or the last one that there is.
fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(second).unwrap_or(LAST)
}
