//! Grows the tree from what was answered, and says what has to be asked before it is whole (pure).
//!
//! The nearest things come first, so that a bound cuts off what is farthest. Each thing stands in the tree once, with
//! what is known of it, so that circles end.

use std::collections::{HashSet, VecDeque};

use sagetrail_core::memory::{Key, Kind, Lookup, State};

use super::question::Question;
use super::store::Store;
use super::summary::{everything, origin, summary};
use super::tree::{Branch, Node, Twig};

/// How far a tree may grow.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub levels: usize,
    pub things: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { levels: 8, things: 200 }
    }
}

/// What a tree is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Thing {
    Kept(Key),
    /// A session of a role, by its ARN.
    Session(String),
    /// A person or workload, by the name that records vouch for.
    Person(String),
}

/// A tree as far as it can be grown.
#[derive(Debug)]
pub struct Grown {
    pub root: Node,
    /// What has to be asked before it is whole.
    pub wanted: Vec<Question>,
    pub cut: Option<String>,
}

/// Grows the tree of one thing as far as the answers and the bounds allow.
///
/// As long as something is wanted, ask that, put the answers into the store and grow again.
pub fn grow(root: &Thing, store: &Store, bounds: Bounds) -> Grown {
    let mut growing = Growing::new(store, bounds);
    growing.plant(root.clone(), Towards::Both, 0);
    while let Some(next) = growing.queue.pop_front() {
        growing.expand(&next);
    }
    let cut = growing.cut();
    let mut wanted = std::mem::take(&mut growing.wanted);
    wanted.sort();
    wanted.dedup();
    Grown { root: growing.assemble(0), wanted, cut }
}

/// Which way a thing is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Towards {
    Both,
    /// What it stands on and where it comes from.
    Ground,
    /// What stands on it and comes from it.
    Top,
}

struct Growing<'s> {
    store: &'s Store,
    bounds: Bounds,
    wanted: Vec<Question>,
    seen: HashSet<Thing>,
    nodes: Vec<Option<Half>>,
    queue: VecDeque<Next>,
    cut_levels: bool,
    cut_things: bool,
}

/// A node whose branches have places of other nodes.
#[derive(Default)]
struct Half {
    node: Node,
    branches: Vec<(&'static str, Vec<Stub>, u64)>,
}

enum Stub {
    Place(usize),
    Twig(Twig),
}

struct Next {
    thing: Thing,
    towards: Towards,
    place: usize,
    level: usize,
}

impl<'s> Growing<'s> {
    fn new(store: &'s Store, bounds: Bounds) -> Self {
        Self {
            store,
            bounds,
            wanted: Vec::new(),
            seen: HashSet::new(),
            nodes: Vec::new(),
            queue: VecDeque::new(),
            cut_levels: false,
            cut_things: false,
        }
    }

    /// Gives a thing its place in the tree, unless it has one.
    fn plant(&mut self, thing: Thing, towards: Towards, level: usize) -> Stub {
        let name = thing.name().to_owned();
        if self.seen.contains(&thing) {
            return Stub::Twig(Twig::Elsewhere(name));
        }
        let (is_deep, is_full) = (level > self.bounds.levels, self.nodes.len() >= self.bounds.things);
        self.cut_levels |= is_deep;
        self.cut_things |= is_full && !is_deep;
        if is_deep || is_full {
            return Stub::Twig(Twig::Beyond(name));
        }
        self.seen.insert(thing.clone());
        let place = self.nodes.len();
        self.nodes.push(Some(Half::default()));
        self.queue.push_back(Next { thing, towards, place, level });
        Stub::Place(place)
    }

