//! The rules: detection content in Sigma, loaded once and evaluated on each record.
//!
//! What is known about threats lives in `config/rules/`, which the binary carries; a site adds its own folder. A rule's
//! tags say which threat category it stands for (`sagetrail.…`) and which ATT&CK or ATLAS technique it shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use rsigma_parser::parse_sigma_yaml;

use super::dispatch::Dispatch;
use super::placeholders;
use super::rule::Rule;
use super::subject::Subject;
use crate::config::RulesConfig;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/rules");

/// Every loaded rule and the index that finds the few that could match a record.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    silent: Vec<SilentRule>,
    dispatch: Dispatch,
}

/// A rule that cannot speak, because it compares with values that nobody has configured.
#[derive(Debug, PartialEq, Eq)]
pub struct SilentRule {
    pub id: String,
    pub title: String,
    /// The placeholders without values.
    pub missing: Vec<String>,
}

/// Why the rules could not be loaded. The daemon starts with all rules or not at all.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read the rule folder {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} rule(s) cannot be used:\n  {}", .0.len(), .0.join("\n  "))]
    Broken(Vec<String>),
    #[error("rules.placeholders.{name}: no rule has such a placeholder; those that have one use {known}")]
    UnknownPlaceholder { name: String, known: String },
}

impl RuleSet {
    /// Loads the built-in rules and those of the folder, if one is given.
    pub fn load(config: &RulesConfig) -> Result<Self, RulesError> {
        let mut files = Vec::new();
        collect_built_in(&BUILT_IN, &mut files);
        if let Some(folder) = &config.folder {
            collect_folder(folder, &mut files)?;
        }
        let mut loading = Loading::default();
        for (file, text) in &files {
            loading.take_file(file, text, config);
        }
        loading.finish(config)
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules that are loaded and cannot match, for want of configured values.
    pub fn silent(&self) -> &[SilentRule] {
        &self.silent
    }

    /// Every threat category that a rule stands for.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| &rule.categories).map(String::as_str)
    }

    /// The rules that match, in the order of their files.
    pub fn matches(&self, subject: &Subject<'_, '_>) -> Vec<&Rule> {
        self.dispatch
            .candidates(subject.record.event_name())
            .map(|position| &self.rules[position])
            .filter(|rule| rule.matches(subject))
            .collect()
    }

    /// Whether the raw bytes could be a record of another service that some rule asks for.
    pub fn could_ask_for(&self, raw: &[u8]) -> bool {
        self.dispatch.could_ask_for(raw)
    }
}

/// What loading has come to so far.
#[derive(Default)]
struct Loading {
    rules: Vec<Rule>,
    silent: Vec<SilentRule>,
    broken: Vec<String>,
    placeholders: std::collections::BTreeSet<String>,
}

impl Loading {
    fn take_file(&mut self, file: &str, text: &str, config: &RulesConfig) {
        let collection = match parse_sigma_yaml(text) {
            Ok(collection) => collection,
            Err(error) => return self.broken.push(format!("{file}: {error}")),
        };
        self.broken.extend(collection.errors.iter().map(|problem| format!("{file}: {problem}")));
        if !collection.correlations.is_empty() {
            self.broken.push(format!(
                "{file}: it holds a Sigma correlation, which needs memory across records; sagetrail evaluates single records"
            ));
        }
        if collection.is_empty() && collection.errors.is_empty() {
            self.broken.push(format!("{file}: it holds no Sigma rule"));
        }
        for mut sigma in collection.rules {
            let used = placeholders::expand(&mut sigma.detection, &config.placeholders);
            self.placeholders.extend(used.iter().cloned());
            let missing: Vec<String> = used
                .into_iter()
                .filter(|name| config.placeholders.get(name).is_none_or(Vec::is_empty))
                .collect();
            match Rule::compile(&sigma) {
                Err(problem) => {
                    let line = line_of(text, &sigma.title);
                    self.broken.push(format!("{file}:{line}: \"{}\": {problem}", sigma.title));
                }
                Ok(rule) if missing.is_empty() => self.rules.push(rule),
                Ok(Rule { id, title, .. }) => self.silent.push(SilentRule { id, title, missing }),
            }
        }
    }

