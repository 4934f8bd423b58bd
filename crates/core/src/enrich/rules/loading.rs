//! Takes the rules of one file after the other and sorts them into usable, inactive and broken.

use std::collections::{BTreeMap, BTreeSet};

use rsigma_parser::{CorrelationRule, Detections, FilterRule, LogSource, SigmaRule, Status};

use super::conditions::Conditions;
use super::correlating;
use super::error::{BrokenRule, RulesError};
use super::file::{Parsed, Problem, RuleDocument, RuleFile};
use super::filter::Filter;
use super::known_rule::{Kind, KnownRule};
use super::set::{InactiveRule, RuleSet};
use super::tuning::{Completeness, Tuning};
use crate::correlation::Correlation;
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
    filters: Vec<Filter>,
    /// With the lines that name their base rules.
    correlations: Vec<(Correlation, usize)>,
    broken: Vec<BrokenRule>,
    /// Every placeholder that a rule has.
    placeholders: BTreeSet<String>,
    /// The rules by their ids: title and place.
    ids: BTreeMap<String, String>,
    /// What filters and overrides may call the rules.
    known: Vec<KnownRule>,
}

impl<'c> Loading<'c> {
    /// Begins with the files that could not even be read.
    pub fn new(config: &'c RulesConfig, version: String, broken: Vec<BrokenRule>) -> Self {
        Self {
            config,
            values: placeholders::with_defaults(&config.placeholders),
            version,
            rules: Vec::new(),
            inactive: Vec::new(),
            filters: Vec::new(),
            correlations: Vec::new(),
            broken,
            placeholders: BTreeSet::new(),
            ids: BTreeMap::new(),
            known: Vec::new(),
        }
    }

