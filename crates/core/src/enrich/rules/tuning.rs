//! Applies what a site changes about rules without touching them, by filters and by overrides of the configuration.
//!
//! Nothing disappears by it. A muted match is written into the document with its reason, and the record of a muted
//! match is shipped as before. Overrides end by themselves: whether one applies depends on the time of the event, so
//! that a record has the same document whenever it is delivered.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

use super::RulesError;
use super::filter::Filter;
use super::known_rule::KnownRule;
use crate::enrich::rule::{Rule, Severity};
use crate::labels::MutedBy;
use crate::nearest::nearest;
use crate::settings::Override;

/// What the site has changed about the rules of a set.
#[derive(Debug, Default)]
pub struct Tuning {
    /// By the rule's id.
    overrides: HashMap<String, RuleOverride>,
    filters: Vec<Filter>,
    /// The positions of the filters by the id of each rule that they are for.
    filters_of: HashMap<String, Vec<usize>>,
}

/// An override that makes sense.
#[derive(Debug)]
pub struct RuleOverride {
    pub effect: Effect,
    pub reason: String,
    /// The last day on which it applies, in UTC.
    pub until: Date,
}

/// What an override does to matches of its rule.
#[derive(Debug)]
pub enum Effect {
    Disable,
    /// The rule with another level.
    Level(Box<Rule>),
    /// The new level of a rule that cannot match, for want of placeholders.
    LevelOfSilent(Severity),
}

/// The rules that match a record, after the site's changes.
#[derive(Debug, Default)]
pub struct Judged<'s> {
    /// Those that say something, with the levels that the site gives them.
    pub matches: Vec<&'s Rule>,
    pub muted: Vec<Muted<'s>>,
    pub releveled: Vec<Releveled<'s>>,
}

/// A match that the site does not want to see, as documents have it.
#[derive(Debug, Serialize)]
pub struct Muted<'s> {
    pub id: &'s str,
    pub title: &'s str,
    /// The level of the rule itself.
    pub level: Severity,
    pub by: MutedBy,
    /// The title of the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'s str>,
    pub reason: &'s str,
}

/// A match whose level is not that of the rule itself, as documents have it.
#[derive(Debug, Serialize)]
pub struct Releveled<'s> {
    pub id: &'s str,
    pub title: &'s str,
    pub level: Severity,
    pub original_level: Severity,
    pub reason: &'s str,
}

impl<'s> Muted<'s> {
    /// A match that a filter of the site mutes.
    pub fn by_filter(rule: &'s Rule, filter: &'s Filter) -> Self {
        Self::of(rule, MutedBy::Filter, Some(&filter.title), &filter.reason)
    }

    fn of(rule: &'s Rule, by: MutedBy, filter: Option<&'s str>, reason: &'s str) -> Self {
        Self { id: &rule.id, title: &rule.title, level: rule.level, by, filter, reason }
    }
}

impl RuleOverride {
    /// Whether an event at this time is judged with the override, which ends with its last day in UTC.
    pub fn applies_at(&self, at: OffsetDateTime) -> bool {
        at.to_offset(UtcOffset::UTC).date() <= self.until
    }

    /// The level that a rule has by it.
    pub fn level(&self) -> Option<Severity> {
        match &self.effect {
            Effect::Disable => None,
            Effect::Level(rule) => Some(rule.level),
            Effect::LevelOfSilent(level) => Some(*level),
        }
    }
}

impl Tuning {
    /// Ties filters to the rules that they name. Those whose names fit no rule come back with what a person must
    /// change.
    pub fn of_filters(filters: Vec<Filter>, known: &[KnownRule]) -> (Self, Vec<(Filter, String)>) {
        let (mut tuning, mut broken) = (Self::default(), Vec::new());
        for filter in filters {
            match filter.rules(known) {
                Err(problem) => broken.push((filter, problem)),
                Ok(ids) => {
                    for id in ids {
                        let filters = tuning.filters_of.entry(id).or_default();
                        if filters.last() != Some(&tuning.filters.len()) {
                            filters.push(tuning.filters.len());
                        }
                    }
                    tuning.filters.push(filter);
                }
            }
        }
        (tuning, broken)
    }

    /// Adds the overrides of the configuration. An id that is not among those of the rules is a mistake when
    /// `completeness` says that every rule is known, and is passed over otherwise.
    pub fn take_overrides(
        &mut self,
        overrides: &BTreeMap<String, Override>,
        rules: &[Rule],
        known: &[KnownRule],
        completeness: Completeness,
    ) -> Result<(), RulesError> {
        for (id, wanted) in overrides {
            let refuse = |problem: String| RulesError::Override { id: id.clone(), problem };
            let Some(rule) = known.iter().find(|rule| rule.id.eq_ignore_ascii_case(id)) else {
                match completeness {
                    Completeness::SomeAreBroken => continue,
                    Completeness::All => return Err(refuse(unknown_rule(id, known))),
                }
            };
            let (level, reason, until) = checked(wanted).map_err(refuse)?;
            let effect = match level {
                None => Effect::Disable,
                Some(level) => match rules.iter().find(|other| other.id == rule.id) {
                    Some(rule) => {
                        let mut changed = Box::new(rule.clone());
                        changed.level = level;
                        Effect::Level(changed)
                    }
                    None => Effect::LevelOfSilent(level),
                },
            };
            self.overrides.insert(rule.id.clone(), RuleOverride { effect, reason, until });
        }
        Ok(())
    }

