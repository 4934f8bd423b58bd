//! Why rules cannot be loaded or used.

use std::fmt;
use std::path::PathBuf;

/// Why the rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read the rule folder {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} rule(s) cannot be used:\n  {}", .0.len(), one_per_line(.0))]
    Broken(Vec<BrokenRule>),
    #[error("rules.placeholders.{name}: no rule has such a placeholder; those that have one use {known}")]
    UnknownPlaceholder { name: String, known: String },
    #[error("rules.override.{id}: {problem}")]
    Override { id: String, problem: String },
}

/// A rule, or a file of rules, that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct BrokenRule {
    pub file: String,
    /// From 1; none when the whole file cannot be used.
    pub line: Option<usize>,
    /// What a person must change.
    pub problem: String,
}

impl fmt::Display for BrokenRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, problem } = self;
        match line {
            Some(line) => write!(formatter, "{file}:{line}: {problem}"),
            None => write!(formatter, "{file}: {problem}"),
        }
    }
}

fn one_per_line(broken: &[BrokenRule]) -> String {
    let lines: Vec<String> = broken.iter().map(BrokenRule::to_string).collect();
    lines.join("\n  ")
}
