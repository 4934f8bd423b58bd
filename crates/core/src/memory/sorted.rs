//! A map by name that takes little memory and is copied quickly: all names stand in one text. A tree has a block for
//! eleven entries and one for each name, also where there is one.
//!
//! A state is asked for a hundred names for each record. So their lengths, or hashes where there are many, tell which
//! one to look at.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::slice;

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
    /// One name after the other.
    names: String,
    /// Where each name ends.
    ends: Vec<usize>,
    values: Vec<T>,
    /// Of each name, where there are more than a few.
    hashes: Vec<u32>,
}

impl<T> Sorted<T> {
    /// An empty one with room for so many entries with so many bytes of names.
    pub(super) fn with_room(entries: usize, bytes: usize) -> Self {
        Self {
            names: String::with_capacity(bytes),
            ends: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
            hashes: Vec::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.find(name).map(|place| &self.values[place])
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.find(name).map(|place| &mut self.values[place])
    }

    pub(super) fn get_or_default(&mut self, name: &str) -> &mut T
    where
        T: Default,
    {
        let place = self.find(name).unwrap_or_else(|| self.add(name, T::default()));
        &mut self.values[place]
    }

    pub(super) fn insert(&mut self, name: &str, value: T) {
        match self.find(name) {
            Some(place) => self.values[place] = value,
            None => drop(self.add(name, value)),
        }
    }

    pub(super) fn remove_at(&mut self, place: usize) {
        let name = self.range(place);
        self.ends.remove(place);
        self.ends[place..].iter_mut().for_each(|end| *end -= name.len());
        self.names.drain(name);
        self.values.remove(place);
        if self.values.len() > FEW {
            self.hashes.remove(place);
        } else {
            self.hashes.clear();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries_from(0)
    }

    /// The entry at a place.
    pub(super) fn at(&self, place: usize) -> Option<(&str, &T)> {
        self.values.get(place).map(|value| (self.name(place), value))
    }

    /// The entries whose names begin so.
    pub(super) fn beginning(&self, with: &str) -> impl Iterator<Item = (&str, &T)> {
        self.entries_from(self.place(with)).take_while(move |(name, _)| name.starts_with(with))
    }

    pub(super) fn values(&self) -> slice::Iter<'_, T> {
        self.values.iter()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.iter_mut()
    }

    /// Gives back the room for entries that are not there.
    pub(super) fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.values.shrink_to_fit();
        self.hashes.shrink_to_fit();
    }

    /// About the bytes of the entries, but for what values have elsewhere.
    pub(super) fn size(&self, of_block: usize) -> usize {
        let blocks = [
            self.names.capacity(),
            self.ends.capacity() * size_of::<usize>(),
            self.values.capacity() * size_of::<T>(),
            self.hashes.capacity() * size_of::<u32>(),
        ];
        blocks.into_iter().filter(|block| *block > 0).map(|block| block + of_block).sum()
    }

    fn entries_from(&self, first: usize) -> impl Iterator<Item = (&str, &T)> {
        self.values[first..].iter().enumerate().map(move |(after, value)| (self.name(first + after), value))
    }

    fn range(&self, place: usize) -> Range<usize> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[place]
    }

    fn name(&self, place: usize) -> &str {
        &self.names[self.range(place)]
    }

    /// The place of a name, if it is there.
    fn find(&self, name: &str) -> Option<usize> {
        if self.hashes.is_empty() {
            let mut start = 0;
            return self.ends.iter().position(|end| {
                let known = std::mem::replace(&mut start, *end)..*end;
                known.len() == name.len() && self.names.as_bytes()[known] == *name.as_bytes()
            });
        }
        let hash = hash(name);
        // The compiler makes a few instructions of what looks at all hashes of a part.
        let has_it = |hashes: &[u32]| hashes.iter().map(|known| u32::from(*known == hash)).sum::<u32>() > 0;
        let parts = self.hashes.chunks(AT_ONCE).enumerate().filter(|(_, hashes)| has_it(hashes));
        let mut places = parts.flat_map(|(part, hashes)| {
            let alike = hashes.iter().enumerate().filter(|(_, known)| **known == hash);
            alike.map(move |(place, _)| part * AT_ONCE + place)
        });
        places.find(|place| self.name(*place) == name)
    }

    /// Where a name is or would be.
    fn place(&self, name: &str) -> usize {
        let (mut first, mut end) = (0, self.len());
        while first < end {
            let middle = usize::midpoint(first, end);
            if self.name(middle) < name { first = middle + 1 } else { end = middle }
        }
        first
    }

    /// Adds a name that is not there yet, and returns its place.
    fn add(&mut self, name: &str, value: T) -> usize {
        let place = self.place(name);
        if self.is_empty() {
            // Most maps of a fact have one entry.
            self.names.reserve_exact(name.len());
            self.ends.reserve_exact(1);
            self.values.reserve_exact(1);
        }
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.names.insert_str(start, name);
        self.ends.insert(place, start);
        self.ends[place..].iter_mut().for_each(|end| *end += name.len());
        self.values.insert(place, value);
        if self.hashes.is_empty() {
            self.hash();
        } else {
            self.hashes.insert(place, hash(name));
        }
        place
    }

    /// Makes the hashes anew, if there are enough names for them.
    fn hash(&mut self) {
        self.hashes.clear();
        if self.len() > FEW {
            self.hashes = self.iter().map(|(name, _)| hash(name)).collect();
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
        Self { names: String::new(), ends: Vec::new(), values: Vec::new(), hashes: Vec::new() }
    }
}

impl<T> From<BTreeMap<Box<str>, T>> for Sorted<T> {
    fn from(entries: BTreeMap<Box<str>, T>) -> Self {
        let mut sorted = Self::with_room(entries.len(), entries.keys().map(|name| name.len()).sum());
        for (name, value) in entries {
            sorted.names.push_str(&name);
            sorted.ends.push(sorted.names.len());
            sorted.values.push(value);
        }
        sorted.hash();
        sorted
    }
}

impl<T: Serialize> Serialize for Sorted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds_whatever_comes_and_goes(
            steps in vec(("[a-cé]{0,3}", 0..40_usize, any::<bool>()), 0..80),
        ) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (name, number, goes) in &steps {
                if *goes && !tree.is_empty() {
                    let place = number % tree.len();
                    let gone = tree.keys().nth(place).cloned();
                    sorted.remove_at(place);
                    tree.remove(&gone.unwrap());
                } else {
                    sorted.insert(name, *number);
                    tree.insert(Box::from(name.as_str()), *number);
                }
                prop_assert!(sorted.iter().map(|(name, it)| (name, *it)).eq(tree.iter().map(|(name, it)| (&**name, *it))));
                for (name, ..) in &steps {
                    prop_assert_eq!(sorted.get(name), tree.get(name.as_str()));
                }
                let beginning = sorted.beginning(name).map(|(name, _)| name);
                prop_assert!(beginning.eq(tree.keys().map(|known| &**known).filter(|known| known.starts_with(name.as_str()))));
            }
            prop_assert_eq!(&sorted, &Sorted::from(tree));
        }
    }
}
