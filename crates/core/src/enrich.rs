//! Enrichment: from the raw bytes of one record to the document that says what it could mean to a defender.
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
pub mod sigma_event;
mod arn;
mod path;
mod kind;
pub mod catalogue;
mod resource;
mod related;
mod user_agent;
mod denied;
pub mod aws_own;
pub mod networks;
mod actor;
mod usual;
mod lineage;
mod remembered;
mod asking;
mod facts;
mod context;
mod verdict;
mod analysis;
mod selector;
mod quoted;
mod sentence;
mod questions;
mod runbook;
mod alert;
mod ecs;
mod own_fields;
mod envelope;
mod carry;
mod flat;
mod rejected;
mod enricher;

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;

use crate::document::{Document, DocumentId, IndexName, Write};
use crate::labels::MutedBy;
use crate::memory::{Fact, Key, Known, Remembering};
use crate::record::{Record, canonical};
use crate::timestamp;
pub use alert::{NONE as NO_KEY, plain, tie_key};
pub use attack::{ATTACK_VERSION, Named};
use ecs::Event;
pub use ecs::UNKNOWN_OPERATION;
use embedded::Documents;
pub use enricher::{Enricher, Origin};
use facts::Told;
use remembered::Remembered;
pub use rule::{Place, Rule, Severity};
use rules::Judged;
use script::Script;
use shell::Shell;
use sigma_event::{FoundFacts, SigmaEvent};
use unpacked::Unpacked;

/// What became of one record.
#[derive(Debug)]
pub enum Enriched<'k> {
    NotSelected,
    Selected {
        document: Document,
        /// When the event happened, where the record says so.
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
    /// No JSON that can be read: set aside with the reason and the text.
    Malformed(Document),
    /// This code panicked at it: set aside with what can be shown of it without knowing why.
    Panicked(Document),
}

