//! Compares the value of a field with what one item of a condition asks of it.
//!
//! The meaning is that of `rsigma-eval`. The library puts a text into lower case for each matcher anew and goes through
//! lists one by one; here the simple matchers, which are nearly all, look at a text that was put into lower case once.

use aho_corasick::AhoCorasick;
use rsigma_eval::matcher::{GroupMode, ascii_lowercase_cow};
use rsigma_eval::{CompiledMatcher, EventValue};
use std::borrow::Cow;

use crate::enrich::sigma_event::SigmaEvent;

/// What one item of a condition asks of a field's value.
#[derive(Debug)]
pub enum Matcher {
    /// One of the value's texts fits.
    Text(TextMatcher),
    Any(Vec<Matcher>),
    All(Vec<Matcher>),
    /// What is no comparison of texts without case: networks, numbers, regular expressions, other fields.
    Other(CompiledMatcher),
}

/// What is asked of one text in lower case.
#[derive(Debug)]
pub enum TextMatcher {
    Is(String),
    OneOf(Words),
    Contains(String),
    ContainsOneOf(AhoCorasick),
    StartsWith(String),
    EndsWith(String),
    /// Sigma's `?*`: at least one character, and no line break.
    OneLine,
    Any(Vec<TextMatcher>),
    All(Vec<TextMatcher>),
}

/// Texts, the shorter ones first. Nearly all that they are compared with have another length than most of them, so that
/// a text is found in fewer steps than it takes to hash it.
#[derive(Debug)]
pub struct Words(Vec<String>);

impl Words {
    fn new(mut words: Vec<String>) -> Self {
        words.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        Self(words)
    }

    fn contains(&self, text: &str) -> bool {
        self.0
            .binary_search_by(|word| word.len().cmp(&text.len()).then_with(|| word.as_str().cmp(text)))
            .is_ok()
    }
}

/// What the library makes of `?*`.
const ONE_LINE: &str = "(?i)^..*$";

impl Matcher {
    /// Takes over a matcher of the library, those that compare texts without case as our own.
    pub fn of(compiled: &CompiledMatcher) -> Self {
        let each = |matchers: &[CompiledMatcher]| matchers.iter().map(Self::of).collect();
        match compiled {
            CompiledMatcher::AnyOf(matchers) => Self::Any(each(matchers)),
            CompiledMatcher::AllOf(matchers) => Self::All(each(matchers)),
            other => TextMatcher::of(other).map_or_else(|| Self::Other(other.clone()), Self::Text),
        }
    }

    /// Whether a value fits. The event is asked where the item compares one field with another.
    pub fn matches(&self, value: &FieldValue<'_>, event: &SigmaEvent<'_, '_>) -> bool {
        match self {
            Self::Text(matcher) => value.texts.as_slice().iter().any(|text| matcher.fits(text)),
            Self::Any(matchers) => matchers.iter().any(|matcher| matcher.matches(value, event)),
            Self::All(matchers) => matchers.iter().all(|matcher| matcher.matches(value, event)),
            Self::Other(matcher) => matcher.matches(&value.value, event),
        }
    }

    /// Whether it is known to look at its own field alone.
    pub fn asks_for_one_field(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Any(matchers) | Self::All(matchers) => matchers.iter().all(Self::asks_for_one_field),
            Self::Other(matcher) => matches!(
                matcher,
                CompiledMatcher::Exact { .. }
                    | CompiledMatcher::Contains { .. }
                    | CompiledMatcher::StartsWith { .. }
                    | CompiledMatcher::EndsWith { .. }
                    | CompiledMatcher::Regex(_)
                    | CompiledMatcher::RegexSetMatch { .. }
                    | CompiledMatcher::AhoCorasickSet { .. }
                    | CompiledMatcher::Cidr(_)
                    | CompiledMatcher::NumericEq(_)
                    | CompiledMatcher::NumericGt(_)
                    | CompiledMatcher::NumericGte(_)
                    | CompiledMatcher::NumericLt(_)
                    | CompiledMatcher::NumericLte(_)
                    | CompiledMatcher::BoolEq(_)
                    | CompiledMatcher::Null
            ),
        }
    }

    /// Whether a field that is absent matches: only `null` does.
    pub fn matches_absence(&self) -> bool {
        matches!(self, Self::Other(CompiledMatcher::Null))
    }
}

