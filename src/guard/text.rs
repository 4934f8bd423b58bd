//! Writes a simulation for people: first how much there is to read, then the policies that would have denied somebody (pure).

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use super::simulate::{Line, PolicyReport, Report};

impl Display for Report {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let denying = self.policies.iter().filter(|policy| policy.denied > 0).count();
        writeln!(text, "{} record(s) of {} that some policy is about", self.records, self.period)?;
        writeln!(text, "{denying} of {} policies would have denied somebody", self.policies.len())?;
        if self.unreadable > 0 {
            writeln!(text, "{} record(s) could not be read and are not judged", self.unreadable)?;
        }
        writeln!(
            text,
            "Not shown: calls that were not delivered or not selected, and the management account, which no such policy stops"
        )?;
        let examples: BTreeSet<&String> =
            self.policies.iter().flat_map(|policy| &policy.example_values).collect();
        if !examples.is_empty() {
            writeln!(text, "Tried with lists of the example, because you have set none of your own:")?;
        }
        for list in examples {
            writeln!(text, "    {list}")?;
        }
        let is_worth_it = |policy: &&PolicyReport| policy.denied + policy.undecided > 0;
        for policy in self.policies.iter().filter(is_worth_it) {
            write!(text, "\n{policy}")?;
        }
        let quiet: Vec<&PolicyReport> = self.policies.iter().filter(|it| !is_worth_it(it)).collect();
        if !quiet.is_empty() {
            writeln!(text, "\nThese would have denied nobody:")?;
        }
        for policy in quiet {
            let calls = match policy.allowed {
                0 => "nobody made such a call".to_owned(),
                allowed => format!("{allowed} allowed"),
            };
            writeln!(text, "    {:<30} {calls}", policy.policy)?;
        }
        Ok(())
    }
}

impl Display for PolicyReport {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { policy, title, denied, undecided, allowed, .. } = self;
        writeln!(text, "{policy}: {denied} denied, {undecided} undecided, {allowed} allowed\n    {title}")?;
        if *undecided > 0 {
            writeln!(text, "    undecided: the record does not show what the policy asks for")?;
        }
        for line in &self.lines {
            writeln!(text, "    {line}")?;
        }
        if self.more > 0 {
            writeln!(text, "    and {} more call(s)", self.more)?;
        }
        Ok(())
    }
}

impl Display for Line {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { verdict, who, call, account, works_for, count, first, last, event } = self;
        let works_for = works_for.as_ref().map_or(String::new(), |it| format!(" for {}", shown(it)));
        let when = match count {
            1 => format!("at {first}, event"),
            _ => format!("{first} to {last}, first event"),
        };
        write!(
            text,
            "{verdict:<9} {count:>6} x {}  {}{works_for}, account {}, {when} {}",
            shown(call),
            shown(who),
            shown(account),
            shown(event)
        )
    }
}

/// A record's text for a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !sagetrail_core::enrich::is_invisible(*character)).collect()
}
