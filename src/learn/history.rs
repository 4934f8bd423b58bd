//! Asks OpenSearch what the documents of a period hold, in requests whose answers are bounded.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use super::evidence::{Evidence, NAMED};
use super::source::Source;
use crate::opensearch::events::no_drills;
use crate::opensearch::{OpenSearch, Page, Query, QueryError};
use crate::timestamp;

/// Distinct values of one field that are read at most. A list of more would not be read by anybody.
pub const MOST_VALUES: usize = 10_000;
/// Documents whose rules are evaluated again at most, the latest first.
pub const MOST_DOCUMENTS: usize = 50_000;
/// Documents that are read at once. Scripts and parameters make some of them large.
const PAGE: usize = 500;
/// Buckets in one answer at most: half of what OpenSearch allows in its defaults.
const MOST_BUCKETS: usize = 32_000;

/// Days and nights of events.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
}

impl Period {
    /// The period of so many days that ends at a time.
    pub fn before(to: OffsetDateTime, days: u16) -> Self {
        Self { from: to - Duration::days(i64::from(days)), to }
    }

    fn query(self) -> Value {
        let range = json!({"gte": timestamp::format(self.from), "lt": timestamp::format(self.to)});
        json!({"bool": {"filter": [{"range": {"@timestamp": range}}, no_drills()]}})
    }

    fn days(self) -> usize {
        usize::try_from((self.to - self.from).whole_days() + 1).unwrap_or(1)
    }
}

/// The rules whose findings beside a value say something against it.
#[derive(Debug)]
pub struct Against<'r> {
    /// Titles of rules of level high or above, by their ids.
    pub worrying: BTreeMap<&'r str, &'r str>,
    /// Ids of rules of level medium or above.
    pub any: Vec<&'r str>,
}

/// The values of one source.
#[derive(Debug, Default)]
pub struct Values {
    pub evidence: BTreeMap<String, Evidence>,
    /// Whether there are more values than are read.
    pub more: bool,
}

/// Reads what the documents say of each value of a field.
pub async fn values(
    client: &OpenSearch,
    source: &Source,
    field: &str,
    period: Period,
    against: &Against<'_>,
) -> Result<Values, QueryError> {
    let (mut found, mut read) = (Values::default(), 0);
    let mut body = counted(source, field, period, against);
    loop {
        let Counted { aggregations: Aggregations { values } } = search(client, &body).await?;
        read += values.buckets.len();
        for bucket in values.buckets.into_iter().filter(|bucket| bucket.meant.doc_count > 0) {
            found.evidence.insert(bucket.key.value.clone(), bucket.evidence(against));
        }
        let Some(after) = values.after_key else { return Ok(found) };
        if read >= MOST_VALUES {
            found.more = true;
            return Ok(found);
        }
        body["aggs"]["values"]["composite"]["after"] = after;
    }
}

/// The search that counts the values of a field in the documents that are meant. What says something against a value
/// counts wherever it was seen.
fn counted(source: &Source, field: &str, period: Period, against: &Against<'_>) -> Value {
    let days = period.days();
    let size = (MOST_BUCKETS / (days + 2 * NAMED + 4)).clamp(1, PAGE);
    let meant = match &source.query {
        Some(query) => json!({"query_string": {"query": query, "analyze_wildcard": true}}),
        None => json!({"match_all": {}}),
    };
    let worrying: Vec<&str> = against.worrying.keys().copied().collect();
    json!({
        "size": 0,
        "query": period.query(),
        "aggs": {"values": {
            "composite": {"size": size, "sources": [{"value": {"terms": {"field": field}}}]},
            "aggs": {
                "meant": {"filter": meant, "aggs": {
                    "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "min_doc_count": 1,
                        "format": "yyyy-MM-dd"}},
                    "who": {"terms": {"field": "sagemaker.alert.principal", "size": NAMED}},
                    "principals": {"cardinality": {"field": "sagemaker.alert.principal"}}
                }},
                "worrying": {"filter": {"terms": {"sagemaker.findings.id": &worrying}}, "aggs": {
                    "rules": {"terms": {"field": "sagemaker.findings.id", "include": &worrying, "size": NAMED}}
                }},
                "with_finding": {"filter": {"terms": {"sagemaker.findings.id": against.any}}}
            }
        }}
    })
}