    fn expand(&mut self, next: &Next) {
        let store = self.store;
        let mut half = Half::default();
        next.thing.name().clone_into(&mut half.node.name);
        half.node.what = next.thing.what(store);
        let mut relations = Vec::new();
        match &next.thing {
            Thing::Kept(key) => {
                let state = self.state(key);
                if let Some(state) = state {
                    half.node.known = true;
                    let is_root = next.level == 0;
                    // An identity is shown whole below the role that it calls with.
                    let is_whole = is_root || next.level == 1 && key.kind == Kind::Identities;
                    half.node.facts = if is_whole { everything(state) } else { summary(state) };
                    half.node.facts.extend(origin(key, state, store.known()).filter(|_| is_root));
                }
                if next.towards != Towards::Top {
                    relations.extend(self.ground(key, state));
                }
                if next.towards != Towards::Ground {
                    relations.extend(self.top(key, state));
                }
            }
            Thing::Session(arn) => {
                relations.extend(role_of(arn).map(|role| {
                    ("is a session of", vec![Related::thing(Key::resource(&role), Towards::Ground)], 0)
                }));
                relations.push(self.ask(
                    "has the temporary keys",
                    Question::IssuedTo(arn.clone()),
                    Towards::Both,
                ));
                relations.push(self.ask("made or changed", Question::MadeAs(arn.clone()), Towards::Top));
            }
            Thing::Person(name) => {
                relations.push(self.ask(
                    "is behind the temporary keys",
                    Question::IssuedFor(name.clone()),
                    Towards::Top,
                ));
                relations.push(self.ask("is behind", Question::MadeFor(name.clone()), Towards::Top));
            }
        }
        for (says, related, more) in relations {
            let stubs: Vec<Stub> = related
                .into_iter()
                .map(|related| match related {
                    Related::Thing(thing, towards) => self.plant(thing, towards, next.level + 1),
                    Related::Missing(what) => Stub::Twig(Twig::Missing(what)),
                    Related::Named(what, name) => Stub::Twig(Twig::Node(Node {
                        what: what.to_owned(),
                        name,
                        known: true,
                        ..Node::default()
                    })),
                })
                .collect();
            if !stubs.is_empty() {
                half.branches.push((says, stubs, more));
            }
        }
        self.nodes[next.place] = Some(half);
    }

    /// What is known of a thing, which is asked for where it was not yet.
    fn state(&mut self, key: &Key) -> Option<&'s State> {
        let state = self.store.known().get(key);
        if state == Lookup::NotAsked {
            self.wanted.push(Question::Of(key.clone()));
        }
        state.found()
    }

    fn ask(&mut self, says: &'static str, question: Question, towards: Towards) -> Relation {
        let Some(answer) = self.store.answer(&question) else {
            self.wanted.push(question);
            return (says, Vec::new(), 0);
        };
        let things = answer.keys.iter().map(|key| Related::thing(key.clone(), towards));
        (says, things.collect(), answer.more)
    }

    /// What a thing stands on, and where it comes from.
    fn ground(&mut self, key: &Key, state: Option<&State>) -> Vec<Relation> {
        match (key.kind, state) {
            (Kind::Sessions, state) => vec![("was issued with", vec![issuer(key, state)], 0)],
            (Kind::Resources, Some(state)) => {
                let texts = |field: &str| state.values(field).unwrap_or_default().iter();
                let foundations =
                    ["uses", "configuration.role", "configuration.kms_key", "configuration.subnet"];
                let mut named: Vec<Key> = foundations
                    .into_iter()
                    .flat_map(texts)
                    .filter(|name| name.starts_with("arn:") || name.starts_with("subnet-"))
                    .map(|name| Key::resource(name))
                    .collect();
                let (says, given, more) =
                    self.ask("stands on", Question::GivenTo(key.clone()), Towards::Ground);
                let is_given = |named: &Key| given.iter().any(|given| given.is(named));
                named.retain(|named| !is_given(named) && named != key);
                named.dedup();
                let named = named.into_iter().map(|key| Related::thing(key, Towards::Ground));
                let mut relations = vec![(says, named.chain(given).collect(), more)];
                for (says, field) in [("was made with", "created.key"), ("was changed with", "changed.key")] {
                    let session = state.value(field).filter(|key| key.starts_with("ASIA"));
                    relations.extend(session.map(|session| {
                        (says, vec![Related::thing(Key::session(session), Towards::Ground)], 0)
                    }));
                }
                relations
            }
            (Kind::Identities, Some(state)) => {
                let role = state.value("arn").filter(|arn| arn.contains(":role/"));
                let role = role.map(|arn| Related::thing(Key::resource(arn), Towards::Ground));
                vec![("calls with", role.into_iter().collect(), 0)]
            }
            (Kind::Resources | Kind::Identities, None) => Vec::new(),
        }
    }

