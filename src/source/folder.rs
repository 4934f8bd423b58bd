//! Tells where in a trail's tree a prefix is, and which folders below it are wanted (pure).
//!
//! `[prefix/]AWSLogs/[o-ID/]ACCOUNT/KIND/REGION/YYYY/MM/DD/`. The dates are those of the delivery.

use time::{Date, Month};

use super::key::{TrailKey, is_account, is_region};

/// Selects files of a trail. Empty lists and absent dates select everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
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
pub enum Step {
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

impl Wanted {
    /// Decides about a folder by its whole prefix, which ends with a slash or is empty.
    pub fn step(&self, prefix: &str) -> Step {
        let segments: Vec<&str> = prefix.split_terminator('/').collect();
        let Some(root) = segments.iter().rposition(|segment| *segment == ROOT) else { return Step::Descend };
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
            Step::Leave
        } else if below.len() < DAY {
            Step::Descend
        } else {
            Step::Take
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

    fn wanted() -> Wanted {
        Wanted {
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
        for (prefix, step) in [
            (String::new(), Step::Descend),
            ("any/thing/".to_owned(), Step::Descend),
            ("AWSLogs/".to_owned(), Step::Descend),
            ("AWSLogs/o-a1b2/".to_owned(), Step::Descend),
            ("AWSLogs/o-a1b2/444455556666/".to_owned(), Step::Leave),
            ("AWSLogs/aws-waf-logs/".to_owned(), Step::Leave),
            ("AWSLogs/111122223333/".to_owned(), Step::Descend),
            ("AWSLogs/111122223333/CloudTrail-Digest/".to_owned(), Step::Leave),
            ("AWSLogs/111122223333/CloudTrail-NetworkActivity/".to_owned(), Step::Descend),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/".to_owned(), Step::Leave),
            (format!("{REGION}/"), Step::Descend),
            (format!("{REGION}/2024/"), Step::Leave),
            (format!("{REGION}/2025/"), Step::Descend),
            (format!("{REGION}/2025/11/"), Step::Leave),
            (format!("{REGION}/2025/12/"), Step::Descend),
            (format!("{REGION}/2025/12/29/"), Step::Leave),
            (format!("{REGION}/2025/12/30/"), Step::Take),
            (format!("{REGION}/2026/01/15/"), Step::Take),
            (format!("{REGION}/2026/02/02/"), Step::Take),
            (format!("{REGION}/2026/02/03/"), Step::Leave),
            (format!("{REGION}/2026/03/"), Step::Leave),
            (format!("{REGION}/2027/"), Step::Leave),
            (format!("{REGION}/notes/"), Step::Leave),
        ] {
            assert_eq!(wanted().step(&prefix), step, "{prefix}");
        }
    }

    #[test]
    fn digests_are_found_beside_the_records_and_nothing_narrow_wants_everything() {
        let digests = Wanted { kind: Kind::Digests, ..Wanted::default() };
        assert_eq!(digests.step("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/01/"), Step::Take);
        assert_eq!(digests.step("AWSLogs/111122223333/CloudTrail/"), Step::Leave);
        assert!(!digests.is_narrow());
        assert!(wanted().is_narrow());
    }

    #[test]
    fn the_day_of_a_folder_is_the_end_of_its_prefix() {
        assert_eq!(day_of("AWSLogs/1/CloudTrail/x/2026/02/03/"), Some(date!(2026 - 02 - 03)));
        for prefix in ["", "2026/02/30/", "a/b/c/", "2026/13/01/"] {
            assert_eq!(day_of(prefix), None, "{prefix}");
        }
    }
}
