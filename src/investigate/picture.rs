//! Lays out the pictures of the timeline and the lineage; the page draws them (pure).

use std::collections::BTreeMap;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::answers::{LEVELS, severity};
use super::report::{Report, Session, Step};
use super::shown::shown;
use crate::timestamp;

/// Where lanes begin, beside their names, and how long they are.
const LEFT: i128 = 284;
const LENGTH: i128 = 656;
const LANE: usize = 46;
const MOST_LANES: usize = 8;

/// When who did what: a lane for each principal, a dot for each step, larger and filled the worse it is.
#[derive(Serialize)]
pub struct Timeline {
    height: usize,
    first: String,
    last: String,
    principals: usize,
    lanes: Vec<Lane>,
    /// Places and times.
    ticks: Vec<(i128, String)>,
    dots: Vec<Dot>,
    levels: [&'static str; 5],
}

/// The name of a lane; the end of it tells more than its beginning.
#[derive(Serialize)]
struct Lane {
    ending: String,
    beginning: String,
}

#[derive(Serialize)]
struct Dot {
    x: i128,
    lane: usize,
    level: u8,
    says: String,
}

impl Timeline {
    /// Lays out the steps, with the principals that have no lane of their own in one. None for a report without steps.
    pub fn of(report: &Report) -> Option<Self> {
        let steps = &report.timeline;
        let mut names: Vec<&str> = Vec::new();
        for step in steps {
            if !names.contains(&step.principal.as_str()) {
                names.push(&step.principal);
            }
        }
        let principals = names.len();
        let others = principals.saturating_sub(MOST_LANES);
        names.truncate(MOST_LANES);
        let times = || steps.iter().filter_map(|it| timestamp::parse(&it.sentence.at));
        let (first, last) = (times().min()?, times().max()?);
        let span = (last - first).max(Duration::SECOND);
        let place = |time: OffsetDateTime| {
            LEFT + (time - first).whole_milliseconds() * LENGTH / span.whole_milliseconds()
        };
        let ticks = (0..=4).map(|tick| {
            let at = first + span * tick / 4;
            (place(at), clock(at, span))
        });
        let dots = dots(steps, &names, place);
        let mut lanes: Vec<Lane> = names
            .iter()
            .map(|name| Lane { ending: ending(name, 32), beginning: beginning(name, 38) })
            .collect();
        if others > 0 {
            lanes.push(Lane { ending: format!("{others} other principals"), beginning: String::new() });
        }
        Some(Self {
            height: 80 + LANE * lanes.len(),
            first: timestamp::format(first),
            last: timestamp::format(last),
            principals,
            lanes,
            ticks: ticks.collect(),
            dots,
            levels: LEVELS,
        })
    }
}

/// One dot for all steps that would lie on each other, so that ten thousand are a few hundred.
fn dots(steps: &[Step], lanes: &[&str], place: impl Fn(OffsetDateTime) -> i128) -> Vec<Dot> {
    let mut cells: BTreeMap<(usize, i128), Vec<&Step>> = BTreeMap::new();
    for step in steps {
        let Some(time) = timestamp::parse(&step.sentence.at) else { continue };
        let lane = lanes.iter().position(|lane| *lane == step.principal).unwrap_or(lanes.len());
        cells.entry((lane, (place(time) + 2) / 5)).or_default().push(step);
    }
    let dot = |((lane, column), steps): ((usize, i128), Vec<&Step>)| {
        let level = steps.iter().map(|step| severity(Some(&step.level))).max().unwrap_or_default();
        let worst = steps.iter().find(|step| severity(Some(&step.level)) == level).unwrap_or(&steps[0]);
        let more = if steps.len() > 1 { format!(" (and {} more)", steps.len() - 1) } else { String::new() };
        let says = format!("{} {}: {}{more}", worst.sentence.at, worst.level, worst.sentence.text);
        Dot { x: column * 5, lane, level, says }
    };
    cells.into_iter().map(dot).collect()
}

/// Which credentials came from which: the root at the left.
#[derive(Serialize)]
pub struct Lineage {
    height: usize,
    boxes: Vec<Credentials>,
}

#[derive(Serialize)]
struct Credentials {
    x: usize,
    y: usize,
    /// The corner of the box that asked for it.
    from: Option<(usize, usize)>,
    key: String,
    principal: String,
    calls: usize,
    address: Option<String>,
    is_missing_link: bool,
}

impl Lineage {
    /// Lays out the sets of credentials, a row for each. None where none was used.
    pub fn of(report: &Report) -> Option<Self> {
        let sessions = &report.lineage;
        let mut places: Vec<(usize, &Session)> = Vec::new();
        for root in sessions.iter().filter(|it| parent(sessions, it).is_none()) {
            plant(sessions, root, 0, &mut places);
        }
        let depth = places.iter().map(|(level, _)| *level).max()?;
        let step = (460 / depth.max(1)).min(120);
        let corner = |row: usize| (12 + step * places[row].0, 12 + 74 * row);
        let credentials = |(row, (_, session)): (usize, &(usize, &Session))| {
            let (x, y) = corner(row);
            let above =
                places[..row].iter().rposition(|(_, other)| Some(&other.key) == session.parent.as_ref());
            Credentials {
                x,
                y,
                from: above.map(corner),
                key: beginning(&session.key, 56),
                principal: ending(&session.principal, 62),
                calls: session.calls,
                address: session.addresses.first().map(|it| beginning(it, 40)),
                is_missing_link: session.missing.is_some(),
            }
        };
        let boxes = places.iter().enumerate().map(credentials).collect();
        Some(Self { height: 20 + 74 * places.len(), boxes })
    }
}

fn parent<'s>(sessions: &'s [Session], session: &Session) -> Option<&'s Session> {
    let parent = session.parent.as_ref().filter(|parent| **parent != session.key)?;
    sessions.iter().find(|it| it.key == *parent)
}

fn plant<'s>(
    sessions: &'s [Session],
    session: &'s Session,
    level: usize,
    places: &mut Vec<(usize, &'s Session)>,
) {
    if places.iter().any(|(_, known)| known.key == session.key) {
        return;
    }
    places.push((level, session));
    for child in sessions.iter().filter(|it| it.parent.as_ref() == Some(&session.key)) {
        plant(sessions, child, level + 1, places);
    }
}

fn beginning(text: &str, most: usize) -> String {
    let text = shown(text);
    if text.chars().count() <= most {
        text.into_owned()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

fn ending(text: &str, most: usize) -> String {
    let text = shown(text);
    let count = text.chars().count();
    if count <= most {
        text.into_owned()
    } else {
        ['…'].into_iter().chain(text.chars().skip(count - most + 1)).collect()
    }
}

fn clock(time: OffsetDateTime, span: Duration) -> String {
    let text = timestamp::format(time);
    let range = if span < Duration::DAY { 11..19 } else { 0..16 };
    text.get(range).unwrap_or(&text).replace('T', " ")
}
