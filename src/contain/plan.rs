//! Chooses the steps for what there is, and fills them in (pure).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::argument::{Argument, Filling, Refused};
use super::scene::{Scene, Thing};
use super::steps::{Book, Happened, Phase, Step, Template};
use crate::record::{is_account, is_region};

/// The steps in the order in which they are done.
#[derive(Debug)]
pub struct Plan {
    pub asked: String,
    pub planned: Vec<Planned>,
    /// What is to be known beside the steps.
    pub notes: Vec<String>,
    /// The account that most of it is in.
    pub account: Option<String>,
}

/// A step for one thing.
#[derive(Debug, Serialize)]
pub struct Planned {
    pub number: usize,
    #[serde(skip)]
    pub step: &'static Step,
    pub title: String,
    /// The thing's ARN, or its kind and name.
    pub about: String,
    pub account: Option<String>,
    pub region: Option<String>,
    #[serde(skip)]
    pub keep: Vec<Kept>,
    #[serde(skip)]
    pub run: Vec<Command>,
    #[serde(skip)]
    pub undo: Vec<Command>,
    pub by_hand: Option<String>,
    pub breaks: String,
    /// Who uses it, as far as memory knows.
    pub used: Vec<String>,
    pub undo_says: Option<String>,
    /// What is not known and matters here.
    pub not_known: Vec<String>,
    /// Why its commands cannot be written.
    #[serde(skip)]
    pub refused: Option<Refused>,
}

/// A command of the AWS CLI, without `aws` and what every command has.
pub type Command = Vec<Argument>;

/// A command whose output is kept, and the file that it goes to.
#[derive(Debug, Clone)]
pub struct Kept {
    pub command: Command,
    pub file: String,
}

impl Plan {
    /// Plans the steps that fit the things of a scene, by their phases, each change of a thing once.
    ///
    /// A thing to which something happened and that no step fits becomes a note.
    pub fn of(scene: &Scene, book: &'static Book, asked: &str) -> Self {
        let mut chosen = Vec::new();
        let mut notes = scene.notes.clone();
        for thing in &scene.things {
            let before = chosen.len();
            for step in &book.steps {
                chosen.extend(requests(step, thing).into_iter().map(|request| (step, thing, request)));
            }
            if chosen.len() == before && !thing.happened.is_empty() {
                notes.push(without_step(book, thing));
            }
        }
        chosen.sort_by_key(|(step, ..)| step.phase);
        let mut planned = Vec::new();
        let mut seen = BTreeSet::new();
        for (step, thing, request) in chosen {
            let one = Planned::of(planned.len() + 1, step, thing, &request);
            // One thing may be changed the same way twice.
            if seen.insert((step.id.clone(), one.about.clone(), one.title.clone())) {
                planned.push(one);
            }
        }
        let account = most_frequent(planned.iter().filter_map(|one| one.account.as_deref()));
        Self { asked: asked.to_owned(), planned, notes, account }
    }

    /// The accounts with a command, each once.
    pub fn accounts(&self) -> BTreeSet<&str> {
        let has_command = |one: &&Planned| !(one.keep.is_empty() && one.run.is_empty());
        self.planned.iter().filter(has_command).filter_map(|one| one.account.as_deref()).collect()
    }
}

impl Planned {
    fn of(number: usize, step: &'static Step, thing: &Thing, request: &BTreeMap<String, String>) -> Self {
        let files: Vec<String> = (1..=step.keep.len())
            .map(|place| file_name(number, place, &step.keep[place - 1], thing))
            .collect();
        let filling = Filling { facts: &thing.facts, request, number, kept: &files };
        let account = thing.account.clone().filter(|account| is_account(account));
        let region = thing.region.clone().filter(|region| is_region(region));
        let mut refused = None;
        let mut commands = |templates: &[Vec<Template>]| -> Vec<Command> {
            if account.is_none() || region.is_none() {
                return Vec::new();
            }
            let filled: Result<_, Refused> = templates
                .iter()
                .map(|command| command.iter().map(|it| filling.argument(it)).collect::<Result<Command, _>>())
                .collect();
            filled.unwrap_or_else(|problem| {
                refused = Some(problem);
                Vec::new()
            })
        };
        let (keep, run, undo) = (commands(&step.keep), commands(&step.run), commands(&step.undo));
        let mut not_known = Vec::new();
        if account.is_none() || region.is_none() {
            not_known.push("the account or region that it is in, so no command can be written".to_owned());
        }
        if thing.happened.contains(&Happened::Changed) && !thing.has_before && has_configuration(&thing.kind)
        {
            not_known.push("what its configuration was before: memory had not heard of it".to_owned());
        }
        Self {
            number,
            step,
            title: filling.sentence(&step.title),
            about: about(thing),
            keep: keep
                .into_iter()
                .zip(&files)
                .map(|(command, file)| Kept { command, file: file.clone() })
                .collect(),
            run,
            undo,
            by_hand: step.by_hand.as_ref().map(|text| filling.sentence(text)),
            breaks: filling.sentence(&step.breaks),
            used: thing.used.clone(),
            undo_says: step.undo_says.as_ref().map(|text| filling.sentence(text)),
            not_known,
            refused,
            account,
            region,
        }
    }

