//! Reads what a report is made of from CloudTrail files, without any server.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use sagetrail_core::incident::{Incident, Rounds, Weights};
use serde_json::Value;
use time::OffsetDateTime;

use super::InvestigateError;
use super::entry::Entry;
use super::material::{MOST_RECORDS, Material, Source};
use super::needed::needed;
use super::tell::{tell, unread};
use super::wanted::{Asked, Range, Wanted};
use crate::decode::Limits;
use crate::document::Document;
use crate::enrich::Enricher;
use crate::offline::{self, OfflineError, Read, STANDARD_INPUT};
use crate::timestamp;

/// The files and how they are judged.
pub struct Files<'f> {
    pub paths: &'f [PathBuf],
    pub limits: Limits,
    pub enricher: &'f Enricher,
    /// How incidents are decided.
    pub weights: &'f Weights,
}

/// The records of files that belong to what is asked, with memory and incidents as these files tell them.
pub fn from_files(
    files: &Files<'_>,
    asked: &str,
    range: Range,
    mut complain: impl FnMut(&OfflineError),
) -> Result<Material, InvestigateError> {
    let meant = Asked::read(asked);
    let wanted = match (&meant, Wanted::of(&meant, range)) {
        (_, Some(wanted)) => wanted,
        (Asked::Incident(id), None) if files.paths.iter().any(|path| path == Path::new(STANDARD_INPUT)) => {
            return Err(InvestigateError::TwicedInput { id: id.clone() });
        }
        (Asked::Incident(id), None) => {
            // The files are read once more: whose records they are is known only at the end.
            let incidents = incidents(files)?;
            Wanted::of_incident(the_one(&incidents, id)?, range)
        }
        (_, None) => unreachable!("only an incident has to be found first"),
    };
    let mut entries = Vec::new();
    let mut left_out = 0;
    let mut oldest: Option<OffsetDateTime> = None;
    let take = |document: &Document| {
        let source = parsed(document);
        let time = source["@timestamp"].as_str().and_then(timestamp::parse);
        oldest = match (oldest, time) {
            (Some(oldest), Some(time)) => Some(oldest.min(time)),
            (oldest, time) => oldest.or(time),
        };
        if time.is_some_and(|time| wanted.holds(time, &source)) {
            if entries.len() >= MOST_RECORDS {
                left_out += 1;
                return Ok(());
            }
            entries.extend(Entry::read(document.index.as_str(), document.id.as_str(), &source));
        }
        Ok(())
    };
    let mut flaws = Vec::new();
    let note = |error: &OfflineError| {
        flaws.push(error.to_string());
        complain(error);
    };
    let Read { summary, known } =
        offline::read_documents(files.paths, &files.limits, files.enricher, take, note)?;
    let mut material = Material::new(asked.trim(), wanted.subject, entries);
    material.since = wanted.since;
    material.until = wanted.until;
    material.incident = wanted.incident;
    material.source = Source::Files;
    material.oldest = oldest;
    material.rejected = summary.malformed;
    material.flaws = flaws;
    material.left_out = (left_out > 0).then_some(left_out);
    let mut memory = HashMap::new();
    loop {
        let asked: BTreeSet<_> = needed(&material.entries, &memory);
        if asked.is_empty() {
            break;
        }
        memory.extend(asked.into_iter().map(|key| {
            let state = known.get(&key).found().cloned().unwrap_or_default();
            (key, state)
        }));
    }
    memory.retain(|_, state| !state.is_empty());
    material.memory = memory;
    let unread = unread(&tell(&material));
    if !unread.is_empty() && !files.paths.iter().any(|path| path == Path::new(STANDARD_INPUT)) {
        material.beyond = with_ids(files, &unread)?;
    }
    Ok(material)
}

/// The records with these ids, which are read once more.
fn with_ids(files: &Files<'_>, ids: &BTreeSet<String>) -> Result<Vec<Entry>, InvestigateError> {
    let mut found = Vec::new();
    let take = |document: &Document| {
        if ids.contains(document.id.as_str()) {
            found.extend(Entry::read(document.index.as_str(), document.id.as_str(), &parsed(document)));
        }
        Ok(())
    };
    offline::read_documents(files.paths, &files.limits, files.enricher, take, |_| {})?;
    found.sort_by(|a: &Entry, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

fn incidents(files: &Files<'_>) -> Result<Vec<Incident>, InvestigateError> {
    let mut rounds = Rounds::new(files.weights.clone(), files.enricher.rules.correlations());
    let take = |document: &Document| {
        rounds.take(document.index.as_str(), document.id.as_str(), &parsed(document));
        Ok(())
    };
    // What is wrong with a file is told when it is read for the records.
    offline::read_documents(files.paths, &files.limits, files.enricher, take, |_| {})?;
    Ok(rounds.finish().incidents)
}

/// The incident whose id begins so.
pub(super) fn the_one<'i>(incidents: &'i [Incident], id: &str) -> Result<&'i Incident, InvestigateError> {
    let mut found = incidents.iter().filter(|incident| incident.incident.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(incident), None) => Ok(incident),
        (None, _) => Err(InvestigateError::NoIncident { id: id.to_owned(), known: names(incidents.iter()) }),
        (Some(first), Some(second)) => {
            let several = [first, second].into_iter().chain(found);
            Err(InvestigateError::SeveralIncidents { id: id.to_owned(), known: names(several) })
        }
    }
}

fn names<'i>(incidents: impl Iterator<Item = &'i Incident>) -> String {
    let lines: Vec<String> =
        incidents.take(20).map(|it| format!("\n  {}  {}", it.incident.id, it.message)).collect();
    if lines.is_empty() { " none".to_owned() } else { lines.concat() }
}

fn parsed(document: &Document) -> Value {
    serde_json::from_slice(&document.source).expect("documents are written as JSON")
}
