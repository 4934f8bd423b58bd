//! Tells how each thing is isolated, put back or rebuilt, by the steps of `config/containment.toml` (pure).
//!
//! Only what somebody did of whom a rule found a sign of an attack, and from then on: what the same name made before,
//! and what others made meanwhile, is their work.

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;

use super::answers::{calls, capital};
use super::entry::{Entry, Named};
use super::lineage::LONG_TERM;
use super::material::Material;
use super::report::{Presence, Sentence, Touched};
use super::states::is_creation;
use crate::contain::{Advised, Concerned, Earlier, Phase, PolicyName, advised, reason_for_none};
use crate::memory::{Key, State};
use crate::timestamp;

/// Characters of a policy that a sentence has; its record has it all.
const MOST_TEXT: usize = 600;
/// Steps that one sentence names.
const MOST_STEPS: usize = 4;

/// Sentences in the order in which one does it.
pub fn restoring(material: &Material, resources: &[Touched]) -> Vec<Sentence> {
    let signs = Signs::of(&material.entries);
    let mut by_thing: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    let changing = material.entries.iter().filter(|it| it.succeeded && it.changes() && signs.count(it));
    let mut told: Vec<(Phase, Sentence)> = changing.clone().filter_map(made_key).collect();
    for entry in changing.filter(|entry| entry.issued_key.is_none()) {
        if let Some(thing) = entry.about() {
            by_thing.entry(thing.key()).or_default().push(entry);
        }
    }
    told.extend(resources.iter().filter_map(|touched| {
        let thing =
            Named { kind: touched.kind.clone(), name: touched.name.clone(), arn: touched.arn.clone() };
        tell(material, touched, by_thing.get(&thing.key())?, &thing)
    }));
    told.sort_by(|(a, one), (b, other)| (a, &one.at).cmp(&(b, &other.at)));
    told.into_iter().map(|(_, sentence)| sentence).collect()
}

/// The policies that somebody set or removed for the attack, each with when it was first.
pub fn changed_policies(entries: &[Entry]) -> Vec<(PolicyName, OffsetDateTime)> {
    let signs = Signs::of(entries);
    let changing = entries.iter().filter(|it| it.succeeded && it.changes() && signs.count(it));
    changing.filter_map(|entry| Some((entry.policy.clone()?, entry.time))).collect()
}

/// When the first sign of an attack was found in what each origin did.
struct Signs<'e>(HashMap<&'e str, OffsetDateTime>);

impl<'e> Signs<'e> {
    fn of(entries: &'e [Entry]) -> Self {
        let mut signs = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.is_sign()) {
            signs.entry(entry.origin.as_str()).or_insert(entry.time);
        }
        Self(signs)
    }

    fn count(&self, entry: &Entry) -> bool {
        self.0.get(entry.origin.as_str()).is_some_and(|first| entry.time >= *first)
    }
}

fn tell(
    material: &Material,
    touched: &Touched,
    entries: &[&Entry],
    thing: &Named,
) -> Option<(Phase, Sentence)> {
    let first = entries.first()?;
    let name = thing.words();
    let is_gone = touched.after == Presence::Absent;
    let is_made = is_creation(&first.action);
    let state = touched.arn.as_deref().and_then(|arn| material.memory.get(&Key::resource(arn)));
    let (phase, text) = match (is_made, is_gone) {
        (true, true) => (
            Phase::Remove,
            format!("{name} was made and deleted again within these records; nothing is left to restore."),
        ),
        (false, true) => return rebuilt(&name, entries, state),
        (true, false) => {
            let steps = advised(concerned(material, touched, entries, None));
            let none = reason_for_none(&touched.kind).map_or(String::new(), |reason| format!(" {reason}"));
            let text = format!(
                "{name} was made within these records: keep what it holds as evidence{}.{}",
                then(&steps),
                if steps.is_empty() { none } else { links(&steps) }
            );
            (phase(&steps), text)
        }
        (false, false) => {
            let back = Some(&first.configuration).filter(|it| !it.is_empty());
            let steps = advised(concerned(material, touched, entries, back));
            let earlier = earlier_policies(material, entries);
            let mut parts = back.map(|back| put_back(touched, back)).unwrap_or_default();
            if parts.is_empty() && steps.is_empty() && earlier.is_empty() {
                parts = format!("changed by {}; what it was before is not known", calls(entries));
            } else if !parts.is_empty() {
                parts = format!("changed: put back {parts}");
            } else {
                parts = format!("changed by {}", calls(entries));
            }
            let said: String = earlier.iter().map(|(policy, it)| was(policy, it)).collect();
            let text = format!("{name} was {parts}{said}{}.{}", then(&steps), links(&steps));
            let mut sentence = Sentence::of(capital(&text), entries)?;
            for (_, it) in earlier {
                sentence.records.insert(0, it.record.clone());
            }
            return Some((phase(&steps), sentence));
        }
    };
    Some((phase, Sentence::of(capital(&text), entries)?))
}

/// What the policies were before that these records set or removed, each once.
fn earlier_policies<'m>(material: &'m Material, entries: &[&'m Entry]) -> Vec<(&'m PolicyName, &'m Earlier)> {
    let mut earlier: Vec<(&PolicyName, &Earlier)> = Vec::new();
    for policy in entries.iter().filter_map(|entry| entry.policy.as_ref()) {
        let is_told = earlier.iter().any(|(told, _)| *told == policy);
        earlier.extend(material.policies.before(policy).filter(|_| !is_told).map(|it| (policy, it)));
    }
    earlier
}

