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
mod hints;
pub mod redact;
mod packed;
pub mod script;
mod indicators;
mod policy;
pub mod subject;
mod arn;
mod path;
mod kind;
pub mod catalogue;
mod resource;
mod related;
mod user_agent;
mod actor;
mod context;
mod verdict;
mod reading;
mod selector;
mod sentence;
mod questions;
mod runbook;
mod alert;
mod ecs;
mod envelope;
mod flat;

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;

use crate::config::{RedactionConfig, RulesConfig, Scope};
use crate::document::{Document, DocumentId, IndexName};
use crate::names::Names;
use crate::record::Record;
use crate::timestamp;
pub use attack::{ATTACK_VERSION, Named};
use catalogue::Catalogue;
use ecs::Event;
pub use ecs::format_time;
use redact::FingerprintKey;
pub use rule::{Place, Rule, Severity};
use rules::{BrokenRules, RuleSet, RulesError};
use script::Script;
use subject::Subject;

/// What enrichment knows beside the record: the rules, SageMaker's operations, which records are wanted, and the key of
/// redaction.
#[derive(Debug)]
pub struct Knowledge {
    pub rules: RuleSet,
    pub catalogue: Catalogue,
    pub scope: Scope,
    pub fingerprint_key: FingerprintKey,
    /// Of the indices that documents go to.
    pub names: Names,
}

impl Knowledge {
    /// What is known without any configuration: the built-in rules, and a random key.
    pub fn built_in(scope: Scope) -> Self {
        let key = FingerprintKey::load(&RedactionConfig::default()).expect("the system gives random bytes");
        Self::load(&RulesConfig::default(), BrokenRules::Refuse, scope, key, Names::default())
            .expect("a test loads the built-in rules")
    }

    pub fn load(
        rules: &RulesConfig,
        broken: BrokenRules,
        scope: Scope,
        fingerprint_key: FingerprintKey,
        names: Names,
    ) -> Result<Self, RulesError> {
        let rules = match broken {
            BrokenRules::Refuse => RuleSet::load(rules)?,
            BrokenRules::Skip => RuleSet::load_usable(rules)?,
        };
        Ok(Self { rules, catalogue: Catalogue::built_in(), scope, fingerprint_key, names })
    }
}

/// Where a record came from and when.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'o> {
    /// Such as `s3://bucket/key`.
    pub path: &'o str,
    /// When the object was written.
    pub written_at: Option<OffsetDateTime>,
    pub now: OffsetDateTime,
}

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
    },
    /// No JSON that can be read: set aside with the reason and the text.
    Malformed(Document),
}

/// Decides on one record and, when it is selected, writes its document.
pub fn enrich<'k>(raw: &[u8], origin: Origin<'_>, knowledge: &'k Knowledge) -> Enriched<'k> {
    let Knowledge { rules, catalogue, scope, fingerprint_key, names } = knowledge;
    if !select::could_be_selected(raw, *scope, rules) {
        return Enriched::NotSelected;
    }
    let record = match Record::parse(raw) {
        Ok(record) => record,
        Err(error) => {
            return Enriched::Malformed(malformed(raw, &error.to_string(), origin, knowledge));
        }
    };
    let scripts = script::scripts(&record);
    let matches = rules.matches(&Subject { record: &record, scripts: &scripts });
    if !select::is_selected(&record, *scope, &matches) {
        return Enriched::NotSelected;
    }
    let event_time = event_time(&record);
    let id = DocumentId::of(record.text(&["eventID"]), raw);
    let redacted = redact::redact(raw, &record, fingerprint_key);
    let scripts: Vec<Script> = scripts.into_iter().map(|script| script.redacted(fingerprint_key)).collect();
    let times = Times {
        timestamp: event_time.or(origin.written_at).unwrap_or(origin.now),
        created: origin.written_at,
        ingested: origin.now,
        retagged: None,
    };
    let source = match &redacted {
        None => {
            let text = std::str::from_utf8(raw).expect("what was parsed as a record is UTF-8");
            write_source(&record, text, &scripts, &matches, knowledge, times, origin.path)
        }
        Some(text) => {
            let record = Record::parse(text.as_bytes()).expect("redaction writes JSON of the same shape");
            write_source(&record, text, &scripts, &matches, knowledge, times, origin.path)
        }
    };
    let mut categories: Vec<&str> =
        matches.iter().flat_map(|rule| &rule.categories).map(String::as_str).collect();
    categories.sort_unstable();
    categories.dedup();
    let document = Document { id, index: IndexName::of_event(names, event_time), source };
    Enriched::Selected { document, event_time, categories, unknown_operation: catalogue.lacks(&record) }
}

/// What a stored document keeps when it is written anew.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'o> {
    /// The record's text after redaction.
    pub original: &'o str,
    pub path: &'o str,
    pub timestamp: OffsetDateTime,
    pub created: Option<OffsetDateTime>,
    pub ingested: OffsetDateTime,
    pub retagged: OffsetDateTime,
}

/// Writes a stored document's source anew. Its text is redacted already and is not touched, so that fingerprints stay
/// what they are. None when it is no record.
pub fn enrich_again(kept: &Kept<'_>, knowledge: &Knowledge) -> Option<Bytes> {
    let record = Record::parse(kept.original.as_bytes()).ok()?;
    let scripts = script::scripts(&record);
    let matches = knowledge.rules.matches(&Subject { record: &record, scripts: &scripts });
    let scripts: Vec<Script> = scripts.iter().cloned().map(Script::as_written).collect();
    let times = Times {
        timestamp: kept.timestamp,
        created: kept.created,
        ingested: kept.ingested,
        retagged: Some(kept.retagged),
    };
    Some(write_source(&record, kept.original, &scripts, &matches, knowledge, times, kept.path))
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
    scripts: &[Script],
    matches: &[&Rule],
    knowledge: &Knowledge,
    times: Times,
    path: &str,
) -> Bytes {
    let Knowledge { rules, catalogue, .. } = knowledge;
    let event = Event {
        record,
        original,
        matches,
        context: context::context(record, scripts, catalogue),
        unknown_operation: catalogue.lacks(record),
        actor: actor::actor(record),
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

/// The document of the rejected index for bytes that are no record.
fn malformed(raw: &[u8], problem: &str, origin: Origin<'_>, knowledge: &Knowledge) -> Document {
    #[derive(Serialize)]
    struct Rejected<'r> {
        #[serde(rename = "@timestamp")]
        timestamp: String,
        reason: &'static str,
        error: Problem<'r>,
        log: ecs::Log<'r>,
        text: String,
    }
    #[derive(Serialize)]
    struct Problem<'r> {
        message: &'r str,
    }
    let rejected = Rejected {
        timestamp: format_time(origin.now),
        reason: crate::metrics::Label::label(&crate::metrics::RejectReason::Malformed),
        error: Problem { message: problem },
        log: ecs::Log::of(origin.path),
        text: redact::redact_text(&String::from_utf8_lossy(raw), &knowledge.fingerprint_key),
    };
    let source = serde_json::to_vec(&rejected).expect("texts can be written as JSON");
    Document {
        id: DocumentId::of(None, raw),
        index: IndexName::rejected(&knowledge.names),
        source: Bytes::from(source),
    }
}