    /// Takes the documents of a file. One that is no rule is noted as broken, and loading goes on.
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
        match document.parse()? {
            Parsed::Rule(rule) => self.take_rule(file, document, *rule),
            Parsed::Filter(filter) => self.take_filter(file, document, *filter),
            Parsed::Correlation(correlation) => self.take_correlation(file, document, &correlation),
        }
    }

    fn take_filter(
        &mut self,
        file: &RuleFile,
        document: &RuleDocument<'_>,
        mut filter: FilterRule,
    ) -> Result<(), Problem> {
        check_logsource(&filter.logsource.clone().unwrap_or_default())
            .map_err(|text| document.problem("logsource", text))?;
        let (_, missing) = self.expand(&mut filter.detection);
        // Where the names of its rules stand, which are looked up when all rules are known.
        let line = document.line_of("rules");
        let filter = Filter::compile(filter, file.path.clone(), line, missing)
            .map_err(|text| document.problem("condition", text))?;
        self.filters.push(filter);
        Ok(())
    }

    fn take_rule(
        &mut self,
        file: &RuleFile,
        document: &RuleDocument<'_>,
        mut sigma: SigmaRule,
    ) -> Result<(), Problem> {
        check_logsource(&sigma.logsource).map_err(|text| document.problem("logsource", text))?;
        check_status(sigma.status).map_err(|text| document.problem("status", text))?;
        let (used, missing) = self.expand(&mut sigma.detection);
        let line = document.line_of("title");
        let place = Place { folder: file.folder, file: file.path.clone(), line };
        let at_fault = if sigma.id.is_none() { "title" } else { "detection" };
        let mut rule = Rule::compile(&sigma, place).map_err(|text| document.problem(at_fault, text))?;
        rule.placeholders = used;
        let known =
            KnownRule { id: rule.id.clone(), name: sigma.name, title: rule.title.clone(), kind: Kind::Rule };
        self.know(file, document, known)?;
        if missing.is_empty() {
            self.rules.push(rule);
        } else {
            self.inactive.push(InactiveRule { rule, missing });
        }
        Ok(())
    }

    fn take_correlation(
        &mut self,
        file: &RuleFile,
        document: &RuleDocument<'_>,
        rule: &CorrelationRule,
    ) -> Result<(), Problem> {
        check_status(rule.status).map_err(|text| document.problem("status", text))?;
        let place = Place { folder: file.folder, file: file.path.clone(), line: document.line_of("title") };
        let correlation = Correlation::compile(rule, place)
            .map_err(|problem| document.problem(&problem.member, problem.text))?;
        let Correlation { id, name, title, .. } = &correlation;
        let known =
            KnownRule { id: id.clone(), name: name.clone(), title: title.clone(), kind: Kind::Correlation };
        self.know(file, document, known)?;
        // Its base rules are looked up when all rules are known.
        self.correlations.push((correlation, document.line_of("rules")));
        Ok(())
    }

    /// Takes note of a rule, whose id must be its own.
    fn know(
        &mut self,
        file: &RuleFile,
        document: &RuleDocument<'_>,
        known: KnownRule,
    ) -> Result<(), Problem> {
        if let Some(other) = self.ids.get(&known.id) {
            let text = format!("its id {} is also that of {other}; each rule needs its own", known.id);
            return Err(document.problem("id", text));
        }
        let here = format!("\"{}\" ({}:{})", known.title, file.path, document.line_of("title"));
        self.ids.insert(known.id.clone(), here);
        self.known.push(known);
        Ok(())
    }

    /// Fills the placeholders and returns the names of all, and of those without values.
    fn expand(&mut self, detections: &mut Detections) -> (Vec<String>, Vec<String>) {
        let used = placeholders::expand(detections, &self.values);
        self.placeholders.extend(used.iter().cloned());
        let missing = used.iter().filter(|name| !self.values.contains_key(*name)).cloned().collect();
        (used.into_iter().collect(), missing)
    }

    /// Ties filters, correlations and overrides to the rules, and makes the set.
    ///
    /// An unknown placeholder or override is an error, unless it may be one of a broken rule.
    pub fn finish(mut self) -> Result<RuleSet, RulesError> {
        // With a broken rule nobody can say which placeholders it would have had.
        let is_known = |name: &str| self.placeholders.contains(name) || placeholders::is_fallback(name);
        let unknown = self.config.placeholders.keys().find(|name| !is_known(name));
        if let Some(name) = unknown
            && self.broken.is_empty()
        {
            let known: Vec<&str> = self.placeholders.iter().map(String::as_str).collect();
            return Err(RulesError::UnknownPlaceholder { name: name.clone(), known: known.join(", ") });
        }
        let (mut correlations, lost) =
            correlating::tie(std::mem::take(&mut self.correlations), &self.known, &self.inactive);
        self.broken.extend(lost);
        let completeness =
            if self.broken.is_empty() { Completeness::All } else { Completeness::SomeAreBroken };
        let (mut tuning, lost) = Tuning::of_filters(std::mem::take(&mut self.filters), &self.known);
        for (Filter { file, line, .. }, problem) in lost {
            self.broken.push(BrokenRule { file, line: Some(line), problem });
        }
        tuning.take_overrides(&self.config.overrides, &self.rules, &self.known, completeness)?;
        correlating::change(&mut correlations, &tuning);
        let dispatch = Dispatch::new(self.rules.iter().map(Rule::calls));
        let of_rules = self.rules.iter().map(|rule| (rule.compiled(), Some(rule.calls())));
        let of_filters = tuning.filters().iter().map(|filter| (&filter.compiled, None));
        let conditions = Conditions::of(of_rules.chain(of_filters));
        let Self { rules, inactive, broken, values, version, .. } = self;
        Ok(RuleSet { rules, inactive, broken, dispatch, conditions, tuning, correlations, values, version })
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
fn check_status(status: Option<Status>) -> Result<(), String> {
    match status {
        Some(status @ (Status::Deprecated | Status::Unsupported)) => Err(format!(
            "its status is {}; use its successor, or remove it",
            if status == Status::Deprecated { "deprecated" } else { "unsupported" }
        )),
        Some(Status::Stable | Status::Test | Status::Experimental) | None => Ok(()),
    }
}
