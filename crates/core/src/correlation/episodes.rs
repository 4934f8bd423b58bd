//! Finds the matches among the points of a group: one for each episode in which the condition held.

use super::Correlation;
use super::days::Days;
use super::group::GroupKey;
use super::hits::Hit;
use super::matched::Match;
use super::point::Point;
use super::rhythm::History;
use super::window::Window;

/// Points of a group within one timespan that are looked at. Of more, the latest count, and the match says that it is
/// cut.
pub const MAX_POINTS: usize = 10_000;
/// As many where they are compared with the days before, which can be busy as well.
pub const MAX_COMPARED: usize = 50_000;

/// Ids of points that a match names.
const NAMED_POINTS: usize = 10;

impl Correlation {
    /// The matches among the points of a group, those of an episode as one. An episode lasts for as long as the
    /// condition holds at each next point, and ends with the day in UTC (with the timespan where that is longer), so
    /// that its beginning is known without all that was before. Points that do not belong to the group are passed over.
    ///
    /// Where they are compared with the days before, these points are all that is known of them.
    pub fn matches(&self, key: &GroupKey, points: &[&Point]) -> Vec<Match> {
        let mut history = History::default();
        self.hits(key, points).iter().for_each(|hit| history.add(self, hit.point));
        self.matches_after(key, points, &history)
    }

    /// The same, given what came before the points. Nothing but points between [candidates](Self::candidates) is needed
    /// then.
    pub fn matches_after(&self, key: &GroupKey, points: &[&Point], history: &History) -> Vec<Match> {
        let capacity = if self.rhythm.is_some() { MAX_COMPARED } else { MAX_POINTS };
        self.matches_of(key, points, history, capacity)
    }

    pub(super) fn matches_of(
        &self,
        key: &GroupKey,
        points: &[&Point],
        history: &History,
        capacity: usize,
    ) -> Vec<Match> {
        let mut days = Days::new(self, history);
        let hits = self.hits(key, points);
        let mut window = Window::new(self, capacity);
        let mut matches = Vec::new();
        let mut episode: Option<(i64, Match)> = None;
        for hit in &hits {
            window.slide_to(hit);
            let period = self.period_of(hit.point.time);
            let Some(value) = window.value().filter(|value| days.is_enough(*value, hit.point.time)) else {
                matches.extend(episode.take().map(|(_, ended)| ended));
                continue;
            };
            if let Some((_, ended)) = episode.take_if(|(begun, _)| *begun != period || window.begins()) {
                matches.push(ended);
            }
            match &mut episode {
                Some((_, going_on)) => extend(going_on, hit, value),
                None => {
                    let begun = Match { usual: days.usual(hit.point.time), ..begin(&window, hit, value) };
                    episode = Some((period, begun));
                }
            }
            if let Some((_, current)) = &mut episode {
                current.cut |= window.is_cut();
            }
        }
        matches.extend(episode.map(|(_, ended)| ended));
        matches
    }
}

fn begin(window: &Window<'_, '_>, hit: &Hit<'_>, value: f64) -> Match {
    let oldest = window.hits().next().map_or(hit.point, |hit| hit.point);
    Match {
        first: oldest.time,
        fired: hit.point.time,
        last: hit.point.time,
        first_id: oldest.id.clone(),
        events: window.hits().count(),
        value,
        points: window.hits().take(NAMED_POINTS).map(|hit| hit.point.id.clone()).collect(),
        cut: false,
        usual: None,
    }
}

fn extend(going_on: &mut Match, hit: &Hit<'_>, value: f64) {
    going_on.last = hit.point.time;
    going_on.events += 1;
    going_on.value = going_on.value.max(value);
    if going_on.points.len() < NAMED_POINTS {
        going_on.points.push(hit.point.id.clone());
    }
}
