//! Reads what a report is made of from CloudTrail files, without any server.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use sagetrail_core::incident::Weights;
use time::OffsetDateTime;

use super::InvestigateError;
use super::entry::Entry;
use super::material::{MOST_RECORDS, Material, Source};
use super::needed::needed;
use super::tell::{tell, unread};
use super::wanted::{Asked, Range, Wanted};
use crate::decode::Limits;
use crate::enrich::Enricher;
use crate::incidents::the_one;
use crate::memory::{Key, State};
use crate::offline::{OfflineError, Read, Records, Remembered, parsed};
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
    let mut flaws = Vec::new();
    let note = |error: &OfflineError| {
        flaws.push(error.to_string());
        complain(error);
    };
    let records = Records::read(files.paths, &files.limits, files.enricher, note)?;
    let meant = Asked::read(asked);
    let wanted = match (&meant, Wanted::of(&meant, range)) {
        (_, Some(wanted)) => wanted,
        (Asked::Incident(id), None) => {
            // They are judged once more: whose records they are is known only at the end.
            let incidents = records.incidents(files.enricher, files.weights.clone())?;
            Wanted::of_incident(&the_one(incidents, id)?, range)
        }
        (_, None) => unreachable!("only an incident has to be found first"),
    };
    let Told { entries, left_out, oldest, read } = of(files, &records, &wanted)?;
    let mut material = Material::new(asked.trim(), wanted.subject, entries);
    material.since = wanted.since;
    material.until = wanted.until;
    material.incident = wanted.incident;
    material.source = Source::Files;
    material.oldest = oldest;
    material.rejected = read.summary.malformed;
    material.flaws = flaws;
    material.left_out = (left_out > 0).then_some(left_out);
    material.memory = memory(&material.entries, &read.remembered).map_err(OfflineError::Sort)?;
    drop(read);
    let unread = unread(&tell(&material));
    if !unread.is_empty() {
        material.beyond = with_ids(files, &records, unread)?;
    }
    Ok(material)
}

/// What the files tell of what is asked.
struct Told {
    entries: Vec<Entry>,
    left_out: u64,
    oldest: Option<OffsetDateTime>,
    read: Read,
}

fn of(files: &Files<'_>, records: &Records, wanted: &Wanted) -> Result<Told, OfflineError> {
    let (mut entries, mut left_out) = (Vec::new(), 0);
    let mut oldest: Option<OffsetDateTime> = None;
    let read = records.judge(files.enricher, |document| {
        let source = parsed(document);
        if let Some(time) = source["@timestamp"].as_str().and_then(timestamp::parse) {
            oldest = Some(oldest.map_or(time, |oldest| oldest.min(time)));
            if !wanted.holds(time, &source) {
            } else if entries.len() < MOST_RECORDS {
                entries.extend(Entry::read(document.index.as_str(), document.id.as_str(), &source));
            } else {
                left_out += 1;
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(Told { entries, left_out, oldest, read })
}

fn memory(entries: &[Entry], remembered: &Remembered) -> io::Result<HashMap<Key, State>> {
    let mut memory = HashMap::new();
    loop {
        let asked = needed(entries, &memory);
        if asked.is_empty() {
            memory.retain(|_, state: &mut State| !state.is_empty());
            return Ok(memory);
        }
        memory.extend(remembered.find_all(asked.iter().cloned())?);
        // What was never told is known not to be.
        for key in asked {
            memory.entry(key).or_default();
        }
    }
}

/// The records with these ids, which are judged once more.
fn with_ids(
    files: &Files<'_>,
    records: &Records,
    mut ids: BTreeSet<String>,
) -> Result<Vec<Entry>, InvestigateError> {
    let mut found = Vec::new();
    records.judge(files.enricher, |document| {
        if ids.remove(document.id.as_str()) {
            found.extend(Entry::read(document.index.as_str(), document.id.as_str(), &parsed(document)));
        }
        if ids.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    found.sort_by(|a: &Entry, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    Ok(found)
}
