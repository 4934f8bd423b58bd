//! What a record tells of one thing, in the record's own texts. Memory knows most of it already, and then nothing is
//! copied.

use std::borrow::Cow;
use std::sync::Arc;

use super::key::Key;
use super::stamp::Stamp;
use super::state::{Fact, State};
use super::word::{Content, Word};

/// The words of one record about one thing.
#[derive(Debug, Clone)]
pub struct Told<'t> {
    pub key: Key,
    words: Vec<Word<'t>>,
}

/// Words that a record usually has about one thing.
const WORDS: usize = 16;

impl<'t> Told<'t> {
    /// Begins with no words about this thing.
    pub fn about(key: Key) -> Self {
        Self { key, words: Vec::with_capacity(WORDS) }
    }

    /// The same words about another thing.
    #[must_use]
    pub fn of_another(&self, key: Key) -> Self {
        Self { key, words: self.words.clone() }
    }

    /// As [`State::say`] keeps it.
    pub fn say(&mut self, field: impl Into<Cow<'t, str>>, at: &'t Stamp, is: impl Into<Cow<'t, str>>) {
        self.tell(field, at, Content::Latest(is.into()));
    }

    /// Says the id of the key.
    pub fn say_id(&mut self, field: impl Into<Cow<'t, str>>) {
        self.tell(field, Stamp::always(), Content::Id);
    }

    /// The same of what there may be none of.
    pub fn say_what_is(&mut self, field: impl Into<Cow<'t, str>>, at: &'t Stamp, is: Option<&'t str>) {
        let is = is.map_or_else(|| Content::LatestOf(Vec::new()), |is| Content::Latest(is.into()));
        self.tell(field, at, is);
    }

    /// As [`State::say`] keeps several values or none.
    pub fn say_all(&mut self, field: impl Into<Cow<'t, str>>, at: &'t Stamp, is: Vec<Cow<'t, str>>) {
        self.tell(field, at, Content::LatestOf(is));
    }

    /// As [`State::say_first`] keeps it.
    pub fn say_first(&mut self, field: impl Into<Cow<'t, str>>, at: &'t Stamp, is: impl Into<Cow<'t, str>>) {
        self.tell(field, at, Content::Earliest(is.into()));
    }

    /// As [`State::add_newest`] keeps it.
    pub fn add_newest(
        &mut self,
        set: impl Into<Cow<'t, str>>,
        at: &'t Stamp,
        member: impl Into<Cow<'t, str>>,
    ) {
        self.tell(set, at, Content::Newest(member.into()));
    }

    /// As [`State::add_oldest`] keeps it.
    pub fn add_oldest(
        &mut self,
        set: impl Into<Cow<'t, str>>,
        at: &'t Stamp,
        member: impl Into<Cow<'t, str>>,
    ) {
        self.tell(set, at, Content::Oldest(member.into()));
    }

    fn tell(&mut self, name: impl Into<Cow<'t, str>>, at: &'t Stamp, is: Content<'t>) {
        self.words.push(Word { name: name.into(), at, is });
    }

    /// Whether no word is left.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Leaves out the words with which the state would stay as it is.
    pub fn leave_out(&mut self, known_to: &State) {
        self.leave_out_if(|word, key| known_to.has_heard(word, key));
    }

    pub(super) fn leave_out_if(&mut self, is_known: impl Fn(&Word<'_>, &Key) -> bool) {
        let Self { key, words } = self;
        words.retain(|word| !is_known(word, key));
    }

    /// What is stored and sent.
    pub fn into_fact(self) -> Fact {
        let mut state = State::with_room_for(&self.words);
        for Word { name, at, is } in self.words {
            match is {
                Content::Latest(is) => state.say(&name, at, [is]),
                Content::LatestOf(is) => state.say(&name, at, is),
                Content::Id => state.say(&name, at, [&*self.key.id]),
                Content::Earliest(is) => state.say_first(&name, at, is),
                Content::Newest(is) => state.add_newest(&name, at, is),
                Content::Oldest(is) => state.add_oldest(&name, at, is),
            }
        }
        state.shrink();
        Fact { key: self.key, state: Arc::new(state) }
    }
}
