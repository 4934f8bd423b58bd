//! Finds the matches among the points of a group: one for each episode in which the condition held.

use super::Correlation;
use super::group::GroupKey;
use super::hits::Hit;
use super::matched::Match;
use super::point::Point;
use super::window::Window;

/// Points of a group within one timespan that are looked at. Of more, the latest count, and the match says that it is cut.
pub const MAX_POINTS: usize = 10_000;

/// Ids of points that a match names.
const NAMED_POINTS: usize = 10;

impl Correlation {
    /// The matches among the points of a group, those of an episode as one. An episode lasts for as long as the condition
    /// holds at each next point, and ends with the day in UTC (with the timespan where that is longer), so that its beginning
    /// is known without all that was before. Points that do not belong to the group are passed over.
    pub fn matches(&self, key: &GroupKey, points: &[&Point]) -> Vec<Match> {
        self.matches_of(key, points, MAX_POINTS)
    }

    pub(super) fn matches_of(&self, key: &GroupKey, points: &[&Point], capacity: usize) -> Vec<Match> {
        let hits = self.hits(key, points);
        let mut window = Window::new(self, capacity);
        let mut matches = Vec::new();
        let mut episode: Option<(i64, Match)> = None;
        for hit in &hits {
            window.slide_to(hit);
            let period = self.period_of(hit.point.time);
            let Some(value) = window.value() else {
                matches.extend(episode.take().map(|(_, ended)| ended));
                continue;
            };
            if let Some((_, ended)) = episode.take_if(|(begun, _)| *begun != period || window.begins()) {
                matches.push(ended);
            }
            match &mut episode {
                Some((_, going_on)) => extend(going_on, hit, value),
                None => episode = Some((period, begin(&window, hit, value))),
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
