//! Writes the source of a record's document.

use bytes::Bytes;
use time::OffsetDateTime;

use super::ecs::Event;
use super::enricher::{Arrival, Enricher};
use super::rules::Judged;
use super::sigma_event::FoundFacts;
use crate::json;
use crate::record::Record;
use crate::timestamp;

/// The times of a document, and how its record came.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) timestamp: OffsetDateTime,
    pub(super) created: Option<OffsetDateTime>,
    pub(super) ingested: OffsetDateTime,
    pub(super) retagged: Option<OffsetDateTime>,
    pub(super) arrival: Arrival,
}

/// The source of the document of a record.
pub(super) fn write_source(
    record: &Record<'_>,
    original: &str,
    found: FoundFacts<'_>,
    judged: &Judged<'_>,
    enricher: &Enricher,
    times: Times,
    path: &str,
) -> Bytes {
    let Enricher { rules, catalogue, .. } = enricher;
    let FoundFacts { mut context, actor, network, mut remembered, drill, .. } = found;
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
        drill,
        timestamp: times.timestamp,
        created: times.created,
        ingested: times.ingested,
        retagged: times.retagged,
        arrival: times.arrival,
        rules_version: rules.version(),
        path,
    };
    // What waits for OpenSearch is counted by its length, so it may not occupy more.
    json::to_bytes(&event).expect("an event of text, numbers and lists can be written as JSON")
}

/// When the event happened; none where the record does not say or nobody could have meant it.
pub(super) fn event_time(record: &Record<'_>) -> Option<OffsetDateTime> {
    record.text(&["eventTime"]).and_then(timestamp::parse)
}