    /// The variables that its commands wait for.
    pub fn unknown<'c>(commands: impl IntoIterator<Item = &'c Command>) -> Vec<&'c str> {
        let mut names: Vec<&str> = commands.into_iter().flatten().flat_map(Argument::unknown).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What each use of a step for a thing asked for; none where it is not for that.
fn requests(step: &Step, thing: &Thing) -> Vec<BTreeMap<String, String>> {
    let is_for = step.on.contains(&thing.kind)
        && step.conditions.iter().filter(|it| !is_of_request(it)).all(|it| holds(it, &thing.facts));
    if !is_for {
        return Vec::new();
    }
    if step.when.iter().any(|happened| thing.happened.contains(happened)) {
        return vec![BTreeMap::new()];
    }
    // What is gone, or was made by those who are contained, is not put back.
    if thing.happened.contains(&Happened::Made) && step.phase != Phase::Cut && !is_about_rights(&thing.kind) {
        return Vec::new();
    }
    let is_gone = thing.happened.contains(&Happened::Gone);
    let still_matters = |call: &str| !is_gone || call.starts_with("Delete");
    let matching = thing.calls.iter().filter(|(call, _)| step.calls.contains(call) && still_matters(call));
    let of_request = |request: &&BTreeMap<String, String>| {
        step.conditions.iter().filter(|it| is_of_request(it)).all(|it| holds(it, request))
    };
    matching.map(|(_, request)| request).filter(of_request).cloned().collect()
}

/// Whether a condition asks for what the call asked for, and not for what is known of the thing.
fn is_of_request(condition: &str) -> bool {
    condition.trim_start_matches('!').starts_with("request.")
}

/// Whether the calls on it are each about another right, and not about the whole of it.
fn is_about_rights(kind: &str) -> bool {
    matches!(kind, "role" | "user")
}

fn holds(condition: &str, facts: &BTreeMap<String, String>) -> bool {
    let fact = |name: &str| {
        facts.get(name.strip_prefix("request.").unwrap_or(name)).filter(|value| !value.is_empty())
    };
    if let Some((one, other)) = condition.split_once("!=") {
        fact(one) != fact(other)
    } else if let Some((name, value)) = condition.split_once('=') {
        fact(name).is_some_and(|known| known == value)
    } else if let Some(name) = condition.strip_prefix('!') {
        fact(name).is_none()
    } else {
        fact(condition).is_some()
    }
}

fn without_step(book: &Book, thing: &Thing) -> String {
    let about = about(thing);
    match book.without.get(&thing.kind) {
        Some(reason) => format!("{about}: {reason}"),
        None => format!("{about}: no step is known for what was done ({}).", calls(thing)),
    }
}

fn calls(thing: &Thing) -> String {
    let calls: BTreeSet<&str> = thing.calls.iter().map(|(call, _)| call.as_str()).collect();
    calls.into_iter().collect::<Vec<_>>().join(", ")
}

fn about(thing: &Thing) -> String {
    let name = thing.facts.get("arn").or(thing.facts.get("name"));
    format!("{} {}", thing.kind, name.map_or("", String::as_str))
}

/// Kinds whose configuration steps bring back.
fn has_configuration(kind: &str) -> bool {
    matches!(kind, "notebook-instance" | "endpoint" | "domain")
}

/// A name from letters, digits and hyphens, whatever the record says.
fn file_name(number: usize, place: usize, command: &[Template], thing: &Thing) -> String {
    let safe = |text: &str| -> String {
        let text = text.to_ascii_lowercase();
        let kept = text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' });
        kept.take(40).collect::<String>().trim_matches('-').to_owned()
    };
    let operation = match command.get(1) {
        Some(Template::Text(text)) => safe(text),
        _ => String::new(),
    };
    let name = thing.facts.get("name").map(|name| safe(name)).unwrap_or_default();
    format!("{number:03}-{place}-{operation}-{name}.json")
}

fn most_frequent<'t>(texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(text, count)| (*count, std::cmp::Reverse(*text)))
        .map(|(text, _)| text.to_owned())
}
