//! Is what a rule is evaluated on: the record, what was decoded from it, and every fact that a document
//! states of it, under the name that the fact has there.
//!
//! Facts are found when a rule first asks for one, and the document is written from the same ones.

use std::borrow::Cow;
use std::cell::OnceCell;

use rsigma_eval::{Event, EventValue};
use serde::Serialize;
use serde_json::Value as Json;
use time::OffsetDateTime;

use super::actor::{self, Actor, actor};
use super::asking::Asking;
use super::catalogue::Catalogue;
use super::context::{Context, context};
use super::cut;
use super::drill;
use super::keys::Keys;
use super::networks::{Networks, SourceNetwork};
use super::policy::{self, Policy};
use super::remembered::{self, Remembered};
use super::script::{self, Script};
use super::setting::setting;
use super::shell;
use super::unpacked::Unpacked;
use super::usual::Usual;
use crate::enrich::field::{FACTS, Place};
use crate::memory::{Key, Known};
use crate::record::{Record, commercial_name, omissions};

/// The name under which rules find what CloudTrail left out, which is also its field in a document.
pub const OMITTED: &str = "sagemaker.omitted";

/// Whether the field is a fact that is found in the parameters of a call.
pub fn is_of_parameters(field: &str) -> bool {
    !remembered::is_field(field)
        && field.strip_prefix(FACTS).is_some_and(|fact| {
            !["actor.", "omitted", "cut", "access_level", "drill"].iter().any(|other| fact.starts_with(other))
        })
}

/// What was found of a record, for its document.
#[derive(Debug)]
pub struct FoundFacts<'s> {
    pub context: Context<'s>,
    pub actor: Actor<'s>,
    pub network: SourceNetwork<'s>,
    pub remembered: Remembered,
    /// What memory knows of it by, if that was asked for.
    pub keys: Option<Keys<'s>>,
    pub pairs: Option<Vec<Usual<'s>>>,
    /// The id of the drill that it belongs to.
    pub drill: Option<&'s str>,
}

/// A record as rules see it. Each fact is found when it is first asked for, and kept.
#[derive(Debug)]
pub struct SigmaEvent<'s, 'a> {
    pub record: &'s Record<'a>,
    pub unpacked: &'s Unpacked,
    catalogue: &'s Catalogue,
    networks: &'s Networks,
    context: OnceCell<Context<'s>>,
    actor: OnceCell<Actor<'s>>,
    network: OnceCell<SourceNetwork<'s>>,
    keys: OnceCell<Keys<'s>>,
    pairs: OnceCell<Vec<Usual<'s>>>,
    /// What is known beside the record, and the time of its event.
    memory: OnceCell<(&'s Known, Option<OffsetDateTime>)>,
    drill: Option<&'s str>,
    remembered: OnceCell<Remembered>,
    /// The paths of what CloudTrail left out.
    omitted: OnceCell<Vec<String>>,
    /// Facts as a document has them, for those that are rarely asked for.
    written: OnceCell<Json>,
}

impl<'s, 'a> SigmaEvent<'s, 'a> {
    /// A record of which nothing was found yet, that belongs to no drill, and of which memory is not asked.
    pub fn new(
        record: &'s Record<'a>,
        unpacked: &'s Unpacked,
        catalogue: &'s Catalogue,
        networks: &'s Networks,
    ) -> Self {
        Self {
            record,
            unpacked,
            catalogue,
            networks,
            context: OnceCell::new(),
            actor: OnceCell::new(),
            network: OnceCell::new(),
            keys: OnceCell::new(),
            pairs: OnceCell::new(),
            memory: OnceCell::new(),
            drill: None,
            remembered: OnceCell::new(),
            omitted: OnceCell::new(),
            written: OnceCell::new(),
        }
    }

    /// The paths of what CloudTrail left out of the record.
    pub fn omitted(&self) -> &[String] {
        self.omitted.get_or_init(|| omissions(self.record))
    }

    /// Takes what is known beside the record, which is of an event at this time. Until then nothing is remembered, and
    /// what is told once stays.
    pub fn know(&self, known: &'s Known, time: Option<OffsetDateTime>) {
        self.memory.get_or_init(|| (known, time));
    }

    /// Of this drill, if of any.
    #[must_use]
    pub fn of_drill(self, drill: Option<&'s str>) -> Self {
        Self { drill, ..self }
    }

    /// With what was remembered when the record was judged before.
    #[must_use]
    pub fn remembering(self, remembered: Remembered) -> Self {
        Self { remembered: remembered.into(), ..self }
    }

