//! Gives each record the id and the index under which it is stored.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::json;
use crate::memory::{Fact, Kind};
use crate::names::Names;

/// One record or fact as OpenSearch will get it. Everything in it is safe to send: secrets are redacted before this
/// type.
#[derive(Debug, Clone)]
pub struct Document {
    /// `_id`: the same record has the same id wherever, whenever and in whatever layout it is delivered.
    pub id: DocumentId,
    /// `_index`: chosen by the event's time alone, so that a redelivery meets its first copy.
    pub index: IndexName,
    /// `_source`, or what is joined into it: one JSON object on one line.
    pub source: Bytes,
    pub write: Write,
}

/// How a document comes into its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// As it is, unless its id is taken.
    Create,
    /// By the script that joins it into what is known, and as often as one likes.
    Join,
}

impl Document {
    /// What a record at a time tells memory of one thing.
    pub fn of_fact(names: &Names, fact: &Fact, time: OffsetDateTime) -> Self {
        Self {
            id: DocumentId(fact.key.document_id()),
            index: IndexName::of_memory(names, fact.key.kind, time),
            source: json::to_bytes(&fact.state).expect("a state of texts can be written as JSON"),
            write: Write::Join,
        }
    }
}

/// The `_id` of a record: hexadecimal digits and `-` alone, at most 69 of them, so that it needs no escaping anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(String);

/// Bytes of the SHA-256 in an id: enough to make forging a second record with the same id infeasible.
const HASH_BYTES: usize = 16;

/// The longest eventID that becomes part of an id: the length of a UUID, which is what AWS writes.
const MAX_EVENT_ID_LENGTH: usize = 36;

impl DocumentId {
    /// The id of a record: its eventID and a hash of its canonical text, or the hash alone where the eventID is absent
    /// or is not one that AWS would write. Two records with one eventID and different content keep both their places.
    pub fn of(event_id: Option<&str>, content: &[u8]) -> Self {
        let mut id = String::with_capacity(MAX_EVENT_ID_LENGTH + 1 + 2 * HASH_BYTES);
        if let Some(event_id) = event_id.filter(|event_id| is_plain(event_id)) {
            id.push_str(event_id);
            id.push('-');
        }
        for byte in &Sha256::digest(content)[..HASH_BYTES] {
            id.push(HEX[usize::from(byte >> 4)]);
            id.push(HEX[usize::from(byte & 0xf)]);
        }
        Self(id)
    }

    /// The id as a bulk names it: at most 69 characters that need no escapes in JSON or in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// An id is not redacted, so nothing but the symbols of a UUID gets into one.
fn is_plain(event_id: &str) -> bool {
    (1..=MAX_EVENT_ID_LENGTH).contains(&event_id.len())
        && event_id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The name of an index. It is made from numbers, never from a record's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName {
    name: String,
    /// The length of the tenant's prefix.
    prefix: usize,
}

/// Years that a CloudTrail event can have; the service began in 2013. A forged or broken time outside them must not
/// make an index of its own.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i32> = 2013..=2099;

impl IndexName {
    /// The monthly index of an event, or the one for events whose time is absent or cannot be right.
    pub fn of_event(names: &Names, time: Option<OffsetDateTime>) -> Self {
        Self::of_month(names, &names.events(), time)
    }

    /// The monthly index of the ledger's entry for an object, by the time of its delivery.
    pub fn of_object(names: &Names, delivered_at: OffsetDateTime) -> Self {
        Self::of_month(names, &names.objects(), Some(delivered_at))
    }

    /// The index in which a record at a time is remembered.
    fn of_memory(names: &Names, kind: Kind, time: OffsetDateTime) -> Self {
        let name = match kind {
            Kind::Resources => names.resources(),
            Kind::Identities => names.identities(),
            Kind::Sessions => return Self::of_month(names, &names.sessions(), Some(time)),
        };
        Self { name, prefix: names.prefix().len() }
    }

    /// The indices that can hold what a record at a time needs to know of such a thing. No session is as long as a
    /// month, so that it began in this one or the one before.
    pub fn to_recall(names: &Names, kind: Kind, time: OffsetDateTime) -> Vec<Self> {
        let now = Self::of_memory(names, kind, time);
        let before = time.replace_day(1).ok().and_then(|first| first.checked_sub(Duration::DAY));
        let before = before.map(|before| Self::of_memory(names, kind, before));
        before.filter(|before| *before != now).into_iter().chain([now]).collect()
    }

    fn of_month(names: &Names, alias: &str, time: Option<OffsetDateTime>) -> Self {
        let name = match time {
            Some(time) if PLAUSIBLE_YEARS.contains(&time.year()) => {
                format!("{alias}-{:04}.{:02}", time.year(), u8::from(time.month()))
            }
            _ => format!("{alias}-undated"),
        };
        Self { name, prefix: names.prefix().len() }
    }

    /// The index of records that cannot be stored as events, with the reasons.
    pub fn rejected(names: &Names) -> Self {
        Self { name: names.rejected(), prefix: names.prefix().len() }
    }

    /// The rejected index for documents of this index.
    #[must_use]
    pub fn rejected_beside(&self) -> Self {
        Self { name: format!("{}-rejected", &self.name[..self.prefix]), prefix: self.prefix }
    }

