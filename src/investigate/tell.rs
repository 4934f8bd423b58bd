//! Writes a report from what is known (pure): the same material is the same report.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::answers::{Beside, answers, counted, deeds};
use super::entry::Entry;
use super::impact::impact;
use super::indicators::indicators;
use super::lineage::{self, lineage};
use super::material::Material;
use super::practices::{not_prevented, practices};
use super::report::{Cited, Counts, Report, Sentence};
use super::restoring::restoring;
use super::states::resources;
use super::timeline::timeline;
use super::unknown::{Cuts, unknown};
use crate::timestamp;

/// Puts all parts of the report together and collects the records that they name.
pub fn tell(material: &Material) -> Report {
    let entries = &material.entries;
    let mut sessions = lineage(material);
    let (resources, more_resources) = resources(material);
    let (indicators, more_indicators) = indicators(entries);
    let (timeline, more_steps) = timeline(entries);
    let impact = impact(entries);
    let practices = practices(entries);
    let more_sessions = sessions.len().saturating_sub(lineage::MOST);
    sessions.truncate(lineage::MOST);
    let beside = Beside {
        lineage: sessions.iter().flat_map(|session| session.sentences.iter().take(2)).cloned().collect(),
        impact: impact.iter().flat_map(|impact| &impact.sentences).cloned().collect(),
        restoring: restoring(material, &resources),
        practices: practices
            .iter()
            .map(|practice| practice.sentence.clone())
            .chain(not_prevented(entries))
            .collect(),
    };
    let answers = answers(entries, beside);
    let denied: Vec<&Entry> = entries.iter().filter(|entry| entry.is_denied()).collect();
    let denied = deeds(&denied);
    let cuts = Cuts {
        resources: more_resources,
        indicators: more_indicators,
        sessions: more_sessions,
        steps: more_steps,
        sentences: answers.iter().map(|answer| answer.more).sum::<usize>() + denied.more,
    };
    let mut report = Report {
        asked: material.asked.clone(),
        subject: material.subject,
        since: material.since.map(timestamp::format),
        until: material.until.map(timestamp::format),
        first: entries.first().map(Entry::at),
        last: entries.last().map(Entry::at),
        counts: counts(entries),
        incident: material.incident.clone(),
        summary: summary(entries),
        answers,
        impact,
        unknown: unknown(material, &cuts),
        timeline,
        lineage: sessions,
        resources,
        denied: denied.sentences,
        indicators,
        practices,
        records: Vec::new(),
    };
    report.records = cited(&report, &material.beyond, entries);
    report
}

/// The ids of records that the report names and that were not read: memory names them, and they are of before the
/// range.
pub fn unread(report: &Report) -> BTreeSet<String> {
    report.records.iter().filter(|record| record.index.is_none()).map(|record| record.id.clone()).collect()
}

fn counts(entries: &[Entry]) -> Counts {
    let succeeded = entries.iter().filter(|entry| entry.succeeded).count();
    Counts {
        records: entries.len(),
        succeeded,
        failed: entries.len() - succeeded,
        denied: entries.iter().filter(|entry| entry.is_denied()).count(),
    }
}

/// The shortest account: who, from where, and the worst that was found.
fn summary(entries: &[Entry]) -> Vec<Sentence> {
    let all: Vec<&Entry> = entries.iter().collect();
    let unique = |of: &dyn Fn(&Entry) -> Option<&str>| {
        let mut known = HashSet::new();
        let mut seen: Vec<&str> =
            entries.iter().filter_map(of).filter(|value| known.insert(*value)).collect();
        let more = seen.len().saturating_sub(5);
        seen.truncate(5);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{tail}", seen.join(", "))
    };
    let who = unique(&|entry| Some(&entry.principal));
    let from = unique(&|entry| entry.address.as_deref());
    let mut told: Vec<Sentence> =
        Sentence::of(format!("{} by {who}, from {from}.", counted(entries.len(), "call")), &all)
            .into_iter()
            .collect();
    let mut by_level: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        if let Some(level @ ("critical" | "high")) = entry.level.as_deref() {
            by_level.entry(level).or_default().push(entry);
        }
    }
    for level in ["critical", "high"] {
        let Some(entries) = by_level.get(level) else { continue };
        let mut titles: Vec<&str> = Vec::new();
        for finding in entries.iter().flat_map(|entry| &entry.findings).filter(|it| it.level == level) {
            if !titles.contains(&finding.title.as_str()) {
                titles.push(&finding.title);
            }
        }
        let text = format!(
            "Findings of level {level} in {}: {}.",
            counted(entries.len(), "record"),
            titles.join("; ")
        );
        told.extend(Sentence::of(text, entries));
    }
    told
}

/// What is shown of each record that is named, in the order of their times.
fn cited(report: &Report, beyond: &[Entry], entries: &[Entry]) -> Vec<Cited> {
    let mut named: BTreeSet<&str> = report.ids().collect();
    let mut cited: Vec<Cited> = Vec::new();
    for entry in beyond.iter().chain(entries).filter(|entry| named.remove(entry.id.as_str())) {
        cited.push(Cited {
            id: entry.id.clone(),
            index: Some(entry.index.clone()),
            at: Some(entry.at()),
            action: Some(entry.action.clone()),
            text: Some(entry.sentence.clone()),
            principal: Some(entry.principal.clone()),
            address: entry.address.clone(),
            error: entry.error.clone(),
            file: entry.file.clone(),
        });
    }
    // Records that memory names and that are not read any more.
    let unread = named.into_iter().map(|id| Cited { id: id.to_owned(), ..Cited::default() });
    unread.chain(cited).collect()
}
