//! Compares what a group does within a timespan with what it did on days before.
//!
//! Sigma has no word for that, so the member `rhythm` of a correlation's document is an extension. A match is compared
//! with the days before its own, in UTC: what somebody does on a day makes nothing usual on that day, however slowly
//! they begin.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::problem::Problem;

/// The member of a document.
pub const MEMBER: &str = "rhythm";
pub(super) const DAY: i64 = 24 * 60 * 60;
/// Counts of the history of one group.
const MOST_COUNTS: i64 = 10_000;
/// What is counted is half a timespan, and two that follow each other are compared: a job that goes on from one
/// timespan of the clock into the next is not two half ones.
pub(super) const COUNTS_OF_TIMESPAN: i64 = 2;

/// What is usual, as a correlation's document says it.
#[derive(Debug, Clone)]
pub struct Rhythm {
    /// How many days before its own a match is compared with.
    history_days: i64,
    /// On how many of them the group must have been seen, so that its rhythm is known.
    known_days: usize,
    /// How many times as much as on a usual day is a match.
    times: u64,
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
}

/// How many points of a group came in each half of a timespan, by its number since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub(super) BTreeMap<i64, u64>);

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
        let Written { history_days, known_days, times } = written;
        if !(1..=60).contains(&history_days) {
            return refuse("`history_days` is between 1 and 60".to_owned());
        }
        if known_days == 0 || i64::try_from(known_days).map_or(true, |days| days > history_days) {
            return refuse("`known_days` is between 1 and `history_days`".to_owned());
        }
        if times == 0 || times > 1_000_000 {
            return refuse("`times` is between 1 and 1000000".to_owned());
        }
        if DAY % timespan != 0 || timespan % COUNTS_OF_TIMESPAN != 0 {
            return refuse("`timespan` divides a day, and is an even number of seconds".to_owned());
        }
        if (history_days + 2) * DAY * COUNTS_OF_TIMESPAN / timespan > MOST_COUNTS {
            let most = MOST_COUNTS / COUNTS_OF_TIMESPAN;
            return refuse(format!("the history has {most} times the `timespan` at most"));
        }
        Ok(Self { history_days, known_days, times, least })
    }

    /// Days before that are compared with.
    pub fn history_days(&self) -> i64 {
        self.history_days
    }

    /// What is usual on the day that begins at a second. Of the busiest timespans of the days before, the one in the
    /// middle counts: whoever has a flood on some of the days has made nothing usual.
    pub(super) fn usual(&self, history: &History, day: i64, half: i64) -> Usual {
        let from = (day - self.history_days * DAY).div_euclid(half);
        let mut busiest: BTreeMap<i64, u64> = BTreeMap::new();
        let mut before: Option<(i64, u64)> = None;
        for (number, count) in history.0.range(from..day.div_euclid(half)) {
            let with = before.filter(|(before, _)| before + 1 == *number).map_or(0, |(_, count)| count);
            let most = busiest.entry((number * half).div_euclid(DAY)).or_default();
            *most = count.saturating_add(with).max(*most);
            before = Some((*number, *count));
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
