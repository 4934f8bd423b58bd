//! Reads off a Sigma rule's condition which calls it can match at all.
//!
//! A record only meets the rules that could match its eventSource and its eventName. And the bytes of a record show
//! whether any rule could ask for it, so that the rest is rejected before it is parsed.

mod by_length;
mod evidence;
mod raw;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use memchr::memmem::Finder;
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SigmaValue};

use super::lower::with_lower;
use crate::memory::KnownNames;
use crate::record::without_domain;
use by_length::ByLength;
pub use evidence::Evidence;
use evidence::{Words, rarest, words};
use raw::{EVENT_NAME, only_call};
pub use raw::{EVENT_SOURCE, any_text_member};

/// The calls that a rule can match, as far as its condition says so without wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// What eventSource is; none when the rule could match any.
    pub sources: Option<BTreeSet<Source>>,
    /// The values of eventName, in lower case; none when the rule could match any.
    pub names: Option<BTreeSet<String>>,
    pub evidence: Evidence,
}

/// What a rule says of eventSource, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Is(String),
    Contains(String),
}

impl Calls {
    /// Reads the calls off a rule's detection section. Every condition of a rule may match, so their calls add up.
    pub fn of(detections: &Detections) -> Self {
        Self {
            sources: required(detections, first, sources_of),
            names: required(detections, first, names_of),
            evidence: required(detections, rarest, words).map_or(Evidence::Call, Evidence::CallAndWord),
        }
    }

    /// Whether the rule names the service and the call, so that it may ask for records of another service.
    pub fn names_call(&self, source: &str, name: &str) -> bool {
        let is_source =
            |known: &Source| matches!(known, Source::Is(known) if known.eq_ignore_ascii_case(source));
        self.sources.iter().flatten().any(is_source)
            && self.names.iter().flatten().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Reads off one item what it requires, or none when it requires nothing.
type Reader<T> = fn(&DetectionItem) -> Option<BTreeSet<T>>;
/// Chooses among what several parts require that must all hold. Each of them alone is a condition that a match meets.
type Choice<T> = fn(&mut dyn Iterator<Item = BTreeSet<T>>) -> Option<BTreeSet<T>>;

fn first<T>(required: &mut dyn Iterator<Item = BTreeSet<T>>) -> Option<BTreeSet<T>> {
    required.next()
}

/// How to read what a condition requires.
#[derive(Clone, Copy)]
struct Analysis<'d, T> {
    detections: &'d Detections,
    choose: Choice<T>,
    read: Reader<T>,
}

fn required<T: Ord>(detections: &Detections, choose: Choice<T>, read: Reader<T>) -> Option<BTreeSet<T>> {
    let analysis = Analysis { detections, choose, read };
    union(detections.conditions.iter().map(|condition| analysis.of_condition(condition)))
}

impl<T: Ord> Analysis<'_, T> {
    /// Alternatives of which one must be true for the condition to hold; none when it may hold without.
    fn of_condition(&self, condition: &ConditionExpr) -> Option<BTreeSet<T>> {
        match condition {
            ConditionExpr::And(parts) => {
                (self.choose)(&mut parts.iter().filter_map(|part| self.of_condition(part)))
            }
            ConditionExpr::Or(parts) => union(parts.iter().map(|part| self.of_condition(part))),
            ConditionExpr::Not(_) => None,
            ConditionExpr::Identifier(name) => {
                self.detections.named.get(name).and_then(|detection| self.of_detection(detection))
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut selected = self
                    .detections
                    .named
                    .iter()
                    .filter(|(name, _)| pattern.matches_detection_name(name))
                    .map(|(_, detection)| self.of_detection(detection));
                match quantifier {
                    Quantifier::All => (self.choose)(&mut selected.flatten()),
                    Quantifier::Any | Quantifier::Count(1..) => union(&mut selected),
                    Quantifier::Count(0) => None,
                }
            }
        }
    }

    fn of_detection(&self, detection: &Detection) -> Option<BTreeSet<T>> {
        match detection {
            Detection::AllOf(items) => (self.choose)(&mut items.iter().filter_map(self.read)),
            Detection::AnyOf(parts) => union(parts.iter().map(|part| self.of_detection(part))),
            Detection::And(parts) => {
                (self.choose)(&mut parts.iter().filter_map(|part| self.of_detection(part)))
            }
            Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => None,
        }
    }
}

fn names_of(item: &DetectionItem) -> Option<BTreeSet<String>> {
    if item.field.name.as_deref() != Some("eventName") || !item.field.modifiers.is_empty() {
        return None;
    }
    plain_values(item).collect()
}

