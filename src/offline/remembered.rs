//! What records told so far, in bounded memory: what was asked for lately is at hand, and the rest is in a temporary
//! file.
//!
//! What a record tells is redacted before it is told. The file has no name all the same, and is gone when the process
//! ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::memory::{Fact, Key, Kind, Known, KnownNames, Lookup, Remembering, State};

/// Bytes of states at hand.
const MOST_BYTES: usize = 16 << 20;
/// About the bytes of a key at hand, beside its state.
const OVERHEAD: usize = 256;
/// Bytes of a place in the file. Each is this times a power of two, so that a state that has grown leaves one that
/// others fit.
const LEAST_ROOM: u32 = 256;

/// Everything that was told. What is not in it was never told.
pub struct Remembered {
    most_bytes: usize,
    known: Known,
    /// About the bytes of what is known.
    bytes: usize,
    /// What the file does not have as it is known.
    changed: HashSet<Key>,
    shelf: Shelf,
    failure: Option<io::Error>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self::within(MOST_BYTES)
    }
}

impl Remembered {
    fn within(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            known: at_hand(),
            bytes: 0,
            changed: HashSet::new(),
            shelf: Shelf::default(),
            failure: None,
        }
    }

    /// Takes what a record told.
    pub fn learn(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.look_up(vec![fact.key.clone()]);
            let is_new = self.known.get(&fact.key).found().is_none_or(|state| !state.knows(&fact.state));
            if is_new {
                self.known.learn(std::slice::from_ref(fact));
                self.bytes += fact.state.size();
                self.changed.insert(fact.key.clone());
            }
        }
    }

    /// Puts what is at hand away if it is much, and tells whether the file failed since this was asked.
    pub fn make_room(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)?;
        if self.bytes < self.most_bytes {
            return Ok(());
        }
        for key in self.changed.drain() {
            if let Some(state) = self.known.get(&key).found() {
                self.shelf.put(&key, state)?;
            }
        }
        self.known = at_hand();
        self.bytes = 0;
        Ok(())
    }

    /// What was told of each of these things, without those of which nothing was.
    pub fn find_all(&self, keys: impl IntoIterator<Item = Key>) -> io::Result<HashMap<Key, State>> {
        let found = |key: Key| self.find(&key).transpose().map(|found| Ok((key, found?)));
        keys.into_iter().filter_map(found).collect()
    }

    fn find(&self, key: &Key) -> io::Result<Option<State>> {
        match self.known.get(key) {
            Lookup::Found(state) => Ok(Some(state.clone())),
            Lookup::Nothing => Ok(None),
            Lookup::NotAsked | Lookup::NotRecalled => self.shelf.get(key),
        }
    }
}

impl Remembering for Remembered {
    fn known(&self) -> &Known {
        &self.known
    }

    fn look_up(&mut self, keys: Vec<Key>) -> Vec<Key> {
        for key in keys {
            if self.known.get(&key) != Lookup::NotAsked {
                continue;
            }
            let state = self.shelf.get(&key).unwrap_or_else(|error| {
                self.failure.get_or_insert(error);
                None
            });
            self.bytes += OVERHEAD + state.as_ref().map_or(0, State::size);
            self.known.recall(key, state.map(Arc::new));
        }
        Vec::new()
    }
}

fn at_hand() -> Known {
    Known::to_be_asked(KnownNames::Any)
}

/// States in a file.
#[derive(Default)]
struct Shelf {
    file: Option<File>,
    end: u64,
    places: HashMap<Name, Place>,
    /// Places that nothing is in, by their size.
    empty: BTreeMap<u32, Vec<u64>>,
}

/// What tells things apart in less memory than their keys take.
type Name = (Kind, [u8; 16]);

#[derive(Clone, Copy)]
struct Place {
    begin: u64,
    length: u32,
}

impl Place {
    fn room(self) -> u32 {
        room_for(self.length)
    }
}

impl Shelf {
    fn get(&self, key: &Key) -> io::Result<Option<State>> {
        let (Some(file), Some(place)) = (&self.file, self.places.get(&name(key))) else { return Ok(None) };
        let mut text = vec![0; place.length as usize];
        file.read_exact_at(&mut text, place.begin)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    fn put(&mut self, key: &Key, state: &State) -> io::Result<()> {
        let text = serde_json::to_vec(state)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let name = name(key);
        let old = self.places.get(&name).copied();
        let begin = match old.filter(|old| old.room() == room_for(length)) {
            Some(old) => old.begin,
            None => self.empty_place(room_for(length)),
        };
        if let Some(old) = old.filter(|old| old.begin != begin) {
            self.empty.entry(old.room()).or_default().push(old.begin);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(&text, begin)?;
        self.places.insert(name, Place { begin, length });
        Ok(())
    }

    fn empty_place(&mut self, room: u32) -> u64 {
        self.empty.get_mut(&room).and_then(Vec::pop).unwrap_or_else(|| {
            let begin = self.end;
            self.end += u64::from(room);
            begin
        })
    }
}

fn room_for(length: u32) -> u32 {
    length.max(LEAST_ROOM).checked_next_power_of_two().unwrap_or(u32::MAX)
}

fn name(key: &Key) -> Name {
    let hash = Sha256::digest(key.id.as_bytes());
    (key.kind, *hash.first_chunk().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Stamp;

    /// What number `number` tells: about one of a few things, more and more.
    fn fact(number: usize) -> Fact {
        let mut state = State::default();
        let at: Stamp = serde_json::from_value(format!("2026-11-03T01:12:03.{number:06}Z a").into()).unwrap();
        state.say("last", &at, [number.to_string()]);
        state.add_newest("seen", &at, "x".repeat(number % 300));
        Fact { key: Key::session(&format!("ASIA{}", number % 40)), state: Arc::new(state) }
    }

    #[test]
    fn what_was_told_is_known_however_little_is_at_hand() {
        let mut whole = Known::whole();
        let mut remembered = Remembered::within(20_000);
        let mut most = 0;
        for number in 0..4_000 {
            let fact = fact(number);
            assert_eq!(remembered.look_up(vec![fact.key.clone()]), []);
            assert_eq!(remembered.known().get(&fact.key), whole.get(&fact.key), "before {number}");
            whole.learn(std::slice::from_ref(&fact));
            remembered.learn(std::slice::from_ref(&fact));
            remembered.make_room().unwrap();
            most = most.max(remembered.known().states().map(|(_, state)| state.size()).sum());
        }
        assert!(most < 25_000, "{most} bytes were at hand");
        for (key, state) in whole.states() {
            assert_eq!(remembered.find(key).unwrap().as_ref(), Some(state));
        }
        assert_eq!(remembered.find(&Key::session("ASIA40")).unwrap(), None);
        let stored: u64 = remembered.shelf.places.values().map(|place| u64::from(place.room())).sum();
        assert!(
            remembered.shelf.end <= 3 * stored,
            "places are used again: {} of {stored}",
            remembered.shelf.end
        );
    }

    #[test]
    fn a_file_that_fails_is_told() {
        let mut remembered = Remembered::within(0);
        remembered.learn(&[fact(1)]);
        remembered.make_room().unwrap();
        remembered.shelf.file.as_ref().unwrap().set_len(0).unwrap();
        remembered.look_up(vec![fact(1).key]);
        assert!(remembered.make_room().is_err());
        assert!(remembered.find(&fact(2).key).unwrap().is_none());
    }
}
