//! What somebody means by a name (pure).

use sagetrail_core::memory::{Key, Kind};

use super::grow::{Thing, role_of};
use super::question::Question;
use super::store::Store;

/// What a name says by itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant {
    One(Thing),
    /// Whatever the answers to these have.
    Named(Vec<Question>),
}

/// Tells an access key and the ARN of a session by their form; anything else has to be asked for.
pub fn meant(asked: &str) -> Meant {
    if is_access_key(asked) {
        return Meant::One(Thing::Kept(Key::session(asked)));
    }
    if asked.starts_with("arn:") && role_of(asked).is_some() {
        return Meant::One(Thing::Session(asked.to_owned()));
    }
    let name = asked.to_owned();
    Meant::Named(vec![
        Question::Named(name.clone()),
        Question::IssuedFor(name.clone()),
        Question::MadeFor(name),
    ])
}

/// The things that a name fits, and how many more there are. Those that it fits as a whole leave out the others.
pub fn candidates(asked: &str, store: &Store) -> (Vec<Thing>, u64) {
    let named = store.answer(&Question::Named(asked.to_owned())).cloned().unwrap_or_default();
    let arn = |key: &Key| {
        let state = store.known().get(key).found();
        state.and_then(|state| state.value("arn")).map(Key::resource)
    };
    let whole = Key::resource(asked);
    let is_exact =
        |key: &&Key| *key.id == *asked || **key == whole || arn(key).is_some_and(|arn| arn == whole);
    let exact: Vec<Key> = named.keys.iter().filter(is_exact).cloned().collect();
    let (keys, more) = if exact.is_empty() { (named.keys, named.more) } else { (exact, 0) };
    // A role's tree has the identity that calls with it.
    let has_role =
        |key: &Key| key.kind == Kind::Identities && arn(key).is_some_and(|arn| keys.contains(&arn));
    let mut things: Vec<Thing> = keys.iter().filter(|key| !has_role(key)).cloned().map(Thing::Kept).collect();
    let is_behind =
        |question: Question| store.answer(&question).is_some_and(|answer| !answer.keys.is_empty());
    let is_person =
        is_behind(Question::IssuedFor(asked.to_owned())) || is_behind(Question::MadeFor(asked.to_owned()));
    // The tree of a user or workload with this ARN has what it is behind.
    if is_person && (things.is_empty() || !asked.starts_with("arn:")) {
        things.push(Thing::Person(asked.to_owned()));
    }
    (things, more)
}

fn is_access_key(text: &str) -> bool {
    let begins = text.starts_with("ASIA") || text.starts_with("AKIA");
    begins
        && (16..=128).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
}
