//! Writes the ledger: one small document for each S3 object that was shipped, with the outcomes of its records (pure).
//!
//! `sagetrail verify` compares the ledger with CloudTrail's own lists of delivered files. An entry is written after the
//! outcomes of the object's records are known and before its message is deleted, so an object without an entry was not
//! shipped.

use bytes::Bytes;
use serde::Serialize;
use serde_with::skip_serializing_none;
use time::OffsetDateTime;

use crate::document::{Document, DocumentId, IndexName, Write};
use crate::names::Names;
use crate::sink::Stored;
use crate::source::key::TrailKey;
use crate::source::notification::ObjectRef;
use crate::timestamp;

/// One object that was shipped.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    pub names: &'e Names,
    pub object: &'e ObjectRef,
    /// None for an object whose name is not CloudTrail's.
    pub trail_key: Option<&'e TrailKey>,
    pub etag: Option<&'e str>,
    /// The version that was read.
    pub version: Option<&'e str>,
    pub last_modified: Option<OffsetDateTime>,
    pub contents: &'e Contents,
    pub documents: Stored,
    pub shipped_at: OffsetDateTime,
}

/// What was read of one file.
#[derive(Debug, Clone)]
pub struct Contents {
    pub stored_bytes: u64,
    pub raw_bytes: u64,
    /// Of the uncompressed bytes, unless the configuration asks for none.
    pub sha256: Option<[u8; 32]>,
    pub records: u64,
    /// Records that became documents, those that are no JSON included.
    pub selected: u64,
}

/// The document of an entry. An object that is delivered again with the same content has the same id, so the first
/// entry stays. With other content it gets an entry of its own.
pub fn document(entry: &Entry<'_>) -> Document {
    let Entry { names, object, trail_key, etag, version, last_modified, contents, documents, shipped_at } =
        *entry;
    let written_at = trail_key.map(|key| key.delivered_at).or(last_modified).unwrap_or(shipped_at);
    let sha256 = contents.sha256.map(hex::encode);
    let source = Source {
        timestamp: timestamp::format(written_at),
        event: Event {
            created: last_modified.map(timestamp::format),
            ingested: timestamp::format(shipped_at),
        },
        cloud: trail_key.map(|key| Cloud { account: Account { id: &key.account }, region: &key.region }),
        object: Object {
            bucket: &object.bucket,
            key: &object.key,
            etag,
            version,
            announced_version: object.version.as_deref().filter(|announced| version != Some(*announced)),
            size: contents.stored_bytes,
            raw_size: contents.raw_bytes,
            sha256: sha256.as_deref(),
        },
        records: Records {
            read: contents.records,
            selected: contents.selected,
            created: documents.created,
            duplicate: documents.duplicate,
            rejected: documents.rejected,
        },
    };
    Document {
        id: id(&object.bucket, &object.key, sha256.as_deref().or(etag).unwrap_or_default()),
        index: IndexName::of_object(names, written_at),
        source: Bytes::from(serde_json::to_vec(&source).expect("texts and numbers can be written as JSON")),
        write: Write::Create,
    }
}

/// The id of the entry for an object with this content, which its SHA-256 names, or else its `ETag`.
pub fn id(bucket: &str, key: &str, content: &str) -> DocumentId {
    // A bucket's name holds no slash, and neither a hash nor an ETag has a blank in it, so no two objects read the
    // same.
    DocumentId::of(None, format!("{bucket}/{key} {content}").as_bytes())
}

#[derive(Serialize)]
struct Source<'e> {
    /// When CloudTrail delivered it, by its name, or else when it was written.
    #[serde(rename = "@timestamp")]
    timestamp: String,
    event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<Cloud<'e>>,
    object: Object<'e>,
    records: Records,
}

#[derive(Serialize)]
struct Event {
    /// When the object was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// When its records had ended.
    ingested: String,
}

