//! Answers the fifteen questions of the analysis, each sentence from records alone (pure).

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::entry::{Entry, Named};
use super::report::{Answer, Sentence};
use crate::enrich::removes;

/// The most sentences of one answer, the worst first where there are more.
const MOST: usize = 60;

const QUESTIONS: &str = include_str!("../../config/questions.toml");

#[derive(Deserialize)]
struct File {
    question: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    number: u64,
    text: String,
}

/// What other parts of the report found, which some answers begin with.
#[derive(Debug, Default)]
pub struct Beside {
    pub lineage: Vec<Sentence>,
    pub impact: Vec<Sentence>,
    pub restoring: Vec<Sentence>,
    pub practices: Vec<Sentence>,
}

/// Answers each question of `config/questions.toml`, with a bounded number of sentences.
pub fn answers(entries: &[Entry], mut beside: Beside) -> Vec<Answer> {
    let File { question } = toml::from_str(QUESTIONS).expect("the file is checked in");
    question
        .into_iter()
        .map(|Question { number, text }| {
            let own: Vec<&Entry> = entries.iter().filter(|it| it.questions.contains(&number)).collect();
            let Told { mut sentences, more } = match number {
                1 => accessed(&own),
                2 => {
                    let how = [std::mem::take(&mut beside.lineage), signs(entries)].concat();
                    deeds(&ways_in(&own)).after(how)
                }
                6 => {
                    let failed: Vec<&Entry> = own.iter().copied().filter(|entry| !entry.succeeded).collect();
                    deeds(&failed).after(created_or_changed(&own))
                }
                7 => interfaces(entries),
                9 | 10 => deeds_with(&own, found),
                13 => Told::all(std::mem::take(&mut beside.impact)),
                14 => Told::all(std::mem::take(&mut beside.restoring)),
                15 => Told::all(std::mem::take(&mut beside.practices)),
                _ => deeds(&own),
            };
            let more = more + sentences.len().saturating_sub(MOST);
            sentences.truncate(MOST);
            Answer { number, question: text, sentences, more }
        })
        .collect()
}

/// Sentences, and how many there would be more.
#[derive(Debug, Default)]
pub struct Told {
    pub sentences: Vec<Sentence>,
    pub more: usize,
}

impl Told {
    fn all(sentences: Vec<Sentence>) -> Self {
        Self { sentences, more: 0 }
    }

    fn after(self, before: Vec<Sentence>) -> Self {
        Self { sentences: [before, self.sentences].concat(), more: self.more }
    }
}

/// One sentence for each thing that somebody did, however often. Where not all can be shown, these are the worst.
pub fn deeds(entries: &[&Entry]) -> Told {
    deeds_with(entries, |_| String::new())
}

/// The same, with what is said beside each.
fn deeds_with(entries: &[&Entry], beside: impl Fn(&[&Entry]) -> String) -> Told {
    let (groups, more) = worst(grouped(entries));
    let tell = |group: &Vec<&Entry>| {
        let text = deed(group);
        Sentence::of(format!("{}{}.", text.trim_end_matches('.'), beside(group)), group)
    };
    Told { sentences: groups.iter().filter_map(tell).collect(), more }
}

/// What rules found in these records, because not every sentence says what it has to do with a question.
fn found(entries: &[&Entry]) -> String {
    let mut titles: Vec<&str> = Vec::new();
    for finding in entries.iter().flat_map(|entry| &entry.findings) {
        if !titles.contains(&finding.title.as_str()) {
            titles.push(&finding.title);
        }
    }
    if titles.is_empty() { String::new() } else { format!(" ({})", titles.join("; ")) }
}

/// The first record of each principal, and what gave or opened another way in. What came after is no way in.
fn ways_in<'e>(entries: &[&'e Entry]) -> Vec<&'e Entry> {
    const OPENING: [&str; 9] = [
        "AssumeRole",
        "GetSessionToken",
        "GetFederationToken",
        "CreateAccessKey",
        "CreateLoginProfile",
        "UpdateLoginProfile",
        "UpdateAssumeRolePolicy",
        "CreatePresigned",
        "StartSession",
    ];
    let mut known = std::collections::HashSet::new();
    let mut ways = Vec::new();
    for &entry in entries {
        let is_first = known.insert(&entry.principal);
        let opens = entry.service == "signin" || OPENING.iter().any(|call| entry.action.starts_with(call));
        if is_first || opens {
            ways.push(entry);
        }
    }
    ways
}

