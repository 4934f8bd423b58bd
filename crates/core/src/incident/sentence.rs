//! Puts an incident into words that are read on a phone.

use std::fmt::Write;

use super::tally::{Finding, Tally};
use super::weights::Weights;
use crate::enrich::{Severity, drill};
use crate::timestamp;

/// The most lines of the timeline.
const MOST_LINES: usize = 20;
/// The most findings that a page names.
const MOST_NAMED: usize = 3;
/// What the sentence of a record says of its rules, which an incident names by itself.
const MATCHES: &str = "; matches ";

/// The sentence for the phone: how bad, who, what, to what and from where, and how much more there is.
pub fn sentence(tally: &Tally, severity: Severity, origin: &str) -> String {
    let Some(worst) = tally.newest_of_worst() else { return String::new() };
    let said = said(worst);
    let is_drill = drill::of_origin(origin).is_some();
    let first = if is_drill { drill::SAID_FIRST } else { "" };
    let said = said.strip_prefix(first).unwrap_or(said);
    let mut sentence = format!("{first}{}: {said}", capital(severity));
    let who = last_part(origin);
    if !is_drill && !sentence.contains(who) {
        let _ = write!(sentence, "; behind it is {who}");
    }
    let findings = tally.findings.len();
    if findings > 1 {
        let _ = write!(sentence, "; {findings} findings");
        let _ = match tally.resources.len() {
            0 => Ok(()),
            1 => write!(sentence, " on 1 resource"),
            resources => write!(sentence, " on {resources} resources"),
        };
    }
    sentence.push('.');
    sentence
}

/// Why it was opened or escalated.
pub fn reason(tally: &Tally, score: u64, weights: &Weights) -> String {
    let critical =
        tally.worst_first().into_iter().find(|(_, finding)| finding.severity == Severity::Critical);
    if let Some((_, critical)) = critical {
        return format!("A critical finding: {}", critical.title);
    }
    let limits = &weights.limits;
    let limit = if score >= limits.critical_at.value.into() { &limits.critical_at } else { &limits.opens_at };
    format!("{} findings count {score} of {} points", tally.findings.len(), limit.value)
}

/// The worst findings with their levels.
pub fn worst(findings: &[(&str, &Finding)]) -> Vec<String> {
    let said = |(_, finding): &(&str, &Finding)| format!("{}: {}", capital(finding.severity), finding.title);
    findings.iter().take(MOST_NAMED).map(said).collect()
}

/// When each rule matched first, in the order of time.
pub fn timeline(tally: &Tally) -> Vec<String> {
    let mut findings: Vec<(&String, &Finding)> = tally.findings.iter().collect();
    findings.sort_by(|(a_rule, a), (b_rule, b)| a.first.cmp(&b.first).then_with(|| a_rule.cmp(b_rule)));
    let line = |(_, finding): (&String, &Finding)| {
        let time = timestamp::format(finding.first.time);
        format!("{time} {}: {}: {}", capital(finding.severity), finding.title, said(finding))
    };
    findings.into_iter().take(MOST_LINES).map(line).collect()
}

/// What the record says that told the finding first.
fn said(finding: &Finding) -> &str {
    let message = finding.first.message.as_str();
    message.split_once(MATCHES).map_or(message, |(said, _)| said).trim_end_matches('.')
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub fn capital(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}
