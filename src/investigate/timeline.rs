//! Tells what happened when. What is repeated right after itself is one step (pure).

use super::answers::{deed, rank, same, severity};
use super::entry::Entry;
use super::report::{Sentence, Step};

/// The most steps, the worst first where there are more.
pub const MOST: usize = 1_000;

/// The steps, and how many there would be more.
pub fn timeline(entries: &[Entry]) -> (Vec<Step>, usize) {
    let mut groups: Vec<Vec<&Entry>> = Vec::new();
    for entry in entries {
        match groups.last_mut() {
            Some(group) if same(group[0]) == same(entry) => group.push(entry),
            _ => groups.push(vec![entry]),
        }
    }
    let more = groups.len().saturating_sub(MOST);
    if more > 0 {
        groups.sort_by_key(|group| (std::cmp::Reverse(group.iter().map(|it| rank(it)).max()), group[0].time));
        groups.truncate(MOST);
        groups.sort_by_key(|group| group[0].time);
    }
    (groups.iter().filter_map(|group| step(group)).collect(), more)
}

fn step(group: &[&Entry]) -> Option<Step> {
    let (first, last) = (group.first()?, group.last()?);
    let worst = group.iter().max_by_key(|it| severity(it.level.as_deref())).and_then(|it| it.level.clone());
    let mut findings: Vec<String> = Vec::new();
    for finding in group.iter().flat_map(|entry| &entry.findings) {
        let text = format!("{} ({})", finding.title, finding.level);
        if !findings.contains(&text) {
            findings.push(text);
        }
    }
    Some(Step {
        sentence: Sentence::of(deed(group), group)?,
        until: (group.len() > 1).then(|| last.at()),
        count: group.len(),
        principal: first.principal.clone(),
        action: first.action.clone(),
        level: worst.unwrap_or_else(|| "informational".to_owned()),
        succeeded: first.succeeded,
        findings,
    })
}
