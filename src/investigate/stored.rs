//! Reads what a report is made of from OpenSearch, in bounded pages of one moment.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::InvestigateError;
use super::entry::{Entry, FIELDS};
use super::lineage::LONG_TERM;
use super::material::{MOST_ADDRESSES, MOST_RECORDS, Material, Source, UsedBefore, Verification};
use super::needed::needed;
use super::restoring::changed_policies;
use super::tell::{tell, unread};
use super::wanted::{Asked, Range, Wanted};
use crate::contain::{Policies, find_policies};
use crate::guard::Judge;
use crate::incidents::{self, the_one};
use crate::memory::{Key, Kind, Remembered, State};
use crate::opensearch::events;
use crate::opensearch::{Found, OpenSearch, Query, QueryError};
use crate::timestamp;

/// Things of memory in one question.
const AT_ONCE: usize = 200;
/// Long-term keys whose earlier use is asked for.
const MOST_KEYS: usize = 20;
/// Indices that are not there are empty.
const ABSENT: &str = "ignore_unavailable=true&allow_no_indices=true";

const QUERY: Query = Query {
    operation: "investigating",
    grant: "what `investigate` needs: search on the indices of events, memory, rejected documents and verifications",
};

/// The stored records that belong to what is asked.
pub async fn from_opensearch(
    client: &OpenSearch,
    judge: &Judge,
    asked: &str,
    range: Range,
) -> Result<Material, InvestigateError> {
    let meant = Asked::read(asked);
    let wanted = match (&meant, Wanted::of(&meant, range)) {
        (_, Some(wanted)) => wanted,
        (Asked::Incident(id), None) => {
            let incidents = incidents::stored(client, id).await?;
            Wanted::of_incident(&the_one(incidents, id)?, range)
        }
        (_, None) => unreachable!("only an incident has to be found first"),
    };
    let Records { entries, total, slowest_seconds } = records(client, judge, &wanted).await?;
    let left_out = total.saturating_sub(u64::try_from(entries.len()).unwrap_or(u64::MAX));
    let mut material = Material::new(asked.trim(), wanted.subject, entries);
    material.since = wanted.since;
    material.until = wanted.until;
    material.incident = wanted.incident;
    material.source = Source::OpenSearch;
    material.left_out = (left_out > 0).then_some(left_out);
    material.slowest_seconds = slowest_seconds;
    material.oldest = oldest(client).await?;
    material.memory = memory(client, &material.entries).await?;
    material.policies = Policies::wanted(changed_policies(&material.entries));
    find_policies(client, &mut material.policies).await?;
    if let Some(since) = material.since {
        material.used_before = used_before(client, &material.entries, since).await?;
    }
    let (first, last) = (
        material.since.or(material.entries.first().map(|entry| entry.time)),
        material.until.or(material.entries.last().map(|entry| entry.time)),
    );
    if let (Some(first), Some(last)) = (first, last) {
        material.rejected = rejected(client, first, last).await?;
        material.verification = verification(client, first, last).await?;
    }
    let unread = unread(&tell(&material));
    material.beyond = with_ids(client, unread.iter().map(String::as_str).collect()).await?;
    Ok(material)
}

/// How long-term keys of the records were used before the range.
async fn used_before(
    client: &OpenSearch,
    entries: &[Entry],
    since: OffsetDateTime,
) -> Result<HashMap<String, UsedBefore>, QueryError> {
    let mut used = HashMap::new();
    let keys: BTreeSet<&String> = entries.iter().filter_map(|entry| entry.key.as_ref()).collect();
    let path = format!("{}/_search?{ABSENT}", client.names().events());
    for key in keys.into_iter().filter(|key| key.starts_with(LONG_TERM)).take(MOST_KEYS) {
        let filter = json!([
            {"term": {"aws.cloudtrail.user_identity.access_key_id": key}},
            {"range": {"@timestamp": {"lt": timestamp::format(since)}}}, events::no_drills(),
        ]);
        let body = json!({
            "size": 1, "track_total_hits": true, "query": {"bool": {"filter": filter}}, "_source": ["@timestamp"],
            "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
            "aggs": {"first": {"min": {"field": "@timestamp"}},
                "addresses": {"terms": {"field": "source.address", "size": MOST_ADDRESSES}}},
        });
        let answer: Value = QUERY.ask_patiently(client, &path, &body).await?;
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
        let (Some(last), Some(first)) = (
            text("/hits/hits/0/_id"),
            text("/aggregations/first/value_as_string").and_then(timestamp::parse),
        ) else {
            continue;
        };
        let buckets = answer.pointer("/aggregations/addresses/buckets").and_then(Value::as_array);
        let addresses = buckets.into_iter().flatten().filter_map(|it| it["key"].as_str().map(str::to_owned));
        let calls = answer.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or_default();
        let calls = usize::try_from(calls).unwrap_or(usize::MAX);
        let before = UsedBefore { first, calls, addresses: addresses.collect(), last: last.to_owned() };
        used.insert(key.clone(), before);
    }
    Ok(used)
}

struct Records {
    entries: Vec<Entry>,
    total: u64,
    slowest_seconds: Option<i64>,
}

