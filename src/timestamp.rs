//! The timestamp: a moment as records and notifications write it.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Reads RFC 3339 into UTC. None for what is no time, and for a time whose year in UTC does not have four digits, which
/// nothing that reads our documents could take.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

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
