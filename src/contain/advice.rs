//! Says for people how one thing is contained, by the same steps as the script (pure).

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Plan;
use super::scene::{Scene, Thing};
use super::steps::{BOOK, Happened, Phase};

/// One thing and what became of it.
#[derive(Debug, Default)]
pub struct Concerned {
    pub kind: String,
    /// What fills the placeholders of steps: `name`, `arn`, and what memory knows as `before.…` and `now.…`.
    pub facts: BTreeMap<String, String>,
    pub is_made: bool,
    /// The calls that changed it, each with what it asked for.
    pub calls: Vec<(String, BTreeMap<String, String>)>,
}

/// A step in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    pub phase: Phase,
    pub title: String,
    pub reference: &'static str,
}

/// The steps that contain it, in their order; those that would put back what nobody knows are left out.
pub fn advised(concerned: Concerned) -> Vec<Advised> {
    let Concerned { kind, facts, is_made, calls } = concerned;
    let happened = if is_made { Happened::Made } else { Happened::Changed };
    let thing = Thing { kind, facts, calls, happened: BTreeSet::from([happened]), ..Thing::default() };
    let scene = Scene { things: vec![thing], ..Scene::default() };
    let planned = Plan::of(&scene, &BOOK, "").planned.into_iter();
    let known = planned.filter(|one| !one.title.contains("(not known)"));
    let advise = |one: super::plan::Planned| Advised {
        phase: one.step.phase,
        title: one.title,
        reference: &one.step.reference,
    };
    known.map(advise).collect()
}

/// Why nothing contains things of a kind.
pub fn reason_for_none(kind: &str) -> Option<&'static str> {
    BOOK.without.get(kind).map(String::as_str)
}