#[derive(Serialize)]
struct Cloud<'e> {
    account: Account<'e>,
    region: &'e str,
}

#[derive(Serialize)]
struct Account<'e> {
    id: &'e str,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct Object<'e> {
    bucket: &'e str,
    key: &'e str,
    etag: Option<&'e str>,
    version: Option<&'e str>,
    /// Only where another one was read.
    announced_version: Option<&'e str>,
    /// Bytes as stored, and after decompression.
    size: u64,
    raw_size: u64,
    sha256: Option<&'e str>,
}

#[derive(Serialize)]
struct Records {
    read: u64,
    selected: u64,
    created: u64,
    duplicate: u64,
    rejected: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    fn entry_of(sha256: Option<[u8; 32]>) -> Document {
        let object = ObjectRef {
            bucket: "trail".to_owned(),
            key: "AWSLogs/x.json.gz".to_owned(),
            region: None,
            size: None,
            put_at: None,
            version: Some("v1".to_owned()),
        };
        let trail_key = TrailKey {
            account: "111122223333".to_owned(),
            region: "eu-central-1".to_owned(),
            delivered_at: datetime!(2026-03-01 02:10 UTC),
        };
        document(&Entry {
            names: &Names::default(),
            object: &object,
            trail_key: Some(&trail_key),
            etag: Some("\"5d41\""),
            version: Some("v2"),
            last_modified: Some(datetime!(2026-03-01 02:11 UTC)),
            contents: &Contents { stored_bytes: 10, raw_bytes: 99, sha256, records: 7, selected: 4 },
            documents: Stored { created: 2, duplicate: 1, rejected: 1, ..Stored::default() },
            shipped_at: datetime!(2026-03-01 02:12 UTC),
        })
    }

    #[test]
    fn an_entry_says_which_object_with_which_content_came_to_what() {
        let document = entry_of(Some([0xab; 32]));
        let source: Value = serde_json::from_slice(&document.source).unwrap();
        assert_eq!(
            source,
            json!({
                "@timestamp": "2026-03-01T02:10:00.000Z",
                "event": {"created": "2026-03-01T02:11:00.000Z", "ingested": "2026-03-01T02:12:00.000Z"},
                "cloud": {"account": {"id": "111122223333"}, "region": "eu-central-1"},
                "object": {
                    "bucket": "trail", "key": "AWSLogs/x.json.gz", "etag": "\"5d41\"", "size": 10,
                    "version": "v2", "announced_version": "v1",
                    "raw_size": 99, "sha256": "ab".repeat(32)
                },
                "records": {"read": 7, "selected": 4, "created": 2, "duplicate": 1, "rejected": 1}
            })
        );
        assert_eq!(document.index.as_str(), "sagetrail-objects-2026.03");
        assert!(!document.index.is_for_events());
    }

    #[test]
    fn the_same_content_has_one_entry_and_other_content_another() {
        assert_eq!(entry_of(Some([1; 32])).id, entry_of(Some([1; 32])).id);
        assert_ne!(entry_of(Some([1; 32])).id, entry_of(Some([2; 32])).id);
        assert_eq!(entry_of(None).id, entry_of(None).id);
        assert_ne!(entry_of(None).id, entry_of(Some([1; 32])).id);
    }

    #[test]
    fn every_field_of_an_entry_is_in_the_mapping() {
        fn check(source: &Value, mapping: &Value, path: &str) {
            for (name, value) in source.as_object().unwrap() {
                let field = &mapping["properties"][name];
                assert!(field.is_object(), "{path}{name} is not in the mapping");
                if value.is_object() {
                    check(value, field, &format!("{path}{name}."));
                }
            }
        }
        let source = serde_json::from_slice(&entry_of(Some([1; 32])).source).unwrap();
        let template: Value =
            serde_json::from_str(include_str!("../mappings/template-objects.json")).unwrap();
        check(&source, &template["template"]["mappings"], "");
    }
}
