//! Compiles a Sigma filter of the site, which keeps matches of other rules out of the findings.
//!
//! Its condition is joined to that of each rule that it names with "and", as Sigma has it: `condition: not selection`
//! mutes what the selection matches. A match is muted where the condition certainly does not hold. Where it depends on
//! what CloudTrail left out of the record, the match stays.

use std::collections::HashMap;

use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{FilterRule, FilterRuleTarget, SigmaRule, Status};
use yaml_serde::{Mapping, Value};

use super::known_rule::{Kind, KnownRule};
use crate::nearest::nearest;

/// A filter that is loaded.
#[derive(Debug)]
pub struct Filter {
    pub title: String,
    pub id: Option<String>,
    /// What its author says of it; the title where there is no description.
    pub reason: String,
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The placeholders without values, for want of which it mutes nothing.
    pub missing: Vec<String>,
    pub(super) compiled: CompiledRule,
    pub(super) target: FilterRuleTarget,
}

/// The member of a document that makes it a filter.
pub const MEMBER: &str = "filter";

/// Members that would have no effect, and what to do instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("detection", "a document is a rule or a filter; put the selections of a filter below `filter`"),
    ("correlation", "a document is a filter or a correlation; make it two"),
    ("level", "a filter changes no level; rules.override in the configuration does"),
];

/// What Sigma's library would pass over in silence: the member at fault, and what a person must change.
pub fn problem_of(document: &Mapping) -> Option<(&'static str, &'static str)> {
    let member = |name: &str| document.get(Value::String(name.to_owned()));
    if let Some(wrong) = WITHOUT_EFFECT.iter().find(|(name, _)| member(name).is_some()) {
        return Some(*wrong);
    }
    if member("logsource").is_none() {
        return Some((MEMBER, "it has no logsource; give it product: aws, service: cloudtrail"));
    }
    let Some(filter) = member(MEMBER).and_then(Value::as_mapping) else {
        return Some((MEMBER, "`filter` is a mapping of `rules`, selections and a `condition`"));
    };
    let inner = |name: &str| filter.get(Value::String(name.to_owned()));
    match inner("rules") {
        None => return Some((MEMBER, "it has no `rules`: give the ids of rules as a list, or `any`")),
        Some(Value::String(_)) => {}
        Some(Value::Sequence(names)) if !names.is_empty() && names.iter().all(Value::is_string) => {}
        Some(_) => return Some(("rules", "its `rules` are `any`, or a list of ids, names or titles")),
    }
    match inner("condition") {
        None => Some((MEMBER, "it has no `condition`, such as `condition: not selection`")),
        Some(_) if inner("timeframe").is_some() => Some((
            "timeframe",
            "`timeframe`: a filter looks at single records; a timespan belongs into a correlation",
        )),
        Some(_) => None,
    }
}

impl Filter {
    /// Compiles a parsed filter, whose placeholders are filled. The error is what a person must change.
    pub fn compile(
        filter: FilterRule,
        file: String,
        line: usize,
        missing: Vec<String>,
    ) -> Result<Self, String> {
        if let Some(Status::Deprecated | Status::Unsupported) = filter.status {
            return Err("its author has given it up (`status`); use its successor, or remove it".to_owned());
        }
        let reason = filter.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let reason = reason.unwrap_or(&filter.title).to_owned();
        let (title, id, target) = (filter.title.clone(), filter.id.clone(), filter.rules.clone());
        let compiled = compile_rule(&as_rule(filter)).map_err(|error| error.to_string())?;
        Ok(Self { title, id, reason, file, line, missing, compiled, target })
    }

    /// The ids of the rules that it names, by their ids, names or titles. The error names one that there is not.
    pub(super) fn rules(&self, known: &[KnownRule]) -> Result<Vec<String>, String> {
        let single = || known.iter().filter(|rule| rule.kind == Kind::Rule);
        let FilterRuleTarget::Specific(wanted) = &self.target else {
            return Ok(single().map(|rule| rule.id.clone()).collect());
        };
        let mut ids = Vec::new();
        for wanted in wanted {
            let found = single().filter(|rule| rule.is_called(wanted));
            let before = ids.len();
            ids.extend(found.map(|rule| rule.id.clone()));
            if ids.len() == before && known.iter().any(|rule| rule.is_called(wanted)) {
                return Err(format!(
                    "\"{wanted}\" is a correlation, and a filter looks at single records; filter its base rules, or \
                     change it by rules.override in the configuration"
                ));
            }
            if ids.len() == before {
                let names = known.iter().flat_map(KnownRule::names);
                return Err(match nearest(wanted, names) {
                    Some(right) => format!("there is no rule \"{wanted}\"; did you mean \"{right}\"?"),
                    None => {
                        format!(
                            "there is no rule \"{wanted}\"; `sagetrail rules` lists the rules with their ids"
                        )
                    }
                });
            }
        }
        Ok(ids)
    }
}

/// A rule that matches where the filter's condition holds.
fn as_rule(filter: FilterRule) -> SigmaRule {
    SigmaRule {
        title: filter.title,
        logsource: filter.logsource.unwrap_or_default(),
        detection: filter.detection,
        sigma_version: filter.sigma_version,
        id: filter.id,
        name: filter.name,
        related: Vec::new(),
        taxonomy: filter.taxonomy,
        status: filter.status,
        description: filter.description,
        license: filter.license,
        author: filter.author,
        references: Vec::new(),
        date: filter.date,
        modified: filter.modified,
        fields: Vec::new(),
        falsepositives: Vec::new(),
        level: None,
        tags: Vec::new(),
        scope: Vec::new(),
        custom_attributes: HashMap::new(),
    }
}