impl TextMatcher {
    /// None for what asks more than a text in lower case can answer.
    fn of(compiled: &CompiledMatcher) -> Option<Self> {
        Some(match compiled {
            CompiledMatcher::Exact { value, case_insensitive: true } => Self::Is(value.clone()),
            CompiledMatcher::Contains { value, case_insensitive: true } => Self::Contains(value.clone()),
            CompiledMatcher::StartsWith { value, case_insensitive: true } => Self::StartsWith(value.clone()),
            CompiledMatcher::EndsWith { value, case_insensitive: true } => Self::EndsWith(value.clone()),
            CompiledMatcher::Regex(regex) if regex.as_str() == ONE_LINE => Self::OneLine,
            CompiledMatcher::AhoCorasickSet { automaton, case_insensitive: true, .. } => {
                Self::ContainsOneOf(automaton.clone())
            }
            CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
                let matchers: Vec<Self> = children.iter().map(Self::of).collect::<Option<_>>()?;
                match mode {
                    GroupMode::Any => Self::any(matchers),
                    GroupMode::All => Self::All(matchers),
                }
            }
            _ => return None,
        })
    }

    fn any(matchers: Vec<Self>) -> Self {
        let values: Option<Vec<String>> = matchers
            .iter()
            .map(|matcher| match matcher {
                Self::Is(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        values.map_or(Self::Any(matchers), |values| Self::OneOf(Words::new(values)))
    }

    /// Whether a text in lower case fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Is(value) => text == value,
            Self::OneOf(values) => values.contains(text),
            Self::Contains(value) => text.contains(value),
            Self::ContainsOneOf(automaton) => automaton.is_match(text),
            Self::StartsWith(value) => text.starts_with(value),
            Self::EndsWith(value) => text.ends_with(value),
            Self::OneLine => !text.is_empty() && !text.contains('\n'),
            Self::Any(matchers) => matchers.iter().any(|matcher| matcher.fits(text)),
            Self::All(matchers) => matchers.iter().all(|matcher| matcher.fits(text)),
        }
    }
}

/// The value of a field, with the texts in it in lower case.
#[derive(Debug)]
pub struct FieldValue<'v> {
    pub value: EventValue<'v>,
    texts: Texts<'v>,
}

#[derive(Debug)]
enum Texts<'v> {
    One(Cow<'v, str>),
    Some(Vec<Cow<'v, str>>),
}

impl<'v> FieldValue<'v> {
    /// Puts the texts of a value into lower case, once for all items.
    pub fn of(value: EventValue<'v>) -> Self {
        let texts = match &value {
            EventValue::Str(text) => Texts::One(lowered(text)),
            value => {
                let mut texts = Vec::new();
                collect(value, &mut texts);
                Texts::Some(texts)
            }
        };
        Self { value, texts }
    }
}

impl Texts<'_> {
    fn as_slice(&self) -> &[Cow<'_, str>] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Some(texts) => texts,
        }
    }
}

/// Numbers and truth values count as the texts that they are written as, and so does each element of a list.
fn collect<'v>(value: &EventValue<'v>, texts: &mut Vec<Cow<'v, str>>) {
    match value {
        EventValue::Str(text) => texts.push(lowered(text)),
        EventValue::Array(elements) => elements.iter().for_each(|element| collect(element, texts)),
        other => texts.extend(other.as_str().map(|text| Cow::Owned(text.into_owned()))),
    }
}

fn lowered<'v>(text: &Cow<'v, str>) -> Cow<'v, str> {
    match text {
        Cow::Borrowed(text) => ascii_lowercase_cow(text),
        Cow::Owned(text) => Cow::Owned(text.to_lowercase()),
    }
}
