//! The names of what SageMaker works with, as they are looked for in the bytes of a record of another service.

use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Span};

/// Names of known roles, buckets and other things that SageMaker uses.
#[derive(Clone, Default)]
pub enum KnownNames {
    /// Nothing is known, so that nothing holds one.
    #[default]
    None,
    /// Not looked for: any record may hold one.
    Any,
    Some(Arc<AhoCorasick>),
}

/// Names shorter than this are in too many records to say anything.
const LEAST_LETTERS: usize = 4;

impl KnownNames {
    /// One search for all of them, which takes memory in proportion to their length.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().filter(|name| name.len() >= LEAST_LETTERS).collect();
        if names.is_empty() {
            return Self::None;
        }
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(names)
            // More than can be searched for at once hide nothing.
            .map_or(Self::Any, |search| Self::Some(Arc::new(search)))
    }

    /// Whether a record with these bytes could name one: as a whole name, and not where every record has such a text.
    pub fn could_be_in(&self, raw: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Some(search) => search
                .find_overlapping_iter(raw)
                .enumerate()
                .any(|(number, found)| number >= MOST_FOUND || is_name(raw, found.span())),
        }
    }
}

/// Places of names that are looked at in one record. One that has more may name anything.
const MOST_FOUND: usize = 1_000;
/// What stands before values that each record has. Somebody who calls a bucket `getobject` is not to have each call
/// read.
const ENVELOPE: [&[u8]; 4] =
    [b"\"eventName\":\"", b"\"eventSource\":\"", b"\"eventType\":\"", b"\"eventCategory\":\""];

/// Whether the text at this place is a name of its own, neither a part of a longer one nor of the envelope.
fn is_name(raw: &[u8], place: Span) -> bool {
    let (before, after) = (&raw[..place.start], &raw[place.end..]);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if after.first().is_some_and(is_part) || before.last().is_some_and(is_part) && !ends_in_escape(before) {
        return false;
    }
    let is_member = after.starts_with(b"\":");
    let is_envelope = after.starts_with(b"\"") && ENVELOPE.iter().any(|member| before.ends_with(member));
    !is_member && !is_envelope
}

/// Whether the bytes end in a character that is written by its number, as `%2F` or `\u002f`.
fn ends_in_escape(bytes: &[u8]) -> bool {
    let is_escape = |lead: &[u8], digits: usize| {
        bytes.len().checked_sub(digits).is_some_and(|start| {
            bytes[..start].ends_with(lead) && bytes[start..].iter().all(u8::is_ascii_hexdigit)
        })
    };
    is_escape(b"%", 2) || is_escape(b"\\u", 4)
}

impl fmt::Debug for KnownNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Any => "Any",
            Self::Some(_) => "Some",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_whole_wherever_a_record_names_it_and_not_where_every_record_has_such_a_text() {
        let names = KnownNames::new(["ml-exec", "acme-ml-data", "getobject", "useridentity"]);
        let holding = [
            r#"{"requestParameters":{"roleName":"ml-exec"}}"#,
            r#"{"requestParameters":{"roleName":"ML-Exec"}}"#,
            r#"{"arn":"arn:aws:sts::111122223333:assumed-role/ml-exec/session"}"#,
            r#"{"arn":"arn:aws:iam::111122223333:role\/ml-exec"}"#,
            r#"{"policyDocument":"%7B%22Resource%22%3A%22arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fml-exec%22%7D"}"#,
            r#"{"policyDocument":"\u0022ml-exec\u0022"}"#,
            r#"{"host":"acme-ml-data.s3.eu-central-1.amazonaws.com"}"#,
            r#"{"x-amz-copy-source":"acme-ml-data/models/a.tar.gz"}"#,
            r#"{"eventName":"GetObject","requestParameters":{"bucketName":"getobject"}}"#,
        ];
        let others = [
            r#"{"requestParameters":{"roleName":"ml-exec-prod"}}"#,
            r#"{"requestParameters":{"roleName":"xml-exec"}}"#,
            r#"{"host":"acme-ml-data-eu.s3.eu-central-1.amazonaws.com"}"#,
            r#"{"eventName":"GetObject","userIdentity":{"type":"Root"}}"#,
        ];
        for raw in holding {
            assert!(names.could_be_in(raw.as_bytes()), "{raw}");
        }
        for raw in others {
            assert!(!names.could_be_in(raw.as_bytes()), "{raw}");
        }
    }

    #[test]
    fn a_record_with_more_parts_of_names_than_are_looked_at_may_name_any() {
        let names = KnownNames::new(["aaaa"]);
        assert!(!names.could_be_in("a".repeat(1_000).as_bytes()));
        assert!(names.could_be_in("a".repeat(10_000).as_bytes()));
    }
}
