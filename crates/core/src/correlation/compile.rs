//! Compiles the document of a correlation, whose members are checked, and ties it to its base rules.

use std::collections::BTreeSet;

use rsigma_eval::correlation::compile_correlation;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType,
};

use super::episodes::MAX_POINTS;
use super::fields::{document_field, is_number};
use super::problem::Problem;
use super::rhythm::{self, Rhythm};
use super::{Base, Correlation};
use crate::enrich::{Place, Severity, Tags};

/// The longest timespan, in seconds: a week. All points within it are read at once.
const MAX_TIMESPAN: u64 = 7 * 24 * 60 * 60;
/// Base rules of one correlation.
const MAX_RULES: usize = 100;

impl Correlation {
    /// Compiles a parsed correlation, whose base rules are looked up later.
    pub(crate) fn compile(rule: &CorrelationRule, place: Place) -> Result<Self, Problem> {
        let id =
            rule.id.clone().ok_or_else(|| Problem::new("title", "it has no id; give it a random UUID"))?;
        let mut rule = rule.clone();
        check_kind(&rule)?;
        check_names(&rule)?;
        check_timespan(&rule)?;
        take_fields(&mut rule)?;
        take_condition(&mut rule)?;
        let compiled =
            compile_correlation(&rule).map_err(|error| Problem::new("correlation", error.to_string()))?;
        let rhythm = take_rhythm(&rule, |count| compiled.condition.check(count))?;
        let Tags { categories, tactics, techniques } = Tags::of(&rule.tags);
        Ok(Self {
            id,
            name: rule.name,
            title: rule.title,
            description: rule.description.unwrap_or_default(),
            level: rule.level.map_or(Severity::Informational, Severity::from),
            categories,
            tactics,
            techniques,
            references: rule.references,
            false_positives: rule.falsepositives,
            place,
            change: None,
            compiled,
            rhythm,
            base: Vec::new(),
        })
    }

    /// The names by which it calls its base rules.
    pub(crate) fn calls(&self) -> &[String] {
        &self.compiled.rule_refs
    }

    /// Ties it to the rules that it calls, which come in the same order.
    pub(crate) fn tie(&mut self, base: Vec<Base>) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        match base.iter().find(|base| !ids.insert(base.id.clone())) {
            Some(twice) => Err(format!("it names the rule \"{}\" twice", twice.title)),
            None => {
                self.base = base;
                Ok(())
            }
        }
    }

    /// Whether it can match while some of its base rules cannot.
    pub(crate) fn can_match_without(&self, silent: usize) -> bool {
        let is_whole = match self.compiled.correlation_type {
            CorrelationType::TemporalOrdered => true,
            CorrelationType::Temporal => self.compiled.extended_expr.is_none(),
            _ => false,
        };
        silent == 0 || !is_whole && silent < self.base.len()
    }
}

/// The member that compares a count with the days before, given whether the condition holds for a count.
fn take_rhythm(rule: &CorrelationRule, holds: impl Fn(f64) -> bool) -> Result<Option<Rhythm>, Problem> {
    let Some(written) = rule.custom_attributes.get(rhythm::MEMBER) else { return Ok(None) };
    if rule.correlation_type != CorrelationType::EventCount {
        return Err(Problem::new(
            rhythm::MEMBER,
            "`rhythm` is for event_count: numbers of events are compared",
        ));
    }
    let most = u32::try_from(MAX_POINTS).expect("it is a few thousand");
    let least = (1..=most).find(|count| holds(f64::from(*count))).unwrap_or(most);
    let timespan = i64::try_from(rule.timespan.seconds).expect("a longer one is refused");
    Rhythm::read(written, timespan, least.into()).map(Some)
}

fn check_kind(rule: &CorrelationRule) -> Result<(), Problem> {
    match rule.correlation_type {
        CorrelationType::EventCount
        | CorrelationType::ValueCount
        | CorrelationType::ValueSum
        | CorrelationType::Temporal
        | CorrelationType::TemporalOrdered => Ok(()),
        other => Err(Problem::new(
            "type",
            format!(
                "correlations of type {} are not evaluated; event_count, value_count, value_sum, temporal and temporal_ordered are",
                other.as_str()
            ),
        )),
    }
}

