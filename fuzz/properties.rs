//! What holds for any bytes at all, one function for each pure stage that reads what others wrote.
//!
//! The fuzzer calls them with what it makes up (`fuzz/run.sh`), and `tests/pure/hostile/` with what proptest does. A function
//! panics when its property does not hold.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sagetrail_core::decode::{self, Damage, Decoded, Limits, Scratch};
use sagetrail_core::document::Document;
use sagetrail_core::enrich::{Enriched, Enricher, Origin, enrich as enrich_record};
use sagetrail_core::record::Record;
use sagetrail_core::settings::{ContentHash, Scope};
use serde_json::Value;
use time::macros::datetime;

/// An object yields the same records compressed and plain, each of them an object under its cap, and damage is told on one
/// short line.
pub fn decode(data: &[u8]) {
    let plain = decoded(data);
    if !data.starts_with(&[0x1f, 0x8b]) {
        assert_eq!(plain, decoded(&gzip(data)));
    }
}

/// Bytes are a record if and only if they are JSON for serde as well.
pub fn record(data: &[u8]) {
    let value: Result<Value, _> = serde_json::from_slice(data);
    match (Record::parse(data), value) {
        (Ok(record), Ok(value)) => {
            assert_eq!(record.root().is_object(), value.is_object());
            let _ = (record.event_source(), record.event_name(), record.text(&["a", "b"]));
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("one took it and the other did not: {ours:?} {theirs:?}"),
    }
}

/// A record becomes a document of ours, always the same one, with one object on one line and nothing of the record in
/// its names.
pub fn enrich(data: &[u8]) {
    static EVERY: LazyLock<Enricher> = LazyLock::new(|| Enricher::built_in(Scope::All));
    static RELATED: LazyLock<Enricher> = LazyLock::new(|| Enricher::built_in(Scope::Related));
    let first = document(data, &EVERY).expect("every record is selected");
    let again = document(data, &EVERY).expect("every record is selected");
    assert_eq!((&first.id, &first.index), (&again.id, &again.index));
    assert_is_ours(&first);
    if let Some(document) = document(data, &RELATED) {
        assert_eq!((&first.id, &first.index), (&document.id, &document.index));
    }
}

fn decoded(object: &[u8]) -> (Vec<Vec<u8>>, u64, Option<Damage>) {
    const LIMITS: Limits = Limits { uncompressed_bytes: 1 << 20, record_bytes: 4 << 10 };
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut scratch = Scratch::default();
    let Decoded { records, damage, .. } =
        decode::decode(object, &LIMITS, ContentHash::Sha256, &mut scratch, |record| {
            // A text inside of JSON may have been cut; an object ends where it ends.
            assert!(record.starts_with(b"{"));
            assert!(record.len() <= LIMITS.record_bytes);
            found.push(record.to_vec());
            ControlFlow::Continue(())
        });
    assert_eq!(records, found.len() as u64);
    if let Some(damage) = &damage {
        let text = damage.to_string();
        assert_one_line(&text);
        assert!(text.len() < 600, "{text}");
    }
    (found, records, damage)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn document(raw: &[u8], enricher: &Enricher) -> Option<Document> {
    let origin =
        Origin { path: "s3://trail/file.json.gz", written_at: None, now: datetime!(2026-11-03 01:12:03 UTC) };
    match enrich_record(raw, origin, enricher) {
        Enriched::NotSelected | Enriched::RepeatedRead => None,
        Enriched::ToRecall(keys) => panic!("it is judged alone: {keys:?}"),
        Enriched::Panicked(document) => panic!("it panicked: {document:?}"),
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => Some(document),
    }
}

/// The names are made of symbols that need no escaping, and the source is one object on one line.
pub fn assert_is_ours(document: &Document) {
    let id = document.id.as_str();
    assert!((1..=69).contains(&id.len()), "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{id}");
    let index = document.index.as_str();
    let is_known = index == "sagetrail-rejected"
        || index.strip_prefix("sagetrail-events-").is_some_and(|month| {
            month == "undated"
                || month.len() == 7 && month.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        });
    assert!(is_known, "{index}");
    let source: Value = serde_json::from_slice(&document.source).expect("a document is JSON");
    assert!(source.is_object());
    assert!(!document.source.contains(&b'\n'));
}

/// No control character and no line separator, so that it is one line wherever it is shown.
pub fn assert_one_line(text: &str) {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "{text:?}");
}