/// A stored document, as far as rules need it.
#[derive(Debug, Deserialize)]
pub struct Stored {
    #[serde(rename = "_source")]
    pub source: Value,
    sort: Value,
}

/// The documents of a period, the latest first, in pages.
#[derive(Debug)]
pub struct Documents {
    period: Period,
    after: Option<Value>,
    /// How many there are in all.
    pub total: u64,
}

impl Documents {
    /// Begins before the latest document; nothing is asked yet.
    pub fn of(period: Period) -> Self {
        Self { period, after: None, total: 0 }
    }

    /// Asks for the next page; an empty one means that there are no more.
    ///
    /// Requests that a busy cluster refuses are repeated. The total is known after the first page.
    pub async fn next(&mut self, client: &OpenSearch) -> Result<Vec<Stored>, QueryError> {
        let mut body = json!({
            "size": PAGE, "query": self.period.query(), "track_total_hits": self.after.is_none(),
            "sort": [{"@timestamp": "desc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            // What follows from the text need not be read.
            "_source": {"excludes": ["aws"]}
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let Page::<Stored> { hits } = search(client, &body).await?;
        if let Some(found) = hits.total {
            self.total = found.value;
        }
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits.hits)
    }
}

/// Asks all indices of events; those that are not there hold nothing.
async fn search<T: DeserializeOwned>(client: &OpenSearch, body: &Value) -> Result<T, QueryError> {
    let question = Query { operation: "search", grant: "indices:data/read/search* on the indices of events" };
    question
        .ask_patiently(client, &format!("{}/_search?ignore_unavailable=true", client.names().events()), body)
        .await
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    aggregations: Aggregations,
}

#[derive(Default, Deserialize)]
struct Aggregations {
    values: Composite,
}

#[derive(Default, Deserialize)]
struct Composite {
    #[serde(default)]
    after_key: Option<Value>,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: Key,
    doc_count: u64,
    meant: Meant,
    worrying: Filtered,
    with_finding: Filtered,
}

#[derive(Deserialize)]
struct Meant {
    doc_count: u64,
    days: Buckets,
    who: Buckets,
    principals: Number,
}

#[derive(Deserialize)]
struct Key {
    value: String,
}

#[derive(Default, Deserialize)]
struct Buckets {
    buckets: Vec<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    key: Value,
    key_as_string: Option<String>,
    doc_count: u64,
}

#[derive(Deserialize)]
struct Number {
    value: u64,
}

#[derive(Deserialize)]
struct Filtered {
    doc_count: u64,
    #[serde(default)]
    rules: Buckets,
}

impl Bucket {
    fn evidence(self, against: &Against<'_>) -> Evidence {
        let Meant { doc_count: records, days, who, principals } = self.meant;
        let day = |text: String| Date::parse(&text, format_description!("[year]-[month]-[day]")).ok();
        let title = |id: String| against.worrying.get(id.as_str()).map(|title| (*title).to_owned());
        Evidence {
            records,
            days: days.texts().filter_map(|(text, _)| day(text)).collect(),
            who: who.texts().collect(),
            principals: principals.value,
            all_records: self.doc_count,
            worrying: self.worrying.doc_count,
            findings: self.worrying.rules.texts().filter_map(|(id, _)| title(id)).collect(),
            with_finding: self.with_finding.doc_count,
        }
    }
}

impl Buckets {
    /// The keys, each with its number of documents.
    fn texts(self) -> impl Iterator<Item = (String, u64)> {
        self.buckets.into_iter().filter_map(|Inner { key, key_as_string, doc_count }| {
            Some((key_as_string.or_else(|| key.as_str().map(str::to_owned))?, doc_count))
        })
    }
}