fn sources_of(item: &DetectionItem) -> Option<BTreeSet<Source>> {
    if item.field.name.as_deref() != Some("eventSource") {
        return None;
    }
    match item.field.modifiers.as_slice() {
        [] => plain_values(item).map(|value| value.map(Source::Is)).collect(),
        [Modifier::Contains] => plain_values(item).map(|value| value.map(Source::Contains)).collect(),
        _ => None,
    }
}

/// The values of an item in lower case; none for one that is no text or has wildcards.
fn plain_values(item: &DetectionItem) -> impl Iterator<Item = Option<String>> {
    item.values.iter().map(|value| match value {
        SigmaValue::String(text) => text.as_plain().map(|plain| plain.to_ascii_lowercase()),
        _ => None,
    })
}

/// The union of what each alternative requires: none as soon as one of them requires nothing.
fn union<T: Ord>(alternatives: impl Iterator<Item = Option<BTreeSet<T>>>) -> Option<BTreeSet<T>> {
    let mut all = BTreeSet::new();
    let mut any = false;
    for values in alternatives {
        all.extend(values?);
        any = true;
    }
    any.then_some(all)
}

/// The index from a record's call to the rules that could match it, by their position in the rule set.
///
/// The rules for any eventSource are among those of each and each part, so that a record of an ordinary service finds
/// all of its rules in one list.
#[derive(Debug, Default)]
pub struct Dispatch {
    by_source: HashMap<String, ByName>,
    /// By a part of eventSource. Few rules differ in it, so each is tried.
    by_part: Vec<(Finder<'static>, ByName)>,
    any_source: ByName,
    /// The calls that a rule names with their service, by eventSource and eventName.
    named: ByLength<Named>,
}

/// With the words of which a record must have one, if all of these rules need any.
type Named = ByLength<Option<Arc<Words>>>;
/// The least evidence that any rule needs, by eventSource and eventName.
type Needed = HashMap<Vec<u8>, HashMap<Vec<u8>, Evidence>>;

/// Positions of rules, in order.
#[derive(Debug, Default)]
struct ByName {
    /// With the rules for any name.
    by_name: HashMap<String, Vec<usize>>,
    any_name: Vec<usize>,
}

impl Dispatch {
    /// Sorts rules by the services and calls that they can match; a rule is known by its position from then on.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Calls>) -> Self {
        let mut dispatch = Self::default();
        let mut by_part: BTreeMap<String, ByName> = BTreeMap::new();
        let mut needed = Needed::default();
        for (position, Calls { sources, names, evidence }) in rules.into_iter().enumerate() {
            let Some(sources) = sources else {
                dispatch.any_source.insert(names.as_ref(), position);
                continue;
            };
            for source in sources {
                match source {
                    Source::Contains(part) => {
                        by_part.entry(part.clone()).or_default().insert(names.as_ref(), position);
                    }
                    Source::Is(source) => {
                        dispatch
                            .by_source
                            .entry(source.clone())
                            .or_default()
                            .insert(names.as_ref(), position);
                        let named = needed.entry(source.clone().into_bytes()).or_default();
                        for name in names.iter().flatten() {
                            named
                                .entry(name.clone().into_bytes())
                                .and_modify(|least| *least = least.clone().or(evidence))
                                .or_insert_with(|| evidence.clone());
                        }
                    }
                }
            }
        }
        dispatch.named = with_searches(needed);
        dispatch.by_source.values_mut().for_each(|rules| rules.finish(&dispatch.any_source));
        let finished = by_part.into_iter().map(|(part, mut rules)| {
            rules.finish(&dispatch.any_source);
            (Finder::new(&part).into_owned(), rules)
        });
        dispatch.by_part = finished.collect();
        dispatch.any_source.finish(&ByName::default());
        dispatch
    }

    /// The positions of the rules that a record of this call could match, in order.
    pub fn candidates(&self, event_source: &str, event_name: &str) -> Vec<usize> {
        with_lower(event_source, |source| with_lower(event_name, |name| self.candidates_of(source, name)))
    }

