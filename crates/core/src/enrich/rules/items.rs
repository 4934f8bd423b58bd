//! Answers what the conditions of all rules ask of single fields, each question once.
//!
//! Rules ask the same again and again: of the service, the role, the parameter that was left out. So equal items are
//! one, and a record answers each at most once, whatever the number of rules.

use std::collections::HashMap;

use rsigma_eval::compiler::eval_condition;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, Event};
use rsigma_parser::ConditionExpr;

use super::matcher::{FieldValue, Matcher};
use crate::enrich::dispatch::{Calls, Source};
use crate::enrich::field::Place;
use crate::enrich::prefilter::Prefilter;
use crate::enrich::sigma_event::{self, SigmaEvent};
use crate::enrich::{policy, script};

/// Every distinct item of a set of rules.
#[derive(Debug, Default)]
pub struct Items {
    all: Vec<Item>,
    fields: Vec<(String, Place)>,
    /// Those whose answers can change when memory is asked.
    changing: Vec<usize>,
    /// The fields that memory has.
    remembered: Vec<usize>,
}

/// The position of an item among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId(usize);

#[derive(Debug)]
enum Item {
    Exists {
        field: usize,
        expected: bool,
    },
    Matches {
        field: usize,
        matcher: Matcher,
    },
    /// What looks at all fields, or at the elements of one: the library evaluates it, under the name [`WHOLE`].
    Whole {
        detection: HashMap<String, CompiledDetection>,
        /// Of which a text must hold one; none where that is not known.
        hints: Option<Prefilter>,
    },
}

const WHOLE: &str = "whole";

/// Adds items, of which it takes equal ones for one.
#[derive(Debug, Default)]
pub struct ItemsBuilder {
    items: Items,
    /// By all that they say.
    known: HashMap<String, ItemId>,
    fields: HashMap<String, usize>,
}

impl ItemsBuilder {
    /// Adds an item and returns its place, which is that of an equal one where there is one.
    pub fn add(&mut self, item: &CompiledDetectionItem) -> ItemId {
        let CompiledDetectionItem { field, exists, matcher, .. } = item;
        self.add_as(format!("{field:?} {exists:?} {}", all_of(matcher)), |builder| match (field, exists) {
            (Some(field), Some(expected)) => {
                Item::Exists { field: builder.field(field), expected: *expected }
            }
            (Some(field), None) => {
                Item::Matches { field: builder.field(field), matcher: Matcher::of(matcher) }
            }
            (None, _) => whole(CompiledDetection::AllOf(vec![item.clone()]), hints(matcher)),
        })
    }

    /// Adds what is no item of one field.
    pub fn add_whole(&mut self, detection: &CompiledDetection) -> ItemId {
        self.add_as(format!("{detection:?}"), |_| whole(detection.clone(), None))
    }

    /// Whether every record of such calls fits the item.
    pub fn is_implied(&self, ItemId(position): ItemId, calls: &Calls) -> bool {
        let Item::Matches { field, matcher: Matcher::Text(matcher) } = &self.items.all[position] else {
            return false;
        };
        match self.items.fields[*field].0.as_str() {
            "eventName" => calls.names.as_ref().is_some_and(|names| names.iter().all(|it| matcher.fits(it))),
            "eventSource" => calls.sources.as_ref().is_some_and(|sources| {
                sources.iter().all(|source| matches!(source, Source::Is(source) if matcher.fits(source)))
            }),
            _ => false,
        }
    }

    /// Ends the collection, and notes which answers can change once memory is asked.
    pub fn finish(self) -> Items {
        let mut items = self.items;
        let changes = |item: &Item| match item {
            Item::Exists { field, .. } => items.fields[*field].1 == Place::Memory,
            Item::Matches { field, matcher } => {
                items.fields[*field].1 == Place::Memory || !matcher.asks_for_one_field()
            }
            Item::Whole { .. } => true,
        };
        items.changing = (0..items.all.len()).filter(|position| changes(&items.all[*position])).collect();
        let is_remembered = |field: &usize| items.fields[*field].1 == Place::Memory;
        items.remembered = (0..items.fields.len()).filter(is_remembered).collect();
        items
    }