    /// All filters, also those that have no effect for want of placeholders.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// The filters that are for a rule.
    pub fn filters_for(&self, id: &str) -> impl Iterator<Item = &Filter> {
        self.positions_for(id).map(|position| &self.filters[position])
    }

    /// Whether something is different for a rule.
    pub fn changes(&self, id: &str, at: OffsetDateTime) -> bool {
        self.override_of(id).is_some_and(|change| change.applies_at(at))
            || self.filters_for(id).any(|filter| filter.missing.is_empty())
    }

    /// The override of the rule with this id, also when it applies no longer.
    pub fn override_of(&self, id: &str) -> Option<&RuleOverride> {
        self.overrides.get(id)
    }

    /// The ids of rules with the overrides that apply no longer.
    pub fn expired(&self, at: OffsetDateTime) -> Vec<(&str, &RuleOverride)> {
        let mut expired: Vec<_> = self
            .overrides
            .iter()
            .filter(|(_, it)| !it.applies_at(at))
            .map(|(id, it)| (id.as_str(), it))
            .collect();
        expired.sort_by_key(|(id, _)| *id);
        expired
    }

    /// Sorts the rules that match a record. `keeps` says of a filter, by its position, whether a match certainly passes
    /// or may pass it.
    pub fn judge<'s>(
        &'s self,
        matching: Vec<&'s Rule>,
        at: OffsetDateTime,
        mut keeps: impl FnMut(usize) -> bool,
    ) -> Judged<'s> {
        if self.overrides.is_empty() && self.filters.is_empty() {
            return Judged { matches: matching, ..Judged::default() };
        }
        let mut judged = Judged::default();
        for rule in matching {
            let change = self.overrides.get(&rule.id).filter(|change| change.applies_at(at));
            if let Some(RuleOverride { effect: Effect::Disable, reason, .. }) = change {
                judged.muted.push(Muted::of(rule, MutedBy::Override, None, reason));
                continue;
            }
            let mut filters = self.positions_for(&rule.id);
            if let Some(position) =
                filters.find(|&position| self.filters[position].missing.is_empty() && !keeps(position))
            {
                judged.muted.push(Muted::by_filter(rule, &self.filters[position]));
                continue;
            }
            match change {
                Some(RuleOverride { effect: Effect::Level(changed), reason, .. }) => {
                    let (level, original_level) = (changed.level, rule.level);
                    let (id, title) = (rule.id.as_str(), rule.title.as_str());
                    judged.releveled.push(Releveled { id, title, level, original_level, reason });
                    judged.matches.push(changed);
                }
                _ => judged.matches.push(rule),
            }
        }
        judged
    }

    fn positions_for(&self, id: &str) -> impl Iterator<Item = usize> {
        self.filters_of.get(id).into_iter().flatten().copied()
    }
}

/// Whether every rule of the folders is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    All,
    SomeAreBroken,
}

/// The level (none to disable), the reason and the last day of an override, or what is wrong with it.
fn checked(wanted: &Override) -> Result<(Option<Severity>, String, Date), String> {
    let level = match (wanted.disable, &wanted.level) {
        (true, None) => None,
        (false, Some(name)) => Some(level_of(name)?),
        (true, Some(_)) => return Err("has `disable` beside `level`; keep one of them".to_owned()),
        (false, None) => return Err("changes nothing; give it disable = true, or a level".to_owned()),
    };
    let reason = wanted.reason.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let reason =
        reason.ok_or("has no reason; say why for the next reader, such as reason = \"agreed in SEC-42\"")?;
    let until = wanted
        .until
        .as_deref()
        .ok_or("has no end; give the last day on which it applies, such as until = \"2027-03-31\"")?;
    let until = Date::parse(until, format_description!("[year]-[month]-[day]"))
        .map_err(|_| format!("until: \"{until}\" is not a day, such as \"2027-03-31\""))?;
    Ok((level, reason.to_owned(), until))
}

fn level_of(name: &str) -> Result<Severity, String> {
    let found = Severity::ALL.iter().find(|level| level.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = Severity::ALL.iter().map(|level| level.name()).collect();
        format!("level: \"{name}\" is not one of {}", names.join(", "))
    })
}

fn unknown_rule(id: &str, known: &[KnownRule]) -> String {
    if let Some(rule) = known.iter().find(|rule| rule.is_called(id)) {
        return format!("names a rule; use its id, {}", rule.id);
    }
    match nearest(id, known.iter().map(|rule| rule.id.as_str())) {
        Some(right) => {
            let rule = known.iter().find(|rule| rule.id == right).expect("it is one of them");
            format!("there is no rule with this id; did you mean {right}, \"{}\"?", rule.title)
        }
        None => "there is no rule with this id; `sagetrail rules` lists the rules with their ids".to_owned(),
    }
}

#[cfg(test)]
mod tests;
