//! Sets that keep a number of members, each with when it was seen.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::sorted::Sorted;
use super::stamp::Stamp;

/// Members that a set of the newest keeps.
pub const NEWEST: usize = 32;
/// Members that a set of the oldest keeps.
pub const OLDEST: usize = 128;

/// Which members a set keeps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keeps {
    /// Those that were seen last, with when that was.
    Newest,
    /// Those that were seen first, with when that was.
    Oldest,
}

impl Keeps {
    pub(super) fn most(self) -> usize {
        match self {
            Self::Newest => NEWEST,
            Self::Oldest => OLDEST,
        }
    }

    /// The greater stamp stays.
    pub(super) fn order(self, a: &Stamp, b: &Stamp) -> Ordering {
        match self {
            Self::Newest => a.cmp(b),
            Self::Oldest => b.cmp(a),
        }
    }

    /// Of two with one stamp the lesser name stays.
    fn beats(self, (a, a_at): (&str, &Stamp), (b, b_at): (&str, &Stamp)) -> bool {
        self.order(a_at, b_at).then_with(|| compare(b, a)) == Ordering::Greater
    }
}

/// Members by name, each with its stamp.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Members {
    by_name: Sorted<Stamp>,
    /// The place of the member that goes next, where the set is full and that was found: others are compared with it
    /// alone.
    #[serde(skip)]
    next: Option<usize>,
}

impl Members {
    pub(super) fn by_name(&self) -> &Sorted<Stamp> {
        &self.by_name
    }

    pub(super) fn insert(&mut self, member: &str, at: Stamp) {
        self.by_name.insert(member, at);
        self.next = None;
    }

    pub(super) fn stamps_mut(&mut self) -> impl Iterator<Item = &mut Stamp> {
        self.by_name.values_mut()
    }

    pub(super) fn shrink(&mut self) {
        self.by_name.shrink();
    }

    /// Unites it with another one; of too many members the losing end goes. Tells whether that changed anything.
    pub(super) fn unite(&mut self, other: &Self, keeps: Keeps) -> bool {
        let mut changed = false;
        for (member, at) in other.by_name.iter() {
            if !self.is_new((member, at), keeps) {
                continue;
            }
            if self.by_name.get(member).is_none()
                && self.by_name.len() >= keeps.most()
                && let Some(loser) = self.next.or_else(|| self.loser(keeps).map(|(place, ..)| place))
            {
                self.by_name.remove_at(loser);
            }
            self.insert(member, at.clone());
            self.settle(keeps);
            changed = true;
        }
        changed
    }

    /// Finds the member that goes next.
    pub(super) fn settle(&mut self, keeps: Keeps) {
        let is_full = self.by_name.len() >= keeps.most();
        self.next = if is_full { self.loser(keeps).map(|(place, ..)| place) } else { None };
    }

    /// Whether a union with another set would change nothing.
    pub(super) fn has_all(&self, other: &Self, keeps: Keeps) -> bool {
        !other.by_name.iter().any(|member| self.is_new(member, keeps))
    }

    /// Whether the set would change with the member.
    pub(super) fn is_new(&self, (member, at): (&str, &Stamp), keeps: Keeps) -> bool {
        let next = self.next.and_then(|place| self.by_name.at(place));
        // All others stay before it does.
        if next.is_some_and(|(_, last)| keeps.order(at, last) == Ordering::Less) {
            return false;
        }
        match self.by_name.get(member) {
            Some(old) => keeps.order(at, old) == Ordering::Greater,
            None if self.by_name.len() < keeps.most() => true,
            None => {
                let loser = next.or_else(|| self.loser(keeps).map(|(_, member, at)| (member, at)));
                loser.is_some_and(|loser| keeps.beats((member, at), loser))
            }
        }
    }

    /// The member that goes next, with its place.
    fn loser(&self, keeps: Keeps) -> Option<(usize, &str, &Stamp)> {
        let stamps = self.by_name.values().enumerate();
        let (_, at) = stamps.clone().min_by(|(_, a), (_, b)| keeps.order(a, b))?;
        let alike = stamps
            .filter(|(_, stamp)| *stamp == at)
            .filter_map(|(place, _)| Some((place, self.by_name.at(place)?)));
        let loser = alike.max_by(|(_, (a, _)), (_, (b, _))| compare(a, b));
        loser.map(|(place, (member, at))| (place, member, at))
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl Eq for Members {}

/// The order of Java's strings, which is by units of UTF-16.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a == b { Ordering::Equal } else { a.encode_utf16().cmp(b.encode_utf16()) }
}