    fn add_as(&mut self, said: String, item: impl FnOnce(&mut Self) -> Item) -> ItemId {
        if let Some(known) = self.known.get(&said) {
            return *known;
        }
        let item = item(self);
        let id = ItemId(self.items.all.len());
        self.items.all.push(item);
        self.known.insert(said, id);
        id
    }

    fn field(&mut self, name: &str) -> usize {
        let fields = &mut self.items.fields;
        *self.fields.entry(name.to_owned()).or_insert_with(|| {
            fields.push((name.to_owned(), Place::of(name)));
            fields.len() - 1
        })
    }
}

/// All that a matcher says. The library's matchers cannot be compared, but what `Debug` shows is all that they consist
/// of; only an automaton would show its every state instead of the texts that it was made from.
fn all_of(matcher: &CompiledMatcher) -> String {
    let each = |matchers: &[CompiledMatcher]| matchers.iter().map(all_of).collect::<Vec<_>>();
    match matcher {
        CompiledMatcher::AhoCorasickSet { needles, case_insensitive, .. } => {
            format!("AhoCorasickSet {case_insensitive} {needles:?}")
        }
        CompiledMatcher::AnyOf(matchers) => format!("AnyOf {:?}", each(matchers)),
        CompiledMatcher::AllOf(matchers) => format!("AllOf {:?}", each(matchers)),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
            format!("CaseInsensitiveGroup {mode:?} {:?}", each(children))
        }
        CompiledMatcher::Not(matcher) => format!("Not {:?}", all_of(matcher)),
        other => format!("{other:?}"),
    }
}

fn whole(detection: CompiledDetection, hints: Option<Prefilter>) -> Item {
    Item::Whole { detection: HashMap::from([(WHOLE.to_owned(), detection)]), hints }
}

/// What is looked for in every text. The library puts each text into lower case for it, and few hold anything.
fn hints(matcher: &CompiledMatcher) -> Option<Prefilter> {
    match matcher {
        CompiledMatcher::AhoCorasickSet { needles, .. } => Prefilter::new(needles).ok(),
        _ => None,
    }
}

/// Whether a text of the event could hold a hint. One with letters that only Unicode folds is left to the library.
fn could_hold(event: &SigmaEvent<'_, '_>, hints: &Prefilter) -> bool {
    event.any_string_value(&|text| !text.is_ascii() || hints.any_in(text.as_bytes()))
}

/// Where a record says nothing: what CloudTrail left out, and the parameters of a call that has none.
fn unknown<'e>(event: &'e SigmaEvent<'_, '_>) -> Vec<&'e str> {
    let mut unknown: Vec<&str> = event.omitted().iter().map(String::as_str).collect();
    if event.record.at(&[PARAMETERS]).is_null() {
        unknown.push(PARAMETERS);
    }
    unknown
}

const PARAMETERS: &str = "requestParameters";

/// What one record answers to the items. It is asked when a rule first needs it, and not again.
pub struct Answers<'r, 's, 'a> {
    items: &'r Items,
    event: &'r SigmaEvent<'s, 'a>,
    /// By item. A byte for each, so that memory that is nought says that nothing was asked yet.
    holding: Vec<u8>,
    /// By field: where its value is among those found, counted from 1; 0 before it was looked up.
    places: Vec<u32>,
    found: Vec<Option<FieldValue<'r>>>,
    /// The paths under which the record says nothing.
    unknown: Vec<&'r str>,
    /// Whether the parameters are among these as a whole, so that no fact that is found in them is known.
    lacks_parameters: bool,
}

/// Fields of which rules usually ask a record.
const USUAL_FIELDS: usize = 48;

