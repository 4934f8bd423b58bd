//! Tells what became of each resource: what it was before and what it is after, as far as memory knows (pure).

use std::collections::{BTreeMap, BTreeSet};

use super::answers::{calls, counted, deeds, rank};
use super::entry::{Entry, Named};
use super::material::Material;
use super::report::{Presence, Sentence, Setting, Touched};
use crate::enrich::removes;
use crate::memory::{Key, State};

/// The most resources that are shown, the worst first.
pub const MOST: usize = 200;
/// Sentences of one resource.
const MOST_DEEDS: usize = 20;
const CONFIGURATION: &str = "configuration.";

/// The resources, and how many there would be more.
pub fn resources(material: &Material) -> (Vec<Touched>, usize) {
    let mut by_thing: BTreeMap<String, (&Named, Vec<&Entry>)> = BTreeMap::new();
    for entry in &material.entries {
        for thing in entry.things() {
            by_thing.entry(thing.key()).or_insert_with(|| (thing, Vec::new())).1.push(entry);
        }
    }
    let mut things: Vec<_> = by_thing.into_values().collect();
    let more = things.len().saturating_sub(MOST);
    things.sort_by_cached_key(|(thing, it)| {
        (std::cmp::Reverse(it.iter().map(|it| rank(it)).max()), thing.key())
    });
    things.truncate(MOST);
    things.sort_by(|(a, a_in), (b, b_in)| (a_in[0].time, a.key()).cmp(&(b_in[0].time, b.key())));
    (things.iter().map(|(thing, entries)| touched(material, thing, entries)).collect(), more)
}

fn touched(material: &Material, thing: &Named, entries: &[&Entry]) -> Touched {
    let state = thing.arn.as_deref().and_then(|arn| material.memory.get(&Key::resource(arn)));
    let deeds_done: Vec<&Entry> = entries.iter().copied().filter(|it| it.changes() && it.succeeded).collect();
    let about_it = |entry: &Entry| entry.resource.as_ref().is_some_and(|it| it.key() == thing.key());
    let first_deed = deeds_done.iter().copied().find(|entry| about_it(entry));
    let was_made = first_deed.filter(|entry| is_creation(&entry.action));
    let seen = first_deed.or_else(|| entries.iter().copied().find(|entry| about_it(entry)));
    let before_settings = match was_made {
        Some(_) => Some(BTreeMap::new()),
        None => seen.map(|entry| &entry.configuration).filter(|it| !it.is_empty()).cloned(),
    };
    let after_settings = state.map(|state| after(state, material)).filter(|it| !it.is_empty());
    let before = match (was_made, &before_settings, seen) {
        (Some(_), ..) => Presence::Absent,
        (None, Some(_), _) => Presence::There,
        // A call that changed or described it found it there.
        (None, None, Some(entry)) if entry.succeeded => Presence::There,
        _ => Presence::Unknown,
    };
    let gone = deeds_done.iter().rev().find(|entry| about_it(entry)).filter(|it| removes(&it.action));
    let after = match (gone, state.and_then(|state| state.value("stands"))) {
        (Some(_), _) | (None, Some("false")) => Presence::Absent,
        (None, Some(_)) => Presence::There,
        (None, None) => before,
    };
    let mut sentences: Vec<Sentence> = Vec::new();
    let text = format!("{}: {}.", counted(entries.len(), "call"), calls(entries));
    sentences.extend(Sentence::of(text, entries));
    let worth: Vec<&Entry> = entries.iter().copied().filter(|it| it.changes()).collect();
    sentences.extend(deeds(&worth).sentences.into_iter().take(MOST_DEEDS));
    Touched {
        kind: thing.kind.clone(),
        name: thing.name.clone(),
        arn: thing.arn.clone(),
        before,
        after,
        settings: settings(&thing.name, before_settings.as_ref(), after_settings.as_ref()),
        sentences,
    }
}

type After = BTreeMap<String, (Vec<String>, Option<String>)>;

/// The configuration as memory has it, without what was said after the range.
fn after(state: &State, material: &Material) -> After {
    state
        .fields(CONFIGURATION)
        .filter(|(_, said)| material.until.is_none_or(|until| said.at.time().is_none_or(|at| at <= until)))
        .map(|(name, said)| {
            let record = said.at.as_str().split_once(' ').map(|(_, id)| id.to_owned());
            (name[CONFIGURATION.len()..].to_owned(), (said.is.to_vec(), record))
        })
        .collect()
}

/// Settings, without those that only repeat the name of the thing.
fn settings(
    own_name: &str,
    before: Option<&BTreeMap<String, Vec<String>>>,
    after: Option<&After>,
) -> Vec<Setting> {
    let mut names: BTreeSet<&String> = before.into_iter().flat_map(BTreeMap::keys).collect();
    names.extend(after.into_iter().flat_map(BTreeMap::keys));
    names
        .into_iter()
        .map(|name| Setting {
            name: name.clone(),
            before: before.map(|fields| fields.get(name).cloned().unwrap_or_default()),
            after: after.map(|fields| fields.get(name).map(|(is, _)| is.clone()).unwrap_or_default()),
            record: after.and_then(|fields| fields.get(name)).and_then(|(_, record)| record.clone()),
        })
        .filter(|it| {
            [&it.before, &it.after].into_iter().flatten().any(|is| is.iter().any(|value| value != own_name))
        })
        .collect()
}

pub(super) fn is_creation(action: &str) -> bool {
    ["Create", "Register", "Import"].iter().any(|verb| action.starts_with(verb))
        && !["CreatePresigned", "CreateAccessKey", "CreateLoginProfile"]
            .iter()
            .any(|it| action.starts_with(it))
}