fn check_names(rule: &CorrelationRule) -> Result<(), Problem> {
    if rule.rules.len() > MAX_RULES {
        return Err(Problem::new("rules", format!("it names more than {MAX_RULES} rules")));
    }
    for alias in &rule.aliases {
        if !rule.group_by.contains(&alias.alias) {
            let text = format!("the alias \"{}\" has no effect; name it in `group-by`", alias.alias);
            return Err(Problem::new("aliases", text));
        }
        if let Some(unknown) = alias.mapping.keys().filter(|name| !rule.rules.contains(name)).min() {
            let text =
                format!("the alias \"{}\" names \"{unknown}\", which is not among `rules`", alias.alias);
            return Err(Problem::new("aliases", text));
        }
        if let Some(missing) = rule.rules.iter().find(|name| !alias.mapping.contains_key(*name)) {
            let text = format!("the alias \"{}\" says no field for \"{missing}\"", alias.alias);
            return Err(Problem::new("aliases", text));
        }
    }
    Ok(())
}

fn check_timespan(rule: &CorrelationRule) -> Result<(), Problem> {
    match rule.timespan.seconds {
        1..=MAX_TIMESPAN => Ok(()),
        _ => Err(Problem::new("timespan", "`timespan` is between a second (1s) and a week (7d)")),
    }
}

/// Puts the fields of documents in the place of the names that stand for them.
fn take_fields(rule: &mut CorrelationRule) -> Result<(), Problem> {
    let aliases: BTreeSet<String> = rule.aliases.iter().map(|alias| alias.alias.clone()).collect();
    for name in rule.group_by.iter_mut().filter(|name| !aliases.contains(*name)) {
        *name = document_field(name).map_err(|text| Problem::new("group-by", text))?.to_owned();
    }
    for alias in &mut rule.aliases {
        for field in alias.mapping.values_mut() {
            *field = document_field(field).map_err(|text| Problem::new("aliases", text))?.to_owned();
        }
    }
    if let CorrelationCondition::Threshold { field: Some(fields), .. } = &mut rule.condition {
        for field in fields {
            *field = document_field(field).map_err(|text| Problem::new("condition", text))?.to_owned();
        }
    }
    Ok(())
}

fn take_condition(rule: &mut CorrelationRule) -> Result<(), Problem> {
    use CorrelationType::{EventCount, Temporal, TemporalOrdered, ValueCount, ValueSum};
    let refuse = |text: &str| Err(Problem::new("condition", text));
    let rules = rule.rules.len() as u64;
    match (rule.correlation_type, &mut rule.condition) {
        (TemporalOrdered, CorrelationCondition::Extended(expression)) if !is_all(expression, &rule.rules) => {
            refuse("temporal_ordered asks for all rules in the order of `rules`; leave the condition out")
        }
        (EventCount | ValueCount | ValueSum, CorrelationCondition::Extended(_)) => {
            refuse("an expression over rules is for temporal correlations; a count has `gte` and the like")
        }
        (_, CorrelationCondition::Extended(expression)) => check_expression(expression, &rule.rules),
        (Temporal | TemporalOrdered, CorrelationCondition::Threshold { field: Some(_), .. }) => {
            Err(Problem::new(
                "condition",
                "`field` is for value_count and value_sum; a temporal correlation counts rules",
            ))
        }
        // The library leaves a condition out as "at least one", where Sigma means all rules.
        (Temporal | TemporalOrdered, CorrelationCondition::Threshold { predicates, .. })
            if *predicates == [(ConditionOperator::Gte, 1)] =>
        {
            *predicates = vec![(ConditionOperator::Gte, rules)];
            Ok(())
        }
        (TemporalOrdered, CorrelationCondition::Threshold { predicates, .. }) => {
            if holds(predicates, rules) && !holds(predicates, 0) {
                Ok(())
            } else {
                refuse("temporal_ordered asks for all rules in the order of `rules`; leave the condition out")
            }
        }
        (Temporal, CorrelationCondition::Threshold { predicates, .. }) => check_counts(predicates, rules),
        (EventCount, CorrelationCondition::Threshold { field: Some(_), .. }) => Err(Problem::new(
            "condition",
            "event_count counts events; to count the values of a field, take value_count",
        )),
        (ValueCount, CorrelationCondition::Threshold { field: None, .. }) => {
            refuse("value_count has no `field` whose values it counts")
        }
        (ValueSum, CorrelationCondition::Threshold { field, predicates, .. }) => {
            match field.as_deref().unwrap_or_default() {
                [field] if is_number(field) => check_sums(predicates),
                [field] => refuse(&format!("documents have \"{field}\" as text, which has no sum")),
                _ => refuse("value_sum has one `field` whose values it adds up"),
            }
        }
        (_, CorrelationCondition::Threshold { predicates, .. }) => {
            check_counts(predicates, MAX_POINTS as u64)
        }
    }
}

