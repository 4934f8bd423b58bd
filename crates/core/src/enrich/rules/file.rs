//! Reads the YAML files of Sigma rules, built in or the site's own, and the documents in them.

use std::fmt;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use rsigma_parser::{CorrelationRule, FilterRule, SigmaRule, parse_sigma_yaml};
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};
use yaml_serde::{Mapping, Value};

use super::error::{BrokenRule, RulesError};
use super::filter;
use crate::correlation::check;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../config/rules");

/// Where a rule belongs, which says what its match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Folder {
    /// Correlations, and rules whose matches only they look at.
    Correlations,
    Detections,
    Posture,
    Threats,
    /// The folder of the site's own rules.
    Site,
}

impl Folder {
    const ALL: &[Self] = Self::VARIANTS;

    /// The folder's name below `config/rules`.
    fn name(self) -> &'static str {
        self.into()
    }
}

/// A file with its text.
pub struct RuleFile {
    pub folder: Folder,
    pub path: String,
    text: String,
}

impl RuleFile {
    /// The files that the binary carries.
    pub fn built_in() -> Vec<Self> {
        let mut files = Vec::new();
        for folder in Folder::ALL {
            for file in BUILT_IN.get_dir(folder.name()).into_iter().flat_map(Dir::files) {
                if is_sigma(file.path())
                    && let Some(text) = file.contents_utf8()
                {
                    let path = file.path().display().to_string();
                    files.push(Self { folder: *folder, path, text: text.to_owned() });
                }
            }
        }
        files
    }

    /// The files of the site's folder and the folders in it. A file or folder inside that cannot be read is broken.
    pub fn of_site(folder: &Path, broken: &mut Vec<BrokenRule>) -> Result<Vec<Self>, RulesError> {
        let entries =
            entries(folder).map_err(|source| RulesError::Read { path: folder.to_owned(), source })?;
        let mut files = Vec::new();
        collect(entries, &mut files, broken);
        Ok(files)
    }

    /// The text as it was read, from which the version of the set is made too.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The documents of the file, those without any content left out.
    pub fn documents(&self) -> Vec<RuleDocument<'_>> {
        let mut documents = Vec::new();
        let (mut start, mut first_line) = (0, 1);
        let mut at = 0;
        for (number, line) in self.text.split_inclusive('\n').enumerate() {
            if is_marker(line) {
                documents.push(RuleDocument { first_line, text: &self.text[start..at] });
                (start, first_line) = (at, number + 1);
            }
            at += line.len();
        }
        documents.push(RuleDocument { first_line, text: &self.text[start..] });
        documents.retain(|document| document.text.lines().any(is_content));
        documents
    }
}

/// One YAML document of a file, which is one rule, filter or correlation.
pub struct RuleDocument<'f> {
    /// The number of its first line in the file, from 1.
    first_line: usize,
    text: &'f str,
}

/// What is wrong with a document, and in which line of the file.
pub struct Problem {
    pub line: usize,
    pub text: String,
}

/// What a document is.
pub enum Parsed {
    Rule(Box<SigmaRule>),
    Filter(Box<FilterRule>),
    Correlation(Box<CorrelationRule>),
}

impl RuleDocument<'_> {
    /// Parses the document, which must be a Sigma rule, a Sigma filter or a Sigma correlation.
    pub fn parse(&self) -> Result<Parsed, Problem> {
        let value: Value = yaml_serde::from_str(self.text).map_err(|_| self.yaml_problem())?;
        let Some(mapping) = value.as_mapping() else {
            return Err(self.problem("", "it is no Sigma rule: a rule is a YAML mapping"));
        };
        let is_filter = has(mapping, filter::MEMBER);
        if let Some((member, reason)) = is_filter.then(|| filter::problem_of(mapping)).flatten() {
            return Err(self.problem(member, reason));
        }
        let is_correlation = has(mapping, check::MEMBER);
        if is_correlation {
            check::check(mapping).map_err(|problem| self.problem(&problem.member, problem.text))?;
        }
        if let Some((key, reason)) = UNSUPPORTED.iter().find(|(key, _)| has(mapping, key)) {
            return Err(self.problem(key, reason));
        }
        let mut collection = parse_sigma_yaml(self.text).map_err(|error| self.problem("title", error))?;
        let parsed = if is_correlation {
            collection.correlations.pop().map(|rule| Parsed::Correlation(Box::new(rule)))
        } else if is_filter {
            collection.filters.pop().map(|filter| Parsed::Filter(Box::new(filter)))
        } else {
            collection.rules.pop().map(|rule| Parsed::Rule(Box::new(rule)))
        };
        match parsed {
            Some(parsed) if collection.errors.is_empty() => Ok(parsed),
            _ => Err(self.problem("title", collection.errors.join("; "))),
        }
    }

    /// The line of the member with this name, at the least depth that there is, or the first with any content when
    /// there is no such member.
    pub fn line_of(&self, member: &str) -> usize {
        let is_member = |line: &str| line.strip_prefix(member).is_some_and(|rest| rest.starts_with(':'));
        let lines = || self.text.lines();
        let found = lines()
            .position(is_member)
            .or_else(|| lines().position(|line| is_member(line.trim_start())))
            .or_else(|| lines().position(is_content));
        self.first_line + found.unwrap_or(0)
    }

    /// A problem of the member with this name.
    pub fn problem(&self, member: &str, text: impl fmt::Display) -> Problem {
        Problem { line: self.line_of(member), text: text.to_string() }
    }

    /// What YAML's parser complains of, which it is asked again with the line numbers of the file.
    fn yaml_problem(&self) -> Problem {
        let padded = "\n".repeat(self.first_line - 1) + self.text;
        match yaml_serde::from_str::<Value>(&padded) {
            Err(error) => Problem {
                line: error.location().map_or(self.first_line, |location| location.line()),
                text: format!("it is no YAML: {error}"),
            },
            Ok(_) => self.problem("", "it is no YAML"),
        }
    }
}

/// Members that make a document something else than a rule, and why that is refused.
const UNSUPPORTED: &[(&str, &str)] =
    &[("action", "Sigma 2 has no `action` documents any more; write each rule whole")];

fn has(mapping: &Mapping, key: &str) -> bool {
    mapping.contains_key(Value::String(key.to_owned()))
}

fn collect(entries: Vec<PathBuf>, files: &mut Vec<RuleFile>, broken: &mut Vec<BrokenRule>) {
    for path in entries {
        let unreadable = |error: std::io::Error| BrokenRule {
            file: path.display().to_string(),
            line: None,
            problem: format!("cannot read it: {error}"),
        };
        if path.is_dir() {
            match self::entries(&path) {
                Ok(inner) => collect(inner, files, broken),
                Err(error) => broken.push(unreadable(error)),
            }
        } else if is_sigma(&path) {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    files.push(RuleFile { folder: Folder::Site, path: path.display().to_string(), text });
                }
                Err(error) => broken.push(unreadable(error)),
            }
        }
    }
}

/// What is in a folder, sorted, because the order of a directory is the file system's. Hidden entries are left out:
/// a mounted Kubernetes `ConfigMap` has each file a second time in a hidden folder.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_sigma(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// Whether the line begins a new YAML document. YAML forbids such a line inside of one.
fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && line != "---" && line != "..."
}
