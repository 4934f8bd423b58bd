//! Tells what an object is by its first bytes and by the names of its members.
//!
//! CloudTrail's own files are one JSON object with an array `Records`. Records also arrive in other wrappings, and
//! those that leave no doubt are read; whatever else lies in a bucket is named, with what to do about it.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use super::gzip;

/// How the content begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// JSON, as far as the first bytes can tell.
    Json,
    Gzip,
    Utf16(Order),
    Foreign(Foreign),
}

/// A form that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// What it is, as the rest of "it is …".
    pub what: &'static str,
    pub advice: &'static str,
}

/// Bytes that suffice to tell every form.
pub(super) const TELLING_BYTES: usize = 512;

impl Beginning {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(gzip::MAGIC) {
            return Self::Gzip;
        }
        if let Some(order) = utf16_order(bytes) {
            return Self::Utf16(order);
        }
        if let Some((_, foreign)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Self::Foreign(*foreign);
        }
        if bytes.get(TAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
            return Self::Foreign(foreign("a tar archive", UNPACK));
        }
        let text = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes).trim_ascii_start();
        match text.first() {
            None | Some(b'{' | b'[' | b'"' | 0) => Self::Json,
            Some(b'<') => Self::Foreign(markup(text)),
            Some(_) => Self::Foreign(no_json(text)),
        }
    }
}

impl Foreign {
    /// Gzip that was compressed again and again.
    pub(super) const GZIP_AGAIN: Self =
        foreign("gzip within gzip within gzip", "decompress it until it is a CloudTrail file");
}

pub(super) const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

const UNPACK: &str = "unpack it, and give the files in it";
const DECOMPRESS: &str = "decompress it, or compress it with gzip";
const TABLE: &str = "give CloudTrail's own files, or convert its rows into JSON, one record a line";
const TAR_AT: usize = 257;

/// How files of other formats begin, each as its specification says.
const MAGICS: &[(&[u8], Foreign)] = &[
    (b"\x28\xb5\x2f\xfd", foreign("compressed with zstd", DECOMPRESS)),
    (b"BZh", foreign("compressed with bzip2", DECOMPRESS)),
    (b"\xfd7zXZ\0", foreign("compressed with xz", DECOMPRESS)),
    (b"\x04\x22\x4d\x18", foreign("compressed with lz4", DECOMPRESS)),
    (b"\x02\x21\x4c\x18", foreign("compressed with lz4", DECOMPRESS)),
    (b"\xff\x06\0\0sNaPpY", foreign("compressed with snappy", DECOMPRESS)),
    (b"\x1f\x9d", foreign("compressed with compress (.Z)", DECOMPRESS)),
    (b"LZIP", foreign("compressed with lzip", DECOMPRESS)),
    (b"\x78\x01", foreign("compressed with zlib", DECOMPRESS)),
    (b"\x78\x5e", foreign("compressed with zlib", DECOMPRESS)),
    (b"\x78\x9c", foreign("compressed with zlib", DECOMPRESS)),
    (b"\x78\xda", foreign("compressed with zlib", DECOMPRESS)),
    (b"H4sI", foreign("base64 text of gzip data", "decode it from base64 first")),
    (b"PK\x03\x04", foreign("a zip archive", UNPACK)),
    (b"PK\x05\x06", foreign("an empty zip archive", UNPACK)),
    (b"PK\x07\x08", foreign("a part of a zip archive", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", foreign("a 7z archive", UNPACK)),
    (b"PAR1", foreign("a Parquet file", TABLE)),
    (b"PARE", foreign("an encrypted Parquet file", TABLE)),
    (b"ORC", foreign("an ORC file", TABLE)),
    (b"Obj\x01", foreign("an Avro file", TABLE)),
    (b"\xff\xfe\0\0", foreign("text in UTF-32", "convert it to UTF-8")),
    (b"\0\0\xfe\xff", foreign("text in UTF-32", "convert it to UTF-8")),
    (b"{\0\0\0", foreign("text in UTF-32", "convert it to UTF-8")),
    (b"[\0\0\0", foreign("text in UTF-32", "convert it to UTF-8")),
    (b"\0\0\0{", foreign("text in UTF-32", "convert it to UTF-8")),
    (b"\0\0\0[", foreign("text in UTF-32", "convert it to UTF-8")),
];

const fn foreign(what: &'static str, advice: &'static str) -> Foreign {
    Foreign { what, advice }
}

/// Which byte of a unit of UTF-16 comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    LittleEndian,
    BigEndian,
}

/// By its byte order mark, or by two characters as JSON begins with them, each with a zero byte on the same side.
fn utf16_order(bytes: &[u8]) -> Option<Order> {
    let begins_json = |first: u8, second: u8| {
        matches!(first, b'{' | b'[')
            && (second.is_ascii_whitespace() || matches!(second, b'"' | b'{' | b'[' | b'}' | b']'))
            || (first, second) == (b'"', b'{')
            || first.is_ascii_whitespace() && (second.is_ascii_whitespace() || matches!(second, b'{' | b'['))
    };
    match *bytes {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some(Order::LittleEndian),
        [0xfe, 0xff, ..] => Some(Order::BigEndian),
        [first, 0, second, 0, ..] if begins_json(first, second) => Some(Order::LittleEndian),
        [0, first, 0, second, ..] if begins_json(first, second) => Some(Order::BigEndian),
        _ => None,
    }
}

fn markup(text: &[u8]) -> Foreign {
    let head = text.to_ascii_lowercase();
    let has = |part: &[u8]| memchr::memmem::find(&head, part).is_some();
    if has(b"<error>") && has(b"<code>") {
        const ADVICE: &str = "whoever fetched it saved S3's answer in place of the object: fetch it again";
        return foreign("an error document of S3", ADVICE);
    }
    if has(b"<!doctype html") || has(b"<html") {
        return foreign(
            "a page of HTML",
            "whoever fetched it was shown a page in place of the object: fetch it again",
        );
    }
    foreign("XML", "give CloudTrail's own files")
}

fn no_json(text: &[u8]) -> Foreign {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_text = std::str::from_utf8(line)
        .is_ok_and(|line| !line.chars().any(|it| it.is_control() && it != '\t' && it != '\r'));
    if !is_text {
        return foreign("binary data that is neither gzip nor JSON", "give CloudTrail's own files");
    }
    if memchr::memchr_iter(b',', line).count() > 1 && !line.contains(&b'{') {
        return foreign(
            "a table of comma-separated values",
            "download the event history as JSON, or give CloudTrail's own files",
        );
    }
    foreign("text that is not JSON", "give CloudTrail's own files")
}

/// What a text inside of JSON holds.
pub(super) enum Embedded<'t> {
    Record(&'t [u8]),
    /// What `CloudWatch` Logs writes to see whether its destination is there.
    Control,
    Neither,
}

impl<'t> Embedded<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let text = text.trim_ascii();
        if text.starts_with(b"CWL CONTROL MESSAGE") {
            return Self::Control;
        }
        if !text.starts_with(b"{") {
            return Self::Neither;
        }
        let Ok(members) = serde_json::from_slice::<Members<'t>>(text) else {
            // A text that was cut is rejected as what cannot be read, rather than lost.
            return Self::Record(text);
        };
        if members.are_of_a_record() {
            return Self::Record(text);
        }
        match members.detail.map(RawValue::get) {
            Some(detail) if detail.starts_with('{') => match serde_json::from_str::<Members<'t>>(detail) {
                Ok(members) if members.are_of_a_record() => Self::Record(detail.as_bytes()),
                _ => Self::Neither,
            },
            _ => Self::Neither,
        }
    }
}

