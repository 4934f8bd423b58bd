//! Words what is wrong with a value of the configuration, for the person who wrote it.
//!
//! The message does not repeat the value, because a password in the wrong place or of the wrong type would reach logs.

use figment::error::{Actual, Kind};

/// Says what the value must be, for a mistake that has a key; without one, what is wrong with the file.
pub(super) fn describe(key: &str, kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) => format!("must be {}, not {}", needed(expected), noun(found)),
        Kind::InvalidValue(_, expected) => format!("must be {}", needed(expected)),
        // Names of choices are no secrets.
        Kind::UnknownVariant(found, allowed) => {
            format!("`{found}` is not allowed; give one of {}", allowed.join(", "))
        }
        Kind::Message(_) if key.ends_with("url") => {
            "is not a URL; give a complete one, such as https://host.example.com:9200".to_owned()
        }
        Kind::Message(_) if key.ends_with("listen") => {
            "is not an address; give an IP address and a port, such as 127.0.0.1:9600".to_owned()
        }
        Kind::Message(text) if key.is_empty() => without_excerpt(text),
        kind => kind.to_string(),
    }
}

/// In the words of the documentation, for what deserialisers call their types.
fn needed(expected: &str) -> String {
    let words = match expected {
        "a duration" => "a duration such as \"20s\" or \"5m\"",
        "a boolean" => "true or false",
        "a string representing an URL" => "a URL in quotes, such as \"https://host.example.com:9200\"",
        "a string" | "path string" => "a text in quotes",
        "socket address" => "an address in quotes, such as \"127.0.0.1:9600\"",
        "a sequence" => "a list such as [\"a\", \"b\"]",
        "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        number if number.starts_with("a nonzero") => "a whole number above 0",
        section if section.starts_with("struct") || section == "a map" => "a section with keys of its own",
        other => other,
    };
    words.to_owned()
}

fn noun(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "a truth value",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a section",
        _ => "another kind of value",
    }
}

/// The parser's error without the line of the file that it quotes.
fn without_excerpt(text: &str) -> String {
    let told = text
        .lines()
        .filter(|line| !line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|'));
    told.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}
