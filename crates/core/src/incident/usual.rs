//! Which rules match at the site anyway, among the matches that are at hand: a finding of another counts for more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use time::OffsetDateTime;

/// Since when it is known what is usual: it is asked once for each hour, and an answer is the same for the whole of it,
/// whoever asks, and when.
pub fn hour_of(now: OffsetDateTime) -> OffsetDateTime {
    now.truncate_to_hour()
}

/// By rule and origin, when it matched.
#[derive(Debug, Default)]
pub struct Matches(BTreeMap<String, BTreeMap<String, Vec<OffsetDateTime>>>);

impl Matches {
    /// Counts a match of a rule, in any order of time.
    pub fn add(&mut self, rule: &str, origin: &str, time: OffsetDateTime) {
        let of_rule = self.0.entry(rule.to_owned()).or_default();
        let times = match of_rule.get_mut(origin) {
            Some(times) => times,
            None => of_rule.entry(origin.to_owned()).or_default(),
        };
        times.insert(times.partition_point(|known| *known <= time), time);
    }

    /// Takes back a match that is another one now.
    pub fn remove(&mut self, rule: &str, origin: &str, time: OffsetDateTime) {
        let times = self.0.get_mut(rule).and_then(|of_rule| of_rule.get_mut(origin));
        if let Some(times) = times
            && let Ok(place) = times.binary_search(&time)
        {
            times.remove(place);
        }
    }

    /// The rules that matched in a period for anybody but the suspects.
    pub fn usual(&self, period: &Range<OffsetDateTime>, suspects: &BTreeSet<String>) -> BTreeSet<String> {
        let is_in_period = |times: &[OffsetDateTime]| {
            let next = times.partition_point(|time| *time < period.start);
            times.get(next).is_some_and(|time| *time < period.end)
        };
        let is_usual = |of_rule: &BTreeMap<String, Vec<OffsetDateTime>>| {
            of_rule.iter().any(|(origin, times)| is_in_period(times) && !suspects.contains(origin))
        };
        self.0.iter().filter(|(_, of_rule)| is_usual(of_rule)).map(|(rule, _)| rule.clone()).collect()
    }

    /// Lets go of what was before a time.
    pub fn forget(&mut self, oldest: OffsetDateTime) {
        for of_rule in self.0.values_mut() {
            of_rule.retain(|_, times| {
                times.drain(..times.partition_point(|time| *time < oldest));
                !times.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_rule_is_usual_where_it_matched_in_the_period_for_somebody_who_is_no_suspect() {
        let (early, within, late) = (
            datetime!(2026-11-01 12:00 UTC),
            datetime!(2026-11-10 12:00 UTC),
            datetime!(2026-11-20 12:00 UTC),
        );
        let period = datetime!(2026-11-05 12:00 UTC)..datetime!(2026-11-15 12:00 UTC);
        let mut matches = Matches::default();
        for (rule, origin, time) in [
            ("seen", "ann", early),
            ("seen", "ann", late),
            ("seen", "ann", within),
            ("suspect", "bob", within),
            ("early", "ann", early),
            ("late", "ann", late),
            ("gone", "ann", within),
        ] {
            matches.add(rule, origin, time);
        }
        matches.remove("gone", "ann", within);
        matches.remove("gone", "ann", early);
        let suspects = ["bob".to_owned()].into();
        assert_eq!(matches.usual(&period, &suspects), ["seen".to_owned()].into());
        matches.forget(late);
        assert_eq!(matches.usual(&period, &BTreeSet::new()), BTreeSet::new());
        assert_eq!(hour_of(datetime!(2026-11-01 12:59:59.9 UTC)), early);
    }
}
