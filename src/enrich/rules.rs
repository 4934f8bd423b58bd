//! The rules: detection content in Sigma, compiled once and evaluated on each record.
//!
//! What is known about threats lives in `config/rules/`, which the binary carries; a site adds its own folder. A rule's
//! tags say which threat category it stands for (`sagetrail.…`) and which ATT&CK or ATLAS technique it shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{Level, SigmaRule, parse_sigma_yaml};
use serde::{Deserialize, Serialize};

use super::dispatch::{Calls, Dispatch};
use crate::record::Record;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/rules");

/// The tag namespace of threat categories.
const CATEGORY_NAMESPACE: &str = "sagetrail.";

/// Every loaded rule and the index that finds the few that could match a record.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    dispatch: Dispatch,
}

/// One Sigma rule, with what its matches put into a document.
#[derive(Debug)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub level: Severity,
    /// Threat categories, such as `cryptojacking`.
    pub categories: Vec<String>,
    pub tactics: Vec<Named>,
    pub techniques: Vec<Named>,
    calls: Calls,
    compiled: CompiledRule,
}

/// How worrying a match is; the order is that of Sigma's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational = 1,
    Low,
    Medium,
    High,
    Critical,
}

/// An ATT&CK or ATLAS id with the name that a person knows it by; ids that we have no name for stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub id: String,
    pub name: String,
}

/// Every rule file that could not be used. The daemon starts with all rules or not at all.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read the rule folder {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} rule(s) cannot be used:\n  {}", .0.len(), .0.join("\n  "))]
    Broken(Vec<String>),
}

impl RuleSet {
    /// Loads the built-in rules and those of the folder, if one is given.
    pub fn load(folder: Option<&Path>) -> Result<Self, RulesError> {
        let mut files = Vec::new();
        collect_built_in(&BUILT_IN, &mut files);
        if let Some(folder) = folder {
            collect_folder(folder, &mut files)?;
        }
        let mut rules = Vec::new();
        let mut broken = Vec::new();
        for (name, text) in &files {
            match parse_file(text) {
                Ok(parsed) => rules.extend(parsed),
                Err(problems) => broken.extend(problems.iter().map(|problem| format!("{name}: {problem}"))),
            }
        }
        let mut seen = BTreeMap::new();
        for rule in &rules {
            if let Some(other) = seen.insert(rule.id.as_str(), rule.title.as_str()) {
                broken
                    .push(format!("rule id {} is used by both \"{other}\" and \"{}\"", rule.id, rule.title));
            }
        }
        if !broken.is_empty() {
            return Err(RulesError::Broken(broken));
        }
        let dispatch = Dispatch::new(rules.iter().map(|rule| &rule.calls));
        Ok(Self { rules, dispatch })
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Every threat category that a rule stands for.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| &rule.categories).map(String::as_str)
    }

    /// The rules that match the record, in the order of their files.
    pub fn matches(&self, record: &Record<'_>) -> Vec<&Rule> {
        self.dispatch
            .candidates(record.event_name())
            .map(|position| &self.rules[position])
            .filter(|rule| rule.matches(record))
            .collect()
    }

    /// Whether the raw bytes could be a record of another service that some rule asks for.
    pub fn could_ask_for(&self, raw: &[u8]) -> bool {
        self.dispatch.could_ask_for(raw)
    }
}

impl Rule {
    /// Whether the rule names this very call, so that its match alone is a reason to ship the record.
    pub fn asks_for(&self, record: &Record<'_>) -> bool {
        self.calls.names_call(record.event_source(), record.event_name())
    }

    fn matches(&self, record: &Record<'_>) -> bool {
        let mut matched = Vec::new();
        self.compiled.conditions.iter().any(|condition| {
            rsigma_eval::compiler::eval_condition(condition, &self.compiled.detections, record, &mut matched)
        })
    }
}

fn collect_built_in(folder: &'static Dir<'static>, files: &mut Vec<(String, String)>) {
    for file in folder.files() {
        if is_sigma(file.path())
            && let Some(text) = file.contents_utf8()
        {
            files.push((file.path().display().to_string(), text.to_owned()));
        }
    }
    for inner in folder.dirs() {
        collect_built_in(inner, files);
    }
}

fn collect_folder(folder: &Path, files: &mut Vec<(String, String)>) -> Result<(), RulesError> {
    let failed = |source| RulesError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    // The order of a directory is the file system's; sorted, the same folder always gives the same rule set.
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect_folder(&path, files)?;
        } else if is_sigma(&path) {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| RulesError::Read { path: path.clone(), source })?;
            files.push((path.display().to_string(), text));
        }
    }
    Ok(())
}

