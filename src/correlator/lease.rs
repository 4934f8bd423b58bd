//! Holds the lease, one document that says which of several correlators works.
//!
//! A holder renews it, and whoever stands by takes it when nobody has for a while. Clocks of two machines are never
//! compared: who stands by measures with its own clock for how long the document has not changed. Two that both believe
//! they hold it do no harm, because whatever a correlator writes has a deterministic id and a condition.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::opensearch::{Method, OpenSearch, Query, QueryError};
use crate::timestamp;

/// How often a holder renews it.
pub(super) const RENEWAL: Duration = Duration::from_secs(5);
/// After so long without a renewal a holder stops working, and so before anybody takes its place.
pub(super) const STEP_DOWN: Duration = Duration::from_secs(15);
/// After so long without a change whoever stands by takes it: with a look each [`LOOK`] it is taken within 30 s of a
/// kill.
const ABANDONED: Duration = Duration::from_secs(20);
/// How often whoever stands by looks.
pub(super) const LOOK: Duration = Duration::from_secs(2);

const QUERY: Query = Query {
    operation: "the lease of the correlator",
    grant: "indices:data/read/get and indices:data/write/index on the index of the correlator",
};

/// What the document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// Who holds it; empty when it was given back.
    pub holder: String,
    /// How often it has changed hands.
    pub term: u64,
    /// When the last complete round began, by the clock of whoever made it.
    pub round: Option<OffsetDateTime>,
}

/// A version of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    seq_no: u64,
    primary_term: u64,
}

/// What whoever stands by should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    /// Write it with this content, if it is still in this version, or not there at all.
    Take(Lease, Option<Version>),
}

/// What whoever stands by has seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Option<(Version, Instant)>,
}

impl Watch {
    /// Decides after a look at the document.
    pub(super) fn look(&mut self, found: Option<(Lease, Version)>, me: &str, now: Instant) -> Step {
        let Some((lease, version)) = found else {
            self.seen = None;
            return Step::Take(Lease { holder: me.to_owned(), term: 1, round: None }, None);
        };
        let since = match self.seen {
            Some((seen, since)) if seen == version => since,
            _ => self.seen.insert((version, now)).1,
        };
        if lease.holder.is_empty() || now - since >= ABANDONED {
            let taken = Lease { holder: me.to_owned(), term: lease.term + 1, round: lease.round };
            return Step::Take(taken, Some(version));
        }
        Step::Wait
    }
}

/// Reads the document; none when it is not there.
pub(super) async fn read(client: &OpenSearch) -> Result<Option<(Lease, Version)>, QueryError> {
    #[derive(Deserialize)]
    struct Stored {
        #[serde(rename = "_seq_no")]
        seq_no: u64,
        #[serde(rename = "_primary_term")]
        primary_term: u64,
        #[serde(rename = "_source")]
        source: Source,
    }
    #[derive(Deserialize)]
    struct Source {
        holder: String,
        term: u64,
        round: Option<String>,
    }
    let answer = client.request(Method::GET, &path(client, "_doc"), None).await?;
    match answer.status {
        200 => {
            let Stored { seq_no, primary_term, source } =
                serde_json::from_slice(&answer.body).map_err(|error| QUERY.unexpected(error))?;
            let Source { holder, term, round } = source;
            let round = round.and_then(|round| timestamp::parse(&round));
            Ok(Some((Lease { holder, term, round }, Version { seq_no, primary_term })))
        }
        404 => Ok(None),
        status => Err(QUERY.refused(status)),
    }
}

/// Writes the document in place of this version; none when somebody else has written it.
pub(super) async fn write(
    client: &OpenSearch,
    lease: &Lease,
    before: Option<Version>,
    now: OffsetDateTime,
) -> Result<Option<Version>, QueryError> {
    #[derive(Deserialize)]
    struct Written {
        #[serde(rename = "_seq_no")]
        seq_no: u64,
        #[serde(rename = "_primary_term")]
        primary_term: u64,
    }
    let path = match before {
        None => path(client, "_create"),
        Some(Version { seq_no, primary_term }) => {
            format!("{}?if_seq_no={seq_no}&if_primary_term={primary_term}", path(client, "_doc"))
        }
    };
    let answer = client.request(Method::PUT, &path, Some(document(lease, now))).await?;
    match answer.status {
        200 | 201 => {
            let Written { seq_no, primary_term } =
                serde_json::from_slice(&answer.body).map_err(|error| QUERY.unexpected(error))?;
            Ok(Some(Version { seq_no, primary_term }))
        }
        409 => Ok(None),
        status => Err(QUERY.refused(status)),
    }
}

