//! Draws the timeline and the lineage as SVG (pure).

use std::collections::BTreeMap;

use maud::{Markup, html};
use time::OffsetDateTime;

use super::answers::severity;
use super::report::{Report, Session, Step};
use super::shown::shown;
use crate::timestamp;

const WIDTH: f64 = 960.0;
/// Where lanes begin, beside their names.
const LEFT: f64 = 284.0;
const RIGHT: f64 = 940.0;
const LANE: f64 = 46.0;
const MOST_LANES: usize = 8;
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// When who did what: a lane for each principal, a dot for each step, larger and filled the worse it is.
pub fn timeline(report: &Report) -> Markup {
    let mut lanes: Vec<&str> = Vec::new();
    for step in &report.timeline {
        if !lanes.contains(&step.principal.as_str()) {
            lanes.push(&step.principal);
        }
    }
    let others = lanes.len().saturating_sub(MOST_LANES);
    lanes.truncate(MOST_LANES);
    let times: Vec<OffsetDateTime> =
        report.timeline.iter().filter_map(|it| timestamp::parse(&it.sentence.at)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return html! {} };
    let span = (*last - *first).as_seconds_f64().max(1.0);
    let place = |time: OffsetDateTime| LEFT + (time - *first).as_seconds_f64() / span * (RIGHT - LEFT);
    let rows = lanes.len() + usize::from(others > 0);
    let height = 40.0 + LANE * number(rows) + 40.0;
    let dots = dots(&report.timeline, &lanes, place);
    html! {
        svg role="img" aria-labelledby="timeline-title timeline-text" viewBox=(format!("0 0 {WIDTH} {height}")) xmlns="http://www.w3.org/2000/svg" {
            title id="timeline-title" { "Timeline" }
            desc id="timeline-text" {
                (format!("{} steps of {} principals from {} to {}. The table below has each of them.", report.timeline.len(), lanes.len() + others, timestamp::format(*first), timestamp::format(*last)))
            }
            @for (row, lane) in lanes.iter().enumerate() {
                @let y = 40.0 + LANE * number(row) + LANE / 2.0;
                line class="axis" x1=(LEFT) y1=(y) x2=(RIGHT) y2=(y) {}
                text x="8" y=(y - 2.0) { (ending(lane, 32)) }
                text class="small" x="8" y=(y + 13.0) { (beginning(lane, 38)) }
            }
            @if others > 0 {
                @let y = 40.0 + LANE * number(lanes.len()) + LANE / 2.0;
                line class="axis" x1=(LEFT) y1=(y) x2=(RIGHT) y2=(y) {}
                text x="8" y=(y + 4.0) { (format!("{others} other principals")) }
            }
            @for tick in 0..=4 {
                @let x = LEFT + (RIGHT - LEFT) * f64::from(tick) / 4.0;
                @let at = *first + time::Duration::seconds_f64(span * f64::from(tick) / 4.0);
                line class="tick" x1=(x) y1="34" x2=(x) y2=(height - 40.0) {}
                text class="small" x=(x) y="26" text-anchor=(if tick == 4 { "end" } else { "middle" }) { (clock(at, span)) }
            }
            @for dot in &dots {
                circle class=(format!("dot {}", LEVELS[usize::from(dot.level)])) cx=(format!("{:.1}", dot.x)) cy=(dot.y) r=(3.0 + f64::from(dot.level) * 1.5) {
                    title { (dot.says) }
                }
            }
            (legend(height - 16.0))
        }
    }
}

struct Dot {
    x: f64,
    y: f64,
    level: u8,
    says: String,
}