    /// What stands on a thing, and what comes from it.
    fn top(&mut self, key: &Key, state: Option<&State>) -> Vec<Relation> {
        match key.kind {
            Kind::Resources => {
                let (says, mut on_it, more) =
                    self.ask("carries", Question::StandingOn(key.clone()), Towards::Top);
                for (user, _) in state.iter().flat_map(|state| state.members("used_for")) {
                    let user = Key::resource(user);
                    if !on_it.iter().any(|related| related.is(&user)) {
                        on_it.push(Related::thing(user, Towards::Top));
                    }
                }
                let mut relations = vec![(says, on_it, more)];
                if key.id.contains(":role/") {
                    let calling = Question::CallingAs(key.id.to_string());
                    relations.push(self.ask("is called with by", calling, Towards::Top));
                }
                relations
            }
            Kind::Identities if key.id.ends_with("/*") => Vec::new(),
            Kind::Identities => {
                let made = self.ask("made or changed", Question::MadeBy(key.id.to_string()), Towards::Top);
                let arn = state.and_then(|state| state.value("arn")).unwrap_or_default();
                let issued = if let Some(sessions) = sessions_of(arn) {
                    Some(self.ask("has the temporary keys", Question::IssuedTo(sessions), Towards::Top))
                } else if arn.contains(":user/") {
                    Some(self.ask(
                        "is behind the temporary keys",
                        Question::IssuedFor(arn.to_owned()),
                        Towards::Top,
                    ))
                } else {
                    None
                };
                [made].into_iter().chain(issued).collect()
            }
            Kind::Sessions => vec![
                self.ask("issued the temporary keys", Question::IssuedWith(key.id.to_string()), Towards::Top),
                self.ask("made or changed", Question::MadeWith(key.id.to_string()), Towards::Top),
            ],
        }
    }

    fn cut(&self) -> Option<String> {
        let Bounds { levels, things } = self.bounds;
        let reached = [
            self.cut_levels.then(|| format!("it is followed for {levels} levels")),
            self.cut_things.then(|| format!("it has {things} things at most")),
        ];
        let reached: Vec<String> = reached.into_iter().flatten().collect();
        (!reached.is_empty()).then(|| reached.join(", and "))
    }

    fn assemble(&mut self, place: usize) -> Node {
        let Half { mut node, branches } = self.nodes[place].take().unwrap_or_default();
        for (says, stubs, more) in branches {
            let twigs = stubs.into_iter().map(|stub| match stub {
                Stub::Place(place) => Twig::Node(self.assemble(place)),
                Stub::Twig(twig) => twig,
            });
            node.branches.push(Branch { says, twigs: twigs.collect(), more });
        }
        node
    }
}

/// What a branch says, what is on it, and how many more there are.
type Relation = (&'static str, Vec<Related>, u64);

enum Related {
    Thing(Thing, Towards),
    /// Something of which memory keeps no document of its own.
    Named(&'static str, String),
    Missing(String),
}

impl Related {
    fn thing(key: Key, towards: Towards) -> Self {
        Self::Thing(Thing::Kept(key), towards)
    }

    fn is(&self, key: &Key) -> bool {
        matches!(self, Self::Thing(Thing::Kept(known), _) if known == key)
    }
}

impl Thing {
    /// What the tree calls it: the key's id, the session's ARN, or the name of the person or workload.
    pub fn name(&self) -> &str {
        match self {
            Self::Kept(key) => &key.id,
            Self::Session(name) | Self::Person(name) => name,
        }
    }

    fn what(&self, store: &Store) -> String {
        let key = match self {
            Self::Kept(key) => key,
            Self::Session(_) => return "session".to_owned(),
            Self::Person(_) => return "person or workload".to_owned(),
        };
        match key.kind {
            Kind::Sessions if key.id.starts_with("AKIA") => "lasting key".to_owned(),
            Kind::Sessions => "temporary key".to_owned(),
            Kind::Identities => "identity".to_owned(),
            Kind::Resources => {
                let state = store.known().get(key).found();
                state.and_then(|state| state.value("resource.type")).unwrap_or("resource").to_owned()
            }
        }
    }
}

/// The link before a temporary key. None is guessed.
fn issuer(key: &Key, session: Option<&State>) -> Related {
    let Some(session) = session else {
        return Related::Missing(format!("the call that issued {}", key.id));
    };
    if let Some(person) = session.value("issued.person") {
        return Related::Named("person or workload", person.to_owned());
    }
    match (session.value("issued.key").filter(|key| key.starts_with("ASIA")), session.value("issued.by")) {
        (Some(before), _) => Related::thing(Key::session(before), Towards::Ground),
        (None, Some(by)) => Related::Missing(format!("who is behind {by}")),
        (None, None) => Related::Missing(format!("who asked for {}", key.id)),
    }
}

/// The role of a session's ARN.
pub fn role_of(arn: &str) -> Option<String> {
    let (account, session) = arn.split_once(":assumed-role/")?;
    let (role, _) = session.split_once('/')?;
    Some(format!("{}:role/{role}", account.replacen(":sts:", ":iam:", 1)))
}

/// The beginning of the ARNs of a role's sessions, with a star.
fn sessions_of(arn: &str) -> Option<String> {
    let (account, role) = arn.split_once(":role/")?;
    let role = role.rsplit('/').next()?;
    Some(format!("{}:assumed-role/{role}/*", account.replacen(":iam:", ":sts:", 1)))
}

#[cfg(test)]
mod tests;