/// The members by which a record is known: two of three, because not every kind of record has each.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'t> {
    #[serde(borrow)]
    event_version: Option<&'t RawValue>,
    #[serde(borrow)]
    event_source: Option<&'t RawValue>,
    #[serde(borrow)]
    event_name: Option<&'t RawValue>,
    #[serde(borrow)]
    detail: Option<&'t RawValue>,
}

/// How many of a record's three telling members leave no doubt.
pub(super) const CERTAIN: usize = 2;

impl Members<'_> {
    fn are_of_a_record(&self) -> bool {
        [self.event_version, self.event_source, self.event_name].iter().flatten().count() >= CERTAIN
    }
}

/// The text of a JSON string, with U+FFFD for what is no character.
pub(super) fn unescaped(string: &[u8]) -> Option<String> {
    struct Text(String);

    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            // As bytes, because half a surrogate pair is an error in a text.
            deserializer.deserialize_bytes(TextVisitor)
        }
    }

    struct TextVisitor;

    impl Visitor<'_> for TextVisitor {
        type Value = Text;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
            Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
        }
    }

    serde_json::from_slice::<Text>(string).ok().map(|text| text.0)
}

/// The names of an object's members, as far as an error shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    shown: Vec<String>,
    more: bool,
}

impl Names {
    /// Enough to tell forms apart.
    const SHOWN: usize = 6;

    pub(super) fn push(&mut self, name: &[u8]) {
        if self.shown.len() == Self::SHOWN {
            self.more = true;
            return;
        }
        let shown = name.iter().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b':' | b'-' | b'_' | b'@' => char::from(*byte),
            _ => '?',
        });
        self.shown.push(shown.collect());
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.shown.is_empty() {
            return formatter.write_str("no members");
        }
        write!(formatter, "the members `{}`", self.shown.join("`, `"))?;
        formatter.write_str(if self.more { ", …" } else { "" })
    }
}