/// Decides on one record and, when it is selected, writes its document. It never panics: what goes wrong at a record
/// is that record's own end, because the others of its file have nothing to do with it.
pub fn enrich<'k>(raw: &[u8], origin: Origin<'_>, enricher: &'k Enricher) -> Enriched<'k> {
    enrich_knowing(raw, origin, enricher, &Known::off())
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

/// What has to be recalled before a record can be judged, as far as what is known already tells, and the time of its event.
/// Nothing of one that is not selected by its bytes, cannot be read, or makes this code panic.
pub fn wanted(raw: &[u8], enricher: &Enricher, known: &Known) -> (Vec<Key>, Option<OffsetDateTime>) {
    let find = || {
        let mut room = String::new();
        let (record, _) = Record::parse_repaired(raw, &mut room).ok()?;
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
    // Nothing that a panic could leave half-done outlives the call: what is shared between records is read only, and what
    // is made on first use is made anew.
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
    let Enricher { rules, catalogue, scope, fingerprint_key, networks, names } = enricher;
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
    let event = SigmaEvent::new(&record, &unpacked, catalogue, networks);
    loop {
        let wanted = event.wanted(memory.known(), event_time);
        if wanted.is_empty() {
            break;
        }
        let missing = memory.look_up(wanted);
        if !missing.is_empty() {
            return Enriched::ToRecall(missing);
        }
    }
    let known = memory.known();
    let alone = rules.matches(&event);
    let event = event.knowing(known, event_time);
    let matching = if known.is_off() { alone.clone() } else { rules.matches_knowing(&alone, &event) };
    // A muted match selects as well, so that what is muted can be found.
    if !select::is_selected(&record, *scope, &matching) {
        return Enriched::NotSelected;
    }
    let id = DocumentId::of(record.text(&["eventID"]), &canonical(raw));
    let times = Times {
        timestamp: event_time.or(origin.written_at).unwrap_or(origin.now),
        created: origin.written_at,
        ingested: origin.now,
        retagged: None,
    };
    let judged = rules.judge(matching, &event, times.timestamp);
    let redacted = redact::redact(text.as_bytes(), &record, fingerprint_key);
    let tell = |record: &Record<'_>, found: &FoundFacts<'_>| match event_time {
        Some(time) if !known.is_off() => {
            let FoundFacts { context, actor, network, .. } = found;
            facts::facts(&Told { record, context, actor, network, catalogue, matches: &alone, time, id: &id })
        }
        _ => Vec::new(),
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
        let event = SigmaEvent::new(&record, &unpacked, catalogue, networks).remembering(remembered);
        let found = event.into_facts();
        let facts = tell(&record, &found);
        (write_source(&record, text, found, &judged, enricher, times, origin.path), facts)
    };
    let mut categories: Vec<&str> =
        judged.matches.iter().flat_map(|rule| &rule.categories).map(String::as_str).collect();
    categories.sort_unstable();
    categories.dedup();
    let index = IndexName::of_event(names, event_time);
    let document = Document { id, index, source, write: Write::Create };
    let muted = judged.muted.iter().map(|muted| muted.by).collect();
    Enriched::Selected {
        document,
        event_time,
        categories,
        unknown_operation: catalogue.lacks(&record),
        muted,
        facts,
        lacks_memory,
    }
}

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

/// Writes a stored document's source anew. Its text is redacted already and is not touched, so that fingerprints stay
/// what they are. What the text no longer shows is taken from the document, which never knows less than before. None when
/// its text is no record.
pub fn re_enrich(kept: &StoredEvent<'_>, enricher: &Enricher) -> Option<ReEnriched> {
    let record = Record::parse(kept.original.as_bytes()).ok()?;
    let mut scripts = script::scripts(&record);
    let carried_scripts = carry::scripts(kept.document, &record, &scripts);
    let has_all_scripts = carried_scripts.is_empty();
    scripts.extend(carried_scripts);
    let unpacked = Unpacked::with_scripts(scripts, &record);
    let remembered = || Remembered::of_document(kept.document);
    let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks)
        .remembering(remembered());
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
    };
    let mut judged = enricher.rules.judge(matches, &event, times.timestamp);
    carry::mute(&mut judged, kept.document, &carried_rules, &enricher.rules);
    let Unpacked { scripts, shell, documents } = unpacked;
    let unpacked = Unpacked { scripts, shell: shell.redacted(&enricher.fingerprint_key), documents };
    let event = SigmaEvent::new(&record, &unpacked, &enricher.catalogue, &enricher.networks)
        .remembering(remembered());
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

/// The times of a document.
#[derive(Clone, Copy)]
struct Times {
    timestamp: OffsetDateTime,
    created: Option<OffsetDateTime>,
    ingested: OffsetDateTime,
    retagged: Option<OffsetDateTime>,
}

fn write_source(
    record: &Record<'_>,
    original: &str,
    found: FoundFacts<'_>,
    judged: &Judged<'_>,
    enricher: &Enricher,
    times: Times,
    path: &str,
) -> Bytes {
    let Enricher { rules, catalogue, .. } = enricher;
    let FoundFacts { mut context, actor, network, mut remembered } = found;
    if let Some(resource) = &mut context.resource {
        resource.remembered = Some(Box::new(std::mem::take(&mut remembered.resource)));
    }
    let event = Event {
        record,
        original,
        judged,
        context,
        unknown_operation: catalogue.lacks(record),
        actor,
        network,
        remembered,
        timestamp: times.timestamp,
        created: times.created,
        ingested: times.ingested,
        retagged: times.retagged,
        rules_version: rules.version(),
        path,
    };
    let mut source = Vec::with_capacity(2 * original.len() + FIELD_BYTES);
    serde_json::to_writer(&mut source, &event)
        .expect("an event of text, numbers and lists can be written as JSON");
    // What waits for OpenSearch is counted by its length, so it may not occupy more.
    Bytes::from(source.into_boxed_slice())
}

/// Bytes that a document usually has beside its record, which is in it twice: as one text and as fields.
const FIELD_BYTES: usize = 4096;

/// When the event happened; none where the record does not say or nobody could have meant it.
fn event_time(record: &Record<'_>) -> Option<OffsetDateTime> {
    record.text(&["eventTime"]).and_then(timestamp::parse)
}
