//! When something was said, and by which record.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset};

use crate::timestamp;

/// The place of a record in the order of all: the time of its event and then its id, as text that sorts like that. A
/// stamp of a day alone lies before all of that day. All that one record tells shares one text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The time in the text, so that most are compared without it; zero where the text has none.
    time: u64,
    text: Option<Arc<str>>,
}

impl Stamp {
    /// What holds at all times, such as the name of a thing.
    pub const ALWAYS: Self = Self { time: 0, text: None };

    /// [`Self::ALWAYS`], to be lent.
    pub fn always() -> &'static Self {
        static ALWAYS: Stamp = Stamp::ALWAYS;
        &ALWAYS
    }

    /// That of one record, which is known by the id of its document.
    pub fn of(time: OffsetDateTime, id: &str) -> Self {
        Self::new(&[&timestamp::format(time), " ", id].concat())
    }

    /// The day of a record, for what need not be written again with every record of a day.
    pub fn of_day(time: OffsetDateTime) -> Self {
        Self::new(&day(time))
    }

    /// The first of all stamps at a time or after it.
    pub fn at(time: OffsetDateTime) -> Self {
        Self::new(&timestamp::format(time))
    }

    /// When it was; none of a stamp without a time.
    pub fn time(&self) -> Option<OffsetDateTime> {
        let text = self.as_str();
        let (time, _) = text.split_once(' ').unwrap_or((text, ""));
        timestamp::parse(time).or_else(|| timestamp::parse(&format!("{time}T00:00:00Z")))
    }

    /// Whether it lies before [all stamps at a time](Self::at) or after it.
    pub fn is_before(&self, time: OffsetDateTime) -> bool {
        match (self.time, number_of(time)) {
            (known @ 1.., then @ 1..) if known != then => known < then,
            _ => *self < Self::at(time),
        }
    }

    /// The text that sorts and is stored; empty for what holds at all times.
    pub fn as_str(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    fn new(text: &str) -> Self {
        Self { time: number(text), text: (!text.is_empty()).then(|| text.into()) }
    }
}

impl Ord for Stamp {
    fn cmp(&self, other: &Self) -> Ordering {
        let has_times = self.time != 0 && other.time != 0;
        let by_time = if has_times { self.time.cmp(&other.time) } else { Ordering::Equal };
        by_time.then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for Stamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

/// The day of a time, such as `2026-11-29`.
pub fn day(time: OffsetDateTime) -> String {
    let mut text = timestamp::format(time);
    text.truncate("2026-11-29".len());
    text
}

/// The digits of the day and the second with which a text begins, which sort as the text does, and zero of another
/// text. A day without a second sorts before all of the day.
fn number(text: &str) -> u64 {
    let number = match text.len() {
        10 => digits(text, b"0000-00-00").map(|day| day * OF_DAY),
        _ => digits(text, b"0000-00-00T00:00:00")
            .map(|second| number_of_second(second / 1_000_000, second % 1_000_000)),
    };
    number.unwrap_or(0)
}

/// Numbers that a day has.
const OF_DAY: u64 = 10_000_000;

/// That of a second by its digits. Midnight is after the day.
fn number_of_second(day: u64, second: u64) -> u64 {
    day * OF_DAY + 1_000_000 + second
}

/// The number of the text of a time; zero where its year does not have four digits.
fn number_of(time: OffsetDateTime) -> u64 {
    let time = time.to_offset(UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let digits = |parts: [u64; 3]| (parts[0] * 100 + parts[1]) * 100 + parts[2];
    match u64::try_from(year) {
        Ok(year @ ..=9_999) => number_of_second(
            digits([year, u8::from(month).into(), day.into()]),
            digits([hour.into(), minute.into(), second.into()]),
        ),
        _ => 0,
    }
}

/// The digits that stand for the zeros of a pattern, if the text begins like it.
fn digits(text: &str, pattern: &[u8]) -> Option<u64> {
    let text = text.as_bytes().get(..pattern.len())?;
    text.iter().zip(pattern).try_fold(0, |number, (byte, like)| match like {
        b'0' => byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')),
        _ => (byte == like).then_some(number),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Date;

    use super::*;

    proptest! {
        #[test]
        fn stamps_sort_as_their_texts_do(
            a in "(2026-1[01]-2[01](T0[01]:0[01]:0[01](.00[01]Z [ab])?)?)|[ -~é]{0,20}",
            b in "(2026-1[01]-2[01](T0[01]:0[01]:0[01](.00[01]Z [ab])?)?)|[ -~é]{0,20}",
        ) {
            prop_assert_eq!(Stamp::new(&a).cmp(&Stamp::new(&b)), a.cmp(&b));
            prop_assert_eq!(Stamp::new(&a) == Stamp::new(&b), a == b);
        }

        #[test]
        fn a_stamp_is_before_a_time_as_it_is_before_the_first_stamp_at_it(
            stamp in "(2026-1[01]-2[01](T(0[01]|23):(0[01]|59):(0[01]|59)(.00[01]Z [ab]|.000Z)?)?)|[ -~é]{0,20}",
            (month, day, hour, second) in (10..=11_u8, 20..=21_u8, prop_oneof![Just(0), Just(1), Just(23)], prop_oneof![0..=1_u8, Just(59)]),
            milli in 0..=1_u16,
            offset in -1..=1_i8,
        ) {
            let date = Date::from_calendar_date(2026, month.try_into().unwrap(), day).unwrap();
            let time = date.with_hms_milli(hour, second, second, milli).unwrap();
            let time = time.assume_utc().to_offset(UtcOffset::from_hms(offset, 0, 0).unwrap());
            let stamp = Stamp::new(&stamp);
            prop_assert_eq!(stamp.is_before(time), stamp < Stamp::at(time));
        }
    }
}
