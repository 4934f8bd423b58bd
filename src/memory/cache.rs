//! Caches what the index is proven to hold of things that records came across lately, and keeps apart what this daemon
//! told and is not proven yet.
//!
//! A record is judged with both. Whether a fact has to be sent is decided by what is proven alone: otherwise a message
//! could be deleted whose fact another message carried, which failed.

use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use sagetrail_core::memory::{BuildHashOfKey, Key, KeyMap, Kind, State};
use tokio::time::Instant;

/// How long what is known counts, so that daemons see each other's facts within this time.
pub(super) const LASTS: Duration = Duration::from_mins(1);
/// About the bytes of an entry without its state and the text of its key.
const OVERHEAD: usize = 256;

pub(super) struct Cache {
    most_bytes: usize,
    bytes: usize,
    /// In the order of their last use.
    proven: LruCache<Key, Proven, BuildHashOfKey>,
    /// What is on its way, which is bounded by the documents that may wait for OpenSearch.
    told: KeyMap<Told>,
}

/// What the index is known to hold of one thing.
struct Proven {
    state: Option<Arc<State>>,
    extent: Extent,
    since: Instant,
    /// When the storage of a fact was last proven.
    joined_at: Option<Instant>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// It was recalled.
    Whole,
    /// It is what this daemon has stored of it; there may be more.
    Part,
}

/// Facts whose storage is not proven.
struct Told {
    state: Arc<State>,
    /// Submissions that have not ended.
    underway: usize,
    /// What records were judged with: these facts beside what was recalled.
    joined: Option<Arc<State>>,
    /// What was told after that.
    since: State,
}

/// What is at hand of one thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cached {
    State(Arc<State>),
    /// A state that the index is proven to hold as it is.
    Stored(Arc<State>),
    /// It is known that nothing is.
    Nothing,
    /// It has to be recalled.
    Missing,
}

