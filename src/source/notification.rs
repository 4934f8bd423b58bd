//! Parses which objects a queue message announces (pure).
//!
//! The form is recognised by its content, so no setting has to say how a bucket was wired to the queue.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::labels::{NotificationForm as Form, ObjectSkip};
use crate::timestamp;

/// Parses a message's body. Any body gives a notification or an error.
pub fn parse(body: &str) -> Result<Notification, NotificationError> {
    if is_validation_message(body) {
        return Ok(Notification::test());
    }
    let message = json_object(body)?;
    match message.get("Type").and_then(Value::as_str) {
        Some("Notification") => parse_enveloped(&message),
        Some(kind @ ("SubscriptionConfirmation" | "UnsubscribeConfirmation")) => {
            Err(NotificationError::SnsConfirmation { kind: word(kind) })
        }
        _ => parse_bare(message, Form::S3),
    }
}

/// One understood message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub form: Form,
    /// In the message's order; empty for a test.
    pub objects: Vec<NotifiedObject>,
}

/// What a notification says about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifiedObject {
    /// It is new. Whether it is a record file is for its key to say.
    Created(ObjectRef),
    /// Something else happened to it.
    Skipped { bucket: String, key: String, reason: ObjectSkip },
}

/// Where an object is, and what its notification (or listing) already knows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectRef {
    pub bucket: String,
    /// As S3 knows it: decoded.
    pub key: String,
    pub region: Option<String>,
    /// The announced size, used to reserve memory; the object's own length decides.
    pub size: Option<u64>,
    /// The version that was written, where the bucket keeps versions and the notification names it.
    pub version: Option<String>,
    pub put_at: Option<OffsetDateTime>,
}

/// Why a message was not understood. It names what it saw by structure alone, never by content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    #[error("the message is not a JSON object ({problem} at line {line}, column {column})")]
    NotJson { problem: &'static str, line: usize, column: usize },
    #[error("no known form of notification: a JSON object with {members}")]
    UnknownForm { members: String },
    #[error(
        "an SNS {kind} is not a notification; the owner of the topic must confirm the subscription through its URL"
    )]
    SnsConfirmation { kind: String },
    #[error("an EventBridge event from {source_name} is not about an S3 object")]
    ForeignEvent { source_name: String },
    #[error("the list `{list}` names no object")]
    Empty { list: &'static str },
    #[error("`{part}` does not have the structure of a notification")]
    Malformed { part: &'static str },
    #[error("a record comes from {event_source}, not from S3")]
    ForeignRecord { event_source: String },
    #[error("an object's key is not UTF-8 after URL decoding")]
    KeyNotUtf8,
}

impl Notification {
    fn test() -> Self {
        Self { form: Form::Test, objects: Vec::new() }
    }
}

impl std::fmt::Display for ObjectRef {
    /// The object's S3 URI. Both of its parts come from a message, may hold anything and end up in logs, so whatever
    /// could end a line there is escaped.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", on_one_line(&self.bucket), on_one_line(&self.key))
    }
}

/// A text as it may be logged: whatever could end a line is escaped.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    let ends_lines = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    if !text.contains(ends_lines) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| {
        if ends_lines(character) { character.escape_default().to_string() } else { character.to_string() }
    };
    text.chars().map(escape).collect()
}

/// What CloudTrail publishes once when a topic is configured. It is not JSON.
fn is_validation_message(text: &str) -> bool {
    text.trim_start().starts_with("CloudTrail validation message")
}

fn parse_enveloped(envelope: &Map<String, Value>) -> Result<Notification, NotificationError> {
    let text = envelope
        .get("Message")
        .and_then(Value::as_str)
        .ok_or(NotificationError::Malformed { part: "Message" })?;
    if is_validation_message(text) {
        return Ok(Notification::test());
    }
    parse_bare(json_object(text)?, Form::S3OverSns)
}

