//! What is known of one thing, and the one operation on it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::key::Key;
use super::members::{Keeps, Members, OLDEST, compare};
use super::sorted::Sorted;
use super::stamp::Stamp;
use super::word::{Content, Word};

/// Values that a field keeps; behind them stands how many more there are.
const MOST_VALUES: usize = 64;
/// Bytes of a text that are kept. No name of AWS is longer than an ARN, of which the longest has 2,048.
const LONGEST: usize = 2_048;

/// The field of a stored document that holds the state with its stamps; the others repeat it for people and panels.
pub const FIELD: &str = "memory";

/// About the bytes that the allocator takes for a block beside those that are asked for.
const OF_BLOCK: usize = 16;

/// What is known of one thing: fields under dotted names, each name in one of four groups. A copy shares its values and
/// sets until one of them changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct State {
    /// Of which the later record counts.
    #[serde(skip_serializing_if = "Sorted::is_empty")]
    latest: Sorted<Said>,
    /// Of which the earlier record counts.
    #[serde(skip_serializing_if = "Sorted::is_empty")]
    earliest: Sorted<Said>,
    /// Sets that keep the members that were seen last, with when that was.
    #[serde(skip_serializing_if = "Sorted::is_empty")]
    newest: Sorted<Arc<Members>>,
    /// Sets that keep the members that were seen first, with when that was.
    #[serde(skip_serializing_if = "Sorted::is_empty")]
    oldest: Sorted<Arc<Members>>,
}

/// A state as it is stored, each stamp with a text of its own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    latest: Sorted<Said>,
    earliest: Sorted<Said>,
    newest: Sorted<Arc<Members>>,
    oldest: Sorted<Arc<Members>>,
}

/// A value and who said it. Every value is a list of texts, so that OpenSearch's script and this code compare them
/// alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub at: Stamp,
    pub is: Arc<[String]>,
}

/// When a member of a set of the oldest was seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'s> {
    At(&'s Stamp),
    Never,
    /// The set is full, so that the member may have been seen and dropped.
    Unknown,
}

/// What one record tells of one thing. Whoever has to do with it until it is stored shares the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub key: Key,
    pub state: Arc<State>,
}

impl State {
    /// An empty one with room for these words.
    pub(super) fn with_room_for(words: &[Word<'_>]) -> Self {
        let said = |is_it: fn(&Content<'_>) -> bool| {
            let names = words.iter().filter(|word| is_it(&word.is)).map(|word| word.name.len());
            Sorted::with_room(names.clone().count(), names.sum())
        };
        Self {
            latest: said(|is| matches!(is, Content::Latest(_) | Content::LatestOf(_) | Content::Id)),
            earliest: said(|is| matches!(is, Content::Earliest(_))),
            ..Self::default()
        }
    }

    /// Says that a field has a value since a record. An empty list says that it has none any more.
    pub fn say(&mut self, field: &str, at: &Stamp, is: impl IntoIterator<Item = impl Into<String>>) {
        let mut values = is.into_iter().map(Into::into).map(shortened);
        let mut is: Vec<String> = values.by_ref().take(MOST_VALUES).collect();
        let more = values.count();
        if more > 0 {
            is.push(format!("… and {more} more"));
        }
        self.latest.insert(field, Said { at: at.clone(), is: is.into() });
    }

    /// Says what only the first record about it may say.
    pub fn say_first(&mut self, field: &str, at: &Stamp, is: impl Into<String>) {
        self.earliest.insert(field, Said { at: at.clone(), is: [shortened(is.into())].into() });
    }

    /// Adds a member to a set of those seen last.
    pub fn add_newest(&mut self, set: &str, at: &Stamp, member: impl Into<String>) {
        Arc::make_mut(self.newest.get_or_default(set)).insert(&shortened(member.into()), at.clone());
    }

    /// Adds a member to a set of those seen first.
    pub fn add_oldest(&mut self, set: &str, at: &Stamp, member: impl Into<String>) {
        Arc::make_mut(self.oldest.get_or_default(set)).insert(&shortened(member.into()), at.clone());
    }

    /// Whether nothing is known of the thing.
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty() && self.earliest.is_empty() && self.newest.is_empty() && self.oldest.is_empty()
    }

    /// Takes what another state knows, and tells whether that was anything new.
    pub fn join(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (field, said) in other.latest.iter() {
            changed |= keep(&mut self.latest, field, said, later);
        }
        for (field, said) in other.earliest.iter() {
            changed |= keep(&mut self.earliest, field, said, earlier);
        }
        for (set, members) in other.newest.iter() {
            changed |= unite(&mut self.newest, set, members, Keeps::Newest);
        }
        for (set, members) in other.oldest.iter() {
            changed |= unite(&mut self.oldest, set, members, Keeps::Oldest);
        }
        changed
    }