/// What a policy was, as a part of a sentence.
fn was(policy: &PolicyName, earlier: &Earlier) -> String {
    let by = earlier.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let (words, at) = (policy.words(), format!("{}{by}", timestamp::format(earlier.time)));
    match &earlier.text {
        Some(text) => {
            let cut: String = text.chars().take(MOST_TEXT).collect();
            let more = if cut.len() < text.len() { "… (the whole text is in that record)" } else { "" };
            format!("; before, since {at}, the {words} was {cut}{more}")
        }
        None if earlier.is_removed => format!("; before, since {at}, there was no {words}"),
        None => format!("; before, the {words} was that of {at}, whose record does not have the text"),
    }
}

/// The key of a user that a call made, which is good until somebody takes it away.
fn made_key(entry: &Entry) -> Option<(Phase, Sentence)> {
    let key = entry.issued_key.as_ref().filter(|key| key.starts_with(LONG_TERM))?;
    let user = entry.request.get("userName").unwrap_or(&entry.actor);
    let facts = [("name", key), ("key", key), ("user", user)];
    let steps = advised(Concerned {
        kind: "access-key".to_owned(),
        facts: facts.map(|(name, value)| (name.to_owned(), value.clone())).into(),
        is_made: true,
        calls: Vec::new(),
    });
    let text = format!(
        "Access key {key} of user {user} was made within these records{}.{}",
        then(&steps),
        links(&steps)
    );
    Some((phase(&steps), Sentence::of(text, &[entry])?))
}

/// What was deleted is made again from the call that made it, where memory names it.
fn rebuilt(name: &str, entries: &[&Entry], state: Option<&State>) -> Option<(Phase, Sentence)> {
    let made = state
        .and_then(|state| Some((state.value("created.at")?, state.value("created.by").unwrap_or("unknown"))));
    let text = match made {
        Some((at, by)) => {
            format!("{name} was deleted: rebuild it from the call that made it at {at} by {by}.")
        }
        None => format!(
            "{name} was deleted: rebuild it from its definition elsewhere; no record that is known tells how it was made."
        ),
    };
    let mut sentence = Sentence::of(capital(&text), entries)?;
    // The call that made it is one of the records that this says.
    let maker =
        state.and_then(|state| state.said("created.at")).and_then(|said| said.at.as_str().split_once(' '));
    if let Some((_, id)) = maker {
        sentence.records.insert(0, id.to_owned());
    }
    Some((Phase::Close, sentence))
}

fn concerned(
    material: &Material,
    touched: &Touched,
    entries: &[&Entry],
    before: Option<&BTreeMap<String, Vec<String>>>,
) -> Concerned {
    let mut facts = BTreeMap::from([("name".to_owned(), touched.name.clone())]);
    facts.extend(touched.arn.clone().map(|arn| ("arn".to_owned(), arn)));
    facts.insert("id".to_owned(), touched.name.clone());
    for setting in &touched.settings {
        let now = setting.after.as_ref().and_then(|values| values.first());
        facts.extend(now.map(|value| (format!("now.{}", setting.name), value.clone())));
    }
    for (name, values) in before.into_iter().flatten() {
        facts.extend(values.first().map(|value| (format!("before.{name}"), value.clone())));
    }
    let calls = entries.iter().map(|entry| {
        let mut request = entry.request.clone();
        let earlier = entry.policy.as_ref().and_then(|policy| material.policies.before(policy));
        request.extend(earlier.into_iter().flat_map(Earlier::request));
        (entry.action.clone(), request)
    });
    let is_made = before.is_none() && entries.iter().any(|entry| is_creation(&entry.action));
    Concerned { kind: touched.kind.clone(), facts, is_made, calls: calls.collect() }
}

/// What settings were before, where they are something else now.
fn put_back(touched: &Touched, before: &BTreeMap<String, Vec<String>>) -> String {
    let changed = touched.settings.iter().filter_map(|setting| {
        let after = setting.after.as_ref()?;
        let was = before.get(&setting.name).map_or(&[][..], Vec::as_slice);
        let what = if was.is_empty() { "nothing".to_owned() } else { was.join(", ") };
        (was != after.as_slice()).then(|| format!("{} to {what}", setting.name))
    });
    let changed: Vec<String> = changed.collect();
    match changed.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

fn phase(steps: &[Advised]) -> Phase {
    steps.first().map_or(Phase::Remove, |step| step.phase)
}

/// The steps as the end of a sentence.
fn then(steps: &[Advised]) -> String {
    let more = steps.len().saturating_sub(MOST_STEPS);
    let mut titles: Vec<String> = steps.iter().take(MOST_STEPS).map(|step| small(&step.title)).collect();
    if more > 0 {
        titles.push(format!("and {more} more"));
    }
    if titles.is_empty() { String::new() } else { format!("; then {}", titles.join(", ")) }
}

fn links(steps: &[Advised]) -> String {
    let mut links: Vec<&str> = Vec::new();
    for step in steps.iter().take(MOST_STEPS) {
        if !links.contains(&step.reference) {
            links.push(step.reference);
        }
    }
    if links.is_empty() { String::new() } else { format!(" See {}", links.join(" and ")) }
}

fn small(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