/// The worst groups in the order of their times, and how many there would be more.
fn worst(mut groups: Vec<Vec<&Entry>>) -> (Vec<Vec<&Entry>>, usize) {
    let more = groups.len().saturating_sub(MOST);
    if more > 0 {
        groups.sort_by_cached_key(|group| std::cmp::Reverse(group.iter().map(|it| rank(it)).max()));
        groups.truncate(MOST);
    }
    groups.sort_by_key(|group| group.first().map(|first| first.time));
    (groups, more)
}

/// The sentence of the first record, and how often the same came again.
pub fn deed(group: &[&Entry]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let again = match group.last() {
        Some(last) if group.len() > 1 => format!("; {} times until {}", group.len(), last.at()),
        _ => String::new(),
    };
    format!("{}{again}.", first.sentence)
}

/// Records that say the same of one principal, one resource and one outcome.
pub fn grouped<'e>(entries: &[&'e Entry]) -> Vec<Vec<&'e Entry>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Entry>> = Vec::new();
    for entry in entries {
        let place = *places.entry(same(entry)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    groups
}

/// What is the same for records that are told as one.
pub fn same(entry: &Entry) -> (&str, &str, Option<String>, Option<&str>, &str) {
    let resource = entry.about().map(Named::key);
    (&entry.principal, &entry.action, resource, entry.error.as_deref(), &entry.sentence)
}

/// How bad a record is, for choosing what is shown.
pub fn rank(entry: &Entry) -> (u8, bool, bool) {
    (severity(entry.level.as_deref()), entry.changes(), entry.succeeded)
}

/// Levels of rules, the worst last.
pub const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// The place of a level in [`LEVELS`]; an unknown level and none count as the least.
pub fn severity(level: Option<&str>) -> u8 {
    LEVELS
        .iter()
        .position(|known| Some(*known) == level)
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(0)
}

/// Which resources were reached, with which calls.
fn accessed(entries: &[&Entry]) -> Told {
    let mut by_thing: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let thing = entry.about();
        let key = thing.map_or_else(|| format!("~{}", entry.service), Named::key);
        by_thing.entry(key).or_default().push(entry);
    }
    let (things, more) = worst(by_thing.into_values().collect());
    let sentences = things
        .iter()
        .filter_map(|entries| {
            let first = entries.first()?;
            let words = match first.about() {
                Some(thing) => thing.words(),
                None => format!("Service {} as a whole", first.service),
            };
            let failed = entries.iter().filter(|entry| !entry.succeeded).count();
            let denied = if failed > 0 { format!("; {failed} of them failed") } else { String::new() };
            let text = format!("{}: {}{denied}.", capital(&words), calls(entries));
            Sentence::of(text, entries)
        })
        .collect();
    Told { sentences, more }
}

/// The calls by name and number, the first one first.
pub fn calls(entries: &[&Entry]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        let place = *places.entry(&entry.action).or_insert(counts.len());
        match counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => counts.push((&entry.action, 1)),
        }
    }
    let more = counts.len().saturating_sub(12);
    let mut words: Vec<String> = counts
        .iter()
        .take(12)
        .map(|(name, count)| if *count == 1 { (*name).to_owned() } else { format!("{name} ({count} times)") })
        .collect();
    if more > 0 {
        words.push(format!("and {more} other calls"));
    }
    words.join(", ")
}

/// Signs of how somebody came in that are not the calls' own names.
fn signs(entries: &[Entry]) -> Vec<Sentence> {
    let mut signs = Vec::new();
    let mut tell =
        |text: &dyn Fn(&str) -> String, holds: &dyn Fn(&Entry) -> bool, by: &dyn Fn(&Entry) -> String| {
            let mut groups: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
            for entry in entries.iter().filter(|entry| holds(entry)) {
                groups.entry(by(entry)).or_default().push(entry);
            }
            signs.extend(groups.iter().filter_map(|(value, entries)| Sentence::of(text(value), entries)));
        };
    let address = |entry: &Entry| entry.address.clone().unwrap_or_default();
    tell(
        &|value| {
            format!(
                "Credentials of a role that works for SageMaker itself were used from outside of AWS, {value}: they left the notebook or job that they belong to."
            )
        },
        &|entry| entry.is_workload && entry.network.as_deref() == Some("internet"),
        &|entry| format!("by {} from {}", entry.principal, address(entry)),
    );
    tell(
        &|value| format!("An attack tool called as {value}."),
        &|entry| entry.agent.as_deref() == Some("attack-tool"),
        &|entry| {
            let program = program(entry.user_agent.as_deref().unwrap_or_default());
            format!("{}, as its user agent says: {program}", entry.principal)
        },
    );
    signs.extend(several_addresses(entries));
    signs
}