    /// Whether a join with the other would change nothing.
    pub fn knows(&self, other: &Self) -> bool {
        let is_said = |known: &Sorted<Said>, field: &str, said: &Said, order: Ordered| {
            known.get(field).is_some_and(|old| !wins(said, old, order))
        };
        let has = |known: &Sorted<Arc<Members>>, set: &str, members: &Members, keeps| {
            known.get(set).is_some_and(|known| known.has_all(members, keeps))
        };
        other.latest.iter().all(|(field, said)| is_said(&self.latest, field, said, later))
            && other.earliest.iter().all(|(field, said)| is_said(&self.earliest, field, said, earlier))
            && other.newest.iter().all(|(set, it)| has(&self.newest, set, it, Keeps::Newest))
            && other.oldest.iter().all(|(set, it)| has(&self.oldest, set, it, Keeps::Oldest))
    }

    /// Whether a word is known to change nothing. It may be said of one that would not be kept whole that it changes
    /// something.
    pub(super) fn has_heard(&self, word: &Word<'_>, key: &Key) -> bool {
        let Word { name, at, is } = word;
        let is_said = |known: &Sorted<Said>, is: &[Cow<'_, str>], keeps: Keeps| {
            let is_whole = is.len() <= MOST_VALUES && is.iter().all(|text| text.len() <= LONGEST);
            is_whole
                && known.get(name).is_some_and(|old| {
                    keeps.order(at, &old.at).then_with(|| compare_lists(is, &old.is)) != Ordering::Greater
                })
        };
        let has = |known: &Sorted<Arc<Members>>, member: &str, keeps| {
            member.len() <= LONGEST && known.get(name).is_some_and(|known| !known.is_new((member, at), keeps))
        };
        match is {
            Content::Latest(is) => is_said(&self.latest, std::slice::from_ref(is), Keeps::Newest),
            Content::LatestOf(is) => is_said(&self.latest, is, Keeps::Newest),
            Content::Id => is_said(&self.latest, &[Cow::Borrowed(&key.id)], Keeps::Newest),
            Content::Earliest(is) => is_said(&self.earliest, std::slice::from_ref(is), Keeps::Oldest),
            Content::Newest(member) => has(&self.newest, member, Keeps::Newest),
            Content::Oldest(member) => has(&self.oldest, member, Keeps::Oldest),
        }
    }

    /// The values of a field; none of what is not known, and an empty list of what is known to be absent.
    pub fn values(&self, field: &str) -> Option<&[String]> {
        self.said(field).map(|said| &*said.is)
    }

    /// The first value of a field.
    pub fn value(&self, field: &str) -> Option<&str> {
        self.values(field)?.first().map(String::as_str)
    }

    /// What a field holds and which record said so; the last word counts before the first one.
    pub fn said(&self, field: &str) -> Option<&Said> {
        self.latest.get(field).or_else(|| self.earliest.get(field))
    }