const UNASKED: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;
const UNSURE: u8 = 3;

impl<'r, 's, 'a> Answers<'r, 's, 'a> {
    /// Begins with no answer.
    pub fn of(event: &'r SigmaEvent<'s, 'a>, items: &'r Items) -> Self {
        let unknown = unknown(event);
        Self {
            items,
            event,
            holding: vec![UNASKED; items.all.len()],
            places: vec![0; items.fields.len()],
            found: Vec::with_capacity(USUAL_FIELDS),
            lacks_parameters: unknown.contains(&PARAMETERS),
            unknown,
        }
    }

    /// Keeps what the record answered before memory was asked, as far as that cannot change it.
    pub fn forget_what_memory_changes(&mut self) {
        self.items.changing.iter().for_each(|&position| self.holding[position] = UNASKED);
        self.items.remembered.iter().for_each(|&field| self.places[field] = 0);
    }

    /// Whether the item holds for the record; none where it depends on what CloudTrail left out.
    pub fn holds(&mut self, ItemId(position): ItemId) -> Option<bool> {
        if self.holding[position] == UNASKED {
            self.holding[position] = self.answer(position);
        }
        match self.holding[position] {
            UNSURE => None,
            holding => Some(holding == YES),
        }
    }

    /// Apart from what is asked again and again, which is short then.
    #[inline(never)]
    fn answer(&mut self, position: usize) -> u8 {
        match self.ask(&self.items.all[position]) {
            Some(true) => YES,
            Some(false) => NO,
            None => UNSURE,
        }
    }

    fn ask(&mut self, item: &Item) -> Option<bool> {
        let event = self.event;
        match item {
            Item::Exists { field, expected } => {
                let exists = self.value(*field).is_some_and(|field| !field.value.is_null());
                (exists || !self.is_unknown(&self.items.fields[*field].0)).then_some(exists == *expected)
            }
            Item::Matches { field, matcher } => {
                let (holds, is_absent) = match self.value(*field) {
                    Some(value) => (matcher.matches(value, event), false),
                    None => (matcher.matches_absence(), true),
                };
                // What is there and fits is enough, whatever else was.
                let is_certain = holds && !is_absent || !self.is_unknown(&self.items.fields[*field].0);
                is_certain.then_some(holds)
            }
            Item::Whole { hints: Some(hints), .. } if !could_hold(event, hints) => Some(false),
            Item::Whole { detection, .. } => {
                let condition = ConditionExpr::Identifier(WHOLE.to_owned());
                let holds = eval_condition(&condition, detection, event, &mut Vec::new());
                let field = match &detection[WHOLE] {
                    CompiledDetection::ArrayMatch { field, .. } => Some(field.as_str()),
                    _ => None,
                };
                (holds || !field.is_some_and(|field| self.is_unknown(field))).then_some(holds)
            }
        }
    }

    /// Whether something of what the field would hold was left out of the record.
    fn is_unknown(&self, field: &str) -> bool {
        self.lacks_parameters && sigma_event::is_of_parameters(field)
            || self.unknown.iter().any(|&path| {
                // What is read out of the parameters is unknown with any of them.
                let is_read_out =
                    matches!(field, script::FIELD | policy::FIELD) && path.starts_with(PARAMETERS);
                let rest = field.strip_prefix(path);
                is_read_out
                    || rest.is_some_and(|rest| rest.is_empty() && path != PARAMETERS || rest.starts_with('.'))
            })
    }

    fn value(&mut self, field: usize) -> Option<&FieldValue<'r>> {
        if self.places[field] == 0 {
            let (name, place) = &self.items.fields[field];
            self.found.push(self.event.value(name, *place).map(FieldValue::of));
            self.places[field] = u32::try_from(self.found.len()).expect("rules name fewer fields");
        }
        self.found[self.places[field] as usize - 1].as_ref()
    }
}