/// One dot for all steps that would lie on each other, so that ten thousand are a few hundred.
fn dots(steps: &[Step], lanes: &[&str], place: impl Fn(OffsetDateTime) -> f64) -> Vec<Dot> {
    let mut cells: BTreeMap<(usize, u32), Vec<&Step>> = BTreeMap::new();
    for step in steps {
        let Some(time) = timestamp::parse(&step.sentence.at) else { continue };
        let lane = lanes.iter().position(|lane| *lane == step.principal).unwrap_or(lanes.len());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place within the picture"
        )]
        let column = (place(time) / 5.0).round() as u32;
        cells.entry((lane, column)).or_default().push(step);
    }
    cells
        .into_iter()
        .map(|((lane, column), steps)| {
            let level = steps.iter().map(|step| severity(Some(&step.level))).max().unwrap_or_default();
            let worst = steps.iter().find(|step| severity(Some(&step.level)) == level).unwrap_or(&steps[0]);
            let more =
                if steps.len() > 1 { format!(" (and {} more)", steps.len() - 1) } else { String::new() };
            Dot {
                x: f64::from(column) * 5.0,
                y: 40.0 + LANE * number(lane) + LANE / 2.0,
                level,
                says: format!("{} {}: {}{more}", worst.sentence.at, worst.level, shown(&worst.sentence.text)),
            }
        })
        .collect()
}

fn legend(y: f64) -> Markup {
    html! {
        @for (place, level) in LEVELS.iter().enumerate() {
            @let x = LEFT + number(place) * 130.0;
            circle class=(format!("dot {level}")) cx=(x) cy=(y - 4.0) r=(3.0 + number(place) * 1.5) {}
            text class="small" x=(x + 14.0) y=(y) { (level) }
        }
    }
}

/// Which credentials came from which: the root at the left.
pub fn lineage(report: &Report) -> Markup {
    let sessions = &report.lineage;
    if sessions.is_empty() {
        return html! {};
    }
    let mut places: Vec<(usize, &Session)> = Vec::new();
    for root in sessions.iter().filter(|it| parent(sessions, it).is_none()) {
        plant(sessions, root, 0, &mut places);
    }
    let height = 20.0 + 74.0 * number(places.len());
    let depth = places.iter().map(|(level, _)| *level).max().unwrap_or_default();
    let step = if depth == 0 { 0.0 } else { (460.0 / number(depth)).min(120.0) };
    let at = |row: usize, level: usize| (12.0 + step * number(level), 12.0 + 74.0 * number(row));
    html! {
        svg role="img" aria-labelledby="lineage-title lineage-text" viewBox=(format!("0 0 {WIDTH} {height}")) xmlns="http://www.w3.org/2000/svg" {
            title id="lineage-title" { "Lineage of the sessions" }
            desc id="lineage-text" { (format!("{} sets of credentials; each stands to the right of the one that asked for it. The list below says the same.", places.len())) }
            @for (row, (level, session)) in places.iter().enumerate() {
                @let (x, y) = at(row, *level);
                @if let Some(above) = session.parent.as_ref().and_then(|it| places[..row].iter().rposition(|(_, other)| other.key == *it)) {
                    @let (from_x, from_y) = at(above, places[above].0);
                    path class="link" d=(format!("M {} {} V {} H {}", from_x + 16.0, from_y + 58.0, y + 29.0, x)) {}
                }
                rect class=(if session.missing.is_some() { "box missing" } else { "box" }) x=(x) y=(y) width="460" height="58" rx="6" {}
                text x=(x + 12.0) y=(y + 20.0) { (beginning(&session.key, 56)) }
                text class="small" x=(x + 12.0) y=(y + 36.0) { (ending(&session.principal, 62)) }
                text class="small" x=(x + 12.0) y=(y + 51.0) {
                    (format!("{} calls{}{}", session.calls,
                        session.addresses.first().map_or(String::new(), |it| format!(", from {}", beginning(it, 40))),
                        if session.missing.is_some() { "; which call issued it is not known" } else { "" }))
                }
            }
        }
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

/// The end of a name tells more than its beginning.
fn ending(text: &str, most: usize) -> String {
    let text = shown(text);
    let count = text.chars().count();
    if count <= most {
        text.into_owned()
    } else {
        ['…'].into_iter().chain(text.chars().skip(count - most + 1)).collect()
    }
}

fn clock(time: OffsetDateTime, span: f64) -> String {
    let text = timestamp::format(time);
    let range = if span < 86_400.0 { 11..19 } else { 0..16 };
    text.get(range).unwrap_or(&text).replace('T', " ")
}

#[expect(clippy::cast_precision_loss, reason = "rows of a picture")]
fn number(count: usize) -> f64 {
    count as f64
}
