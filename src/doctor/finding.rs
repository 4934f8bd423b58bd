//! Describes what the doctor found about one part, whether that is as it should be, and how to mend it.

use std::fmt::Write;

use serde::Serialize;
use strum::IntoStaticStr;

/// The state of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum State {
    Fine,
    /// It works, and less is seen or kept than could be; or it could not be looked at.
    Warning,
    /// Records do not arrive, or will be lost.
    Broken,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The part, such as `queue`.
    pub subject: String,
    pub state: State,
    pub text: String,
    /// What to do about it; a part that is fine has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn fine(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Fine, text: text.into(), fix: None }
    }

    pub(super) fn warning(
        subject: impl Into<String>,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), state: State::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    pub(super) fn broken(
        subject: impl Into<String>,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), state: State::Broken, text: text.into(), fix: Some(fix.into()) }
    }
}

/// All findings, in the order in which a record meets the parts.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// How many findings have this state.
    pub fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// The report as lines for a person: state, part and text, and below it the fix.
    pub fn text(&self) -> String {
        let widest = self.findings.iter().map(|finding| finding.subject.len()).max().unwrap_or_default();
        let mut text = String::new();
        for Finding { subject, state, text: what, fix } in &self.findings {
            // Some causes come as lists over several lines.
            let what = what.lines().map(str::trim).collect::<Vec<_>>().join("; ");
            writeln!(text, "{:<8} {subject:<widest$}  {what}", <&str>::from(*state))
                .expect("a String takes everything");
            if let Some(fix) = fix {
                writeln!(text, "{:<8} {:<widest$}  → {fix}", "", "").expect("a String takes everything");
            }
        }
        let counts = [State::Broken, State::Warning, State::Fine].map(|state| self.count(state));
        let [broken, warnings, fine] = counts;
        writeln!(text, "{broken} broken, {warnings} warnings, {fine} fine")
            .expect("a String takes everything");
        text
    }

    /// The report for tools. Its members stay.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a report has only texts");
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_lines_with_the_fix_below_and_as_json() {
        let mut report = Report::default();
        report.extend([
            Finding::fine("queue", "it answers"),
            Finding::broken("clock", "9 minutes\n  off", "set it"),
        ]);
        assert_eq!(
            report.text(),
            "fine     queue  it answers\n\
             broken   clock  9 minutes; off\n\
             \x20               → set it\n\
             1 broken, 0 warnings, 1 fine\n"
        );
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["findings"][1]["state"], "broken");
        assert_eq!(json["findings"][0].get("fix"), None);
    }
}
