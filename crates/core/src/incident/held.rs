//! The signals of one origin that are at hand.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::Signal;

/// Signals by their ids, in the order in which they came.
#[derive(Debug, Default)]
pub struct Held {
    signals: Vec<Signal>,
    places: HashMap<String, usize>,
    latest: Option<OffsetDateTime>,
}

impl Held {
    /// Whether a signal is known as it is.
    pub fn has(&self, signal: &Signal) -> bool {
        self.places.get(&signal.id).is_some_and(|place| self.signals[*place] == *signal)
    }

    /// Takes a signal in place of what it said before, which is returned.
    pub fn put(&mut self, signal: Signal) -> Option<Signal> {
        self.latest = self.latest.max(Some(signal.time));
        if let Some(place) = self.places.get(&signal.id) {
            return Some(std::mem::replace(&mut self.signals[*place], signal));
        }
        self.places.insert(signal.id.clone(), self.signals.len());
        self.signals.push(signal);
        None
    }

    /// Signals of events at a time or later, in the order in which they came.
    pub fn since(&self, from: OffsetDateTime) -> impl Iterator<Item = &Signal> {
        self.signals.iter().filter(move |signal| signal.time >= from)
    }

    /// The time of the latest event that ever came, also when its signal was forgotten since.
    pub fn latest(&self) -> Option<OffsetDateTime> {
        self.latest
    }

    /// Lets go of what happened before a time, and says whether anything is left.
    pub fn forget(&mut self, oldest: OffsetDateTime) -> bool {
        let before = self.signals.len();
        self.signals.retain(|signal| signal.time >= oldest);
        if self.signals.len() < before {
            let places = self.signals.iter().enumerate();
            self.places = places.map(|(place, signal)| (signal.id.clone(), place)).collect();
        }
        !self.signals.is_empty()
    }
}