    /// The same for names in lower case.
    fn candidates_of(&self, source: &str, name: &str) -> Vec<usize> {
        let by_part = self.by_part.iter().filter(|(part, _)| part.find(source.as_bytes()).is_some());
        let mut lists = self.by_source.get(source).into_iter().chain(by_part.map(|(_, rules)| rules));
        let first = lists.next().unwrap_or(&self.any_source);
        let mut found = first.of(name).to_vec();
        for rules in lists {
            found.extend_from_slice(rules.of(name));
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// The calls of a service that rules name, by its name in lower case in whichever partition.
    fn service(&self, source: &[u8]) -> Option<&Named> {
        self.named.get(source).or_else(|| {
            let length = without_domain(source)?;
            self.named.get([&source[..length], b".amazonaws.com"].concat().as_slice())
        })
    }

    /// Whether the raw bytes could be a record of a service that is wanted anyway, or of another that some rule asks
    /// for. Both are asked at once, because finding where a record names its service is most of the cost.
    ///
    /// A member of that name inside the parameters, or a text with escapes, may say yes too early, which costs a parse,
    /// and so do two services in one record; it never says no to a record that a rule asks for.
    pub fn may_match_raw(&self, raw: &[u8], known: &KnownNames, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
        let Some((source, name)) = only_call(raw) else { return self.may_match_any(raw, known, is_wanted) };
        if is_wanted(source) {
            return true;
        }
        let Some(names) = lowered(source, |source| self.service(source)) else { return true };
        let Some(names) = names else { return false };
        let Some(words) = lowered(name, |name| names.get(name)) else { return true };
        words.is_some_and(|words| words.as_ref().is_none_or(|words| words.could_be_in(raw, known)))
    }

    /// The same of a record that names several services or calls, or one with escapes.
    fn may_match_any(&self, raw: &[u8], known: &KnownNames, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
        let mut service: Option<&Named> = None;
        let is_wanted_or_unclear = any_text_member(raw, &EVENT_SOURCE, |source| {
            if is_wanted(source) {
                return true;
            }
            let Some(known) = lowered(source, |source| self.service(source)) else { return true };
            let Some(names) = known else { return false };
            // Names that are looked for anew at each source would make this quadratic.
            let is_second = service.is_some_and(|known| !std::ptr::eq(known, names));
            service = Some(names);
            is_second
        });
        if is_wanted_or_unclear {
            return true;
        }
        let mut needed: Option<&Arc<Words>> = None;
        let is_asked_for = service.is_some_and(|names| {
            any_text_member(raw, &EVENT_NAME, |name| {
                let Some(known) = lowered(name, |name| names.get(name)) else { return true };
                let Some(words) = known else { return false };
                let Some(words) = words else { return true };
                // One search for all that such members could need is enough, and two names are not worth a second.
                let is_second = needed.is_some_and(|known| !Arc::ptr_eq(known, words));
                needed = Some(words);
                is_second
            })
        });
        is_asked_for || needed.is_some_and(|words| words.could_be_in(raw, known))
    }
}

/// The same words have one search.
fn with_searches(needed: Needed) -> ByLength<Named> {
    let mut searches: BTreeMap<BTreeSet<String>, Arc<Words>> = BTreeMap::new();
    let mut search = |evidence| match evidence {
        Evidence::Call => None,
        Evidence::CallAndWord(words) => {
            let search = searches.entry(words).or_insert_with_key(|words| Arc::new(Words::new(words)));
            Some(Arc::clone(search))
        }
    };
    needed
        .into_iter()
        .map(|(source, names)| {
            let names = names.into_iter().map(|(name, evidence)| (name, search(evidence)));
            (source, names.collect())
        })
        .collect()
}

/// Bytes of a name that is looked up. None of AWS has a longer one, and a text that has is left to the parser.
const MOST_NAME_BYTES: usize = 256;

/// Calls the function with the text in lower case, without an allocation; none for one that is longer than any name.
fn lowered<T>(text: &[u8], function: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let mut buffer = [0; MOST_NAME_BYTES];
    let lowered = buffer.get_mut(..text.len())?;
    lowered.copy_from_slice(text);
    lowered.make_ascii_lowercase();
    Some(function(lowered))
}

impl ByName {
    fn insert(&mut self, names: Option<&BTreeSet<String>>, position: usize) {
        match names {
            None => self.any_name.push(position),
            Some(names) => {
                for name in names {
                    self.by_name.entry(name.clone()).or_default().push(position);
                }
            }
        }
    }

    /// Takes the rules for any source as well, and puts those for any name among those of each.
    fn finish(&mut self, any_source: &Self) {
        for (name, positions) in &any_source.by_name {
            self.by_name.entry(name.clone()).or_default().extend_from_slice(positions);
        }
        self.any_name.extend_from_slice(&any_source.any_name);
        self.any_name.sort_unstable();
        for positions in self.by_name.values_mut() {
            positions.extend_from_slice(&self.any_name);
            positions.sort_unstable();
            positions.dedup();
        }
    }

    /// The rules that a record of this name could match.
    fn of(&self, name: &str) -> &[usize] {
        self.by_name.get(name).unwrap_or(&self.any_name)
    }
}

#[cfg(test)]
mod tests;
