//! What is recalled for the records at hand.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use super::key::{Key, KeyMap};
use super::names::KnownNames;
use super::state::{Fact, State};
use super::told::Told;

/// The states that are at hand. A daemon fills it for a few records at a time; a command that reads files keeps all
/// that they told in it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    states: KeyMap<Recalled>,
    /// What could not be recalled, whatever else can be.
    missed: HashSet<Key>,
    absence: Absence,
    names: KnownNames,
}

/// What memory answered about a key.
#[derive(Debug, Clone)]
struct Recalled {
    /// None where nothing was told of it.
    state: Option<Arc<State>>,
    /// Whether the index is proven to hold all of the state.
    is_stored: bool,
}

/// What it means that a key is not among the states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Absence {
    /// Nothing was ever told of it.
    #[default]
    NothingTold,
    /// It was not asked for yet.
    NotAsked,
    /// It could not be recalled.
    NotRecalled,
    /// Memory is switched off.
    Off,
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'k> {
    Found(&'k State),
    /// Nothing was ever told of it.
    Nothing,
    /// To be asked for.
    NotAsked,
    /// It could not be recalled.
    NotRecalled,
}

impl<'k> Lookup<'k> {
    /// The state, where there is one, whatever the reason why there is none.
    pub fn found(self) -> Option<&'k State> {
        match self {
            Self::Found(state) => Some(state),
            Self::Nothing | Self::NotAsked | Self::NotRecalled => None,
        }
    }
}

/// What is known beside a record, and where more of it may be at hand.
pub trait Remembering {
    fn known(&self) -> &Known;

    /// Takes into what is known whatever of the keys is at hand, and returns the others.
    fn look_up(&mut self, keys: Vec<Key>) -> Vec<Key>;

    /// The facts of what a record told, but for what is known and stored already: that need not be told again.
    fn news(&self, told: Vec<Told<'_>>) -> Vec<Fact> {
        told.into_iter().map(Told::into_fact).collect()
    }
}

impl Remembering for &Known {
    fn known(&self) -> &Known {
        self
    }

    fn look_up(&mut self, keys: Vec<Key>) -> Vec<Key> {
        keys
    }
}

impl Known {
    /// All that there is: what is not in it was never told.
    pub fn whole() -> Self {
        Self { names: KnownNames::Any, ..Self::default() }
    }

    /// What can be asked for more, with the names that other services' records are searched for.
    pub fn to_be_asked(names: KnownNames) -> Self {
        Self { absence: Absence::NotAsked, names, ..Self::default() }
    }

    /// Without memory, so that each record is judged alone.
    pub fn off() -> Self {
        Self { absence: Absence::Off, ..Self::default() }
    }

    /// [`Self::off`], to be lent.
    pub fn always_off() -> &'static Self {
        static OFF: LazyLock<Known> = LazyLock::new(Known::off);
        &OFF
    }

    /// The names by which records of other services may be about something that memory knows.
    pub fn names(&self) -> &KnownNames {
        &self.names
    }

    /// Whether more can be recalled.
    pub fn can_be_asked(&self) -> bool {
        self.absence == Absence::NotAsked
    }

    /// Whether memory is switched off, so that a record is judged alone and nothing counts as missing.
    pub fn is_off(&self) -> bool {
        self.absence == Absence::Off
    }

    /// Gives up on what was not recalled until now.
    pub fn give_up(&mut self) {
        self.absence = Absence::NotRecalled;
    }

    /// Takes what memory answered about a key: its state, or None where nothing was told of it.
    pub fn recall(&mut self, key: Key, state: Option<Arc<State>>) {
        self.states.insert(key, Recalled { state, is_stored: false });
    }

    /// Takes the state of a key that the index is proven to hold as it is.
    pub fn recall_stored(&mut self, key: Key, state: Arc<State>) {
        self.states.insert(key, Recalled { state: Some(state), is_stored: true });
    }

    /// Gives up on one key.
    pub fn miss(&mut self, key: Key) {
        self.missed.insert(key);
    }

    /// How many keys were recalled or given up on.
    pub fn len(&self) -> usize {
        self.states.len() + self.missed.len()
    }

    /// Whether no key was recalled or given up on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of a key, and where nothing is, why.
    pub fn get(&self, key: &Key) -> Lookup<'_> {
        match (self.states.get(key).map(|recalled| &recalled.state), self.absence) {
            (Some(Some(state)), _) => Lookup::Found(state),
            (Some(None), _) | (None, Absence::NothingTold) => Lookup::Nothing,
            (None, Absence::NotAsked) if !self.missed.contains(key) => Lookup::NotAsked,
            (None, Absence::NotAsked | Absence::NotRecalled | Absence::Off) => Lookup::NotRecalled,
        }
    }

    /// Takes what a record told, so that the next one is judged with it. A key that was not recalled stays unknown: a
    /// part of a state would look like the whole.
    pub fn learn(&mut self, facts: &[Fact]) {
        for fact in facts {
            match self.states.get_mut(&fact.key) {
                Some(recalled) => recalled.learn(&fact.state),
                None if self.absence == Absence::NothingTold => {
                    self.recall(fact.key.clone(), Some(Arc::clone(&fact.state)));
                }
                None => {}
            }
        }
    }

    /// Leaves out what the index is proven to hold, as far as that is known here.
    pub fn leave_out_stored(&self, told: &mut Told<'_>) {
        if let Some(Recalled { state: Some(state), is_stored: true }) = self.states.get(&told.key) {
            told.leave_out(state);
        }
    }

    /// Leaves out what this state holds, which the index is proven to hold, unless something would be learnt from it
    /// here.
    pub fn leave_out(&self, told: &mut Told<'_>, stored: &Arc<State>) {
        match (self.states.get(&told.key).map(|recalled| &recalled.state), self.absence) {
            (Some(Some(state)), _) if !Arc::ptr_eq(state, stored) => {
                told.leave_out_if(|word, key| stored.has_heard(word, key) && state.has_heard(word, key));
            }
            (Some(None), _) | (None, Absence::NothingTold) => {}
            (Some(Some(_)) | None, _) => told.leave_out(stored),
        }
    }

    /// Every state, for a command that has read all.
    pub fn states(&self) -> impl Iterator<Item = (&Key, &State)> {
        self.states.iter().filter_map(|(key, recalled)| Some((key, recalled.state.as_deref()?)))
    }
}

impl Recalled {
    fn learn(&mut self, told: &Arc<State>) {
        match &mut self.state {
            // Most records tell nothing new, and the state is shared.
            Some(state) if state.knows(told) => return,
            Some(state) => drop(Arc::make_mut(state).join(told)),
            none => *none = Some(Arc::clone(told)),
        }
        self.is_stored = false;
    }
}
