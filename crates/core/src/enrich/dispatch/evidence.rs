//! Finds the words of which the bytes of a record must have one for a rule to match it, beside the call that it names.
//!
//! Rules for other services are about few of their records, and what they ask for is mostly a word in a value: the name
//! of SageMaker, of a role or of a bucket. A record without any of the words is rejected before it is parsed.

use std::collections::BTreeSet;

use rsigma_parser::value::StringPart;
use rsigma_parser::{DetectionItem, Modifier, SigmaString, SigmaValue};

use super::super::prefilter::Prefilter;
use super::super::remembered;
use crate::lanes::{BackslashOrForeign, has_stop};
use crate::memory::KnownNames;

/// What the bytes of a record must show for a rule to match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The call.
    Call,
    /// The call, and one of these words, in lower case.
    CallAndWord(BTreeSet<String>),
}

impl Evidence {
    /// What suffices for this or the other.
    pub fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::CallAndWord(mut words), Self::CallAndWord(others)) => {
                words.extend(others.iter().cloned());
                Self::CallAndWord(words)
            }
            _ => Self::Call,
        }
    }
}

/// Stands among words for the names that memory knows. No text of a rule is looked for with this in it.
const KNOWN: &str = "\0known";

/// Words are looked for in all of a record, so that short ones say little.
const LEAST_LETTERS: usize = 4;
/// Fields that say no more than the call, that nearly all records share, or that are compared under another name than
/// they have.
const COMMON: [&str; 6] = [
    "eventSource",
    "eventName",
    "eventType",
    "userIdentity.type",
    "userIdentity.invokedBy",
    "sourceIPAddress",
];

/// The words of which a value of the record must have one for the item to match; none when it may match without.
pub fn words(item: &DetectionItem) -> Option<BTreeSet<String>> {
    let field = item.field.name.as_deref()?;
    if remembered::names_what_is_known(field) {
        return Some(BTreeSet::from([KNOWN.to_owned()]));
    }
    // What was read out of a record holds words that its bytes lack.
    let is_of_record = !field.starts_with("sagemaker.") && !COMMON.contains(&field);
    let is_literal = item.field.modifiers.iter().all(|modifier| {
        matches!(
            modifier,
            Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith | Modifier::All | Modifier::Cased
        )
    });
    if !is_of_record || !is_literal {
        return None;
    }
    let has = |modifier| item.field.modifiers.contains(&modifier);
    let ends = !has(Modifier::Contains) && !has(Modifier::StartsWith);
    let words = item.values.iter().map(|value| match value {
        SigmaValue::String(text) => word(text, ends),
        _ => None,
    });
    if has(Modifier::All) {
        return words.flatten().max_by_key(String::len).map(|word| BTreeSet::from([word]));
    }
    words.collect()
}

/// The rarest of what different parts of a condition require, all of which must hold.
pub fn rarest(required: &mut dyn Iterator<Item = BTreeSet<String>>) -> Option<BTreeSet<String>> {
    required.max_by_key(|words| words.iter().map(|word| rarity(word)).min())
}

/// How little a word is to be expected. Long ones are rare, and ends of texts are rarer than what may stand anywhere.
fn rarity(word: &str) -> usize {
    if word == KNOWN {
        return usize::MAX;
    }
    word.len() + if word.ends_with('"') { END } else { 0 }
}
/// How many letters the end of a text is worth.
const END: usize = 8;

/// The longest word of a text, as it stands in a record however that is written. A text that stands for a number or a
/// truth value has none, because a record may have these without quotes.
fn word(text: &SigmaString, ends: bool) -> Option<String> {
    let lower = text.original.to_ascii_lowercase();
    if matches!(lower.as_str(), "true" | "false" | "null") || lower.parse::<f64>().is_ok() {
        return None;
    }
    let last = text.parts.len().checked_sub(1)?;
    let words = text.parts.iter().enumerate().flat_map(|(at, part)| match part {
        StringPart::Plain(plain) => words_of(plain, ends && at == last),
        StringPart::Special(_) => Vec::new(),
    });
    words.max_by_key(String::len)
}

/// The words of a text, each with the slash before it, and the last one with the quotation mark that ends the text.
fn words_of(plain: &str, ends: bool) -> Vec<String> {
    let lower = plain.to_ascii_lowercase();
    let mut words = Vec::new();
    let mut from = 0;
    while let Some(start) = lower[from..].find(is_unescaped).map(|start| from + start) {
        let end = lower[start..].find(|letter| !is_unescaped(letter)).map_or(lower.len(), |end| start + end);
        if end - start >= LEAST_LETTERS && lower[start..end].bytes().any(|byte| byte.is_ascii_alphabetic()) {
            let slash = if lower[..start].ends_with('/') { "/" } else { "" };
            let quote = if ends && end == lower.len() { "\"" } else { "" };
            words.push(format!("{slash}{}{quote}", &lower[start..end]));
        }
        from = end;
    }
    words
}

/// Letters that JSON has no short escape for, and a URL none at all.
fn is_unescaped(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// A search for words. Escapes, and letters that only Unicode folds to those of a word, may hide one, so that a record
/// which has any is taken to have all.
#[derive(Debug)]
pub struct Words {
    /// None where a known name alone is enough.
    literal: Option<Prefilter>,
    /// Whether a name that memory knows is enough.
    or_known: bool,
}

impl Words {
    /// Prepares the search for these words, among which `KNOWN` stands for any name that memory knows.
    pub fn new(words: &BTreeSet<String>) -> Self {
        let literal: Vec<String> = words.iter().filter(|word| *word != KNOWN).cloned().collect();
        let literal =
            (!literal.is_empty()).then(|| Prefilter::new(&literal).expect("short words can be looked for"));
        Self { literal, or_known: words.contains(KNOWN) }
    }

    /// Whether a record with these bytes may have one of the words. A yes may be wrong, a no never is.
    pub fn could_be_in(&self, raw: &[u8], known: &KnownNames) -> bool {
        could_hide_word(raw)
            || self.literal.as_ref().is_some_and(|words| words.any_in(raw))
            || self.or_known && known.could_be_in(raw)
    }
}

/// Escapes are not looked for among the words: one of two bytes would make the search for all of them slow.
fn could_hide_word(raw: &[u8]) -> bool {
    let is_escape = |at: usize| matches!(raw.get(at + 1), Some(b'u' | b'U'));
    has_stop::<BackslashOrForeign>(raw) && (!raw.is_ascii() || memchr::memchr_iter(b'\\', raw).any(is_escape))
}
