//! Tracks the objects that have begun, and knows up to which one all are done (pure).
//!
//! Objects are done in any order. The checkpoint may only name one before which nothing is missing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Where an item is in the order of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of its place, from 0.
    pub place: usize,
    /// The key or the path.
    pub key: String,
}

/// The items in flight, in order. Its length is the distance between the oldest and the newest.
#[derive(Debug, Default)]
pub struct Window {
    /// The number of the first that is kept.
    first: u64,
    items: VecDeque<(Position, State)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    Ended,
}

impl Window {
    /// Adds the next item in the order of the job, and gives it a number.
    pub fn begin(&mut self, position: Position) -> u64 {
        self.items.push_back((position, State::InFlight));
        self.first + self.items.len() as u64 - 1
    }

    /// Marks an item as done. Returns the last position up to which everything is done, if that moved.
    pub fn end(&mut self, number: u64) -> Option<Position> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.items.get_mut(at)?.1 = State::Ended;
        let mut done = None;
        while self.items.front().is_some_and(|(_, state)| *state == State::Ended) {
            done = self.items.pop_front().map(|(position, _)| position);
            self.first += 1;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(key: &str) -> Position {
        Position { place: 0, key: key.to_owned() }
    }

    #[test]
    fn nothing_is_passed_that_has_not_ended() {
        let mut window = Window::default();
        let numbers: Vec<u64> = ["a", "b", "c", "d"].map(|key| window.begin(position(key))).to_vec();
        assert_eq!(window.end(numbers[2]), None);
        assert_eq!(window.end(numbers[1]), None);
        assert_eq!(window.end(numbers[0]), Some(position("c")), "a, b and c have ended");
        let e = window.begin(position("e"));
        assert_eq!(window.end(e), None, "d has not");
        assert_eq!(window.end(numbers[3]), Some(position("e")));
        assert!(window.items.is_empty());
        assert_eq!(window.end(numbers[0]), None, "what has ended twice moves nothing");
    }
}
