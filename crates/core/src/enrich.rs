//! Enriches one record: from its raw bytes to the document that says what it could mean to a defender.
//!
//! Pure: values in, values out, and a record that cannot be understood is a value too.

pub mod select;
pub mod rules;
mod version;
mod rule;
mod placeholders;
mod attack;
mod dispatch;
mod prefilter;
pub mod redact;
mod packed;
pub mod script;
mod shell;
mod indicators;
mod policy;
mod embedded;
pub mod unpacked;
mod cut;
mod keys;
mod lower;
mod field;
pub mod sigma_event;
mod arn;
mod path;
mod kind;
pub mod catalogue;
mod resource;
mod tags;
mod related;
mod user_agent;
pub mod drill;
mod denied;
pub mod aws_own;
pub mod networks;
mod actor;
mod usual;
mod artefact;
mod lineage;
mod deployment;
mod hardening;
mod remembered;
mod removal;
mod asking;
mod facts;
mod context;
mod setting;
mod verdict;
mod analysis;
mod selector;
mod choices;
mod quoted;
mod sentence;
mod questions;
mod runbook;
mod alert;
mod ecs;
mod own_fields;
mod envelope;
mod carry;
mod source;
mod anew;
mod flat;
mod rejected;
mod enricher;

use std::panic::AssertUnwindSafe;

use time::OffsetDateTime;

use crate::document::{Document, DocumentId, IndexName, Write};
use crate::labels::MutedBy;
use crate::memory::{Fact, Key, Known, Remembering};
use crate::record::{Record, canonical};
pub use alert::{NONE as NO_KEY, plain, selves, tie_key};
pub use anew::{ReEnriched, StoredEvent, lacks_memory, re_enrich, wanted_anew};
pub use attack::{ATTACK_VERSION, Named};
pub(crate) use ecs::ECS_VERSION;
pub use ecs::UNKNOWN_OPERATION;
use embedded::Documents;
pub use enricher::{Arrival, Enricher, Origin};
use facts::Subject;
use keys::Keys;
pub use lineage::{Caller, Lineage, trace};
pub use quoted::is_invisible;
pub use remembered::MEMORY_OF;
pub use removal::removes;
pub use rule::{Place, Rule, Severity, Tags};
use script::Script;
use shell::Shell;
use sigma_event::{FoundFacts, SigmaEvent};
use source::{Times, event_time, write_source};
use unpacked::Unpacked;
use usual::Usual;

/// What became of one record.
#[derive(Debug)]
pub enum Enriched<'k> {
    NotSelected,
    /// A read of a model's artefact by an identity that has read there before, which is only counted.
    RepeatedRead,
    Selected {
        document: Document,
        /// When the event happened, where the record says so and it is no drill's.
        event_time: Option<OffsetDateTime>,
        categories: Vec<&'k str>,
        /// Whether it names an operation of SageMaker that the catalogue lacks.
        unknown_operation: bool,
        /// What muted each match that the site does not want to see.
        muted: Vec<MutedBy>,
        /// What the record tells memory.
        facts: Vec<Fact>,
        /// Whether memory could not be asked for all that the record needs.
        lacks_memory: bool,
    },
    /// It cannot be judged before this is recalled.
    ToRecall(Vec<Key>),
    /// No JSON that can be read: rejected with the reason and the text.
    Malformed(Document),
    /// This code panicked at it: rejected with what can be shown of it without knowing why.
    Panicked(Document),
}

/// Decides on one record and, when it is selected, writes its document. It never panics: what goes wrong at a record
/// is that record's own end, because the others of its file have nothing to do with it.
pub fn enrich<'k>(raw: &[u8], origin: Origin<'_>, enricher: &'k Enricher) -> Enriched<'k> {
    enrich_knowing(raw, origin, enricher, Known::always_off())
}

/// Decides as [`enrich`] does, with what is known beside the record.
pub fn enrich_knowing<'k>(
    raw: &[u8],
    origin: Origin<'_>,
    enricher: &'k Enricher,
    known: &Known,
) -> Enriched<'k> {
    enrich_remembering(raw, origin, enricher, &mut &*known)
}

