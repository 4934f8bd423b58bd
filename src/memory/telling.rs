//! The facts of documents that travel together, from the record that tells them to the proof that they are stored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sagetrail_core::memory::{Fact, Key, Kind, State, Told};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::shared::Shared;
use crate::document::Document;
use crate::labels::FactOutcome;
use crate::names::Names;

/// Facts that have to be sent, one for each thing. One that is dropped without a proof is withdrawn: the message that
/// told it is delivered again.
pub struct Telling {
    shared: Option<Arc<Shared>>,
    facts: Vec<(Fact, OffsetDateTime)>,
    /// Where each is among them.
    places: HashMap<Place, usize>,
}

/// Where a fact is stored: sessions have an index for each month.
type Place = (Key, Option<(i32, u8)>);

impl Telling {
    pub(super) fn new(shared: Option<Arc<Shared>>) -> Self {
        Self { shared, facts: Vec::new(), places: HashMap::new() }
    }

    /// Takes what a record of an event at this time told, and returns about the bytes that have to be sent for it.
    pub fn tell(&mut self, facts: Vec<Fact>, time: OffsetDateTime) -> usize {
        let Some(shared) = &self.shared else { return 0 };
        let now = Instant::now();
        let mut bytes = 0;
        let mut cache = shared.cache();
        for fact in facts {
            let month = (fact.key.kind == Kind::Sessions).then(|| (time.year(), u8::from(time.month())));
            if cache.is_proven(&fact.key, &fact.state, now) {
                shared.count(FactOutcome::Known);
                continue;
            }
            match self.places.entry((fact.key.clone(), month)) {
                Entry::Occupied(place) => {
                    let told = &mut self.facts[*place.get()].0.state;
                    if !told.knows(&fact.state) {
                        Arc::make_mut(told).join(&fact.state);
                        cache.tell_more(&fact.key, &fact.state);
                        bytes += fact.state.size();
                    }
                    shared.count(FactOutcome::Joined);
                }
                Entry::Vacant(place) => {
                    cache.tell(&fact.key, &fact.state);
                    bytes += fact.state.size();
                    place.insert(self.facts.len());
                    self.facts.push((fact, time));
                    shared.count(FactOutcome::Sent);
                }
            }
        }
        bytes
    }

    /// How many facts there are: one for each thing, and for a session one for each month.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether no record told anything that memory is not proven to hold.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Leaves out of what a record tells what others told that travel with it. Of sessions nothing is: they are told
    /// once, and of which month that is for is not known yet.
    pub(super) fn leave_out(&self, told: &mut Told<'_>) {
        if let Some(state) = self.state(&told.key) {
            told.leave_out(state);
        }
    }

    /// What is told of a thing that has one place.
    pub fn state(&self, of: &Key) -> Option<&Arc<State>> {
        self.places.get(&(of.clone(), None)).map(|place| &self.facts[*place].0.state)
    }

    /// The documents that join the facts into memory.
    pub fn documents<'t>(&'t self, names: &'t Names) -> impl Iterator<Item = Document> + 't {
        self.facts.iter().map(|(fact, time)| Document::of_fact(names, fact, *time))
    }

    /// Takes the facts as proven to be stored.
    pub fn prove(mut self) {
        let facts = std::mem::take(&mut self.facts);
        let Some(shared) = &self.shared else { return };
        let now = Instant::now();
        let mut cache = shared.cache();
        for (fact, _) in &facts {
            cache.prove(&fact.key, &fact.state, now);
        }
        shared.show(&cache);
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.as_ref().filter(|_| !self.facts.is_empty()) {
            let mut cache = shared.cache();
            self.facts.iter().for_each(|(fact, _)| cache.withdraw(&fact.key));
        }
    }
}
