//! Compares what a group does within a timespan with what it did on days before.
//!
//! Sigma has no word for that, so the member `rhythm` of a correlation's document is an extension. A match is compared with
//! the days before its own, in UTC: what somebody does on a day makes nothing usual on that day, however slowly they begin.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fields::document_field;
use super::point::Point;
use super::problem::Problem;

/// The member of a document.
pub const MEMBER: &str = "rhythm";
pub(super) const DAY: i64 = 24 * 60 * 60;
/// Windows of the history of one group, each with a count.
const MOST_WINDOWS: i64 = 5_000;

/// What is usual, as a correlation's document says it.
#[derive(Debug, Clone)]
pub struct Rhythm {
    /// How many days before its own a match is compared with.
    history_days: i64,
    /// On how many of them the group must have been seen, so that its rhythm is known.
    known_days: usize,
    /// How many times as much as on a usual day is a match.
    times: u64,
    /// What does not count while the rhythm is not known: documents with this value in this field.
    until_known_without: Option<(String, String)>,
    /// The least count that the condition holds for.
    least: u64,
}

/// The member, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    history_days: i64,
    known_days: usize,
    times: u64,
    #[serde(default)]
    until_known_without: BTreeMap<String, String>,
}

/// How many points of a group came in each timespan, by its number since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub(super) BTreeMap<i64, Counted>);

/// The points of one timespan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub all: u64,
    /// Those that do not count while the rhythm is not known.
    pub left_out: u64,
}

/// What is known of the days before a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// The group was seen on so many days, which is too few.
    Unknown { days: usize },
    /// On half of the days it was seen, it made so many within one timespan or fewer.
    Known { count: u64 },
}

impl Rhythm {
    /// Reads the member of a document whose condition holds for this count at least.
    pub(super) fn read(value: &yaml_serde::Value, timespan: i64, least: u64) -> Result<Self, Problem> {
        let refuse = |text: String| Err(Problem::new(MEMBER, format!("`{MEMBER}`: {text}")));
        let written: Written = match yaml_serde::from_value(value.clone()) {
            Ok(written) => written,
            Err(error) => return refuse(error.to_string()),
        };
        let Written { history_days, known_days, times, until_known_without } = written;
        if !(1..=60).contains(&history_days) {
            return refuse("`history_days` is between 1 and 60".to_owned());
        }
        if known_days == 0 || i64::try_from(known_days).map_or(true, |days| days > history_days) {
            return refuse("`known_days` is between 1 and `history_days`".to_owned());
        }
        if times == 0 || times > 1_000_000 {
            return refuse("`times` is between 1 and 1000000".to_owned());
        }
        if DAY % timespan != 0 || (history_days + 2) * DAY / timespan > MOST_WINDOWS {
            return refuse(format!(
                "`timespan` divides a day, and the history has {MOST_WINDOWS} of them at most"
            ));
        }
        if until_known_without.len() > 1 {
            return refuse("`until_known_without` has one field with a value".to_owned());
        }
        let field = |name: String| document_field(&name).map(str::to_owned);
        let until_known_without = match until_known_without.into_iter().next() {
            None => None,
            Some((name, value)) => match field(name) {
                Ok(field) => Some((field, value)),
                Err(text) => return refuse(text),
            },
        };
        Ok(Self { history_days, known_days, times, until_known_without, least })
    }

    /// The field and value of documents that do not count while the rhythm is not known.
    pub fn until_known_without(&self) -> Option<(&str, &str)> {
        self.until_known_without.as_ref().map(|(field, value)| (field.as_str(), value.as_str()))
    }

    /// Days before that are compared with.
    pub fn history_days(&self) -> i64 {
        self.history_days
    }

    pub fn known_days(&self) -> usize {
        self.known_days
    }

    pub fn times(&self) -> u64 {
        self.times
    }

    pub(super) fn is_left_out(&self, point: &Point) -> bool {
        let has = |(field, value): &(String, String)| point.values(field).contains(value);
        self.until_known_without.as_ref().is_some_and(has)
    }

    /// What is usual on the day that begins at a second. Of the busiest timespans of the days before, the one in the middle
    /// counts: whoever has a flood on some of the days has made nothing usual.
    pub(super) fn usual(&self, history: &History, day: i64, timespan: i64) -> Usual {
        let from = (day - self.history_days * DAY).div_euclid(timespan);
        let mut busiest: BTreeMap<i64, u64> = BTreeMap::new();
        for (window, counted) in history.0.range(from..day.div_euclid(timespan)) {
            let count = busiest.entry((window * timespan).div_euclid(DAY)).or_default();
            *count = counted.all.max(*count);
        }
        let mut counts: Vec<u64> = busiest.into_values().filter(|count| *count > 0).collect();
        if counts.len() < self.known_days {
            return Usual::Unknown { days: counts.len() };
        }
        counts.sort_unstable();
        Usual::Known { count: counts[(counts.len() - 1) / 2] }
    }

    /// The least count that is a match where this is usual.
    pub(super) fn least(&self, usual: Usual) -> u64 {
        match usual {
            Usual::Unknown { .. } => self.least,
            Usual::Known { count } => self.least.max(count.saturating_mul(self.times)),
        }
    }
}