/// Decides as [`enrich_knowing`] does, and looks up what is not known yet where it is at hand.
pub fn enrich_remembering<'k>(
    raw: &[u8],
    origin: Origin<'_>,
    enricher: &'k Enricher,
    memory: &mut impl Remembering,
) -> Enriched<'k> {
    contained(raw, origin, enricher, || decide(raw, origin, enricher, memory))
}

/// What has to be recalled before a record can be judged, as far as what is known already tells, and the time of its
/// event. Nothing of one that is not selected by its bytes, cannot be read, or makes this code panic.
pub fn wanted(raw: &[u8], enricher: &Enricher, known: &Known) -> (Vec<Key>, Option<OffsetDateTime>) {
    let find = || {
        let mut room = String::new();
        let (record, _) = Record::parse_repaired(raw, &mut room).ok()?;
        if drill::of(&record, &enricher.fingerprint_key).is_some() {
            return None;
        }
        let unpacked = Unpacked::of(&record);
        let event_time = event_time(&record);
        let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks);
        Some((event.wanted(known, event_time), event_time))
    };
    if !could_be_selected(raw, enricher, known) {
        return Default::default();
    }
    std::panic::catch_unwind(AssertUnwindSafe(find)).ok().flatten().unwrap_or_default()
}

/// Decides on one record by the function, whose panic becomes that record's rejection.
pub fn contained<'k>(
    raw: &[u8],
    origin: Origin<'_>,
    enricher: &'k Enricher,
    decide: impl FnOnce() -> Enriched<'k>,
) -> Enriched<'k> {
    // Nothing that a panic could leave half-done outlives the call: what is shared between records is read only, and
    // what is made on first use is made anew.
    std::panic::catch_unwind(AssertUnwindSafe(decide))
        .unwrap_or_else(|_| Enriched::Panicked(rejected::panicked(raw, origin, &enricher.names)))
}

/// Whether a record with these bytes could be selected; a no is final.
pub fn could_be_selected(raw: &[u8], enricher: &Enricher, known: &Known) -> bool {
    select::could_be_selected(raw, enricher.scope, &enricher.rules, known.names())
}

/// When the event of a record happened, as far as it can be read.
pub fn time_of(raw: &[u8]) -> Option<OffsetDateTime> {
    let mut room = String::new();
    let (record, _) = Record::parse_repaired(raw, &mut room).ok()?;
    event_time(&record)
}

