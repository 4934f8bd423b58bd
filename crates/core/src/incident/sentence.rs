//! Puts an incident into words that are read on a phone.

use std::fmt::Write;

use super::tally::{Finding, MOST_ASKED, Tally};
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
    let is_drill = drill::of_origin(origin).is_some();
    let first = if is_drill { drill::SAID_FIRST } else { "" };
    let mut sentence = begun(worst, severity, first, Some(origin).filter(|_| !is_drill));
    add_counts(&mut sentence, tally);
    sentence.push('.');
    sentence
}

/// The same of those who joined an incident of somebody else.
pub fn of_joined(joined: &Tally, whole: &Tally, severity: Severity, who: &[String], origin: &str) -> String {
    let Some(worst) = joined.newest_of_worst() else { return String::new() };
    let behind = who.iter().find(|who| worst.first.message.contains(last_part(who))).or(who.first());
    let mut sentence = begun(worst, severity, "", behind.map(String::as_str));
    let _ = write!(sentence, "; it joins the incident of {}", last_part(origin));
    add_counts(&mut sentence, whole);
    sentence.push('.');
    sentence
}

fn begun(worst: &Finding, severity: Severity, first: &str, behind: Option<&str>) -> String {
    let said = said(worst);
    let said = said.strip_prefix(first).unwrap_or(said);
    let mut sentence = format!("{first}{}: {said}", capital(severity));
    if let Some(who) = behind.map(last_part).filter(|who| !sentence.contains(who)) {
        let _ = write!(sentence, "; behind it is {who}");
    }
    sentence
}

fn add_counts(sentence: &mut String, tally: &Tally) {
    let findings = tally.findings.len();
    if findings > 1 {
        let _ = write!(sentence, "; {findings} findings");
        let _ = match tally.resources.len() {
            0 => Ok(()),
            1 => write!(sentence, " on 1 resource"),
            resources => write!(sentence, " on {resources} resources"),
        };
    }
    if tally.origins.was_cut() {
        let _ = write!(sentence, "; more than {MOST_ASKED} are behind it, and the others are not named");
    }
}

/// Why it was opened or escalated.
pub fn reason(tally: &Tally, score: u64, weights: &Weights) -> String {
    let worst = tally.worst_first().into_iter().next();
    if let Some((_, finding)) = worst.filter(|(_, finding)| finding.severity == Severity::Critical) {
        return critical(finding);
    }
    let limits = &weights.limits;
    let limit = if score >= limits.critical_at.value.into() { &limits.critical_at } else { &limits.opens_at };
    format!("{} findings count {score} of {} points", tally.findings.len(), limit.value)
}

/// Why it was opened or escalated for this finding.
pub fn critical(finding: &Finding) -> String {
    format!("A critical finding: {}", finding.title)
}

/// Why it was escalated for somebody else.
pub fn joined(who: &[String], why: &str) -> String {
    let first = who.first().map_or("somebody", |first| last_part(first));
    let more = match who.len() {
        0 | 1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    format!("{first}{more} joined it. {why}")
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

/// The level with a capital letter, as sentences for people have it.
pub fn capital(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}
