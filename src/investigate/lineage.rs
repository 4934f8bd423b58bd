//! Follows each set of credentials back to the call that issued it, and on to its root (pure).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::answers::counted;
use super::entry::Entry;
use super::material::Material;
use super::report::{Sentence, Session};
use crate::memory::{Key, State};

/// How far a chain is followed.
const LONGEST: usize = 10;
/// How the keys of users begin, which last until somebody takes them away.
pub const LONG_TERM: &str = "AKIA";
/// The most sets of credentials that are shown.
pub const MOST: usize = 50;

/// The sets of credentials that were used, made for good, or stand behind one of these.
///
/// Those that the records do not show in use come first, then the others by their first use. All are here, also more
/// than [`MOST`].
pub fn lineage(material: &Material) -> Vec<Session> {
    let known = Known::of(material);
    let mut by_key: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in &material.entries {
        let key = entry.key.clone().unwrap_or_else(|| format!("no key ({})", entry.principal));
        by_key.entry(key).or_default().push(entry);
    }
    let mut keys: BTreeSet<String> = by_key.keys().cloned().collect();
    // A long-term key that was made goes on, though nobody has used it yet.
    let made = material.entries.iter().filter(|entry| entry.succeeded).filter_map(|it| it.issued_key.clone());
    keys.extend(made.filter(|key| key.starts_with(LONG_TERM)));
    let mut next: Vec<String> = keys.iter().cloned().collect();
    for _ in 0..LONGEST {
        let parents = next.iter().filter_map(|key| known.issued(key).and_then(|it| it.parent));
        next = parents.filter(|parent| keys.insert(parent.clone())).collect();
    }
    let mut sessions: Vec<Session> =
        keys.iter().map(|key| session(&known, key, by_key.get(key).map_or(&[][..], Vec::as_slice))).collect();
    sessions
        .sort_by(|a, b| (a.first.is_some(), &a.first, &a.key).cmp(&(b.first.is_some(), &b.first, &b.key)));
    sessions
}

/// What is known of the call that issued a key.
struct Issued {
    sentence: Sentence,
    parent: Option<String>,
    to: Option<String>,
}

/// What is known of credentials, by their keys.
struct Known<'m> {
    material: &'m Material,
    /// The record of the call that issued a key.
    issuing: HashMap<&'m str, &'m Entry>,
    /// Who asked for other credentials with a key.
    asked_with: BTreeMap<&'m str, &'m str>,
}

impl<'m> Known<'m> {
    fn of(material: &'m Material) -> Self {
        let succeeded = material.entries.iter().filter(|entry| entry.succeeded).rev();
        let issuing = succeeded.filter_map(|entry| Some((entry.issued_key.as_deref()?, entry))).collect();
        let mut asked: Vec<(&str, &str)> = material
            .memory
            .values()
            .filter_map(|state| Some((state.value("issued.key")?, state.value("issued.by")?)))
            .collect();
        asked.sort_unstable();
        Self { material, issuing, asked_with: asked.into_iter().rev().collect() }
    }

    fn issued(&self, key: &str) -> Option<Issued> {
        let from_record = || {
            let entry = *self.issuing.get(key)?;
            let text = format!("{key} was issued by {}: {}.", entry.action, entry.sentence);
            let to = entry.request.get("userName").filter(|_| key.starts_with(LONG_TERM)).cloned();
            Some(Issued { sentence: Sentence::of(text, &[entry])?, parent: entry.key.clone(), to })
        };
        from_memory(self.material.memory.get(&Key::session(key)), key).or_else(from_record)
    }
}

fn from_memory(state: Option<&State>, key: &str) -> Option<Issued> {
    let state = state?;
    let stamp = &state.said("issued.at")?.at;
    let (_, record) = stamp.as_str().split_once(' ')?;
    let value = |field: &str| state.value(field);
    let to = value("issued.to").map(str::to_owned);
    let parent = value("issued.key").map(str::to_owned);
    let mut text = format!("{key} was issued");
    for (before, field) in [
        (" by ", "issued.call"),
        (" to ", "issued.to"),
        (" on the request of ", "issued.by"),
        (" with the key ", "issued.key"),
        (" from ", "issued.from"),
        ("; behind it is ", "issued.person"),
        ("; its source identity is ", "issued.source_identity"),
    ] {
        if let Some(value) = value(field) {
            text.push_str(before);
            text.push_str(value);
        }
    }
    text.push('.');
    let at = value("issued.at").unwrap_or_default().to_owned();
    Some(Issued { sentence: Sentence { at, text, records: vec![record.to_owned()], more: 0 }, parent, to })
}

fn session(known: &Known<'_>, key: &str, entries: &[&Entry]) -> Session {
    let issued = known.issued(key);
    let unique = |of: &dyn Fn(&Entry) -> Option<String>| {
        let mut seen = BTreeSet::new();
        entries
            .iter()
            .filter_map(|it| of(it))
            .filter(|it| seen.insert(it.clone()))
            .take(20)
            .collect::<Vec<_>>()
    };
    let principal = entries
        .first()
        .map(|entry| entry.principal.clone())
        .or_else(|| issued.as_ref().and_then(|issued| issued.to.clone()))
        .or_else(|| known.asked_with.get(key).map(|by| (*by).to_owned()))
        .unwrap_or_else(|| "unknown".to_owned());
    let is_temporary = key.starts_with("ASIA");
    let missing = (is_temporary && issued.is_none()).then(|| format!("the call that issued {key}"));
    let mut sentences = Vec::new();
    if let Some(first) = entries.first() {
        let from = first.address.as_deref().map_or(String::new(), |address| format!(" from {address}"));
        let unknown = match &missing {
            Some(_) => "; no record that is known tells which call issued it",
            None if key.starts_with(LONG_TERM) => "; it is a long-term key of a user",
            None => "",
        };
        let before = known.material.used_before.get(key);
        let earlier = before.map_or(String::new(), |before| {
            let since = crate::timestamp::format(before.first);
            format!(
                "; before them it was used {} since {since}, from {}",
                counted(before.calls, "time"),
                before.addresses.join(", ")
            )
        });
        let text = format!(
            "{key} was first used within these records{from}, by {}{earlier}{unknown}.",
            first.principal
        );
        sentences.extend(Sentence::of(text, &[first]).map(|mut sentence| {
            sentence.records.extend(before.map(|before| before.last.clone()));
            sentence
        }));
        let denied = entries.iter().filter(|it| it.is_denied()).count();
        let text = format!("{} made with {key}, {denied} of them denied.", counted(entries.len(), "call"));
        sentences.extend(Sentence::of(text, entries));
    }
    let parent = issued.as_ref().and_then(|issued| issued.parent.clone());
    if let Some(issued) = issued {
        sentences.insert(0, issued.sentence);
    }
    Session {
        key: key.to_owned(),
        principal,
        parent,
        calls: entries.len(),
        denied: entries.iter().filter(|entry| entry.is_denied()).count(),
        first: entries.first().map(|entry| entry.at()),
        last: entries.last().map(|entry| entry.at()),
        addresses: unique(&|entry| entry.address.clone()),
        agents: unique(&|entry| entry.user_agent.clone()),
        chain: entries.iter().max_by_key(|it| it.chain.len()).map(|it| it.chain.clone()).unwrap_or_default(),
        missing,
        sentences,
    }
}