fn decide<'k>(
    raw: &[u8],
    origin: Origin<'_>,
    enricher: &'k Enricher,
    memory: &mut impl Remembering,
) -> Enriched<'k> {
    let Enricher { rules, catalogue, scope, fingerprint_key, networks, names, arrival } = enricher;
    if !select::could_be_selected(raw, *scope, rules, memory.known().names()) {
        return Enriched::NotSelected;
    }
    let mut room = String::new();
    let (record, text) = match Record::parse_repaired(raw, &mut room) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Enriched::Malformed(rejected::malformed(raw, &error.to_string(), origin, enricher));
        }
    };
    let unpacked = Unpacked::of(&record);
    let event_time = event_time(&record);
    // Memory knows nothing of a drill and is told nothing by it: its names are nobody's.
    let drill = drill::of(&record, fingerprint_key);
    let event = SigmaEvent::new(&record, &unpacked, catalogue, networks).of_drill(drill);
    while drill.is_none() {
        let wanted = event.wanted(memory.known(), event_time);
        if wanted.is_empty() {
            break;
        }
        let missing = memory.look_up(wanted);
        if !missing.is_empty() {
            return Enriched::ToRecall(missing);
        }
    }
    let known = if drill.is_some() { Known::always_off() } else { memory.known() };
    let (alone, again) = rules.matches_alone(&event);
    event.know(known, event_time);
    let matching = if known.is_off() { alone.clone() } else { rules.matches_knowing(&alone, again) };
    // A muted match selects as well, so that what is muted can be found.
    if !select::is_selected(&record, *scope, &matching) {
        let repeats_read = event.remembered().repeats_read;
        return if repeats_read { Enriched::RepeatedRead } else { Enriched::NotSelected };
    }
    let id = DocumentId::of(record.text(&["eventID"]), &canonical(raw));
    let times = Times {
        timestamp: event_time.or(origin.written_at).unwrap_or(origin.now),
        created: origin.written_at,
        ingested: origin.now,
        retagged: None,
        arrival: *arrival,
    };
    let judged = rules.judge(matching, &event, times.timestamp);
    let redacted = redact::redact(text.as_bytes(), &record, fingerprint_key);
    let stamps = event_time.filter(|_| !known.is_off()).map(|time| facts::Times::of(time, &id));
    let tell = |record: &Record<'_>, found: &FoundFacts<'_>| {
        let told = stamps.as_ref().map(|time| news(record, found, (catalogue, &alone), time, memory));
        told.unwrap_or_default()
    };
    let lacks_memory = event.lacks_memory();
    let (source, facts) = if redacted.is_none() && unpacked.scripts.is_empty() {
        // Nothing was redacted, so what the rules asked for is what the document states.
        let found = event.into_facts();
        let facts = tell(&record, &found);
        (write_source(&record, text, found, &judged, enricher, times, origin.path), facts)
    } else {
        let remembered = event.into_facts().remembered;
        let text = redacted.as_deref().unwrap_or(text);
        let record = Record::parse(text.as_bytes()).expect("redaction writes JSON of the same shape");
        let Unpacked { scripts, shell, .. } = unpacked;
        let shown: Vec<Script> =
            scripts.iter().map(|script| script.clone().redacted(fingerprint_key)).collect();
        let shell = if shown == scripts { shell } else { Shell::read(&shown) };
        let shell = shell.redacted(fingerprint_key);
        let unpacked = Unpacked { scripts: shown, shell, documents: Documents::of(&record) };
        let event =
            SigmaEvent::new(&record, &unpacked, catalogue, networks).remembering(remembered).of_drill(drill);
        let found = event.into_facts();
        let facts = tell(&record, &found);
        (write_source(&record, text, found, &judged, enricher, times, origin.path), facts)
    };
    let mut categories: Vec<&str> =
        judged.matches.iter().flat_map(|rule| &rule.categories).map(String::as_str).collect();
    categories.sort_unstable();
    categories.dedup();
    // A drill is no threat, and says nothing about how fast CloudTrail delivers.
    let (categories, delivered) = if drill.is_some() { (Vec::new(), None) } else { (categories, event_time) };
    let index = IndexName::of_event(names, event_time);
    let document = Document { id, index, source, write: Write::Create };
    let muted = judged.muted.iter().map(|muted| muted.by).collect();
    Enriched::Selected {
        document,
        event_time: delivered,
        categories,
        unknown_operation: catalogue.lacks(&record),
        muted,
        facts,
        lacks_memory,
    }
}

/// The facts that a record tells, but for what memory knows. What was not found for its rules is found here.
fn news(
    record: &Record<'_>,
    found: &FoundFacts<'_>,
    (catalogue, matches): (&catalogue::Catalogue, &[&Rule]),
    time: &facts::Times,
    memory: &impl Remembering,
) -> Vec<Fact> {
    let FoundFacts { context, actor, network, keys, pairs, .. } = found;
    let (new_keys, new_pairs);
    let keys = if let Some(keys) = keys {
        keys
    } else {
        new_keys = Keys::of(record, context, actor);
        &new_keys
    };
    let pairs = if let Some(pairs) = pairs {
        pairs
    } else {
        new_pairs = Usual::of(record, context, actor, network);
        &new_pairs
    };
    memory.news(facts::facts(&Subject { record, context, actor, keys, pairs, catalogue, matches, time }))
}
