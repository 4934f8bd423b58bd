//! What an incident says of the drill that opened it. It is no attack: it joins no other incident, and ends with its drill.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use time::{Duration, OffsetDateTime};

use super::{Incident, State};
use crate::enrich::drill;
use crate::timestamp::Timestamp;

/// How long a drill's incident stands when nobody closes it, such as after a drill that was killed: longer than any drill
/// waits, and short enough that nobody wonders about it the next day.
const CLOSED_AFTER: Duration = Duration::hours(1);

/// The drill, and when each of its steps was seen to be done. A step that was not has no time.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillFields {
    pub id: String,
    pub uploaded: Option<Timestamp>,
    pub read: Option<Timestamp>,
    pub stored: Option<Timestamp>,
    pub opened: Option<Timestamp>,
    pub told: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// Whether every step was done in time. None while it runs, and of one that was broken off.
    pub worked: Option<bool>,
}

impl DrillFields {
    /// Of the drill whose records have this origin; none of any other origin.
    pub(super) fn of_origin(origin: &str) -> Option<Self> {
        drill::of_origin(origin).map(|id| Self { id: id.to_owned(), ..Self::default() })
    }
}

/// What to do about a drill.
pub(super) fn next_steps() -> Vec<String> {
    vec![NOTHING_TO_DO.to_owned()]
}

const NOTHING_TO_DO: &str = "Nothing: this is a drill of `sagetrail drill`, which closes it. No call was made, and nobody and nothing that it names was touched.";

impl Incident {
    pub fn is_drill(&self) -> bool {
        self.incident.drill.is_some()
    }

    /// Closes it, because its drill is over.
    #[must_use]
    pub fn closed(&self, now: OffsetDateTime) -> Self {
        let mut closed = self.clone();
        closed.incident.state = State::Closed;
        closed.incident.closed.get_or_insert(Timestamp(now));
        closed.event.ingested = Timestamp(now);
        closed
    }

    /// Whether it is of a drill that does not end any more.
    pub(super) fn is_forgotten_drill(&self, now: OffsetDateTime) -> bool {
        self.is_drill() && now - self.incident.opened.0 >= CLOSED_AFTER
    }
}