    /// What has to be recalled before the record, which is of an event at this time, can be judged.
    pub fn wanted(&self, known: &Known, time: Option<OffsetDateTime>) -> Vec<Key> {
        if known.can_be_asked() { self.asking(time).wanted(known) } else { Vec::new() }
    }

    /// Whether memory could not be asked for all that the record needs.
    pub fn lacks_memory(&self) -> bool {
        self.remembered().lacks_memory()
    }

    /// What was found, for the document.
    pub fn into_facts(self) -> FoundFacts<'s> {
        // What is remembered is found before the rest is taken apart.
        self.remembered();
        let Self { record, unpacked, catalogue, networks, .. } = self;
        FoundFacts {
            drill: self.drill,
            remembered: self.remembered.into_inner().unwrap_or_default(),
            context: self.context.into_inner().unwrap_or_else(|| context(record, unpacked, catalogue)),
            actor: self.actor.into_inner().unwrap_or_else(|| actor(record)),
            network: self.network.into_inner().unwrap_or_else(|| networks.source(record)),
            keys: self.keys.into_inner(),
            pairs: self.pairs.into_inner(),
        }
    }

    fn context(&self) -> &Context<'s> {
        self.context.get_or_init(|| context(self.record, self.unpacked, self.catalogue))
    }

    fn actor(&self) -> &Actor<'s> {
        self.actor.get_or_init(|| actor(self.record))
    }

    fn pairs(&self) -> &[Usual<'s>] {
        self.pairs.get_or_init(|| Usual::of(self.record, self.context(), self.actor(), self.network()))
    }

    fn network(&self) -> &SourceNetwork<'s> {
        self.network.get_or_init(|| self.networks.source(self.record))
    }

    fn asking(&self, time: Option<OffsetDateTime>) -> Asking<'_, 's, 'a> {
        let (record, context, actor) = (self.record, self.context(), self.actor());
        Asking {
            record,
            context,
            actor,
            time,
            keys: self.keys.get_or_init(|| Keys::of(record, context, actor)),
        }
    }

    /// What memory adds to the record; nothing where memory is off or was not handed over.
    pub fn remembered(&self) -> &Remembered {
        match self.memory.get() {
            Some((known, time)) if !known.is_off() => {
                self.remembered.get_or_init(|| self.asking(*time).remember(known, self.pairs()))
            }
            _ => self.remembered.get().unwrap_or_else(|| Remembered::nothing()),
        }
    }

    /// The value of a field that is found at this place.
    pub fn value(&self, field: &str, place: Place) -> Option<EventValue<'_>> {
        match place {
            Place::Record => self.record.get_field(field),
            Place::Service => self.record.get_field(field).map(in_commercial_partition),
            Place::Memory => self.remembered().fact(field),
            Place::Network => self.networks.fact(self.record, field),
            Place::Actor => self.actor().fact(field.strip_prefix(actor::FIELDS)?),
            Place::Fact => self.fact(field),
        }
    }

    fn fact(&self, name: &str) -> Option<EventValue<'_>> {
        match name {
            // What rules of other services ask for as well needs no more than this.
            policy::FIELD => return Some(owned(Policy::of(self.record).principals)),
            drill::FIELD => return self.drill.map(|id| EventValue::Str(Cow::Borrowed(id))),
            OMITTED => return Some(texts(self.omitted().iter().map(String::as_str))),
            cut::FIELD => {
                let fields = cut::fields(self.unpacked, &Policy::of(self.record));
                return Some(owned(fields.into_iter().map(str::to_owned).collect()));
            }
            script::FIELD => {
                return match &self.unpacked.scripts[..] {
                    [] => None,
                    [script] => Some(text(script)),
                    scripts => Some(EventValue::Array(scripts.iter().map(text).collect())),
                };
            }
            _ if name.starts_with(shell::FIELDS)
                && let Some(found) = self.unpacked.shell.field(name) =>
            {
                return (!found.is_empty()).then(|| texts(found.iter().map(String::as_str)));
            }
            _ => {}
        }
        if let Some(fact) = setting(self.context(), name) {
            return fact;
        }
        let mut found = Vec::new();
        collect(self.written.get_or_init(|| written(self.context())), name.strip_prefix(FACTS)?, &mut found);
        if found.len() > 1 { Some(EventValue::Array(found)) } else { found.pop() }
    }
}