    /// The fields whose names begin so.
    pub fn fields<'s>(&'s self, beginning: &'s str) -> impl Iterator<Item = (&'s str, &'s Said)> {
        self.latest.beginning(beginning)
    }

    /// The members of a set with their stamps, by name.
    pub fn members(&self, set: &str) -> impl Iterator<Item = (&str, &Stamp)> {
        let members = self.newest.get(set).or_else(|| self.oldest.get(set));
        members.into_iter().flat_map(|members| members.by_name().iter())
    }

    /// When a member of a set of the oldest was seen first.
    pub fn seen(&self, set: &str, member: &str) -> Seen<'_> {
        let members = self.oldest.get(set).map(|members| members.by_name());
        let known = members.and_then(|members| match member.len() {
            ..=LONGEST => members.get(member),
            _ => members.get(&shortened(member.to_owned())),
        });
        match known {
            Some(at) => Seen::At(at),
            None if members.is_some_and(|members| members.len() >= OLDEST) => Seen::Unknown,
            None => Seen::Never,
        }
    }

    /// About the bytes that it takes with all that it points at. A stamp that several share is counted where it stands
    /// first.
    pub fn size(&self) -> usize {
        let mut last = Stamp::always();
        let mut stamp = |at| {
            let is_shared = std::mem::replace(&mut last, at) == at;
            if is_shared { 0 } else { at.as_str().len() + 2 * OF_BLOCK }
        };
        let mut bytes = size_of::<Self>();
        for group in [&self.latest, &self.earliest] {
            bytes += group.size(OF_BLOCK);
            for (_, said) in group.iter() {
                let texts = said.is.iter().map(|text| text.len() + size_of::<String>() + OF_BLOCK);
                bytes += stamp(&said.at) + OF_BLOCK + texts.sum::<usize>();
            }
        }
        for sets in [&self.newest, &self.oldest] {
            bytes += sets.size(OF_BLOCK);
            for members in sets.values().map(|members| members.by_name()) {
                bytes += size_of::<Members>()
                    + OF_BLOCK
                    + members.size(OF_BLOCK)
                    + members.iter().map(|(_, at)| stamp(at)).sum::<usize>();
            }
        }
        bytes
    }

    /// Gives back the room that it grew into.
    pub(super) fn shrink(&mut self) {
        self.latest.shrink();
        self.earliest.shrink();
        for sets in [&mut self.newest, &mut self.oldest] {
            sets.values_mut().for_each(|members| Arc::make_mut(members).shrink());
            sets.shrink();
        }
    }

    /// The document that OpenSearch's script makes of it.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        for (field, said) in self.latest.iter().chain(self.earliest.iter()) {
            match &said.is[..] {
                [] => {}
                [value] => drop(document.insert(field.to_owned(), json!(value))),
                values => drop(document.insert(field.to_owned(), json!(values))),
            }
        }
        for (set, members) in self.newest.iter().chain(self.oldest.iter()) {
            let mut names: Vec<&str> = members.by_name().iter().map(|(name, _)| name).collect();
            names.sort_by(|a, b| compare(a, b));
            document.insert(set.to_owned(), names.into());
        }
        document.insert(FIELD.to_owned(), json!(self));
        Value::Object(document)
    }
}

impl From<Stored> for State {
    fn from(Stored { latest, earliest, newest, oldest }: Stored) -> Self {
        let mut state = Self { latest, earliest, newest, oldest };
        let mut known: BTreeSet<Stamp> = BTreeSet::new();
        let said = state.latest.values_mut().chain(state.earliest.values_mut()).map(|said| &mut said.at);
        let sets = state
            .newest
            .values_mut()
            .chain(state.oldest.values_mut())
            .flat_map(|members| Arc::make_mut(members).stamps_mut());
        for stamp in said.chain(sets) {
            match known.get(stamp) {
                Some(shared) => *stamp = shared.clone(),
                None => drop(known.insert(stamp.clone())),
            }
        }
        state.newest.values_mut().for_each(|members| Arc::make_mut(members).settle(Keeps::Newest));
        state.oldest.values_mut().for_each(|members| Arc::make_mut(members).settle(Keeps::Oldest));
        state
    }
}

/// Says whether the first beats the second.
type Ordered = fn(&Said, &Said) -> Ordering;

fn later(new: &Said, old: &Said) -> Ordering {
    new.at.cmp(&old.at)
}

fn earlier(new: &Said, old: &Said) -> Ordering {
    old.at.cmp(&new.at)
}

/// Of one record's two words the greater wins, so that no order decides.
fn wins(said: &Said, old: &Said, order: Ordered) -> bool {
    order(said, old).then_with(|| compare_lists(&said.is, &old.is)) == Ordering::Greater
}

/// Keeps what is later or earlier.
fn keep(known: &mut Sorted<Said>, field: &str, said: &Said, order: Ordered) -> bool {
    match known.get_mut(field) {
        Some(old) => {
            let wins = wins(said, old, order);
            if wins {
                *old = said.clone();
            }
            wins
        }
        None => {
            known.insert(field, said.clone());
            true
        }
    }
}

/// Unites a set with another one, and tells whether that changed anything.
fn unite(known: &mut Sorted<Arc<Members>>, set: &str, other: &Arc<Members>, keeps: Keeps) -> bool {
    match known.get_mut(set) {
        Some(known) => !known.has_all(other, keeps) && Arc::make_mut(known).unite(other, keeps),
        None if other.by_name().len() < keeps.most() => {
            known.insert(set, Arc::clone(other));
            true
        }
        None => Arc::make_mut(known.get_or_default(set)).unite(other, keeps),
    }
}

/// The text, or the beginning of a long one with a hash of the whole, so that two long ones stay two.
pub fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let hash = hex::encode(&Sha256::digest(text.as_bytes())[..8]);
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
        text.push_str(&hash);
    }
    text
}

fn compare_lists(a: &[impl AsRef<str>], b: &[String]) -> Ordering {
    let first = a.iter().zip(b).map(|(a, b)| compare(a.as_ref(), b)).find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests;
