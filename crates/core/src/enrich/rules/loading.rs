//! The loading: takes the rules of one file after the other and sorts them into usable, silent and broken.

use std::collections::{BTreeMap, BTreeSet};

use rsigma_parser::{LogSource, SigmaRule, Status};

use super::conditions::Conditions;
use super::file::{Problem, RuleDocument, RuleFile};
use super::{BrokenRule, InactiveRule, RuleSet, RulesError};
use crate::enrich::dispatch::Dispatch;
use crate::enrich::placeholders;
use crate::enrich::rule::{Place, Rule};
use crate::settings::RulesConfig;

/// What loading has come to so far.
pub struct Loading<'c> {
    config: &'c RulesConfig,
    /// The values of placeholders that count.
    values: placeholders::Values,
    version: String,
    rules: Vec<Rule>,
    inactive: Vec<InactiveRule>,
    broken: Vec<BrokenRule>,
    /// Every placeholder that a rule has.
    placeholders: BTreeSet<String>,
    /// The rules by their ids: title and place.
    ids: BTreeMap<String, String>,
}

impl<'c> Loading<'c> {
    pub fn new(config: &'c RulesConfig, version: String, broken: Vec<BrokenRule>) -> Self {
        Self {
            config,
            values: placeholders::with_defaults(&config.placeholders),
            version,
            rules: Vec::new(),
            inactive: Vec::new(),
            broken,
            placeholders: BTreeSet::new(),
            ids: BTreeMap::new(),
        }
    }

    pub fn take_file(&mut self, file: &RuleFile) {
        let documents = file.documents();
        if documents.is_empty() {
            self.broken.push(BrokenRule {
                file: file.path.clone(),
                line: None,
                problem: "it holds no Sigma rule".to_owned(),
            });
        }
        for document in documents {
            if let Err(Problem { line, text }) = self.take_document(file, &document) {
                self.broken.push(BrokenRule { file: file.path.clone(), line: Some(line), problem: text });
            }
        }
    }

    fn take_document(&mut self, file: &RuleFile, document: &RuleDocument<'_>) -> Result<(), Problem> {
        let mut sigma = document.parse()?;
        check_logsource(&sigma.logsource).map_err(|text| document.problem("logsource", text))?;
        check_status(&sigma).map_err(|text| document.problem("status", text))?;
        let used = placeholders::expand(&mut sigma.detection, &self.values);
        self.placeholders.extend(used.iter().cloned());
        let line = document.line_of("title");
        let place = Place { folder: file.folder, file: file.path.clone(), line };
        let at_fault = if sigma.id.is_none() { "title" } else { "detection" };
        let rule = Rule::compile(&sigma, place).map_err(|text| document.problem(at_fault, text))?;
        let here = format!("\"{}\" ({}:{line})", rule.title, file.path);
        if let Some(other) = self.ids.get(&rule.id) {
            let text = format!("its id {} is also that of {other}; each rule needs its own", rule.id);
            return Err(document.problem("id", text));
        }
        self.ids.insert(rule.id.clone(), here);
        let missing: Vec<String> = used.into_iter().filter(|name| !self.values.contains_key(name)).collect();
        if missing.is_empty() {
            self.rules.push(rule);
        } else {
            self.inactive.push(InactiveRule { rule, missing });
        }
        Ok(())
    }

    pub fn finish(self) -> Result<RuleSet, RulesError> {
        // With a broken rule nobody can say which placeholders it would have had.
        let is_known = |name: &str| self.placeholders.contains(name) || placeholders::is_fallback(name);
        let unknown = self.config.placeholders.keys().find(|name| !is_known(name));
        if let Some(name) = unknown
            && self.broken.is_empty()
        {
            let known: Vec<&str> = self.placeholders.iter().map(String::as_str).collect();
            return Err(RulesError::UnknownPlaceholder { name: name.clone(), known: known.join(", ") });
        }
        let dispatch = Dispatch::new(self.rules.iter().map(Rule::calls));
        let conditions = Conditions::of(self.rules.iter().map(Rule::compiled));
        let Self { rules, inactive, broken, version, .. } = self;
        Ok(RuleSet { rules, inactive, broken, dispatch, conditions, version })
    }
}

/// A rule for other logs would be evaluated on fields that mean something else here, or never match.
fn check_logsource(logsource: &LogSource) -> Result<(), String> {
    let LogSource { category, product, service, .. } = logsource;
    let is =
        |part: &Option<String>, name: &str| part.as_ref().is_some_and(|part| part.eq_ignore_ascii_case(name));
    if category.is_none() && is(product, "aws") && (service.is_none() || is(service, "cloudtrail")) {
        return Ok(());
    }
    let parts = [("category", category), ("product", product), ("service", service)];
    let parts: Vec<String> =
        parts.iter().filter_map(|(name, part)| Some(format!("{name}: {}", part.as_ref()?))).collect();
    let found = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    Err(format!("its logsource is {found}; sagetrail reads only product: aws, service: cloudtrail"))
}

/// What its author has given up must not page anybody.
fn check_status(sigma: &SigmaRule) -> Result<(), String> {
    match sigma.status {
        Some(status @ (Status::Deprecated | Status::Unsupported)) => Err(format!(
            "its status is {}; use its successor, or remove it",
            if status == Status::Deprecated { "deprecated" } else { "unsupported" }
        )),
        Some(Status::Stable | Status::Test | Status::Experimental) | None => Ok(()),
    }
}
