//! Writes the report of a backtest for people.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use super::report::{Change, Changes, RecordsReport, Report, RuleReport};
use crate::timestamp;

/// Weeks that have a column of their own, the latest ones. JSON has all.
const COLUMNS: usize = 6;

impl Display for Report {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        for page in &self.pages {
            writeln!(text, "{}  {}", timestamp::format(page.time.0), page.sentence)?;
            writeln!(text, "    {}; incident {}", page.reason, page.incident)?;
        }
        let weeks: BTreeSet<&str> = self.rules.iter().flat_map(RuleReport::weeks).collect();
        let matched = self.rules.iter().filter(|rule| rule.matches > 0).count();
        let muted: u64 = self.rules.iter().map(|rule| rule.muted).sum();
        let found = format!(
            "{} page(s), {} incident(s), {matched} rule(s) matched in {} week(s), {muted} match(es) muted",
            self.pages.len(),
            self.incidents.len(),
            weeks.len()
        );
        self.records.write(text, &found)?;
        let columns: Vec<&str> = weeks.into_iter().rev().take(COLUMNS).collect();
        if !self.rules.is_empty() {
            write!(text, "\n{:>8} {:>7}  {:>9}", "matches", "muted", "incidents")?;
            columns.iter().rev().try_for_each(|week| write!(text, "  {week:>13}"))?;
            writeln!(text, "  {:<13}  rule", "level")?;
        }
        for rule in &self.rules {
            let RuleReport { title, level, matches, muted, incidents, .. } = rule;
            write!(text, "{matches:>8} {muted:>7}  {incidents:>9}")?;
            columns.iter().rev().try_for_each(|week| write!(text, "  {:>13}", rule.in_week(week)))?;
            writeln!(text, "  {:<13}  {title}", level.name())?;
        }
        match &self.changes {
            Some(changes) => changes.fmt(text),
            None => Ok(()),
        }
    }
}

impl RecordsReport {
    /// Writes what was found, and in what of the records where that is not all.
    fn write(&self, text: &mut Formatter<'_>, found: &str) -> fmt::Result {
        let Self { read, judged } = self;
        let left_out = read.damaged + read.unread;
        let readable = read.records + read.stored;
        match (left_out, readable) {
            (0, _) => writeln!(text, "{found}")?,
            (_, 0) => writeln!(text, "No record could be read, so no pages can be told")?,
            _ => writeln!(text, "In the {readable} record(s) that could be read: {found}")?,
        }
        if left_out > 0 {
            let files = read.files + read.unread;
            writeln!(
                text,
                "Of {files} file(s), {} could not be read and {} only in part:",
                read.unread, read.damaged
            )?;
            for left in &read.left_out {
                writeln!(text, "    {}", left.problem)?;
            }
            let more = left_out.saturating_sub(read.left_out.len() as u64);
            if more > 0 {
                writeln!(text, "    and {more} more")?;
            }
        }
        if judged.unreadable > 0 {
            writeln!(text, "{} stored event(s) have no readable text and are not judged", judged.unreadable)?;
        }
        if judged.redacted > 0 {
            writeln!(
                text,
                "{} stored event(s) have lost values of their text to redaction, which rules see as fingerprints; {} of them keep what was found in these",
                judged.redacted, judged.carried
            )?;
        }
        Ok(())
    }
}

impl RuleReport {
    fn weeks(&self) -> impl Iterator<Item = &str> {
        self.weeks.keys().chain(self.muted_weeks.keys()).map(String::as_str)
    }

    /// The matches of a week, with those that are muted in parentheses.
    fn in_week(&self, week: &str) -> String {
        let matches = self.weeks.get(week).copied().unwrap_or_default();
        match self.muted_weeks.get(week) {
            Some(muted) => format!("{matches} ({muted})"),
            None => matches.to_string(),
        }
    }
}

impl Display for Changes {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { pages_added, pages_removed, rules } = self;
        writeln!(
            text,
            "\nBeside the present rules: {} page(s) more, {} fewer",
            pages_added.len(),
            pages_removed.len()
        )?;
        for (sign, pages) in [('+', pages_added), ('-', pages_removed)] {
            for page in pages {
                writeln!(text, "{sign} {}  {}", timestamp::format(page.time.0), page.sentence)?;
            }
        }
        for Change { title, before, after, muted_before, muted_after, .. } in rules {
            write!(text, "  {before} -> {after} matches")?;
            if muted_before != muted_after {
                write!(text, ", {muted_before} -> {muted_after} muted")?;
            }
            writeln!(text, ": {title}")?;
        }
        Ok(())
    }
}
