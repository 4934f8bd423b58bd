//! A map by name that takes little memory: its entries stand in one block. A tree has a block for eleven, also where
//! there is one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

/// Of so few names the lengths of nearly all tell that they are not the one that is looked for.
const FEW: usize = 12;

/// Entries in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<Box<str>, T>")]
pub(super) struct Sorted<T>(Vec<(Box<str>, T)>);

impl<T> Sorted<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        if self.0.len() <= FEW {
            return self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
        }
        self.place(name).ok().map(|place| &self.0[place].1)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.place(name).ok().map(|place| &mut self.0[place].1)
    }

    pub(super) fn get_or_default(&mut self, name: &str) -> &mut T
    where
        T: Default,
    {
        let place = self.place(name).unwrap_or_else(|place| {
            self.0.insert(place, (name.into(), T::default()));
            place
        });
        &mut self.0[place].1
    }

    pub(super) fn insert(&mut self, name: &str, value: T) {
        match self.place(name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name.into(), value)),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The entries whose names begin so.
    pub(super) fn beginning(&self, with: &str) -> impl Iterator<Item = (&str, &T)> {
        let first = self.place(with).unwrap_or_else(|place| place);
        self.0[first..]
            .iter()
            .take_while(move |(name, _)| name.starts_with(with))
            .map(|(name, it)| (&**name, it))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Gives back the room for entries that are not there.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// About the bytes of the entries, but for what values have elsewhere.
    pub(super) fn size(&self, of_block: usize) -> usize {
        let names: usize = self.0.iter().map(|(name, _)| name.len() + of_block).sum();
        names + self.0.capacity() * size_of::<(Box<str>, T)>() + of_block
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<BTreeMap<Box<str>, T>> for Sorted<T> {
    fn from(entries: BTreeMap<Box<str>, T>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Sorted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
