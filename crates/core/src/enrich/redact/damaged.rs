//! Redacts JSON that cannot be parsed, because it was cut off or is none: finds its string literals, and redacts each
//! as it would be in a record.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::members::Place;
use super::secrets::SECRETS;
use super::text::Redaction;

/// The text with the secrets of its members and literals replaced, or none when there is none. Names count as those of
/// variables and lists as command lines, since what they stand in cannot be told for sure.
pub fn redact(text: &str, place: Place, redaction: &mut Redaction<'_>) -> Option<String> {
    if !redaction.spend(2 * text.len()) {
        return Some(redaction.unsearched(text));
    }
    let literals: Vec<Literal<'_>> = LITERAL.captures_iter(text).map(|found| Literal::of(&found)).collect();
    let mut redacted = String::with_capacity(text.len());
    let mut written = 0;
    for list in literals.chunk_by(|one, next| one.is_before_in_list(next, text)) {
        let replacements = match list {
            [literal] => vec![redaction.text(&literal.value, literal.place(place))],
            words => {
                let words: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
                let redacted = redaction.words(&words);
                redacted.map_or_else(Vec::new, |redacted| redacted.into_iter().map(Some).collect())
            }
        };
        for (literal, replacement) in list.iter().zip(replacements) {
            let Some(replacement) = replacement.filter(|replacement| *replacement != literal.value) else {
                continue;
            };
            redacted.push_str(&text[written..literal.range.start]);
            let quoted = serde_json::to_string(&replacement).expect("any text can be written as JSON");
            redacted.push_str(if literal.is_number { &quoted } else { &quoted[1..quoted.len() - 1] });
            written = literal.range.end;
        }
    }
    redacted.push_str(&text[written..]);
    // A quote too many turns literals inside out; then the name and the quote before a value are all there is to go by.
    let pairs = PAIR.replace_all(&redacted, |pair: &Captures<'_>| {
        let (name, value) = (&pair["name"], &pair["value"]);
        match SECRETS.below(Place::Variables, name) {
            below @ (Place::Secret | Place::Suspect | Place::Likely | Place::Possible) => {
                let value = redaction.text(value, below).unwrap_or_else(|| value.to_owned());
                format!("{}{value}", &pair["before"])
            }
            _ => pair[0].to_owned(),
        }
    });
    (*pairs != *text).then(|| pairs.into_owned())
}

/// A text in quotes, or a number that is the value of a member.
struct Literal<'t> {
    name: Option<&'t str>,
    /// Unescaped.
    value: String,
    /// Where the value stands, without quotes.
    range: Range<usize>,
    is_number: bool,
    /// Whether the member before it names a variable whose value is suspect: `"name": "DB_PASSWORD", "value": …`.
    is_described: bool,
}

impl<'t> Literal<'t> {
    fn of(found: &Captures<'t>) -> Self {
        let name = found.name("name").or_else(|| found.name("counted"));
        let number = found.name("number");
        let value = ["number", "described", "value"].iter().find_map(|group| found.name(group));
        let value = value.expect("one of the three fits");
        Self {
            name: name.map(|name| name.as_str()),
            value: unescape(value.as_str()),
            range: value.range(),
            is_number: number.is_some(),
            is_described: found
                .name("describing")
                .is_some_and(|name| SECRETS.strength(name.as_str()).is_some()),
        }
    }

    fn is_before_in_list(&self, next: &Self, text: &str) -> bool {
        self.name.is_none()
            && next.name.is_none()
            && text[self.range.end..next.range.start]
                .chars()
                .all(|between| matches!(between, '"' | ',' | ' ' | '\n'))
    }

    fn place(&self, place: Place) -> Place {
        match self.name {
            _ if self.is_described => Place::Suspect,
            // Names of the API that say who and where are kept as in a whole record, where they stand outside of
            // variables.
            Some(name) if SECRETS.is_identity(name) => Place::Identity,
            Some(name) => SECRETS.below(Place::Variables, &unescape(name)),
            None => place,
        }
    }
}

/// A string literal, closed or cut off, or a number; with the name of the member before it, if it has one.
static LITERAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?xs)
        "(?i:[a-z]*name|[a-z]*key)"\s*:\s*"(?<describing>[^"\\]*)"\s*,\s*"(?i:[a-z]*value)"\s*:\s*"(?<described>(?:[^"\\]|\\.)*)(?:"|\\?\z)
        | "(?<counted>(?:[^"\\]|\\.)*)"\s*:\s*(?<number>-?[0-9][0-9.eE+-]*)
        | (?:"(?<name>(?:[^"\\]|\\.)*)"\s*:\s*)?"(?<value>(?:[^"\\]|\\.)*)(?:"|\\?\z)
        "#,
    )
    .expect("the pattern is fixed and tested")
});

/// A name and a value in quotes, wherever the quotes belong and however often they are escaped.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?<before>(?<name>[A-Za-z0-9_.-]{1,128})\\*"\s*:\s*\\*")(?<value>[^"\\]+)"#)
        .expect("the pattern is fixed and tested")
});

fn unescape(literal: &str) -> String {
    serde_json::from_str(&format!("\"{literal}\"")).unwrap_or_else(|_| literal.to_owned())
}
