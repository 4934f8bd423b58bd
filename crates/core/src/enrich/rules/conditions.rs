//! Evaluates when each rule of a set matches, as formulas over items that the rules share.

use std::collections::HashMap;

use rsigma_eval::{CompiledDetection, CompiledRule};
use rsigma_parser::{ConditionExpr, Quantifier};

use super::items::{Answers, ItemId, Items, ItemsBuilder};
use crate::enrich::dispatch::Calls;
use crate::enrich::sigma_event::SigmaEvent;

/// The condition of each rule, by its position in the set.
#[derive(Debug)]
pub struct Conditions {
    items: Items,
    of_rules: Vec<Formula>,
}

#[derive(Debug)]
enum Formula {
    Item(ItemId),
    Not(Box<Formula>),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    AtLeast(u64, Vec<Formula>),
}

impl Conditions {
    /// Reads the conditions of a set's rules; equal items of different rules become one. A rule with calls will be
    /// asked about records of these alone, and what they have answered already is left out.
    pub fn of<'r>(rules: impl IntoIterator<Item = (&'r CompiledRule, Option<&'r Calls>)>) -> Self {
        let mut items = ItemsBuilder::default();
        let of_rules = rules
            .into_iter()
            .map(|(rule, calls)| {
                let conditions = rule.conditions.iter();
                let conditions = conditions.map(|it| of_condition(it, &rule.detections, &mut items));
                let formula = Formula::any(conditions.collect());
                calls.into_iter().fold(formula, |formula, calls| formula.without_implied(calls, &items))
            })
            .collect();
        Self { items: items.finish(), of_rules }
    }

    /// Those of the candidates that match, in their order. One that would match only if what CloudTrail left out of the
    /// record were absent, or were this or that, does not.
    pub fn matching<'e, 's, 'a>(
        &'e self,
        candidates: Vec<usize>,
        event: &'e SigmaEvent<'s, 'a>,
    ) -> (Vec<usize>, Answers<'e, 's, 'a>) {
        let mut answers = Answers::of(event, &self.items);
        (self.matching_by(candidates, &mut answers), answers)
    }

    /// The same when the event was told what memory knows, with what was answered without it.
    pub fn matching_knowing(&self, candidates: Vec<usize>, mut answers: Answers<'_, '_, '_>) -> Vec<usize> {
        answers.forget_what_memory_changes();
        self.matching_by(candidates, &mut answers)
    }

    fn matching_by(&self, mut candidates: Vec<usize>, answers: &mut Answers<'_, '_, '_>) -> Vec<usize> {
        candidates.retain(|&position| self.of_rules[position].holds(answers) == Some(true));
        candidates
    }
}

impl Conditions {
    /// Whether the condition at this position certainly does not hold.
    pub fn is_refuted(&self, position: usize, event: &SigmaEvent<'_, '_>) -> bool {
        self.of_rules[position].holds(&mut Answers::of(event, &self.items)) == Some(false)
    }
}

impl Formula {
    /// All of them, with the parts of those that are themselves such a list in their place.
    fn all(formulas: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(formulas.len());
        for formula in formulas {
            match formula {
                Self::All(parts) => flat.extend(parts),
                other => flat.push(other),
            }
        }
        Self::All(flat)
    }

    fn any(mut formulas: Vec<Self>) -> Self {
        match formulas.pop() {
            Some(only) if formulas.is_empty() => only,
            last => {
                formulas.extend(last);
                Self::Any(formulas)
            }
        }
    }

    /// Of several parts, those that such calls do not answer by themselves.
    fn without_implied(mut self, calls: &Calls, items: &ItemsBuilder) -> Self {
        if let Self::All(parts) = &mut self {
            parts.retain(|part| !matches!(part, Self::Item(id) if items.is_implied(*id, calls)));
        }
        self
    }

    /// None where it depends on what is not known.
    fn holds(&self, answers: &mut Answers<'_, '_, '_>) -> Option<bool> {
        match self {
            Self::Item(id) => answers.holds(*id),
            Self::Not(formula) => formula.holds(answers).map(|holds| !holds),
            Self::All(formulas) => decided(formulas, false, answers),
            Self::Any(formulas) => decided(formulas, true, answers),
            Self::AtLeast(count, formulas) => {
                let answered: Vec<Option<bool>> =
                    formulas.iter().map(|formula| formula.holds(answers)).collect();
                let number = |wanted| answered.iter().filter(|holds| **holds == wanted).count() as u64;
                match number(Some(true)) {
                    certain if certain >= *count => Some(true),
                    certain => (certain + number(None) < *count).then_some(false),
                }
            }
        }
    }
}

/// What a list comes to of which one formula that holds as given decides all.
fn decided(formulas: &[Formula], decisive: bool, answers: &mut Answers<'_, '_, '_>) -> Option<bool> {
    let mut is_known = true;
    for formula in formulas {
        // Most parts are items that were answered before, for which the way through `holds` would be long.
        let holds = match formula {
            Formula::Item(id) => answers.holds(*id),
            formula => formula.holds(answers),
        };
        match holds {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(!decisive)
}

type Detections = HashMap<String, CompiledDetection>;

fn of_condition(condition: &ConditionExpr, detections: &Detections, items: &mut ItemsBuilder) -> Formula {
    let mut each = |conditions: &[ConditionExpr]| {
        conditions.iter().map(|condition| of_condition(condition, detections, items)).collect()
    };
    match condition {
        ConditionExpr::Identifier(name) => match detections.get(name) {
            Some(detection) => of_detection(detection, items),
            // As the library has it: what does not exist does not match.
            None => Formula::Any(Vec::new()),
        },
        ConditionExpr::And(conditions) => Formula::all(each(conditions)),
        ConditionExpr::Or(conditions) => Formula::any(each(conditions)),
        ConditionExpr::Not(condition) => Formula::Not(Box::new(of_condition(condition, detections, items))),
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut names: Vec<&String> =
                detections.keys().filter(|name| pattern.matches_detection_name(name)).collect();
            names.sort();
            let selected = names.into_iter().map(|name| of_detection(&detections[name], items)).collect();
            match quantifier {
                Quantifier::Any => Formula::any(selected),
                Quantifier::All => Formula::all(selected),
                Quantifier::Count(count) => Formula::AtLeast(*count, selected),
            }
        }
    }
}

fn of_detection(detection: &CompiledDetection, items: &mut ItemsBuilder) -> Formula {
    match detection {
        CompiledDetection::AllOf(parts) => {
            Formula::All(parts.iter().map(|item| Formula::Item(items.add(item))).collect())
        }
        CompiledDetection::AnyOf(parts) => {
            Formula::any(parts.iter().map(|part| of_detection(part, items)).collect())
        }
        CompiledDetection::And(parts) => {
            Formula::all(parts.iter().map(|part| of_detection(part, items)).collect())
        }
        CompiledDetection::Keywords(_)
        | CompiledDetection::ArrayMatch { .. }
        | CompiledDetection::Conditional { .. } => Formula::Item(items.add_whole(detection)),
    }
}

#[cfg(test)]
mod tests;
