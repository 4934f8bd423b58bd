//! Who belongs together: whoever acts as what another changed or handed on, and whoever changes the same.

use std::collections::BTreeSet;

use super::{Incident, Surroundings, Tally, judge};
use crate::enrich::selves;

/// An origin that belongs to no incident that stands.
#[derive(Debug, Clone, Copy)]
pub struct Alone<'a> {
    pub origin: &'a str,
    /// What its signals say.
    pub tally: &'a Tally,
    /// Its last incident, which is closed.
    pub last: Option<&'a Incident>,
}

/// Puts together those that belong to an incident that one of them opens: an attack that comes in one file is one. Each
/// list has the places of those that are decided about together, and whoever acted first is first.
pub fn put_together(alone: &[Alone<'_>], around: Surroundings<'_>) -> Vec<Vec<usize>> {
    let order = |place: &usize| (alone[*place].tally.first, alone[*place].origin);
    let mut places: Vec<usize> = (0..alone.len()).collect();
    places.sort_by_key(order);
    let ties: Vec<Ties> = alone.iter().map(|one| Ties::of(one.tally)).collect();
    let is_tied =
        |place: usize, members: &[usize]| members.iter().any(|member| ties[place].tie(&ties[*member]));
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

/// Whether what somebody else does belongs to an incident.
pub fn is_tied(tally: &Tally, incident: &Incident) -> bool {
    Ties::of(tally).tie(&Ties::of_incident(incident))
}

/// By what somebody can be tied to others, worked out once where many are compared.
#[derive(Debug)]
pub struct Ties {
    selves: BTreeSet<String>,
    ties: BTreeSet<String>,
}

impl Ties {
    /// The ties of whoever signals are about that no incident has yet.
    pub fn of(tally: &Tally) -> Self {
        Self { selves: tally.selves(), ties: tally.ties.names().map(str::to_owned).collect() }
    }

    /// The ties of an incident, as far as its document keeps them.
    pub fn of_incident(incident: &Incident) -> Self {
        let fields = &incident.incident;
        let selves = selves(fields.origins.iter().chain(&fields.principals).map(String::as_str));
        Self { selves, ties: fields.ties.iter().cloned().collect() }
    }

    /// Whether one acts as somebody or something that the other changed or handed on, or both changed the same.
    pub fn tie(&self, other: &Self) -> bool {
        let is_among =
            |selves: &BTreeSet<String>, ties: &BTreeSet<String>| selves.iter().any(|own| ties.contains(own));
        // Many people hand on the same role, and come through sessions of it.
        let is_changed = |tie: &str| !tie.contains(":role/") && !tie.contains(":assumed-role/");
        is_among(&self.selves, &other.ties)
            || is_among(&other.selves, &self.ties)
            || self.ties.iter().any(|tie| other.ties.contains(tie) && is_changed(tie))
    }
}