/// The records as they are at one moment, the earliest first.
async fn records(client: &OpenSearch, judge: &Judge, wanted: &Wanted) -> Result<Records, QueryError> {
    let mut read = Records { entries: Vec::new(), total: 0, slowest_seconds: None };
    let fields = [&FIELDS[..], &["event.ingested", "event.original"]].concat();
    let total = events::read(client, &wanted.query(), &fields, |hits| {
        for hit in hits {
            let ingested =
                hit.source.pointer("/event/ingested").and_then(Value::as_str).and_then(timestamp::parse);
            let Some(mut entry) = Entry::read(&hit.index, &hit.id, &hit.source) else { continue };
            entry.look(judge, &hit.source);
            let took = ingested.map(|ingested| (ingested - entry.time).whole_seconds());
            read.slowest_seconds = read.slowest_seconds.max(took);
            read.entries.push(entry);
        }
        if read.entries.len() < MOST_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .await?;
    read.entries.truncate(MOST_RECORDS);
    Ok(Records { total, ..read })
}

/// The records with these ids, as far as they are still stored.
async fn with_ids(client: &OpenSearch, ids: Vec<&str>) -> Result<Vec<Entry>, QueryError> {
    let mut found = Vec::new();
    let path = format!("{}/_search?{ABSENT}", client.names().events());
    for part in ids.chunks(AT_ONCE) {
        let body = json!({"size": 2 * AT_ONCE, "query": {"ids": {"values": part}}, "_source": FIELDS});
        let Found::<Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
        found.extend(hits.hits.iter().filter_map(|hit| Entry::read(&hit.index, &hit.id, &hit.source)));
    }
    found.sort_by(|a: &Entry, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

async fn oldest(client: &OpenSearch) -> Result<Option<OffsetDateTime>, QueryError> {
    let path = format!("{}/_search?{ABSENT}", client.names().events());
    let body = json!({
        "size": 1, "_source": ["@timestamp"], "track_total_hits": false, "query": {"exists": {"field": "@timestamp"}},
        "sort": [{"@timestamp": {"order": "asc", "unmapped_type": "date"}}],
    });
    let Found::<Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
    Ok(hits.hits.first().and_then(|hit| hit.source["@timestamp"].as_str()).and_then(timestamp::parse))
}

async fn memory(client: &OpenSearch, entries: &[Entry]) -> Result<HashMap<Key, State>, QueryError> {
    let mut known = HashMap::new();
    loop {
        let keys: Vec<Key> = needed(entries, &known).into_iter().collect();
        if keys.is_empty() {
            known.retain(|_, state: &mut State| !state.is_empty());
            return Ok(known);
        }
        for kind in [Kind::Resources, Kind::Sessions] {
            let of_kind: Vec<&Key> = keys.iter().filter(|key| key.kind == kind).collect();
            for part in of_kind.chunks(AT_ONCE) {
                recall(client, kind, part, &mut known).await?;
            }
        }
        // What is not there is known not to be.
        for key in keys {
            known.entry(key).or_default();
        }
    }
}

async fn recall(
    client: &OpenSearch,
    kind: Kind,
    keys: &[&Key],
    known: &mut HashMap<Key, State>,
) -> Result<(), QueryError> {
    let names = client.names();
    let index = if kind == Kind::Sessions { names.sessions() } else { names.resources() };
    let ids: Vec<&str> = keys.iter().map(|key| &*key.id).collect();
    // One session can be in the indices of two months.
    let body = json!({"size": 2 * AT_ONCE, "_source": ["key", "memory"], "query": {"terms": {"key": ids}}});
    let Found::<Remembered> { hits } =
        QUERY.ask_patiently(client, &format!("{index}/_search?{ABSENT}"), &body).await?;
    for Remembered { key, memory } in hits.hits.into_iter().map(|hit| hit.source) {
        known.entry(Key::new(kind, key)).or_default().join(&memory);
    }
    Ok(())
}

fn within(first: OffsetDateTime, last: OffsetDateTime) -> Value {
    json!({"gte": timestamp::format(first), "lte": timestamp::format(last)})
}

async fn rejected(
    client: &OpenSearch,
    first: OffsetDateTime,
    last: OffsetDateTime,
) -> Result<u64, QueryError> {
    let path = format!("{}/_search?{ABSENT}", client.names().rejected());
    let body =
        json!({"size": 0, "track_total_hits": true, "query": {"range": {"@timestamp": within(first, last)}}});
    let Found::<Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
    Ok(hits.total.map_or(0, |total| total.value))
}

/// What the last verifications found of the days of the range.
async fn verification(
    client: &OpenSearch,
    first: OffsetDateTime,
    last: OffsetDateTime,
) -> Result<Verification, QueryError> {
    let path = format!("{}/_search?{ABSENT}", client.names().verified());
    let days = json!({"gte": first.date().to_string(), "lte": last.date().to_string()});
    let body = json!({
        "size": 0, "track_total_hits": true, "query": {"range": {"verification.day": days}},
        "aggs": {"gaps": {"sum": {"field": "verification.gaps"}}, "last": {"max": {"field": "@timestamp"}}},
    });
    let answer: Value = QUERY.ask_patiently(client, &path, &body).await?;
    let days = answer.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or_default();
    if days == 0 {
        return Ok(Verification::Never);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of counts")]
    let gaps = answer.pointer("/aggregations/gaps/value").and_then(Value::as_f64).unwrap_or_default() as u64;
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^52")]
    let last = answer
        .pointer("/aggregations/last/value")
        .and_then(Value::as_f64)
        .and_then(|millis| OffsetDateTime::from_unix_timestamp(millis as i64 / 1_000).ok());
    Ok(Verification::Found { days, gaps, last: last.map_or("unknown".to_owned(), timestamp::format) })
}
