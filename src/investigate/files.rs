//! Reads what a report is made of from CloudTrail files, without any server.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use sagetrail_core::incident::Weights;
use time::OffsetDateTime;

use super::InvestigateError;
use super::entry::Entry;
use super::lineage::LONG_TERM;
use super::material::{MOST_ADDRESSES, MOST_RECORDS, Material, Source, UsedBefore};
use super::needed::needed;
use super::restoring::changed_policies;
use super::tell::{tell, unread};
use super::wanted::{Asked, Range, Wanted};
use crate::contain::{Policies, earlier};
use crate::decode::Limits;
use crate::enrich::Enricher;
use crate::guard::Judge;
use crate::incidents::the_one;
use crate::memory::{Key, State};
use crate::offline::{OfflineError, Read, Records, Remembered, parsed};
use crate::timestamp;

/// Long-term keys whose earlier use is held.
const MOST_KEYS: usize = 10_000;

/// The files and how they are judged.
#[derive(Clone, Copy)]
pub struct Files<'f> {
    pub paths: &'f [PathBuf],
    pub limits: Limits,
    pub enricher: &'f Enricher,
    pub judge: &'f Judge,
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
    // Whoever gives files wants all that they tell of somebody, whatever the site ships.
    let everything = files.enricher.of_everything();
    let records = Records::read(files.paths, &files.limits, &everything, note)?;
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
    let files = &Files { enricher: &everything, ..*files };
    let Told { entries, left_out, oldest, used_before, read } = of(files, &records, &wanted)?;
    let mut material = Material::new(asked.trim(), wanted.subject, entries);
    material.since = wanted.since;
    material.until = wanted.until;
    material.incident = wanted.incident;
    material.source = Source::Files;
    material.oldest = oldest;
    material.used_before = used_before;
    material.rejected = read.summary.malformed;
    material.flaws = flaws;
    material.left_out = (left_out > 0).then_some(left_out);
    material.memory = memory(&material.entries, &read.remembered).map_err(OfflineError::Sort)?;
    drop(read);
    let policies = Policies::wanted(changed_policies(&material.entries));
    material.policies = earlier(&records, files.enricher, policies)?;
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
    used_before: HashMap<String, UsedBefore>,
    read: Read,
}

fn of(files: &Files<'_>, records: &Records, wanted: &Wanted) -> Result<Told, OfflineError> {
    let (mut entries, mut left_out) = (Vec::new(), 0);
    let mut oldest: Option<OffsetDateTime> = None;
    let mut used_before = HashMap::new();
    let read = records.judge(files.enricher, |document| {
        let source = parsed(document);
        if let Some(time) = source["@timestamp"].as_str().and_then(timestamp::parse) {
            oldest = Some(oldest.map_or(time, |oldest| oldest.min(time)));
            if wanted.since.is_some_and(|since| time < since) {
                take_earlier(&mut used_before, time, document.id.as_str(), &source);
            } else if !wanted.holds(time, &source) {
            } else if entries.len() < MOST_RECORDS {
                let read = Entry::read(document.index.as_str(), document.id.as_str(), &source);
                entries.extend(read.map(|mut entry| {
                    entry.look(files.judge, &source);
                    entry
                }));
            } else {
                left_out += 1;
            }
        }
        ControlFlow::Continue(())
    })?;
    let keys: BTreeSet<&String> = entries.iter().filter_map(|entry: &Entry| entry.key.as_ref()).collect();
    used_before.retain(|key, _| keys.contains(key));
    Ok(Told { entries, left_out, oldest, used_before, read })
}

/// Takes the use of a long-term key before the range.
fn take_earlier(
    used: &mut HashMap<String, UsedBefore>,
    time: OffsetDateTime,
    id: &str,
    source: &serde_json::Value,
) {
    let text = |pointer: &str| source.pointer(pointer).and_then(serde_json::Value::as_str);
    let key = text("/aws/cloudtrail/user_identity/access_key_id").filter(|key| key.starts_with(LONG_TERM));
    let Some(key) = key.filter(|key| used.len() < MOST_KEYS || used.contains_key(*key)) else { return };
    let before = used.entry(key.to_owned()).or_insert_with(|| UsedBefore {
        first: time,
        calls: 0,
        addresses: Vec::new(),
        last: String::new(),
    });
    before.calls += 1;
    id.clone_into(&mut before.last);
    if let Some(address) = text("/source/address")
        && before.addresses.len() < MOST_ADDRESSES
        && !before.addresses.iter().any(|known| known == address)
    {
        before.addresses.push(address.to_owned());
    }
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
