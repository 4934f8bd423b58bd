//! A map by name that takes little memory: its entries stand in one block. A tree has a block for eleven, also where
//! there is one.
//!
//! A state is asked for a hundred names for each record, and each name lies elsewhere in memory. So their lengths, or
//! hashes where there are many, tell which one to look at.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize, Serializer};

/// Of so few names the lengths of nearly all tell that they are not the one that is looked for.
const FEW: usize = 12;

/// Hashes that are compared at once.
const AT_ONCE: usize = 16;

/// Entries in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<Box<str>, T>")]
pub(super) struct Sorted<T> {
    entries: Vec<(Box<str>, T)>,
    /// Of the name of each entry, where there are more than a few.
    hashes: Vec<u32>,
}

impl<T> Sorted<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let is_it = |(known, _): &&(Box<str>, T)| **known == *name;
        if self.hashes.is_empty() {
            return self.entries.iter().find(is_it).map(|(_, value)| value);
        }
        let hash = hash(name);
        let parts = self.hashes.chunks(AT_ONCE).zip(self.entries.chunks(AT_ONCE));
        // The compiler makes a few instructions of what looks at all hashes of a part.
        let has_it = |hashes: &[u32]| hashes.iter().map(|known| u32::from(*known == hash)).sum::<u32>() > 0;
        let mut named = parts.filter(|(hashes, _)| has_it(hashes)).flat_map(|(hashes, entries)| {
            hashes.iter().zip(entries).filter(|(known, _)| **known == hash).map(|(_, entry)| entry)
        });
        named.find(is_it).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.place(name).ok().map(|place| &mut self.entries[place].1)
    }

    pub(super) fn get_or_default(&mut self, name: &str) -> &mut T
    where
        T: Default,
    {
        let place = self.place(name).unwrap_or_else(|place| {
            self.add(place, name, T::default());
            place
        });
        &mut self.entries[place].1
    }

    pub(super) fn insert(&mut self, name: &str, value: T) {
        match self.place(name) {
            Ok(place) => self.entries[place].1 = value,
            Err(place) => self.add(place, name, value),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            self.entries.remove(place);
            if self.entries.len() > FEW {
                self.hashes.remove(place);
            } else {
                self.hashes.clear();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    /// The entry at a place.
    pub(super) fn at(&self, place: usize) -> Option<(&str, &T)> {
        self.entries.get(place).map(|(name, value)| (&**name, value))
    }

    /// The entries whose names begin so.
    pub(super) fn beginning(&self, with: &str) -> impl Iterator<Item = (&str, &T)> {
        let first = self.place(with).unwrap_or_else(|place| place);
        self.entries
            .iter()
            .skip(first)
            .take_while(move |(name, _)| name.starts_with(with))
            .map(|(name, it)| (&**name, it))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Gives back the room for entries that are not there.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.hashes.shrink_to_fit();
    }

    /// About the bytes of the entries, but for what values have elsewhere.
    pub(super) fn size(&self, of_block: usize) -> usize {
        let names: usize = self.entries.iter().map(|(name, _)| name.len() + of_block).sum();
        let hashes = self.hashes.capacity() * size_of::<u32>();
        names + hashes + self.entries.capacity() * size_of::<(Box<str>, T)>() + of_block
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    fn add(&mut self, place: usize, name: &str, value: T) {
        self.entries.insert(place, (name.into(), value));
        if self.hashes.is_empty() {
            self.hash();
        } else {
            self.hashes.insert(place, hash(name));
        }
    }

    /// Makes the hashes anew, if there are enough names for them.
    fn hash(&mut self) {
        self.hashes.clear();
        if self.entries.len() > FEW {
            self.hashes.extend(self.entries.iter().map(|(name, _)| hash(name)));
        }
    }
}

/// Always the same, so that equal maps have equal hashes.
fn hash(name: &str) -> u32 {
    let [a, b, c, d, ..] = FixedState::default().hash_one(name).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), hashes: Vec::new() }
    }
}

impl<T> From<BTreeMap<Box<str>, T>> for Sorted<T> {
    fn from(entries: BTreeMap<Box<str>, T>) -> Self {
        let mut sorted = Self { entries: entries.into_iter().collect(), hashes: Vec::new() };
        sorted.hash();
        sorted
    }
}

impl<T: Serialize> Serialize for Sorted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
