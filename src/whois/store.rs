//! What was answered until now (pure).

use std::collections::HashMap;
use std::sync::Arc;

use sagetrail_core::memory::{Key, Kind, Known, KnownNames, Lookup, State};

use super::question::Question;

/// The answers, and what is known by them.
#[derive(Debug)]
pub struct Store {
    known: Known,
    answers: HashMap<Question, Answer>,
}

/// The things that fit a question.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answer {
    pub keys: Vec<Key>,
    /// How many there are beyond.
    pub more: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { known: Known::to_be_asked(KnownNames::None), answers: HashMap::new() }
    }
}

impl Store {
    /// Takes an answer: the things that fit, in their order, and how many there are in all.
    pub fn take(&mut self, question: Question, found: Vec<(Key, State)>, total: u64) {
        let hits = found.len() as u64;
        let mut keys: Vec<Key> = Vec::new();
        for (key, state) in found {
            // A session can be in the indices of two months.
            let state = match self.known.get(&key) {
                Lookup::Found(known) => {
                    let mut known = known.clone();
                    known.join(&state);
                    known
                }
                Lookup::Nothing | Lookup::NotAsked | Lookup::NotRecalled => state,
            };
            self.known.recall(key.clone(), Some(Arc::new(state)));
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if let Question::Of(key) = &question
            && keys.is_empty()
        {
            self.known.recall(key.clone(), None);
        }
        self.answers.insert(question, Answer { keys, more: total.saturating_sub(hits) });
    }

    /// Every state that some answer brought.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The things that fit a question; None where it was not asked yet.
    pub fn answer(&self, question: &Question) -> Option<&Answer> {
        self.answers.get(question)
    }
}

/// The kind of a stored document, by the index that it is in.
pub fn kind_of(index: &str, names: &crate::names::Names) -> Option<Kind> {
    let sessions = format!("{}-", names.sessions());
    match index {
        index if index == names.resources() => Some(Kind::Resources),
        index if index == names.identities() => Some(Kind::Identities),
        index if index.starts_with(&sessions) => Some(Kind::Sessions),
        _ => None,
    }
}
