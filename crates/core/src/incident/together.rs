//! Who belongs together: whoever acts as what another changed or handed on, and whoever changes the same.

use std::collections::BTreeSet;

use super::{Incident, Surroundings, Tally, judge};
use crate::enrich::tie_key;

/// An origin that belongs to no incident that stands.
#[derive(Debug, Clone, Copy)]
pub struct Alone<'a> {
    pub origin: &'a str,
    /// What its signals say.
    pub tally: &'a Tally,
    /// Its last incident, which is closed.
    pub last: Option<&'a Incident>,
}

/// Puts together those that belong to an incident that one of them opens: an attack that comes in one file is one. Each list
/// has the places of those that are decided about together, and whoever acted first is first.
pub fn put_together(alone: &[Alone<'_>], around: Surroundings<'_>) -> Vec<Vec<usize>> {
    let order = |place: &usize| (alone[*place].tally.first, alone[*place].origin);
    let mut places: Vec<usize> = (0..alone.len()).collect();
    places.sort_by_key(order);
    let is_tied = |place: usize, members: &[usize]| {
        members.iter().any(|of| are_tied(alone[place].tally, alone[*of].tally))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut others = Vec::new();
    for place in places {
        let opens = || judge(alone[place].tally, alone[place].last, around).is_some();
        match groups.iter_mut().find(|members| is_tied(place, members)) {
            Some(members) => members.push(place),
            None if opens() => groups.push(vec![place]),
            None => others.push(place),
        }
    }
    // What came before an incident opens can be tied to it as well.
    let mut apart = Vec::new();
    for place in others {
        match groups.iter_mut().find(|members| is_tied(place, members)) {
            Some(members) => members.push(place),
            None => apart.push(vec![place]),
        }
    }
    for members in &mut groups {
        members.sort_by_key(order);
    }
    groups.extend(apart);
    groups
}

/// Whether what somebody else does belongs to an incident: they act as somebody or something that it changed or handed on,
/// or the other way round, or both changed the same.
pub fn is_tied(tally: &Tally, incident: &Incident) -> bool {
    let fields = &incident.incident;
    let theirs = fields.origins.iter().chain(&fields.principals).map(|name| tie_key(name)).collect();
    are_related(tally, &theirs, fields.ties.iter().map(String::as_str))
}

fn are_tied(one: &Tally, other: &Tally) -> bool {
    are_related(one, &other.selves(), other.ties.names())
}

fn are_related<'t>(
    tally: &Tally,
    theirs: &BTreeSet<String>,
    mut ties: impl Iterator<Item = &'t str>,
) -> bool {
    let selves = tally.selves();
    // Many people hand on the same role, and come through sessions of it.
    let is_changed = |tie: &str| !tie.contains(":role/") && !tie.contains(":assumed-role/");
    ties.any(|tie| selves.contains(tie) || (is_changed(tie) && tally.ties.contains(tie)))
        || tally.ties.names().any(|tie| theirs.contains(tie))
}
