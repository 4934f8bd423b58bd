//! Says which parts of memory a report needs (pure).

use std::collections::{BTreeSet, HashMap};

use super::entry::Entry;
use crate::memory::{Key, State};

/// The most things that are looked up.
const MOST: usize = 5_000;

/// The keys of resources and credentials that records name, and of those that issued them, without what is known.
pub fn needed(entries: &[Entry], known: &HashMap<Key, State>) -> BTreeSet<Key> {
    let resources =
        entries.iter().flat_map(Entry::things).filter_map(|thing| thing.arn.as_deref()).map(Key::resource);
    let keys = entries.iter().flat_map(|entry| entry.key.iter().chain(&entry.issued_key));
    let parents = known.values().filter_map(|state| state.value("issued.key"));
    let sessions =
        keys.map(String::as_str).chain(parents).filter(|key| key.starts_with("ASIA")).map(Key::session);
    let all = resources.chain(sessions).filter(|key| !known.contains_key(key));
    all.take(MOST.saturating_sub(known.len())).collect()
}
