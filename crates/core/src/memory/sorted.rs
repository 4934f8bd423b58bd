//! A map by name that takes little memory and is copied quickly: all names stand in one text. A tree has a block for
//! eleven entries and one for each name, also where there is one.
//!
//! A state is asked for a hundred names for each record. So a hash of each tells which one to look at.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::slice;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize, Serializer};

/// Hashes that are compared at once.
const AT_ONCE: usize = 16;

/// Entries in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<Box<str>, T>")]
pub(super) struct Sorted<T> {
    /// One name after the other.
    names: String,
    marks: Vec<Mark>,
    values: Vec<T>,
}

/// What is known of a name without looking at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    hash: u32,
    /// Where it ends among all.
    end: u32,
}

impl<T> Sorted<T> {
    /// An empty one with room for so many entries with so many bytes of names.
    pub(super) fn with_room(entries: usize, bytes: usize) -> Self {
        Self {
            names: String::with_capacity(bytes),
            marks: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
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
        let length = length(&self.names[name.clone()]);
        self.marks.remove(place);
        self.marks[place..].iter_mut().for_each(|mark| mark.end -= length);
        self.names.drain(name);
        self.values.remove(place);
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
        self.marks.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// About the bytes of the entries, but for what values have elsewhere.
    pub(super) fn size(&self, of_block: usize) -> usize {
        let blocks = [
            self.names.capacity(),
            self.marks.capacity() * size_of::<Mark>(),
            self.values.capacity() * size_of::<T>(),
        ];
        blocks.into_iter().filter(|block| *block > 0).map(|block| block + of_block).sum()
    }

    fn entries_from(&self, first: usize) -> impl Iterator<Item = (&str, &T)> {
        self.values[first..].iter().enumerate().map(move |(after, value)| (self.name(first + after), value))
    }

    fn range(&self, place: usize) -> Range<usize> {
        self.start(place) as usize..self.marks[place].end as usize
    }

    /// Where the name at a place begins among all.
    fn start(&self, place: usize) -> u32 {
        place.checked_sub(1).map_or(0, |before| self.marks[before].end)
    }

    fn name(&self, place: usize) -> &str {
        &self.names[self.range(place)]
    }

    /// The place of a name, if it is there.
    fn find(&self, name: &str) -> Option<usize> {
        let hash = hash(name);
        let mut first = 0;
        for marks in self.marks.chunks(AT_ONCE) {
            // The compiler makes a few instructions of what looks at all hashes of a part.
            let mut alike = 0;
            for mark in marks {
                alike |= u32::from(mark.hash == hash);
            }
            if alike > 0 {
                for (place, mark) in (first..).zip(marks) {
                    if mark.hash == hash && self.names.as_bytes()[self.range(place)] == *name.as_bytes() {
                        return Some(place);
                    }
                }
            }
            first += marks.len();
        }
        None
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
            self.marks.reserve_exact(1);
            self.values.reserve_exact(1);
        }
        let start = self.start(place);
        self.names.insert_str(start as usize, name);
        self.marks.insert(place, Mark { hash: hash(name), end: start });
        self.marks[place..].iter_mut().for_each(|mark| mark.end += length(name));
        self.values.insert(place, value);
        place
    }
}

fn length(name: &str) -> u32 {
    u32::try_from(name.len()).expect("a state is no larger than a document of OpenSearch")
}

/// Always the same, so that equal maps have equal hashes. Of all bytes: names of one trail often differ in a few alone.
fn hash(name: &str) -> u32 {
    let [a, b, c, d, ..] = FixedState::default().hash_one(name).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { names: String::new(), marks: Vec::new(), values: Vec::new() }
    }
}

impl<T> From<BTreeMap<Box<str>, T>> for Sorted<T> {
    fn from(entries: BTreeMap<Box<str>, T>) -> Self {
        let mut sorted = Self::with_room(entries.len(), entries.keys().map(|name| name.len()).sum());
        for (name, value) in entries {
            sorted.names.push_str(&name);
            sorted.marks.push(Mark { hash: hash(&name), end: length(&sorted.names) });
            sorted.values.push(value);
        }
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
            steps in vec(("[a-cé]{0,3}|[ab]{2}x{38}", 0..40_usize, any::<bool>()), 0..80),
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