    fn finish(mut self, config: &RulesConfig) -> Result<RuleSet, RulesError> {
        let mut seen = BTreeMap::new();
        for rule in &self.rules {
            if let Some(other) = seen.insert(rule.id.as_str(), rule.title.as_str()) {
                self.broken
                    .push(format!("rule id {} is used by both \"{other}\" and \"{}\"", rule.id, rule.title));
            }
        }
        if !self.broken.is_empty() {
            return Err(RulesError::Broken(self.broken));
        }
        if let Some(name) = config.placeholders.keys().find(|name| !self.placeholders.contains(*name)) {
            let known: Vec<&str> = self.placeholders.iter().map(String::as_str).collect();
            return Err(RulesError::UnknownPlaceholder { name: name.clone(), known: known.join(", ") });
        }
        let dispatch = Dispatch::new(self.rules.iter().map(Rule::calls));
        Ok(RuleSet { rules: self.rules, silent: self.silent, dispatch })
    }
}

/// The line of the rule with this title, where a file may hold several.
fn line_of(text: &str, title: &str) -> usize {
    let is_title = |line: &str| line.starts_with("title:") && line.contains(title);
    text.lines().position(is_title).map_or(1, |position| position + 1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::rule::Severity;
    use crate::record::Record;

    fn matches<'s>(set: &'s RuleSet, record: &Record<'_>) -> Vec<&'s Rule> {
        set.matches(&Subject { record, scripts: &[] })
    }

    const FOLDER_RULE: &str = "title: Site rule\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\nlogsource:\n  product: aws\n\
        detection:\n  s:\n    eventName: CreateApp\n  condition: s\nlevel: high\ntags:\n  - attack.t1496\n  - sagetrail.cryptojacking\n";

    fn load_with(folder: &Path) -> Result<RuleSet, RulesError> {
        RuleSet::load(&RulesConfig { folder: Some(folder.to_owned()), ..RulesConfig::default() })
    }

    #[test]
    fn the_built_in_rules_load_and_every_technique_and_tactic_has_a_name() {
        let set = RuleSet::load(&RulesConfig::default()).unwrap();
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
        let built_in = RuleSet::load(&RulesConfig::default()).unwrap().rules().len();
        let set = load_with(folder.path()).unwrap();
        assert_eq!(set.rules().len(), built_in + 1);
        let record = Record::parse(br#"{"eventName":"createapp"}"#).unwrap();
        let matches = matches(&set, &record);
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
        let error = load_with(folder.path()).unwrap_err().to_string();
        for (file, _, problem) in cases {
            let line =
                error.lines().find(|line| line.contains(file)).unwrap_or_else(|| panic!("{file}: {error}"));
            assert!(line.contains(problem), "{line}");
        }
    }

    #[test]
    fn a_rule_without_its_values_is_silent_and_speaks_once_they_are_configured() {
        let folder = tempfile::tempdir().unwrap();
        let rule = FOLDER_RULE
            .replace("eventName: CreateApp", "eventName: CreateApp\n    b|expand: '%site_values%'");
        std::fs::write(folder.path().join("site.yml"), rule).unwrap();
        let load = |values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let placeholders = BTreeMap::from([("site_values".to_owned(), values)]);
            RuleSet::load(&RulesConfig { folder: Some(folder.path().to_owned()), placeholders }).unwrap()
        };
        let record = Record::parse(br#"{"eventName":"CreateApp","b":"two"}"#).unwrap();
        let silent = load(&[]);
        assert_eq!(matches(&silent, &record).len(), 0);
        let site = |rule: &&SilentRule| rule.missing == ["site_values"];
        assert_eq!(silent.silent().iter().filter(site).count(), 1);
        let speaking = load(&["one", "two"]);
        assert_eq!(matches(&speaking, &record).len(), 1);
        assert_eq!(speaking.silent().iter().filter(site).count(), 0);
    }

    #[test]
    fn values_for_a_placeholder_that_no_rule_has_are_refused() {
        let placeholders = BTreeMap::from([("trusted_bukets".to_owned(), vec!["x".to_owned()])]);
        let error = RuleSet::load(&RulesConfig { folder: None, placeholders }).unwrap_err();
        assert!(error.to_string().starts_with("rules.placeholders.trusted_bukets: "), "{error}");
    }

    #[test]
    fn two_rules_with_one_id_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["one.yml", "two.yml"] {
            std::fs::write(folder.path().join(file), FOLDER_RULE).unwrap();
        }
        let error = load_with(folder.path()).unwrap_err().to_string();
        assert!(error.contains("7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11"), "{error}");
    }
}