impl Event for SigmaEvent<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.value(path, Place::of(path))
    }

    fn any_string_value(&self, predicate: &dyn Fn(&str) -> bool) -> bool {
        self.record.any_string_value(predicate)
            || self.unpacked.scripts.iter().any(|script| predicate(&script.text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = self.record.all_string_values();
        all.extend(self.unpacked.scripts.iter().map(|script| Cow::Borrowed(script.text.as_str())));
        all
    }

    fn to_json(&self) -> Json {
        self.record.to_json()
    }
}

fn written(facts: &impl Serialize) -> Json {
    serde_json::to_value(facts).expect("what a document states can be written as JSON")
}

fn text(script: &Script) -> EventValue<'_> {
    EventValue::Str(Cow::Borrowed(&script.text))
}

fn texts<'v>(texts: impl Iterator<Item = &'v str>) -> EventValue<'v> {
    EventValue::Array(texts.map(|text| EventValue::Str(Cow::Borrowed(text))).collect())
}

fn owned<'v>(texts: Vec<String>) -> EventValue<'v> {
    EventValue::Array(texts.into_iter().map(|text| EventValue::Str(Cow::Owned(text))).collect())
}

/// What is found at a dotted path, through lists.
fn collect<'v>(value: &'v Json, path: &str, found: &mut Vec<EventValue<'v>>) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| collect(element, path, found)),
        Json::Object(members) => {
            let (first, rest) =
                path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
            match (members.get(first), rest) {
                (Some(value), Some(rest)) => collect(value, rest, found),
                (Some(value), None) => found.extend(event_value(value)),
                (None, _) => {}
            }
        }
        _ => {}
    }
}

/// None of an object, which is no fact by itself.
fn event_value(value: &Json) -> Option<EventValue<'_>> {
    Some(match value {
        Json::Null | Json::Object(_) => return None,
        Json::Bool(value) => EventValue::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => EventValue::Int(integer),
            None => EventValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => EventValue::Str(Cow::Borrowed(text)),
        Json::Array(elements) => EventValue::Array(elements.iter().filter_map(event_value).collect()),
    })
}

fn in_commercial_partition(value: EventValue<'_>) -> EventValue<'_> {
    match value {
        EventValue::Str(Cow::Borrowed(text)) => EventValue::Str(commercial_name(text)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn paths_of(value: &Json, path: &str, paths: &mut BTreeSet<String>) {
        match value {
            Json::Object(members) => {
                members.iter().for_each(|(name, value)| paths_of(value, &format!("{path}.{name}"), paths));
            }
            Json::Array(elements) => elements.iter().for_each(|element| paths_of(element, path, paths)),
            _ => drop(paths.insert(path.to_owned())),
        }
    }

    fn texts(value: &Json) -> Vec<String> {
        match value {
            Json::Array(elements) => elements.iter().flat_map(texts).collect(),
            Json::Null | Json::Object(_) => Vec::new(),
            Json::String(text) => vec![text.clone()],
            other => vec![other.to_string()],
        }
    }

    /// What is stated under a path, through lists.
    fn stated(value: &Json, path: &str) -> Vec<String> {
        match (value, path.split_once('.')) {
            (Json::Array(elements), _) => elements.iter().flat_map(|element| stated(element, path)).collect(),
            (_, Some((first, rest))) => stated(&value[first], rest),
            (_, None) => texts(&value[path]),
        }
    }

    #[test]
    fn each_fact_that_a_document_states_is_what_rules_find_under_its_name() {
        let (catalogue, networks) = (Catalogue::built_in(), Networks::built_in());
        let mut names = BTreeSet::new();
        let folders = std::fs::read_dir("../../tests/rules").unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        for path in files
            .map(|file| file.unwrap().path())
            .filter(|path| !path.ends_with("placeholders.json") && !path.ends_with("history.json"))
        {
            let raw = std::fs::read(&path).unwrap();
            let record = Record::parse(&raw).unwrap();
            let unpacked = Unpacked::of(&record);
            let event = SigmaEvent::new(&record, &unpacked, &catalogue, &networks);
            let facts = serde_json::json!({"sagemaker": written(event.context())});
            let mut facts_of_record = BTreeSet::new();
            paths_of(&facts["sagemaker"], "sagemaker", &mut facts_of_record);
            let caller = serde_json::json!({"sagemaker": {"actor": written(event.actor())}});
            paths_of(&caller["sagemaker"]["actor"], "sagemaker.actor", &mut facts_of_record);
            for name in facts_of_record {
                let expected = if name.starts_with(actor::FIELDS) {
                    stated(&caller, &name)
                } else {
                    stated(&facts, &name)
                };
                let found = event.get_field(&name).map(|value| texts(&value.to_json()));
                // What searches alone miss is no concern of rules.
                if name != cut::FIELD {
                    assert_eq!(found, Some(expected), "{name} {}", path.display());
                }
                names.insert(name);
            }
        }
        assert!(names.len() > 60, "{names:?}");
    }
}
