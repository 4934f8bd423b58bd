//! What is stored of drills: their incidents, which say how each went.

use bytes::Bytes;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::report::Report;
use super::text::text;
use super::watch::{QUERY, search};
use crate::enrich::drill;
use crate::opensearch::{Method, OpenSearch, QueryError};
use crate::timestamp;

/// A drill whose incident was opened so long ago does not run any more.
const FORGOTTEN: Duration = Duration::minutes(20);
/// Drills that are looked at: a year of weekly ones.
const MOST: usize = 60;
/// How long whoever wrote it meanwhile is waited for.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
/// How often a document is read and written again that somebody else wrote meanwhile.
const ATTEMPTS: u32 = 10;

/// What the last drills say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Last {
    /// When one worked last.
    pub worked: Option<OffsetDateTime>,
    /// The links that it could not show to work.
    pub not_checked: Vec<String>,
    /// When the latest one was, and whether it worked.
    pub latest: Option<(OffsetDateTime, bool)>,
}

/// How drills went lately.
pub async fn last(client: &OpenSearch) -> Result<Last, QueryError> {
    let question = json!({"size": MOST, "query": {"prefix": {"incident.origin": drill::ORIGIN}},
        "_source": ["incident.opened", "incident.drill"],
        "sort": [{"incident.opened": {"order": "desc", "unmapped_type": "date"}}]});
    Ok(read_last(&search(client, &client.names().incidents(), &question).await?))
}

fn read_last(hits: &[Value]) -> Last {
    let opened = |hit: &Value| text(hit, "/_source/incident/opened").and_then(timestamp::parse);
    let is_worked = |hit: &&Value| hit["_source"]["incident"]["drill"]["worked"] == true;
    let worked = hits.iter().find(is_worked);
    let not_checked = worked.and_then(|hit| hit["_source"]["incident"]["drill"]["not_checked"].as_array());
    Last {
        worked: worked.and_then(opened),
        not_checked: not_checked.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        latest: hits.first().and_then(|hit| Some((opened(hit)?, is_worked(&hit)))),
    }
}

/// Closes what drills have left open that were broken off, and returns their ids.
pub(super) async fn close_forgotten(
    client: &OpenSearch,
    now: OffsetDateTime,
) -> Result<Vec<String>, QueryError> {
    let question = json!({"size": MOST, "_source": ["incident.id", "incident.origin"], "query": {"bool": {
        "filter": [
            {"prefix": {"incident.origin": drill::ORIGIN}},
            {"range": {"incident.opened": {"lt": timestamp::format(now - FORGOTTEN)}}}
        ],
        "must_not": [{"term": {"incident.state": "closed"}}]}}});
    let mut closed = Vec::new();
    for hit in search(client, &client.names().incidents(), &question).await? {
        let (Some(id), Some(origin)) =
            (text(&hit, "/_source/incident/id"), text(&hit, "/_source/incident/origin"))
        else {
            continue;
        };
        change(client, id, |incident| set_closed(incident, now)).await?;
        closed.extend(drill::of_origin(origin).map(str::to_owned));
    }
    Ok(closed)
}

/// Closes the incident of a drill, and writes when its steps were done.
pub(super) async fn close(client: &OpenSearch, id: &str, report: &Report) -> Result<(), QueryError> {
    let now = OffsetDateTime::now_utc();
    change(client, id, |incident| {
        set_closed(incident, now);
        set_steps(incident, report);
    })
    .await
}

/// Writes how a drill went.
pub(super) async fn conclude(client: &OpenSearch, id: &str, report: &Report) -> Result<(), QueryError> {
    change(client, id, |incident| {
        set_steps(incident, report);
        incident["incident"]["drill"]["worked"] = json!(report.worked);
        incident["incident"]["drill"]["not_checked"] = json!(report.not_checked);
    })
    .await
}

fn set_closed(incident: &mut Value, now: OffsetDateTime) {
    let now = json!(timestamp::format(now));
    incident["incident"]["state"] = json!("closed");
    incident["incident"]["closed"] = now.clone();
    incident["event"]["ingested"] = now;
}

fn set_steps(incident: &mut Value, report: &Report) {
    for step in &report.steps {
        let Some(seconds) = step.seconds else { continue };
        let at = report.began + Duration::seconds_f64(seconds);
        incident["incident"]["drill"][<&str>::from(step.step)] = json!(timestamp::format(at));
    }
}

/// Changes an incident in the version that was read. A correlator may write it at the same time.
async fn change(client: &OpenSearch, id: &str, change: impl Fn(&mut Value)) -> Result<(), QueryError> {
    let index = client.names().incidents();
    let mut attempts = 0;
    loop {
        let question =
            json!({"size": 1, "seq_no_primary_term": true, "query": {"term": {"incident.id": id}}});
        let found = search(client, &index, &question).await?;
        let Some(hit) = found.into_iter().next() else {
            return Err(QUERY.unexpected("the incident is gone"));
        };
        let (Some(document), Some(seq_no), Some(term)) =
            (hit["_id"].as_str(), hit["_seq_no"].as_u64(), hit["_primary_term"].as_u64())
        else {
            return Err(QUERY.unexpected("an incident lacks its version"));
        };
        let mut incident = hit["_source"].clone();
        change(&mut incident);
        let path =
            format!("{index}/_doc/{document}?if_seq_no={seq_no}&if_primary_term={term}&refresh=wait_for");
        let answer = client.request(Method::PUT, &path, Some(Bytes::from(incident.to_string()))).await?;
        attempts += 1;
        match answer.status {
            200 | 201 => return Ok(()),
            409 if attempts < ATTEMPTS => tokio::time::sleep(PAUSE).await,
            status => return Err(QUERY.refused(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_last_one_that_worked_is_told_and_how_the_latest_went() {
        let hit = |opened: &str, worked: Value| {
            let drill = json!({"id": "1", "worked": worked, "not_checked": ["a channel"]});
            let opened = format!("2026-11-{opened}T12:00:00.000Z");
            json!({"_source": {"incident": {"opened": opened, "drill": drill}}})
        };
        let not_checked = || vec!["a channel".to_owned()];
        let (newer, older) = (datetime!(2026-11-29 12:00 UTC), datetime!(2026-11-22 12:00 UTC));
        let cases = [
            (vec![], Last::default()),
            (
                vec![hit("29", json!(true))],
                Last { worked: Some(newer), not_checked: not_checked(), latest: Some((newer, true)) },
            ),
            (
                vec![hit("29", json!(false)), hit("22", json!(true))],
                Last { worked: Some(older), not_checked: not_checked(), latest: Some((newer, false)) },
            ),
            // It runs, or was broken off.
            (vec![hit("29", Value::Null)], Last { latest: Some((newer, false)), ..Last::default() }),
        ];
        for (hits, expected) in cases {
            assert_eq!(read_last(&hits), expected, "{hits:?}");
        }
    }
}
