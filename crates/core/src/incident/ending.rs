//! Lets incidents fall quiet and closes them.

use time::{Duration, OffsetDateTime};

use super::{Incident, State, Weights};
use crate::timestamp::Timestamp;

/// How long a drill's incident stands when nobody closes it, such as after a drill that was killed: longer than any
/// drill waits, and short enough that nobody wonders about it the next day.
const CLOSED_AFTER: Duration = Duration::hours(1);

/// What becomes of an incident of which nothing new came: it pages for what came too soon after its last page, then it
/// is quiet, then closed. None while it stays as it is.
pub fn rest(incident: &Incident, weights: &Weights, now: OffsetDateTime) -> Option<Incident> {
    if !incident.is_standing() {
        return None;
    }
    // What is told late is not over before somebody could see the page.
    let silence = now - incident.event.end.0.max(incident.incident.paged.0);
    let mut rested = incident.clone();
    let fields = &mut rested.incident;
    if incident.is_forgotten_drill(now) {
        return Some(incident.closed(now));
    }
    if let Some(news) = fields.news.take_if(|news| news.due.0 <= now) {
        return Some(incident.escalated(news, now));
    }
    if silence >= weights.times.closes_after.value || now - fields.opened.0 >= weights.times.longest.value {
        fields.state = State::Closed;
        fields.closed = Some(Timestamp(now));
    } else if silence >= weights.times.quiet_after.value && fields.state != State::Quiet {
        fields.state = State::Quiet;
        fields.quiet = Some(Timestamp(now));
    } else {
        return None;
    }
    rested.event.ingested = Timestamp(now);
    Some(rested)
}

/// The same as of the moment when it happened, where nobody looked until now.
pub fn rest_before(incident: &Incident, weights: &Weights, now: OffsetDateTime) -> Option<Incident> {
    rest(incident, weights, incident.due().map_or(now, |due| due.min(now)))
}

impl Incident {
    /// Whether the signals are those of a drill, which mean nobody harm.
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
    fn is_forgotten_drill(&self, now: OffsetDateTime) -> bool {
        self.is_drill() && now - self.incident.opened.0 >= CLOSED_AFTER
    }
}
