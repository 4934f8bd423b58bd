//! The retag: documents that other rules have tagged are enriched anew, from the text that they keep.
//!
//! `event.original` is redacted, so rules see `[redacted:FINGERPRINT]` where a secret was, and the text is never redacted a
//! second time. Id, index, times and path stay. A document is only written when nobody has changed it since it was read.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Date, OffsetDateTime};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::full_jitter;
use crate::config::{AuthKind, Config};
use crate::document::EVENTS_ALIAS;
use crate::enrich::{Kept, Knowledge, enrich_again};
use crate::setup::{self, SetupError};
use crate::sink::{Answer, Method, OpenSearch, OpenSearchError};
use crate::source::aws;
use crate::source::folder::Wanted;
use crate::timestamp;

/// Documents that are read and written at once. Scripts and parameters make some of them large.
const PAGE: usize = 200;
/// How long OpenSearch keeps the view between two pages, of which one may wait for its limit or for push-back.
const KEEP_ALIVE: &str = "10m";
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What a retag came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The rules' version that documents have now.
    pub version: String,
    /// Documents that other rules had tagged.
    pub outdated: u64,
    pub retagged: u64,
    /// Those whose findings are others than before.
    pub changed: u64,
    /// Those that somebody changed meanwhile; the next run takes them.
    pub conflicts: u64,
    /// Those that keep no text that can be read.
    pub unreadable: u64,
    /// Those that OpenSearch refused.
    pub refused: u64,
    pub interrupted: bool,
}