/// A condition is asked when something happens. So it must not hold when nothing did, and must hold for some number.
fn check_counts(predicates: &[(ConditionOperator, u64)], most: u64) -> Result<(), Problem> {
    check_nothing(predicates)?;
    if (1..=most).any(|count| holds(predicates, count)) {
        Ok(())
    } else {
        Err(Problem::new("condition", format!("the condition holds for no number from 1 to {most}")))
    }
}

/// A sum can be of any size: if a condition holds for some, then for one beside its bounds.
fn check_sums(predicates: &[(ConditionOperator, u64)]) -> Result<(), Problem> {
    check_nothing(predicates)?;
    let around =
        |(_, bound): &(ConditionOperator, u64)| [bound.saturating_sub(1), *bound, bound.saturating_add(1)];
    if predicates.iter().flat_map(around).any(|sum| holds(predicates, sum)) {
        Ok(())
    } else {
        Err(Problem::new("condition", "the condition holds for no sum"))
    }
}

fn check_nothing(predicates: &[(ConditionOperator, u64)]) -> Result<(), Problem> {
    if holds(predicates, 0) {
        let text = "the condition holds also when nothing happens, and is only asked when something does; give it a `gte` or `gt`";
        return Err(Problem::new("condition", text));
    }
    Ok(())
}

fn holds(predicates: &[(ConditionOperator, u64)], count: u64) -> bool {
    predicates.iter().all(|(operator, bound)| match operator {
        ConditionOperator::Lt => count < *bound,
        ConditionOperator::Lte => count <= *bound,
        ConditionOperator::Gt => count > *bound,
        ConditionOperator::Gte => count >= *bound,
        ConditionOperator::Eq => count == *bound,
        ConditionOperator::Neq => count != *bound,
    })
}

fn check_expression(expression: &ConditionExpr, rules: &[String]) -> Result<(), Problem> {
    let refuse = |text: String| Err(Problem::new("condition", text));
    match problem_of(expression, rules) {
        Some(text) => refuse(text),
        None if holds_for_none(expression) => refuse(
            "the condition holds also when no rule matched, and is only asked when one does; ask for a rule that must match"
                .to_owned(),
        ),
        None => Ok(()),
    }
}

fn problem_of(expression: &ConditionExpr, rules: &[String]) -> Option<String> {
    match expression {
        ConditionExpr::Identifier(name) if rules.contains(name) => None,
        ConditionExpr::Identifier(name) => Some(format!("\"{name}\" is not among `rules`")),
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().find_map(|part| problem_of(part, rules))
        }
        ConditionExpr::Not(part) => problem_of(part, rules),
        ConditionExpr::Selector { .. } => {
            Some("\"of\" is not evaluated in a correlation; name the rules with and, or, not".to_owned())
        }
    }
}

fn holds_for_none(expression: &ConditionExpr) -> bool {
    match expression {
        ConditionExpr::And(parts) => parts.iter().all(holds_for_none),
        ConditionExpr::Or(parts) => parts.iter().any(holds_for_none),
        ConditionExpr::Not(part) => !holds_for_none(part),
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => false,
    }
}

/// Whether the expression asks for all rules and nothing else.
fn is_all(expression: &ConditionExpr, rules: &[String]) -> bool {
    fn names<'e>(expression: &'e ConditionExpr, found: &mut BTreeSet<&'e str>) -> bool {
        match expression {
            ConditionExpr::Identifier(name) => {
                found.insert(name);
                true
            }
            ConditionExpr::And(parts) => parts.iter().all(|part| names(part, found)),
            _ => false,
        }
    }
    let mut found = BTreeSet::new();
    names(expression, &mut found) && found == rules.iter().map(String::as_str).collect()
}