/// Reads a message without envelope; `s3_form` is what it is when it turns out to be S3's own.
fn parse_bare(mut message: Map<String, Value>, s3_form: Form) -> Result<Notification, NotificationError> {
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Notification::test());
    }
    if let Some(records) = message.remove("Records") {
        return Ok(Notification { form: s3_form, objects: s3_objects(records)? });
    }
    if message.contains_key("detail-type") {
        return Ok(Notification { form: Form::EventBridge, objects: vec![event_object(message)?] });
    }
    if message.contains_key("s3ObjectKey") {
        return Ok(Notification { form: Form::CloudTrail, objects: trail_objects(message)? });
    }
    Err(NotificationError::UnknownForm { members: members(&message) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record {
    event_source: String,
    event_name: String,
    aws_region: Option<String>,
    #[serde(default)]
    event_time: Value,
    s3: S3Entity,
}

/// The part that S3's records and EventBridge's details have in common.
#[derive(Deserialize)]
struct S3Entity {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Bucket {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    #[serde(default)]
    size: Value,
    /// EventBridge writes it the second way.
    #[serde(default, rename = "versionId", alias = "version-id")]
    version: Value,
}

impl S3Object {
    /// A bucket without versions has none, or writes that it has none.
    fn version(&self) -> Option<String> {
        self.version.as_str().filter(|version| !matches!(*version, "" | "null")).map(str::to_owned)
    }
}

fn s3_objects(records: Value) -> Result<Vec<NotifiedObject>, NotificationError> {
    let records: Vec<S3Record> =
        serde_json::from_value(records).map_err(|_| NotificationError::Malformed { part: "Records" })?;
    if records.is_empty() {
        return Err(NotificationError::Empty { list: "Records" });
    }
    records.into_iter().map(s3_object).collect()
}

fn s3_object(record: S3Record) -> Result<NotifiedObject, NotificationError> {
    // Stores that speak S3's protocol sign with their own name before the same suffix.
    if !record.event_source.ends_with(":s3") {
        return Err(NotificationError::ForeignRecord { event_source: word(&record.event_source) });
    }
    let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
    let change = if name.starts_with("ObjectCreated:") {
        Change::Created
    } else if name.starts_with("ObjectRemoved:") || name.starts_with("LifecycleExpiration:") {
        Change::Removed
    } else {
        Change::Other
    };
    let object = ObjectRef {
        version: record.s3.object.version(),
        key: url_decoded(&record.s3.object.key)?,
        bucket: record.s3.bucket.name,
        region: record.aws_region,
        size: record.s3.object.size.as_u64(),
        put_at: record.event_time.as_str().and_then(timestamp::parse),
    };
    notified(object, change, "Records")
}

#[derive(Deserialize)]
struct BridgeEvent {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    region: Option<String>,
    #[serde(default)]
    time: Value,
    #[serde(default)]
    detail: Value,
}

fn event_object(message: Map<String, Value>) -> Result<NotifiedObject, NotificationError> {
    let event: BridgeEvent = serde_json::from_value(Value::Object(message))
        .map_err(|_| NotificationError::Malformed { part: "detail-type" })?;
    // S3's own events are all named `Object …`; the API calls that CloudTrail reports under the same source are not.
    if event.source != "aws.s3" || !event.detail_type.starts_with("Object ") {
        return Err(NotificationError::ForeignEvent { source_name: word(&event.source) });
    }
    let change = match event.detail_type.as_str() {
        "Object Created" => Change::Created,
        "Object Deleted" => Change::Removed,
        _ => Change::Other,
    };
    let entity: S3Entity =
        serde_json::from_value(event.detail).map_err(|_| NotificationError::Malformed { part: "detail" })?;
    let object = ObjectRef {
        version: entity.object.version(),
        bucket: entity.bucket.name,
        key: entity.object.key,
        region: event.region,
        size: entity.object.size.as_u64(),
        put_at: event.time.as_str().and_then(timestamp::parse),
    };
    notified(object, change, "detail")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrailNotification {
    s3_bucket: String,
    s3_object_key: Vec<String>,
}

fn trail_objects(message: Map<String, Value>) -> Result<Vec<NotifiedObject>, NotificationError> {
    let trail: TrailNotification = serde_json::from_value(Value::Object(message))
        .map_err(|_| NotificationError::Malformed { part: "s3ObjectKey" })?;
    if trail.s3_object_key.is_empty() {
        return Err(NotificationError::Empty { list: "s3ObjectKey" });
    }
    let bucket = trail.s3_bucket;
    trail
        .s3_object_key
        .into_iter()
        .map(|key| ObjectRef { bucket: bucket.clone(), key, ..ObjectRef::default() })
        .map(|object| notified(object, Change::Created, "s3ObjectKey"))
        .collect()
}

/// What happened to an object, as far as it matters here.
#[derive(Clone, Copy)]
enum Change {
    Created,
    Removed,
    /// It was restored, tagged, moved to another storage class…: its records are the same as before.
    Other,
}

fn notified(
    object: ObjectRef,
    change: Change,
    part: &'static str,
) -> Result<NotifiedObject, NotificationError> {
    if object.bucket.is_empty() || object.key.is_empty() {
        return Err(NotificationError::Malformed { part });
    }
    let reason = match change {
        Change::Created => return Ok(NotifiedObject::Created(object)),
        Change::Removed => ObjectSkip::Removed,
        Change::Other => ObjectSkip::OtherEvent,
    };
    Ok(NotifiedObject::Skipped { bucket: object.bucket, key: object.key, reason })
}

/// Undoes the form encoding that only S3 puts on keys: `+` is a space, then `%XX` are bytes of UTF-8.
fn url_decoded(key: &str) -> Result<String, NotificationError> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| NotificationError::KeyNotUtf8)
}

fn json_object(text: &str) -> Result<Map<String, Value>, NotificationError> {
    serde_json::from_str(text).map_err(|error| NotificationError::NotJson {
        problem: match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Data => "it is another kind of value",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "a syntax error",
        },
        line: error.line(),
        column: error.column(),
    })
}

/// The names of an object's first members, for an error's text.
fn members(object: &Map<String, Value>) -> String {
    /// Enough names to tell forms apart.
    const SHOWN: usize = 6;
    if object.is_empty() {
        return "no members".to_owned();
    }
    let names: Vec<String> = object.keys().take(SHOWN).map(|name| word(name)).collect();
    let more = if object.len() > SHOWN { ", …" } else { "" };
    format!("the members {}{more}", names.join(", "))
}

/// A name from a message, reduced to characters that are safe in a log.
fn word(text: &str) -> String {
    /// Characters; longer than every name of a known form.
    const LONGEST: usize = 32;
    let shown: String = text
        .chars()
        .take(LONGEST)
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | ':' | '-' | '_' => character,
            _ => '?',
        })
        .collect();
    format!("`{shown}`")
}

#[cfg(test)]
mod tests;