fn is_sigma(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// The rules of one file, or everything that is wrong with it.
fn parse_file(text: &str) -> Result<Vec<Rule>, Vec<String>> {
    let collection = parse_sigma_yaml(text).map_err(|error| vec![error.to_string()])?;
    let mut problems = collection.errors;
    if !collection.correlations.is_empty() {
        problems.push(
            "it holds a Sigma correlation, which needs memory across records; sagetrail evaluates single records"
                .to_owned(),
        );
    }
    if collection.rules.is_empty() && problems.is_empty() {
        problems.push("it holds no Sigma rule".to_owned());
    }
    let mut rules = Vec::new();
    for rule in &collection.rules {
        match Rule::compile(rule) {
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(format!("\"{}\": {problem}", rule.title)),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

impl Rule {
    fn compile(sigma: &SigmaRule) -> Result<Self, String> {
        let id = sigma.id.clone().ok_or("it has no id; give it a random UUID")?;
        let compiled = compile_rule(sigma).map_err(|error| error.to_string())?;
        let mut rule = Self {
            id,
            title: sigma.title.clone(),
            level: sigma.level.map_or(Severity::Informational, Severity::from),
            categories: Vec::new(),
            tactics: Vec::new(),
            techniques: Vec::new(),
            calls: Calls::of(&sigma.detection),
            compiled,
        };
        for tag in &sigma.tags {
            rule.take_tag(tag);
        }
        Ok(rule)
    }

    /// Tags of other namespaces (`cve.…`, `car.…`) say nothing that a document carries.
    fn take_tag(&mut self, tag: &str) {
        let tag = tag.to_ascii_lowercase();
        if let Some(category) = tag.strip_prefix(CATEGORY_NAMESPACE) {
            self.categories.push(category.to_owned());
        } else if let Some(id) = tag.strip_prefix("atlas.") {
            self.techniques.push(Named::technique(id));
        } else if let Some(rest) = tag.strip_prefix("attack.") {
            match KNOWN.tactics.get(rest) {
                Some(tactic) => self.tactics.push(tactic.clone().into()),
                None if is_technique_id(rest) => self.techniques.push(Named::technique(rest)),
                None => {}
            }
        }
    }
}

/// `t1098` or `t1098.003`, as ATT&CK numbers its techniques.
fn is_technique_id(text: &str) -> bool {
    text.strip_prefix('t').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Informational => Self::Informational,
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
            Level::Critical => Self::Critical,
        }
    }
}

/// Names of tactics and techniques, from `config/attack.json`.
static KNOWN: LazyLock<KnownNames> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../config/attack.json"))
        .expect("the names of tactics and techniques are checked in as valid JSON")
});

#[derive(Deserialize)]
struct KnownNames {
    /// By the short name that Sigma tags use, such as `privilege-escalation`.
    tactics: BTreeMap<String, KnownTactic>,
    techniques: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone)]
struct KnownTactic {
    id: String,
    name: String,
}

impl From<KnownTactic> for Named {
    fn from(KnownTactic { id, name }: KnownTactic) -> Self {
        Self { id, name }
    }
}

impl Named {
    fn technique(id: &str) -> Self {
        let id = id.to_ascii_uppercase();
        let name = KNOWN.techniques.get(&id).unwrap_or(&id).clone();
        Self { id, name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER_RULE: &str = "title: Site rule\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\nlogsource:\n  product: aws\n\
        detection:\n  s:\n    eventName: CreateApp\n  condition: s\nlevel: high\ntags:\n  - attack.t1496\n  - sagetrail.cryptojacking\n";

    #[test]
    fn the_built_in_rules_load_and_every_technique_and_tactic_has_a_name() {
        let set = RuleSet::load(None).unwrap();
        let categories: std::collections::BTreeSet<&str> = set.categories().collect();
        assert!(categories.len() >= 9, "{categories:?}");
        for rule in set.rules() {
            for technique in &rule.techniques {
                assert_ne!(technique.id, technique.name, "{} has a technique without a name", rule.title);
            }
        }
    }

    #[test]
    fn a_folder_of_the_site_is_loaded_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/site.yml"), FOLDER_RULE).unwrap();
        std::fs::write(folder.path().join("README.md"), "no rule").unwrap();
        let built_in = RuleSet::load(None).unwrap().rules().len();
        let set = RuleSet::load(Some(folder.path())).unwrap();
        assert_eq!(set.rules().len(), built_in + 1);
        let record = Record::parse(br#"{"eventName":"createapp"}"#).unwrap();
        let matches = set.matches(&record);
        assert_eq!(matches.len(), 1);
        assert_eq!(matches[0].level, Severity::High);
        assert_eq!(matches[0].categories, ["cryptojacking"]);
        assert_eq!(matches[0].techniques[0].id, "T1496");
    }

    #[test]
    fn every_broken_file_is_named_with_its_problem() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("syntax.yml", "title: [unclosed", "YAML"),
            ("empty.yml", "", "not a YAML mapping"),
            (
                "no_id.yml",
                &FOLDER_RULE.replace("id: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\n", ""),
                "has no id",
            ),
            (
                "condition.yml",
                &FOLDER_RULE.replace("condition: s", "condition: nothing_such"),
                "nothing_such",
            ),
        ];
        for (file, text, _) in cases {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let error = RuleSet::load(Some(folder.path())).unwrap_err().to_string();
        for (file, _, problem) in cases {
            let line =
                error.lines().find(|line| line.contains(file)).unwrap_or_else(|| panic!("{file}: {error}"));
            assert!(line.contains(problem), "{line}");
        }
    }

    #[test]
    fn two_rules_with_one_id_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["one.yml", "two.yml"] {
            std::fs::write(folder.path().join(file), FOLDER_RULE).unwrap();
        }
        let error = RuleSet::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11"), "{error}");
    }
}
