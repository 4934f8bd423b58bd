//! Tells where in a trail's tree a prefix is, and which folders below it are wanted (pure).
//!
//! `[prefix/]AWSLogs/[o-ID/]ACCOUNT/KIND/REGION/YYYY/MM/DD/`. The dates are those of the delivery.

use time::{Date, Month};

use super::key::TrailKey;
use crate::record::{is_account, is_region};

/// Selects files of a trail. Empty lists and absent dates select everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrailFilter {
    pub kind: Kind,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    /// The first and the last day of delivery, in UTC.
    pub from: Option<Date>,
    pub to: Option<Date>,
}

/// Which of the sibling folders of a trail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Records,
    Digests,
}

/// What to do about a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// It holds a day of what is wanted.
    Take,
    /// What is wanted may be below it.
    Descend,
    Leave,
}

impl Kind {
    fn has(self, folder: &str) -> bool {
        match self {
            Self::Records => matches!(folder, "CloudTrail" | "CloudTrail-NetworkActivity"),
            Self::Digests => folder == "CloudTrail-Digest",
        }
    }
}

impl TrailFilter {
    /// Decides about a folder by its whole prefix, which ends with a slash or is empty.
    pub fn visit(&self, prefix: &str) -> Visit {
        let segments: Vec<&str> = prefix.split_terminator('/').collect();
        let Some(root) = segments.iter().rposition(|segment| *segment == ROOT) else { return Visit::Descend };
        let mut below = &segments[root + 1..];
        if let Some((first, rest)) = below.split_first()
            && first.starts_with("o-")
        {
            below = rest;
        }
        let wanted = [
            below.first().is_none_or(|account| is_account(account) && allows(&self.accounts, account)),
            below.get(1).is_none_or(|kind| self.kind.has(kind)),
            below.get(2).is_none_or(|region| is_region(region) && allows(&self.regions, region)),
            self.may_hold(below.get(3..).unwrap_or_default()),
        ];
        if wanted.contains(&false) {
            Visit::Leave
        } else if below.len() < DAY {
            Visit::Descend
        } else {
            Visit::Take
        }
    }

    /// Whether a file of that name is wanted, for files that lie outside a trail's tree.
    pub fn has(&self, key: &TrailKey) -> bool {
        let day = key.delivered_at.date();
        allows(&self.accounts, &key.account)
            && allows(&self.regions, &key.region)
            && self.from.is_none_or(|from| from <= day)
            && self.to.is_none_or(|to| day <= to)
    }

    /// Whether it leaves anything out.
    pub fn is_narrow(&self) -> bool {
        !self.accounts.is_empty() || !self.regions.is_empty() || self.from.is_some() || self.to.is_some()
    }

    /// Whether a year, a year's month, or a month's day touches the period. What is no date does not.
    fn may_hold(&self, date: &[&str]) -> bool {
        let mut numbers = Vec::new();
        for part in date.iter().take(3) {
            let Ok(number) = part.parse::<u16>() else { return false };
            numbers.push(number);
        }
        let touches = |day: Option<Date>, is_outside: fn(&[u16], &[u16]) -> bool| {
            day.is_none_or(|day| {
                let bound =
                    [u16::try_from(day.year()).unwrap_or(0), u8::from(day.month()).into(), day.day().into()];
                !is_outside(&numbers, &bound[..numbers.len()])
            })
        };
        touches(self.from, |numbers, from| numbers < from) && touches(self.to, |numbers, to| numbers > to)
    }
}

/// The day that a day's folder is for, by the end of its prefix.
pub fn day_of(prefix: &str) -> Option<Date> {
    let mut parts = prefix.trim_end_matches('/').rsplit('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

/// Whether a prefix is in or below the root of a trail's tree.
pub fn is_rooted(prefix: &str) -> bool {
    prefix.split('/').any(|segment| segment == ROOT)
}

/// The folder that each trail's tree begins with.
pub const ROOT: &str = "AWSLogs";

/// Segments below the root, without that of an organisation: account, kind, region, year, month, day.
const DAY: usize = 6;

fn allows(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|allowed| allowed == value)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn filter() -> TrailFilter {
        TrailFilter {
            kind: Kind::Records,
            accounts: vec!["111122223333".to_owned()],
            regions: vec!["eu-central-1".to_owned()],
            from: Some(date!(2025 - 12 - 30)),
            to: Some(date!(2026 - 02 - 02)),
        }
    }

    #[test]
    fn a_folder_is_taken_descended_into_or_left_by_where_it_is_in_the_tree() {
        const REGION: &str = "p/AWSLogs/o-a1b2/111122223333/CloudTrail/eu-central-1";
        for (prefix, visit) in [
            (String::new(), Visit::Descend),
            ("any/thing/".to_owned(), Visit::Descend),
            ("AWSLogs/".to_owned(), Visit::Descend),
            ("AWSLogs/o-a1b2/".to_owned(), Visit::Descend),
            ("AWSLogs/o-a1b2/444455556666/".to_owned(), Visit::Leave),
            ("AWSLogs/aws-waf-logs/".to_owned(), Visit::Leave),
            ("AWSLogs/111122223333/".to_owned(), Visit::Descend),
            ("AWSLogs/111122223333/CloudTrail-Digest/".to_owned(), Visit::Leave),
            ("AWSLogs/111122223333/CloudTrail-NetworkActivity/".to_owned(), Visit::Descend),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/".to_owned(), Visit::Leave),
            (format!("{REGION}/"), Visit::Descend),
            (format!("{REGION}/2024/"), Visit::Leave),
            (format!("{REGION}/2025/"), Visit::Descend),
            (format!("{REGION}/2025/11/"), Visit::Leave),
            (format!("{REGION}/2025/12/"), Visit::Descend),
            (format!("{REGION}/2025/12/29/"), Visit::Leave),
            (format!("{REGION}/2025/12/30/"), Visit::Take),
            (format!("{REGION}/2026/01/15/"), Visit::Take),
            (format!("{REGION}/2026/02/02/"), Visit::Take),
            (format!("{REGION}/2026/02/03/"), Visit::Leave),
            (format!("{REGION}/2026/03/"), Visit::Leave),
            (format!("{REGION}/2027/"), Visit::Leave),
            (format!("{REGION}/notes/"), Visit::Leave),
        ] {
            assert_eq!(filter().visit(&prefix), visit, "{prefix}");
        }
    }

    #[test]
    fn digests_are_found_beside_the_records_and_nothing_narrow_wants_everything() {
        let digests = TrailFilter { kind: Kind::Digests, ..TrailFilter::default() };
        assert_eq!(
            digests.visit("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/01/"),
            Visit::Take
        );
        assert_eq!(digests.visit("AWSLogs/111122223333/CloudTrail/"), Visit::Leave);
        assert!(!digests.is_narrow());
        assert!(filter().is_narrow());
    }

    #[test]
    fn the_day_of_a_folder_is_the_end_of_its_prefix() {
        assert_eq!(day_of("AWSLogs/1/CloudTrail/x/2026/02/03/"), Some(date!(2026 - 02 - 03)));
        for prefix in ["", "2026/02/30/", "a/b/c/", "2026/13/01/"] {
            assert_eq!(day_of(prefix), None, "{prefix}");
        }
    }
}
