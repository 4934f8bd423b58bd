//! Writes stored documents anew, from the text that they keep.

use serde_json::Value;
use time::OffsetDateTime;

use super::enricher::{Arrival, Enricher};
use super::remembered::Remembered;
use super::rule::Rule;
use super::sigma_event::SigmaEvent;
use super::source::{Times, event_time, write_source};
use super::unpacked::Unpacked;
use super::{carry, script};
use crate::memory::{Key, Known};
use crate::record::Record;

/// What a stored document keeps when it is written anew.
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent<'o> {
    /// The record's text after redaction.
    pub original: &'o str,
    pub path: &'o str,
    pub timestamp: OffsetDateTime,
    pub created: Option<OffsetDateTime>,
    pub ingested: OffsetDateTime,
    pub retagged: OffsetDateTime,
    /// The whole source of the document, but for `aws`. It may know what its text no longer shows.
    pub document: &'o Value,
}

/// A stored document, written anew.
#[derive(Debug)]
pub struct ReEnriched {
    pub source: Value,
    /// Ids of rules and names of fields that are kept from before, because the text no longer shows them.
    pub carried: Vec<String>,
}

/// What has to be recalled before a stored document can be written anew, as far as what is known already tells, and the
/// time of its event. Nothing for one that memory had answered in full.
pub fn wanted_anew(
    kept: &StoredEvent<'_>,
    enricher: &Enricher,
    known: &Known,
) -> (Vec<Key>, Option<OffsetDateTime>) {
    let find = || {
        if !lacks_memory(kept.document) {
            return None;
        }
        let record = Record::parse(kept.original.as_bytes()).ok()?;
        let unpacked = Unpacked::of(&record);
        let event_time = event_time(&record);
        let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks);
        Some((event.wanted(known, event_time), event_time))
    };
    find().unwrap_or_default()
}

/// How the record of a stored document came.
fn arrival(document: &Value) -> Arrival {
    let mut tags = document["tags"].as_array().into_iter().flatten();
    if tags.any(|tag| tag == Arrival::REPLAYED) { Arrival::Replayed } else { Arrival::Delivered }
}

/// Whether something could not be recalled when a stored document was written.
pub fn lacks_memory(document: &Value) -> bool {
    Remembered::of_document(document).lacks_memory()
}

/// Writes a stored document's source anew. Its text is redacted already and is not touched, so that fingerprints stay
/// what they are. What the text no longer shows is taken from the document, which never knows less than before, and
/// what memory could not say then from what is known now. None when its text is no record.
pub fn re_enrich(kept: &StoredEvent<'_>, enricher: &Enricher, known: &Known) -> Option<ReEnriched> {
    let record = Record::parse(kept.original.as_bytes()).ok()?;
    let mut scripts = script::scripts(&record);
    let carried_scripts = carry::scripts(kept.document, &record, &scripts);
    let has_all_scripts = carried_scripts.is_empty();
    scripts.extend(carried_scripts);
    let unpacked = Unpacked::with_scripts(scripts, &record);
    let remembered: Remembered = {
        let before = Remembered::of_document(kept.document);
        if known.is_off() || !before.lacks_memory() {
            before
        } else {
            let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks);
            event.know(known, event_time(&record));
            before.completed(event.into_facts().remembered)
        }
    };
    // The document was written when its mark was whole.
    let drill = kept.document["sagemaker"]["drill"].as_str();
    let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks)
        .remembering(remembered.clone())
        .of_drill(drill);
    let matching = enricher.rules.matches(&event);
    let carried_rules = carry::rules(kept.document, &enricher.rules, &matching, &event);
    // In the order of their files, as they would stand if all had matched.
    let is_among = |rule: &Rule, rules: &[&Rule]| rules.iter().any(|known| known.id == rule.id);
    let matches: Vec<&Rule> = enricher
        .rules
        .rules()
        .iter()
        .filter(|rule| is_among(rule, &matching) || is_among(rule, &carried_rules))
        .collect();
    let times = Times {
        timestamp: kept.timestamp,
        created: kept.created,
        ingested: kept.ingested,
        retagged: Some(kept.retagged),
        arrival: arrival(kept.document),
    };
    let mut judged = enricher.rules.judge(matches, &event, times.timestamp);
    carry::mute(&mut judged, kept.document, &carried_rules, &enricher.rules);
    let Unpacked { scripts, shell, documents } = unpacked;
    let unpacked = Unpacked { scripts, shell: shell.redacted(&enricher.fingerprint_key), documents };
    let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks)
        .remembering(remembered)
        .of_drill(drill);
    let facts = event.into_facts();
    let source = write_source(&record, kept.original, facts, &judged, enricher, times, kept.path);
    let mut source = serde_json::from_slice(&source).expect("what was written as JSON is JSON");
    let mut carried: Vec<String> = carried_rules.iter().map(|rule| rule.id.clone()).collect();
    if !has_all_scripts {
        carried.push(script::FIELD.to_owned());
    }
    carry::networks(&mut source, kept.document);
    carried.extend(carry::fields(&mut source, kept.document, &record));
    if !carried.is_empty() {
        source["sagemaker"]["rules"]["carried"] = Value::from(carried.clone());
    }
    Some(ReEnriched { source, carried })
}