impl Cache {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: 0,
            proven: LruCache::unbounded_with_hasher(BuildHashOfKey::default()),
            told: KeyMap::default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.proven.len()
    }

    /// What a record is judged with: what is proven and what was told.
    pub(super) fn look_up(&mut self, key: &Key, now: Instant) -> Cached {
        let Some(proven) = self.fresh(key, now).filter(|proven| proven.extent == Extent::Whole) else {
            return Cached::Missing;
        };
        let proven = proven.state.clone();
        self.with_told(key, proven)
    }

    fn with_told(&mut self, key: &Key, proven: Option<Arc<State>>) -> Cached {
        match (proven, self.told.get_mut(key)) {
            (Some(state), Some(told)) if told.joined.is_some() || !state.knows(&told.state) => {
                Cached::State(told.beside(state))
            }
            (Some(state), _) if has_one_place(key) => Cached::Stored(state),
            (Some(state), _) => Cached::State(state),
            (None, Some(told)) => Cached::State(Arc::clone(&told.state)),
            (None, None) => Cached::Nothing,
        }
    }

    /// Whether a fact is proven to be stored.
    pub(super) fn is_proven(&mut self, key: &Key, state: &State, now: Instant) -> bool {
        self.stored(key, now).is_some_and(|stored| stored.knows(state))
    }

    /// What is proven to be stored of a thing.
    pub(super) fn stored(&mut self, key: &Key, now: Instant) -> Option<&Arc<State>> {
        self.fresh(key, now).filter(|_| has_one_place(key))?.state.as_ref()
    }

    /// Takes the first fact of a submission about a thing. Each such call is followed by one of `prove` or `withdraw`.
    pub(super) fn tell(&mut self, key: &Key, state: &Arc<State>) {
        if let Some(told) = self.told.get_mut(key) {
            told.underway += 1;
            told.join(state);
        } else {
            let told = Told { state: Arc::clone(state), underway: 1, joined: None, since: State::default() };
            self.told.insert(key.clone(), told);
        }
    }

    /// Takes a further fact of a submission about the same thing.
    pub(super) fn tell_more(&mut self, key: &Key, state: &Arc<State>) {
        if let Some(told) = self.told.get_mut(key) {
            told.join(state);
        }
    }

    /// Takes what is proven to be stored.
    pub(super) fn prove(&mut self, key: &Key, state: &Arc<State>, now: Instant) {
        self.withdraw(key);
        // It was used now.
        if self.fresh(key, now).is_none() {
            return self.insert(key, Some(Arc::clone(state)), Extent::Part, now, Some(now));
        }
        let Some(proven) = self.proven.peek_mut(key) else { return };
        if proven.extent == Extent::Part {
            proven.since = now;
        }
        proven.joined_at = Some(now);
        match &mut proven.state {
            Some(known) => drop(Arc::make_mut(known).join(state)),
            none => *none = Some(Arc::clone(state)),
        }
        let bytes = bytes_of(key, proven.state.as_deref());
        self.bytes += bytes;
        self.bytes -= std::mem::replace(&mut proven.bytes, bytes);
        self.make_room();
    }

    /// Ends a submission of which it is not known whether it was stored.
    pub(super) fn withdraw(&mut self, key: &Key) {
        if let Some(told) = self.told.get_mut(key) {
            told.underway -= 1;
            if told.underway == 0 {
                self.told.remove(key);
            }
        }
    }

    /// Takes what the index held at some time after this one, and returns what a record is judged with.
    pub(super) fn recalled(&mut self, key: &Key, state: Option<Arc<State>>, asked_at: Instant) -> Cached {
        let before = self.remove(key);
        // What was stored meanwhile may be missing in what was recalled; what was not is gone if it is not there.
        let stored_since =
            before.filter(|before| before.joined_at.is_some_and(|joined_at| joined_at >= asked_at));
        let joined_at = stored_since.as_ref().and_then(|before| before.joined_at);
        let state = match (state, stored_since.and_then(|before| before.state)) {
            (Some(mut state), Some(stored)) => {
                Arc::make_mut(&mut state).join(&stored);
                Some(state)
            }
            (state, stored) => state.or(stored),
        };
        self.insert(key, state.clone(), Extent::Whole, asked_at, joined_at);
        if let Some(told) = self.told.get_mut(key) {
            told.joined = None;
        }
        self.with_told(key, state)
    }

    /// The entry, unless it is too old; it was used now.
    fn fresh(&mut self, key: &Key, now: Instant) -> Option<&Proven> {
        if now.saturating_duration_since(self.proven.peek(key)?.since) >= LASTS {
            self.remove(key);
            return None;
        }
        self.proven.get(key)
    }

    fn insert(
        &mut self,
        key: &Key,
        state: Option<Arc<State>>,
        extent: Extent,
        since: Instant,
        joined_at: Option<Instant>,
    ) {
        self.remove(key);
        let bytes = bytes_of(key, state.as_deref());
        self.proven.put(key.clone(), Proven { state, extent, since, joined_at, bytes });
        self.bytes += bytes;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > self.most_bytes {
            let Some((_, least)) = self.proven.pop_lru() else { break };
            self.bytes -= least.bytes;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Proven> {
        let proven = self.proven.pop(key)?;
        self.bytes -= proven.bytes;
        Some(proven)
    }
}

/// About the bytes of an entry.
fn bytes_of(key: &Key, state: Option<&State>) -> usize {
    OVERHEAD + key.id.len() + state.map_or(0, State::size)
}

/// Whether a fact about it has one index where it belongs. Sessions have one for each month, and the same fact can
/// belong into two. Each is told once anyway.
fn has_one_place(key: &Key) -> bool {
    key.kind != Kind::Sessions
}

impl Told {
    fn join(&mut self, state: &Arc<State>) {
        if self.state.knows(state) {
            return;
        }
        Arc::make_mut(&mut self.state).join(state);
        if self.joined.is_some() {
            self.since.join(state);
        }
    }

    /// The facts beside what is proven. What is proven since the last time was among them.
    fn beside(&mut self, proven: Arc<State>) -> Arc<State> {
        let joined = match &mut self.joined {
            Some(joined) => joined,
            none => {
                self.since = State::clone(&self.state);
                none.insert(proven)
            }
        };
        let since = std::mem::take(&mut self.since);
        if !joined.knows(&since) {
            Arc::make_mut(joined).join(&since);
        }
        Arc::clone(joined)
    }
}

#[cfg(test)]
mod tests;
