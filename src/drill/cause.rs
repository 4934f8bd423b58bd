//! Why a step of a drill was not done, and what to look at.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::report::Step;
use super::text::text;
use super::watch::Watch;
use crate::aws;
use crate::opensearch::Method;
use crate::timestamp;

/// A holder renews the lease each 5 s, so one that is older is nobody's.
const LEASE_AGE: time::Duration = time::Duration::seconds(30);
/// A round begins each 15 s.
const ROUND_AGE: time::Duration = time::Duration::minutes(2);

/// What is broken where a step was not done in time. `seen` is what was seen last.
pub(super) async fn of(step: Step, watch: &Watch<'_>, seen: &str) -> String {
    match step {
        Step::Uploaded => seen.to_owned(),
        Step::Read => unread(watch, seen).await,
        Step::Stored => format!("{seen}. {}", unstored(watch).await),
        Step::Opened => format!("{seen}. {}", unopened(watch).await),
        Step::Told => format!(
            "{seen}. Look at the channel's address and secrets, whether somebody correlates, and, of a monitor, at its alerts and history"
        ),
        Step::Ended => format!(
            "{seen}. The incident is closed; look whether the correlator still reaches the channel (`sagetrail_alertmanager_failing_since`)"
        ),
    }
}

/// Nobody has read the file: the queue tells whether it was announced.
async fn unread(watch: &Watch<'_>, seen: &str) -> String {
    let Some(url) = &watch.config.source.queue_url else {
        return format!(
            "{seen}: the file was not announced or not read. Look at the bucket's notification, the queue and the daemon; with source.queue_url this would tell which"
        );
    };
    let aws = aws::load(Some(url)).await;
    let wanted = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let asked = aws::queue_client(&aws, url).get_queue_attributes().queue_url(url.as_str());
    match asked.set_attribute_names(Some(wanted.to_vec())).send().await {
        Ok(answer) => {
            let attributes = answer.attributes.unwrap_or_default();
            let number = |name: &QueueAttributeName| attributes.get(name)?.parse().ok();
            judge_queue(number(&wanted[0]), number(&wanted[1]))
        }
        Err(error) => format!("{seen}, and the queue cannot be asked: {}", aws::cause(&error)),
    }
}

fn judge_queue(waiting: Option<u64>, in_flight: Option<u64>) -> String {
    match (waiting.unwrap_or_default(), in_flight.unwrap_or_default()) {
        (0, 0) => "no message waits in the queue: the bucket did not announce the file, or its message is in the dead-letter queue. Look at the bucket's notification for this prefix and the queue's policy (`sagetrail doctor`), and then at the daemon's log".to_owned(),
        (0, in_flight) => format!(
            "a daemon holds {in_flight} messages and does not finish them. Look at its log: it may not read the object, or OpenSearch takes nothing"
        ),
        (waiting, 0) => format!(
            "{waiting} messages wait in the queue and nobody receives them: the daemon does not run, or may not read this queue. Look at its host (`sagetrail health`)"
        ),
        (waiting, in_flight) => format!(
            "{waiting} messages wait in the queue and {in_flight} are being worked on: the daemon is behind, or fails at them and gets them again. Look at its log and its backlog"
        ),
    }
}

/// The file was read, and its documents are not there.
async fn unstored(watch: &Watch<'_>) -> String {
    let path = format!("s3://{}/{}", watch.plan.bucket, watch.story.key);
    let question = json!({"size": 1, "query": {"term": {"log.file.path": path}}, "_source": ["reason", "error.message"]});
    let found = watch.search(&watch.client.names().rejected(), &question).await;
    match found.as_ref().map(|hits| hits.first()) {
        Ok(Some(hit)) => format!(
            "Its records were rejected ({}): {}",
            text(hit, "/_source/reason").unwrap_or("for a reason that is not known"),
            text(hit, "/_source/error/message").unwrap_or("look at the index of rejected documents"),
        ),
        Ok(None) => "Nothing was rejected: look whether the index refreshes, and whether a site's settings leave the records out (select.scope)".to_owned(),
        Err(error) => format!("What was rejected cannot be read: {error}"),
    }
}

/// The documents are there, and nobody has judged them.
async fn unopened(watch: &Watch<'_>) -> String {
    let path = format!("{}/_doc/lease", watch.client.names().correlator());
    let answer = match watch.client.request(Method::GET, &path, None).await {
        Ok(answer) if answer.status == 200 => answer.body,
        Ok(answer) if answer.status == 404 => return NOBODY.to_owned(),
        Ok(answer) => {
            return format!("The lease of the correlator cannot be read (status {})", answer.status);
        }
        Err(error) => return format!("The lease of the correlator cannot be read: {error}"),
    };
    let lease: Value = serde_json::from_slice(&answer).unwrap_or_default();
    judge_lease(&lease, OffsetDateTime::now_utc())
}

const NOBODY: &str = "Nobody correlates: start a daemon with correlate.enabled, or `sagetrail correlate`";

fn judge_lease(lease: &Value, now: OffsetDateTime) -> String {
    let time = |member: &str| text(lease, &format!("/_source/{member}")).and_then(timestamp::parse);
    let is_older = |time: Option<OffsetDateTime>, age| time.is_none_or(|time| now - time > age);
    let said = |time: Option<OffsetDateTime>| time.map_or_else(|| "never".to_owned(), timestamp::format);
    let (beat, round) = (time("beat"), time("round"));
    if text(lease, "/_source/holder").is_none_or(str::is_empty) || is_older(beat, LEASE_AGE) {
        format!("{NOBODY}; the last one was there at {}", said(beat))
    } else if is_older(round, ROUND_AGE) {
        format!("The correlator does not finish its rounds, the last at {}: look at its log", said(round))
    } else {
        "The correlator makes its rounds and opened nothing: look at its log, and at the clocks of the hosts"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_queue_tells_which_link_is_broken() {
        let cases = [
            (Some(0), Some(0), "the bucket did not announce"),
            (None, None, "the bucket did not announce"),
            (Some(0), Some(2), "holds 2 messages"),
            (Some(3), Some(0), "nobody receives them"),
            (Some(3), Some(2), "the daemon is behind"),
        ];
        for (waiting, in_flight, expected) in cases {
            assert!(judge_queue(waiting, in_flight).contains(expected), "{waiting:?} {in_flight:?}");
        }
    }

    #[test]
    fn the_lease_tells_whether_somebody_correlates() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let lease = |holder: &str, beat: &str, round: &str| json!({"_source": {"holder": holder, "beat": format!("2026-11-29T{beat}Z"), "round": format!("2026-11-29T{round}Z")}});
        let cases = [
            (lease("a", "11:59:55", "11:59:45"), "opened nothing"),
            (
                lease("a", "11:59:55", "11:50:00"),
                "does not finish its rounds, the last at 2026-11-29T11:50:00",
            ),
            (lease("a", "11:50:00", "11:59:45"), "Nobody correlates"),
            (lease("", "11:59:55", "11:59:45"), "Nobody correlates"),
            (json!({}), "there at never"),
        ];
        for (lease, expected) in cases {
            assert!(judge_lease(&lease, now).contains(expected), "{lease}");
        }
    }
}
