//! Reads the times of records and notifications, and writes those of documents.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Reads RFC 3339 into UTC. None for what is no time, and for a time whose year in UTC does not have four digits, which
/// nothing that reads our documents could take.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then_some(time)
}

/// Writes a time as OpenSearch's `date` reads it: RFC 3339 with milliseconds, in UTC.
pub fn format(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, milli) = time.to_hms_milli();
    if !(0..=9999).contains(&year) {
        return format!(
            "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z",
            u8::from(month)
        );
    }
    // Each document has several times, and each fact more, so that the machinery of formats would be felt.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let year = year.unsigned_abs();
    for (place, number) in [
        (0, year / 100),
        (2, year % 100),
        (5, u32::from(u8::from(month))),
        (8, u32::from(day)),
        (11, u32::from(hour)),
        (14, u32::from(minute)),
        (17, u32::from(second)),
        (20, u32::from(milli / 10)),
    ] {
        text[place] = digit(number / 10);
        text[place + 1] = digit(number % 10);
    }
    text[22] = digit(u32::from(milli % 10));
    std::str::from_utf8(&text).expect("it is ASCII").to_owned()
}

fn digit(number: u32) -> u8 {
    u8::try_from(number).map_or(b'0', |number| b'0' + number)
}

/// A time as documents have it: written as [`format()`] writes it, and read as [`parse()`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub OffsetDateTime);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(self.0))
    }
}

impl<'d> Deserialize<'d> for Timestamp {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(std::format!("{text:?} is no time of RFC 3339")))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_written_with_all_its_digits() {
        for (time, expected) in [
            (datetime!(2026-11-03 01:12:03 UTC), "2026-11-03T01:12:03.000Z"),
            (datetime!(0987-01-09 23:59:59.98765 UTC), "0987-01-09T23:59:59.987Z"),
            (datetime!(2026-01-01 00:30 +01:00), "2025-12-31T23:30:00.000Z"),
            (datetime!(-0001-01-01 00:00 UTC), "-001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(format(time), expected);
        }
    }

    #[test]
    fn a_time_is_read_into_utc_and_one_beyond_four_digits_is_none() {
        let cases = [
            ("2026-11-03T01:12:03Z", Some(datetime!(2026-11-03 01:12:03 UTC))),
            ("2026-11-01T00:30:00+01:00", Some(datetime!(2026-10-31 23:30 UTC))),
            ("9999-12-31T23:59:59Z", Some(datetime!(9999-12-31 23:59:59 UTC))),
            ("9999-12-31T23:59:59-01:00", None),
            ("0000-01-01T00:00:00Z", Some(datetime!(0000-01-01 00:00 UTC))),
            ("0000-01-01T00:00:00+01:00", None),
            ("2026-13-01T00:00:00Z", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