/// Renews the lease; none when somebody else has taken it. An answer to an earlier renewal may have been lost.
pub(super) async fn renew(
    client: &OpenSearch,
    lease: &Lease,
    before: Version,
    now: OffsetDateTime,
) -> Result<Option<Version>, QueryError> {
    if let Some(version) = write(client, lease, Some(before), now).await? {
        return Ok(Some(version));
    }
    match read(client).await? {
        Some((found, version)) if (&found.holder, found.term) == (&lease.holder, lease.term) => {
            write(client, lease, Some(version), now).await
        }
        _ => Ok(None),
    }
}

/// Gives the lease back, so that nobody has to wait for it.
pub(super) async fn give_back(
    client: &OpenSearch,
    lease: &Lease,
    now: OffsetDateTime,
) -> Result<(), QueryError> {
    if let Some((found, version)) = read(client).await?
        && (&found.holder, found.term) == (&lease.holder, lease.term)
    {
        let nobodys = Lease { holder: String::new(), ..lease.clone() };
        write(client, &nobodys, Some(version), now).await?;
    }
    Ok(())
}

/// A name that no other process has, and that a person recognises.
pub(super) fn name_of_this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{:08x}", host.trim(), std::process::id(), fastrand::u32(..))
}

fn path(client: &OpenSearch, operation: &str) -> String {
    format!("{}/{operation}/lease", client.names().correlator())
}

fn document(lease: &Lease, now: OffsetDateTime) -> Bytes {
    let Lease { holder, term, round } = lease;
    let now = timestamp::format(now);
    let round = round.map(timestamp::format);
    let document = json!({"@timestamp": now, "beat": now, "holder": holder, "term": term, "round": round});
    Bytes::from(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "me";

    /// A look: seconds since the first, who holds the lease and in which version, and the term with which it is taken.
    type Look = (u64, Option<(&'static str, u64)>, Option<u64>);

    fn takes(step: &Step) -> Option<u64> {
        match step {
            Step::Take(lease, _) if lease.holder == ME => Some(lease.term),
            Step::Take(..) | Step::Wait => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_it_is_not_there_given_back_or_has_not_changed_for_a_while_and_at_no_other_time()
     {
        let began = Instant::now();
        let cases: [(&str, &[Look]); 5] = [
            ("not there", &[(0, None, Some(1))]),
            ("given back", &[(0, Some(("", 3)), Some(8))]),
            (
                "renewed",
                &[
                    (0, Some(("other", 3)), None),
                    (19, Some(("other", 4)), None),
                    (38, Some(("other", 5)), None),
                ],
            ),
            (
                "abandoned",
                &[
                    (0, Some(("other", 3)), None),
                    (19, Some(("other", 3)), None),
                    (20, Some(("other", 3)), Some(8)),
                ],
            ),
            (
                "taken by a third",
                &[
                    (0, Some(("other", 3)), None),
                    (20, Some(("third", 4)), None),
                    (39, Some(("third", 4)), None),
                ],
            ),
        ];
        for (what, looks) in cases {
            let mut watch = Watch::default();
            for (second, holds, expected) in looks {
                let found = holds.map(|(holder, seq_no)| {
                    let lease = Lease { holder: holder.to_owned(), term: 7, round: None };
                    (lease, Version { seq_no, primary_term: 1 })
                });
                let version = found.as_ref().map(|(_, version)| *version);
                let step = watch.look(found, ME, began + Duration::from_secs(*second));
                assert_eq!(takes(&step), *expected, "{what}, at {second} s");
                if let Step::Take(_, replaced) = step {
                    assert_eq!(replaced, version, "{what}: only this version is replaced");
                }
            }
        }
    }

    #[test]
    fn a_holder_stops_before_anybody_takes_its_place_and_a_place_is_taken_within_half_a_minute() {
        assert!(RENEWAL * 2 < STEP_DOWN && STEP_DOWN < ABANDONED);
        assert!(RENEWAL + ABANDONED + LOOK * 2 < Duration::from_secs(30));
    }
}
