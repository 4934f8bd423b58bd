//! Reads what gives a variable its value.

use super::words::{self, Word};

/// Whether what stands before a parenthesis makes the parenthesis the elements of an array.
pub(super) fn is_array(words: &[Word]) -> bool {
    matches!(words, [word] if matches!(word.as_slice(), [words::Part::Bare(text)] if text.ends_with('=')) && assignment(word).is_some())
}

/// `name=value` or `name+=value`.
pub(super) struct Assignment {
    pub name: String,
    pub operator: &'static str,
    pub value: Word,
}

pub(super) fn assignment(word: &Word) -> Option<Assignment> {
    let [words::Part::Bare(text), rest @ ..] = word.as_slice() else { return None };
    let (name, value) = text.split_once('=')?;
    let (name, operator) = name.strip_suffix('+').map_or((name, "="), |name| (name, "+="));
    if name.is_empty()
        || name.starts_with(|first: char| first.is_ascii_digit())
        || !name.chars().all(words::is_name)
    {
        return None;
    }
    let mut parts = vec![words::Part::Bare(value.to_owned())];
    parts.extend_from_slice(rest);
    Some(Assignment { name: name.to_owned(), operator, value: parts })
}