    /// Whether this is the rejected index.
    pub fn is_for_rejected(&self) -> bool {
        self.kind() == "rejected"
    }

    /// Whether it holds events, and neither reports nor entries of the ledger.
    pub fn is_for_events(&self) -> bool {
        self.kind().starts_with("events-")
    }

    /// Whether it holds memory.
    pub fn is_for_memory(&self) -> bool {
        matches!(self.kind(), "resources" | "identities") || self.kind().starts_with("sessions-")
    }

    /// The script that joins into documents of this index.
    pub fn join_script(&self) -> String {
        Names::new(&self.name[..self.prefix]).join_script()
    }

    /// The whole name, with the tenant's prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name behind the prefix.
    fn kind(&self) -> &str {
        &self.name[self.prefix + "-".len()..]
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::memory::{Key, Stamp, State};

    #[test]
    fn an_id_is_the_event_id_and_a_hash_or_the_hash_alone() {
        let hash = "44136fa355b3678a1146ad16f7e8649e";
        let long = "a".repeat(MAX_EVENT_ID_LENGTH + 1);
        let cases = [
            (
                Some("4da0b3c5-5d2f-4a1b-9c8e-1f2a3b4c5d6e"),
                format!("4da0b3c5-5d2f-4a1b-9c8e-1f2a3b4c5d6e-{hash}"),
            ),
            (None, hash.to_owned()),
            (Some(""), hash.to_owned()),
            (Some("a\"},{\"b"), hash.to_owned()),
            (Some("../_all"), hash.to_owned()),
            (Some("glpat-0123456789"), hash.to_owned()),
            (Some(long.as_str()), hash.to_owned()),
        ];
        for (event_id, expected) in cases {
            assert_eq!(DocumentId::of(event_id, b"{}").as_str(), expected);
        }
    }

    #[test]
    fn one_event_id_with_two_contents_has_two_ids_and_the_same_content_one() {
        let id = |raw: &[u8]| DocumentId::of(Some("4da0b3c5"), raw);
        assert_eq!(id(b"{\"a\":1}"), id(b"{\"a\":1}"));
        assert_ne!(id(b"{\"a\":1}"), id(b"{\"a\":2}"));
    }

    #[test]
    fn the_index_is_chosen_by_the_events_month_and_a_time_that_cannot_be_right_makes_no_index() {
        let cases = [
            (Some(datetime!(2026-01-31 23:59:59 UTC)), "sagetrail-events-2026.01"),
            (Some(datetime!(2026-11-01 00:00:00 UTC)), "sagetrail-events-2026.11"),
            (Some(datetime!(0000-01-01 00:00:00 UTC)), "sagetrail-events-undated"),
            (Some(datetime!(9999-12-31 00:00:00 UTC)), "sagetrail-events-undated"),
            (None, "sagetrail-events-undated"),
        ];
        for (time, expected) in cases {
            assert_eq!(IndexName::of_event(&Names::default(), time).as_str(), expected);
        }
    }

    #[test]
    fn a_fact_is_joined_under_its_key_and_a_session_is_remembered_in_the_month_of_its_record() {
        let time = datetime!(2026-11-30 12:00:00 UTC);
        let cases = [
            (Key::resource("arn:aws:s3:::A"), "acme-resources"),
            (Key::identity("1", "AROA:x"), "acme-identities"),
            (Key::session("ASIA"), "acme-sessions-2026.11"),
        ];
        for (key, index) in cases {
            let mut state = State::default();
            state.say("key", &Stamp::ALWAYS, [&*key.id]);
            let fact = Fact { key, state: state.into() };
            let document = Document::of_fact(&Names::new("acme"), &fact, time);
            assert_eq!(document.index.as_str(), index);
            assert_eq!(document.index.join_script(), "acme-join-1");
            assert_eq!((document.id.as_str(), document.write), (&*fact.key.document_id(), Write::Join));
            assert_eq!(serde_json::from_slice::<State>(&document.source).unwrap(), *fact.state);
        }
    }

    #[test]
    fn a_session_is_recalled_from_the_month_of_the_record_and_the_one_before() {
        let cases = [
            (Kind::Resources, datetime!(2026-01-01 0:00 UTC), vec!["sagetrail-resources"]),
            (Kind::Identities, datetime!(2026-01-01 0:00 UTC), vec!["sagetrail-identities"]),
            (
                Kind::Sessions,
                datetime!(2026-03-31 23:59 UTC),
                vec!["sagetrail-sessions-2026.02", "sagetrail-sessions-2026.03"],
            ),
            (
                Kind::Sessions,
                datetime!(2026-01-01 0:00 UTC),
                vec!["sagetrail-sessions-2025.12", "sagetrail-sessions-2026.01"],
            ),
            (Kind::Sessions, datetime!(1970-01-01 0:00 UTC), vec!["sagetrail-sessions-undated"]),
        ];
        for (kind, time, expected) in cases {
            let indices = IndexName::to_recall(&Names::default(), kind, time);
            assert_eq!(indices.iter().map(IndexName::as_str).collect::<Vec<_>>(), expected);
        }
    }
}
