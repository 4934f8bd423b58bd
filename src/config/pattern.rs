//! Patterns of keys, by which objects are read whose names are not CloudTrail's.

use regex::RegexSet;

/// Patterns in which `*` and `?` stand for what is within a folder and `**` for anything.
#[derive(Debug, Default)]
pub struct KeyPatterns(RegexSet);

impl KeyPatterns {
    /// Compiles the patterns, each of which has to match a whole key. Fails where they are too large together.
    pub fn new(patterns: &[String]) -> Result<Self, regex::Error> {
        RegexSet::new(patterns.iter().map(|pattern| expression(pattern))).map(Self)
    }

    /// Whether one of the patterns matches the whole key.
    pub fn matches(&self, key: &str) -> bool {
        self.0.is_match(key)
    }

    /// Whether there are no patterns, so that no key matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn expression(pattern: &str) -> String {
    let mut expression = "(?s)^".to_owned();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (part, matched) = match first {
            '*' if rest.starts_with("**") => (2, ".*".to_owned()),
            '*' => (1, "[^/]*".to_owned()),
            '?' => (1, "[^/]".to_owned()),
            other => (other.len_utf8(), regex::escape(&rest[..other.len_utf8()])),
        };
        expression.push_str(&matched);
        rest = &rest[part..];
    }
    expression + "$"
}
