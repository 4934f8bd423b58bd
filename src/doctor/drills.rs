//! Checks when a drill last went through.

use time::{Duration, OffsetDateTime};

use super::finding::Finding;
use crate::drill::{self, Last};
use crate::opensearch::{OpenSearch, QueryError};
use crate::timestamp;

/// A weekly drill that failed once may be older than that before anybody is told.
const OLD: Duration = Duration::days(15);
const SUBJECT: &str = "drill";

pub(super) async fn examine(opensearch: &OpenSearch) -> Finding {
    judge(drill::last(opensearch).await, OffsetDateTime::now_utc())
}

fn judge(last: Result<Last, QueryError>, now: OffsetDateTime) -> Finding {
    const RUN: &str = "run `sagetrail drill`, and then each week by its timer; docs/drill.md says how";
    let last = match last {
        Ok(last) => last,
        Err(error) => {
            let text = format!("it is not known whether one ever went through: {error}");
            return Finding::warning(SUBJECT, text, "grant read on the index of incidents");
        }
    };
    let Some(worked) = last.worked else {
        let text = if last.latest.is_some() {
            "none went through yet, and at least one was tried"
        } else {
            "it is not known whether a page reaches anybody: no drill was made"
        };
        return Finding::warning(SUBJECT, text, RUN);
    };
    let at = timestamp::format(worked);
    match last.latest {
        Some((latest, false)) if now - latest > Duration::hours(1) => Finding::warning(
            SUBJECT,
            format!("the latest one failed; one went through last at {at}"),
            "run `sagetrail drill`, which names the link that is broken",
        ),
        _ if now - worked > OLD => Finding::warning(
            SUBJECT,
            format!("one went through last at {at}, {} days ago", (now - worked).whole_days()),
            RUN,
        ),
        _ if last.not_checked.is_empty() => Finding::fine(SUBJECT, format!("one went through last at {at}")),
        _ => {
            let links = last.not_checked.join("; ");
            Finding::fine(SUBJECT, format!("one went through last at {at}, as far as it can see: {links}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_drill_that_never_was_or_failed_or_is_old_is_told() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let ago = |days: i64| now - Duration::days(days);
        let cases = [
            (Last::default(), State::Warning, "no drill was made"),
            (
                Last { latest: Some((ago(1), false)), ..Last::default() },
                State::Warning,
                "none went through yet",
            ),
            (
                Last { worked: Some(ago(7)), latest: Some((ago(7), true)), ..Last::default() },
                State::Fine,
                "last at 2026-11-22T12:00",
            ),
            (
                Last { worked: Some(ago(8)), latest: Some((ago(1), false)), ..Last::default() },
                State::Warning,
                "the latest one failed",
            ),
            (
                Last {
                    worked: Some(ago(7)),
                    not_checked: vec!["critical → channels.soc: ask them".to_owned()],
                    latest: Some((ago(7), true)),
                },
                State::Fine,
                "as far as it can see: critical → channels.soc: ask them",
            ),
            // It may still run.
            (
                Last { worked: Some(ago(7)), latest: Some((now, false)), ..Last::default() },
                State::Fine,
                "last at 2026-11-22",
            ),
            (
                Last { worked: Some(ago(16)), latest: Some((ago(16), true)), ..Last::default() },
                State::Warning,
                "16 days ago",
            ),
        ];
        for (last, state, text) in cases {
            let finding = judge(Ok(last.clone()), now);
            assert_eq!(finding.state, state, "{last:?}");
            assert!(finding.text.contains(text), "{finding:?}");
        }
    }
}