/// Why a retag could not go on. A second run takes what is left.
#[derive(Debug, thiserror::Error)]
pub enum RetagError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(
        "{operation}: OpenSearch answered {status}; the role needs read, write and indices:admin/mapping/put on sagetrail-events-*"
    )]
    Refused { operation: &'static str, status: u16 },
    #[error("{operation}: the answer is not that of OpenSearch: {problem}")]
    Unexpected { operation: &'static str, problem: String },
    #[error("bulk: OpenSearch did not take the documents in {ATTEMPTS} attempts")]
    Unavailable,
}

/// Enriches every document anew that is wanted and that these rules have not tagged.
pub async fn run(
    config: &Config,
    knowledge: &Knowledge,
    wanted: &Wanted,
    stop: &CancellationToken,
) -> Result<Summary, RetagError> {
    let aws = match config.sink.auth {
        AuthKind::Sigv4 => Some(aws::load(config.source.queue_url.as_ref()).await),
        AuthKind::None | AuthKind::Basic | AuthKind::Certificate => None,
    };
    let client = OpenSearch::new(&config.sink, aws.as_ref())?;
    setup::install_templates(&client).await?;
    map_version(&client).await?;
    let mut summary = Summary { version: knowledge.rules.version().to_owned(), ..Summary::default() };
    let Some(mut view) = View::open(&client).await? else { return Ok(summary) };
    let limit = config.replay.documents_per_second.or(config.sink.documents_per_second);
    let began = Instant::now();
    let mut shown = began;
    let result = loop {
        if stop.is_cancelled() {
            summary.interrupted = true;
            break Ok(());
        }
        let hits = match view.next(&client, &query(wanted, &summary.version), &mut summary.outdated).await {
            Ok(hits) if hits.is_empty() => break Ok(()),
            Ok(hits) => hits,
            Err(error) => break Err(error),
        };
        let read = u32::try_from(hits.len()).expect("a page is small");
        if let Err(error) = retag(&client, knowledge, hits, &mut summary).await {
            break Err(error);
        }
        if shown.elapsed() >= LINE_INTERVAL {
            shown = Instant::now();
            let rate = rate(summary.retagged, began.elapsed());
            eprintln!("{} of {} documents, {rate:.0} documents/s", summary.retagged, summary.outdated);
        }
        if let Some(limit) = limit {
            sleep(Duration::from_secs(1).mul_f64(f64::from(read) / f64::from(limit.get()))).await;
        }
    };
    view.close(&client).await;
    result.map(|()| summary)
}

/// Indices that are older than the field lack it in their mapping, and could not be asked for it.
async fn map_version(client: &OpenSearch) -> Result<(), RetagError> {
    let path = format!("{EVENTS_ALIAS}-*/_mapping");
    let fields = json!({"version": {"type": "keyword", "ignore_above": 8191}, "retagged": {"type": "date", "ignore_malformed": true}});
    let body = json!({"properties": {"sagemaker": {"properties": {"rules": {"properties": fields}}}}});
    let answer = client.request(Method::Put, &path, Some(Bytes::from(body.to_string()))).await?;
    match answer.status {
        // There are no events yet.
        200 | 404 => Ok(()),
        status => Err(RetagError::Refused { operation: "mapping", status }),
    }
}

/// A view of the events as they were when it was opened, read in pages.
struct View {
    id: String,
    after: Option<Value>,
}

impl View {
    /// None when there are no events at all.
    async fn open(client: &OpenSearch) -> Result<Option<Self>, RetagError> {
        let path = format!("{EVENTS_ALIAS}-*/_search/point_in_time?keep_alive={KEEP_ALIVE}");
        let answer = client.request(Method::Post, &path, None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let Opened { pit_id } = read("point in time", &answer)?;
        Ok(Some(Self { id: pit_id, after: None }))
    }

    async fn next(
        &mut self,
        client: &OpenSearch,
        query: &Value,
        total: &mut u64,
    ) -> Result<Vec<Hit>, RetagError> {
        let mut body = json!({
            "size": PAGE, "query": query, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE},
            "seq_no_primary_term": true, "track_total_hits": self.after.is_none(),
            // Together they tell any two documents apart, also of one event in two shards.
            "sort": [{"@timestamp": "asc"}, {"_seq_no": "asc"}, {"event.id": "asc"}],
            "_source": ["@timestamp", "event.original", "event.created", "event.ingested", "log.file.path",
                        "sagemaker.findings"]
        });
        if let Some(after) = &self.after {
            body["search_after"] = after.clone();
        }
        let body = Bytes::from(body.to_string());
        let answer = client.request(Method::Post, "_search", Some(body)).await?;
        let Page { hits } = read("search", &answer)?;
        if let Some(found) = hits.total {
            *total = found.value;
        }
        if let Some(last) = hits.hits.last() {
            self.after = Some(last.sort.clone());
        }
        Ok(hits.hits)
    }

    /// A view that cannot be closed ends by itself.
    async fn close(self, client: &OpenSearch) {
        let body = Bytes::from(json!({"pit_id": [self.id]}).to_string());
        let _ = client.request(Method::Delete, "_search/point_in_time", Some(body)).await;
    }
}

/// What other rules have tagged, by the time of the event.
fn query(wanted: &Wanted, version: &str) -> Value {
    let mut filter = Vec::new();
    let day = |day: Date| day.to_string();
    if wanted.from.is_some() || wanted.to.is_some() {
        let mut range = json!({});
        if let Some(from) = wanted.from {
            range["gte"] = json!(day(from));
        }
        if let Some(next) = wanted.to.and_then(Date::next_day) {
            range["lt"] = json!(day(next));
        }
        filter.push(json!({"range": {"@timestamp": range}}));
    }
    for (field, values) in [("cloud.account.id", &wanted.accounts), ("cloud.region", &wanted.regions)] {
        if !values.is_empty() {
            filter.push(json!({"terms": {field: values}}));
        }
    }
    json!({"bool": {"filter": filter, "must_not": [{"term": {"sagemaker.rules.version": version}}]}})
}

/// Writes one page anew.
async fn retag(
    client: &OpenSearch,
    knowledge: &Knowledge,
    hits: Vec<Hit>,
    summary: &mut Summary,
) -> Result<(), RetagError> {
    let now = OffsetDateTime::now_utc();
    let mut writes = Vec::new();
    for hit in hits {
        match hit.written_anew(knowledge, now) {
            Some((source, is_changed)) => writes.push(Write { hit, source, is_changed }),
            None => summary.unreadable += 1,
        }
    }
    for attempt in 0..ATTEMPTS {
        if writes.is_empty() {
            return Ok(());
        }
        if attempt > 0 {
            sleep(full_jitter(FIRST_PAUSE, LONGEST_PAUSE, attempt - 1)).await;
        }
        let answer = client.bulk(encode(&writes)).await?;
        if matches!(answer.status, 429 | 503) {
            continue;
        }
        let Items { items } = read("bulk", &answer)?;
        if items.len() != writes.len() {
            let problem = format!("{} of {} documents are answered", items.len(), writes.len());
            return Err(RetagError::Unexpected { operation: "bulk", problem });
        }
        let mut again = Vec::new();
        for (write, Item { index }) in writes.into_iter().zip(items) {
            match index.status {
                200..=299 => {
                    summary.retagged += 1;
                    summary.changed += u64::from(write.is_changed);
                }
                409 => summary.conflicts += 1,
                429 | 500..=599 => again.push(write),
                _ => summary.refused += 1,
            }
        }
        writes = again;
    }
    if writes.is_empty() { Ok(()) } else { Err(RetagError::Unavailable) }
}

/// One document on its way.
struct Write {
    hit: Hit,
    source: Bytes,
    is_changed: bool,
}

/// Neither an index's name nor an id of ours needs escaping, and a source is one line.
fn encode(writes: &[Write]) -> Bytes {
    let mut body = Vec::new();
    for Write { hit, source, .. } in writes {
        let Hit { index, id, seq_no, primary_term, .. } = hit;
        let mut action = String::new();
        writeln!(
            action,
            r#"{{"index":{{"_index":"{index}","_id":"{id}","if_seq_no":{seq_no},"if_primary_term":{primary_term}}}}}"#
        )
        .expect("writing to a String cannot fail");
        body.extend_from_slice(action.as_bytes());
        body.extend_from_slice(source);
        body.push(b'\n');
    }
    Bytes::from(body)
}

impl Hit {
    /// The source as these rules write it, and whether its findings differ. None without a text that can be read.
    fn written_anew(&self, knowledge: &Knowledge, now: OffsetDateTime) -> Option<(Bytes, bool)> {
        let text = |path: &str| self.source.pointer(path).and_then(Value::as_str);
        let time = |path: &str| text(path).and_then(timestamp::parse);
        let kept = Kept {
            original: text("/event/original")?,
            path: text("/log/file/path").unwrap_or_default(),
            timestamp: time("/@timestamp")?,
            created: time("/event/created"),
            ingested: time("/event/ingested")?,
            retagged: now,
        };
        let source = enrich_again(&kept, knowledge)?;
        let anew: Value = serde_json::from_slice(&source).ok()?;
        let is_changed = anew.pointer("/sagemaker/findings") != self.source.pointer("/sagemaker/findings");
        Some((source, is_changed))
    }
}

fn rate(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate of so many documents needs no last digit")]
    let count = count as f64;
    count / took.as_secs_f64().max(0.001)
}

fn read<'a, T: Deserialize<'a>>(operation: &'static str, answer: &'a Answer) -> Result<T, RetagError> {
    if !(200..300).contains(&answer.status) {
        return Err(RetagError::Refused { operation, status: answer.status });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| RetagError::Unexpected { operation, problem: error.to_string() })
}

#[derive(Deserialize)]
struct Opened {
    pit_id: String,
}

#[derive(Deserialize)]
struct Page {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<Total>,
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source")]
    source: Value,
    sort: Value,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, outdated, retagged, changed, conflicts, unreadable, refused, .. } = self;
        writeln!(formatter, "rules      {version}")?;
        writeln!(formatter, "outdated   {outdated} documents")?;
        writeln!(formatter, "retagged   {retagged}, {changed} of them with other findings")?;
        writeln!(
            formatter,
            "left       {conflicts} changed meanwhile, {unreadable} unreadable, {refused} refused"
        )
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn only_what_other_rules_have_tagged_is_asked_for() {
        let wanted = Wanted {
            accounts: vec!["111122223333".to_owned()],
            from: Some(date!(2026 - 01 - 01)),
            to: Some(date!(2026 - 01 - 31)),
            ..Wanted::default()
        };
        let expected = json!({"bool": {
            "filter": [
                {"range": {"@timestamp": {"gte": "2026-01-01", "lt": "2026-02-01"}}},
                {"terms": {"cloud.account.id": ["111122223333"]}}
            ],
            "must_not": [{"term": {"sagemaker.rules.version": "v"}}]
        }});
        assert_eq!(query(&wanted, "v"), expected);
    }
}