/// Who worked from more than one address outside of AWS.
fn several_addresses(entries: &[Entry]) -> Vec<Sentence> {
    let mut by_principal: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.network.as_deref() == Some("internet")) {
        let firsts = by_principal.entry(&entry.principal).or_default();
        if firsts.len() < 10 && !firsts.iter().any(|first| first.address == entry.address) {
            firsts.push(entry);
        }
    }
    let several = by_principal.iter().filter(|(_, firsts)| firsts.len() > 1);
    several
        .filter_map(|(principal, firsts)| {
            let addresses: Vec<&str> = firsts.iter().filter_map(|entry| entry.address.as_deref()).collect();
            Sentence::of(
                format!("{principal} worked from several addresses: {}.", addresses.join(", ")),
                firsts,
            )
        })
        .collect()
}

/// What was made, changed and removed, each kind of change as one sentence.
fn created_or_changed(entries: &[&Entry]) -> Vec<Sentence> {
    let kinds: [(&str, &[&str]); 3] = [
        ("Created", &["Create", "Register", "Import"]),
        (
            "Changed or started",
            &["Update", "Put", "Start", "Attach", "Batch", "Retry", "Extend", "Add", "Delete"],
        ),
        ("Deleted or stopped", &["Delete", "Stop", "Deregister", "Detach"]),
    ];
    kinds
        .iter()
        .filter_map(|(words, verbs)| {
            let these: Vec<&Entry> = entries
                .iter()
                .copied()
                .filter(|entry| entry.succeeded && verbs.iter().any(|verb| entry.action.starts_with(verb)))
                .filter(|entry| !entry.action.starts_with("CreatePresigned"))
                .filter(|entry| {
                    // What loses a part is changed.
                    !entry.action.starts_with("Delete")
                        || removes(&entry.action) == words.starts_with("Deleted")
                })
                .collect();
            let mut names: Vec<String> =
                these.iter().filter_map(|it| it.resource.as_ref()).map(Named::words).collect();
            names.dedup();
            let mut seen = std::collections::HashSet::new();
            names.retain(|name| seen.insert(name.clone()));
            let more = names.len().saturating_sub(20);
            names.truncate(20);
            let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
            Sentence::of(format!("{words}: {}{tail}.", names.join(", ")), &these)
                .filter(|_| !names.is_empty())
        })
        .collect()
}

/// Through what the calls were made, by the caller's own word.
fn interfaces(entries: &[Entry]) -> Told {
    let mut by_agent: BTreeMap<(&str, String), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let agent = program(entry.user_agent.as_deref().unwrap_or("no user agent"));
        by_agent.entry((&entry.actor, agent)).or_default().push(entry);
    }
    let (groups, more) = worst(by_agent.into_values().collect());
    let sentences = groups
        .iter()
        .filter_map(|entries| {
            let first = entries.first()?;
            let (actor, agent) =
                (&first.actor, program(first.user_agent.as_deref().unwrap_or("no user agent")));
            let class = first.agent.as_deref().map_or(String::new(), |class| format!(" ({class})"));
            let text = format!("{actor}, with {agent}{class}: {}.", calls(entries));
            Sentence::of(text, entries)
        })
        .collect();
    Told { sentences, more }
}

/// A number of things in words.
pub fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// The user agent without the call that the AWS CLI writes into it, so that all calls of one program are told together.
fn program(agent: &str) -> String {
    let is_call = |part: &&str| ["md/command#", "command/"].iter().any(|begin| part.starts_with(begin));
    let parts: Vec<&str> = agent.split(' ').filter(|part| !is_call(part)).collect();
    parts.join(" ")
}

/// The text with a capital letter at its beginning, as a sentence has it.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
