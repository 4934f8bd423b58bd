//! Tells the records of a drill from all others, by a mark that only who has the key of redaction can make.
//!
//! The mark stands in the user agent, as `sagetrail-drill/ID.CODE`, and holds for one eventID. Callers choose their
//! user agent but not their eventID, so no call is hidden by a mark that was copied from another record. A mark that
//! does not hold means nothing: such a record is judged as any other.

use super::redact::FingerprintKey;
use crate::record::Record;

/// The field that has the id of the drill.
pub const FIELD: &str = "sagemaker.drill";
/// The tag of a record of a drill, by which searches and panels leave it out.
pub const TAG: &str = "drill";
/// How the origin of a drill's records begins. No other origin begins so.
pub const ORIGIN: &str = "drill:";

/// What the sentences of its records and pages begin with.
pub const SAID_FIRST: &str = "Drill: ";

/// How the user agent of each record of a drill begins.
const START: &str = "sagetrail-drill/";
/// Tells the codes of drills from whatever else the key signs.
const PURPOSE: &str = "sagetrail drill";
/// Characters of the longest id of a drill.
const MOST_ID_LENGTH: usize = 40;

/// The id of the drill that a record belongs to, if its mark holds. Of other records it reads the user agent's
/// beginning alone.
pub fn of<'r>(record: &'r Record<'_>, key: &FingerprintKey) -> Option<&'r str> {
    let marked = record.text(&["userAgent"])?.strip_prefix(START)?;
    let (id, code) = marked.split_once('.')?;
    let event_id = record.text(&["eventID"])?;
    (is_id(id) && key.proves(PURPOSE, &signed(id, event_id), code)).then_some(id)
}

/// The user agent of a drill's record with this eventID.
pub fn user_agent(id: &str, event_id: &str, key: &FingerprintKey) -> String {
    format!("{START}{id}.{}", key.prove(PURPOSE, &signed(id, event_id)))
}

/// Whether a text can be the id of a drill: it becomes part of the keys of pages and links.
pub fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MOST_ID_LENGTH).contains(&text.len()) && text.bytes().all(is_plain)
}

/// The origin of all records of a drill.
pub fn origin(id: &str) -> String {
    format!("{ORIGIN}{id}")
}

/// The id of the drill whose records have an origin.
pub fn of_origin(origin: &str) -> Option<&str> {
    origin.strip_prefix(ORIGIN)
}

/// An id has no blank, so no two pairs are signed alike.
fn signed(id: &str, event_id: &str) -> String {
    format!("{id} {event_id}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::RedactionConfig;

    const EVENT: &str = "4da0b3c5-5d2f-4a1b-9c8e-1f2a3b4c5d6e";

    fn key(text: &str) -> FingerprintKey {
        FingerprintKey::load(&RedactionConfig { key: Some(text.repeat(32).into()), key_file: None }).unwrap()
    }

    fn found(user_agent: &str, event_id: Option<&str>, key: &FingerprintKey) -> Option<String> {
        let raw = json!({"userAgent": user_agent, "eventID": event_id}).to_string();
        let record = Record::parse(raw.as_bytes()).unwrap();
        of(&record, key).map(str::to_owned)
    }

    #[test]
    fn a_mark_holds_for_its_record_and_its_key_alone() {
        let (ours, theirs) = (key("a"), key("b"));
        let mark = user_agent("2026-11-29-0a1b", EVENT, &ours);
        assert_eq!(found(&mark, Some(EVENT), &ours).as_deref(), Some("2026-11-29-0a1b"));
        let other_event = EVENT.replace("4da0", "4da1");
        let longer = format!("{mark}0");
        let shorter = &mark[..mark.len() - 1];
        let upper = mark.to_uppercase();
        let other_id = mark.replace("0a1b", "0a1c");
        let moved = format!("Boto3/1.42 {mark}");
        let (id, code) = mark.split_once('.').unwrap();
        let empty_code = format!("{id}.");
        let two_ids = format!("{id}.x.{code}");
        let cases = [
            ("of another record", mark.as_str(), Some(other_event.as_str()), &ours),
            ("of no record", &mark, None, &ours),
            ("of another key", &mark, Some(EVENT), &theirs),
            ("longer", &longer, Some(EVENT), &ours),
            ("cut", shorter, Some(EVENT), &ours),
            ("in other letters", &upper, Some(EVENT), &ours),
            ("with another id", &other_id, Some(EVENT), &ours),
            ("elsewhere in the text", &moved, Some(EVENT), &ours),
            ("without a code", &empty_code, Some(EVENT), &ours),
            ("without a dot", id, Some(EVENT), &ours),
            ("with more parts", &two_ids, Some(EVENT), &ours),
            ("with no id", "sagetrail-drill/.", Some(EVENT), &ours),
        ];
        for (case, mark, event_id, key) in cases {
            assert_eq!(found(mark, event_id, key), None, "{case}: {mark}");
        }
    }

    #[test]
    fn no_mark_whose_id_means_something_in_a_page_holds() {
        let key = key("a");
        for id in ["", "A", "a b", "a\"", "<a>", "a/b", "é", "\u{202e}", &"a".repeat(41)] {
            let mark = user_agent(id, EVENT, &key);
            assert_eq!(found(&mark, Some(EVENT), &key), None, "{id}");
        }
    }
}
