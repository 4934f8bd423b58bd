//! Loads the Sigma rules once and evaluates them on each record.
//!
//! What is known about threats lives in `config/rules/`, which the binary carries; a site adds its own folder. A rule's
//! tags say which threat category it stands for (`sagetrail.…`) and which ATT&CK or ATLAS technique it shows.

mod conditions;
mod correlating;
mod items;
mod matcher;
mod set;
mod error;
mod file;
mod filter;
mod known_rule;
mod loading;
mod tuning;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::rule::Rule;
use super::sigma_event::SigmaEvent;
use super::version::version;
use crate::correlation::Correlations;
use crate::memory::KnownNames;
use crate::settings::RulesConfig;
pub use error::{BrokenRule, RulesError};
pub use file::Folder;
use file::RuleFile;
pub use filter::Filter;
use items::Answers;
use loading::Loading;
pub use set::{InactiveRule, RuleSet};
pub use tuning::{Effect, Judged, Muted, Releveled, RuleOverride, Tuning};

/// The rules that have to be asked once more when memory is, and what all have answered without it.
pub struct Again<'e, 's, 'a> {
    candidates: Vec<usize>,
    answers: Answers<'e, 's, 'a>,
}

/// What becomes of a set of which some rules are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenRules {
    /// All rules are loaded, or none.
    Refuse,
    /// The others are loaded, because somebody said that this is enough.
    Skip,
}

impl RuleSet {
    /// Loads the built-in rules and those of the folder, if one is given; all of them or none.
    pub fn load(config: &RulesConfig) -> Result<Self, RulesError> {
        let set = Self::load_usable(config)?;
        if set.broken.is_empty() { Ok(set) } else { Err(RulesError::Broken(set.broken)) }
    }

    /// Loads what can be used of them and keeps the reasons why the rest cannot.
    pub fn load_usable(config: &RulesConfig) -> Result<Self, RulesError> {
        let mut broken = Vec::new();
        let mut files = RuleFile::built_in();
        if let Some(folder) = &config.folder {
            files.extend(RuleFile::of_site(folder, &mut broken)?);
        }
        Self::of_files(config, &files, broken)
    }

    /// Loads the rules of the folder without the built-in ones, which take a test long.
    #[cfg(test)]
    pub(crate) fn load_site_alone(config: &RulesConfig) -> Result<Self, RulesError> {
        let mut broken = Vec::new();
        let folder = config.folder.as_deref().expect("the test gives one");
        let files = RuleFile::of_site(folder, &mut broken)?;
        let set = Self::of_files(config, &files, broken)?;
        if set.broken.is_empty() { Ok(set) } else { Err(RulesError::Broken(set.broken)) }
    }

    fn of_files(
        config: &RulesConfig,
        files: &[RuleFile],
        broken: Vec<BrokenRule>,
    ) -> Result<Self, RulesError> {
        let overrides: Vec<String> = config.overrides.iter().map(|it| format!("{it:?}")).collect();
        let texts: Vec<&str> =
            files.iter().map(RuleFile::text).chain(overrides.iter().map(String::as_str)).collect();
        let version = version(&texts, &config.placeholders);
        let mut loading = Loading::new(config, version, broken);
        for file in files {
            loading.take_file(file);
        }
        loading.finish()
    }

    /// Changes with every rule, every value and every file that decides what a document says.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rules that can match.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules that can match, and those that cannot.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(self.inactive.iter().map(|inactive| &inactive.rule))
    }

    /// The rules that are loaded and cannot match, for want of configured values.
    pub fn inactive(&self) -> &[InactiveRule] {
        &self.inactive
    }

    /// The rules that are not loaded.
    pub fn broken(&self) -> &[BrokenRule] {
        &self.broken
    }

    /// Every threat category that a rule stands for.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| &rule.categories).map(String::as_str)
    }

    /// The values of placeholders that count: those of the configuration, and defaults where it has none.
    pub fn values(&self) -> &BTreeMap<String, Vec<String>> {
        &self.values
    }

    /// What the site has changed about the rules.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The rules about what several records show together.
    pub fn correlations(&self) -> &Correlations {
        &self.correlations
    }

    /// How many rules and correlations are changed by a filter or by an override that applies.
    pub fn tuned(&self, at: OffsetDateTime) -> usize {
        let rules = self.all().map(|rule| &rule.id);
        let correlations = self.correlations.all().map(|correlation| &correlation.id);
        rules.chain(correlations).filter(|id| self.tuning.changes(id, at)).count()
    }

    /// Sorts the rules that match a record by what the site has changed about them, for an event of this time.
    pub fn judge<'s>(
        &'s self,
        matching: Vec<&'s Rule>,
        event: &SigmaEvent<'_, '_>,
        at: OffsetDateTime,
    ) -> Judged<'s> {
        let first = self.rules.len();
        self.tuning.judge(matching, at, |filter| !self.conditions.is_refuted(first + filter, event))
    }

    /// The rules that match, in the order of their files, whatever the site has changed about them.
    pub fn matches(&self, event: &SigmaEvent<'_, '_>) -> Vec<&Rule> {
        self.matches_alone(event).0
    }

    /// The rules that match an event by itself, and what to ask those that read memory with.
    pub fn matches_alone<'k: 'e, 'e, 's, 'a>(
        &'k self,
        event: &'e SigmaEvent<'s, 'a>,
    ) -> (Vec<&'k Rule>, Again<'e, 's, 'a>) {
        let candidates = self.dispatch.candidates(event.record.event_source(), event.record.event_name());
        let reads_memory = |position: &usize| self.rules[*position].reads_memory;
        let again = candidates.iter().copied().filter(reads_memory).collect();
        let (matching, answers) = self.conditions.matching(candidates, event);
        let matching = matching.into_iter().map(|position| &self.rules[position]).collect();
        (matching, Again { candidates: again, answers })
    }

    /// The rules that match an event that was told what memory knows, when those that match it without are known: only
    /// rules that read memory are asked again, and only what it can change.
    pub fn matches_knowing<'s>(&'s self, alone: &[&'s Rule], again: Again<'_, '_, '_>) -> Vec<&'s Rule> {
        let knowing = self.conditions.matching_knowing(again.candidates, again.answers);
        let knowing = knowing.into_iter().map(|position| &self.rules[position]);
        let mut matching: Vec<&Rule> =
            alone.iter().copied().filter(|rule| !rule.reads_memory).chain(knowing).collect();
        // They lie in one list, in the order of their files.
        matching.sort_unstable_by_key(|rule| std::ptr::from_ref::<Rule>(rule));
        matching
    }

    /// Whether the raw bytes could be a record of a service that is wanted anyway, or of another that some rule asks
    /// for.
    pub fn may_match_raw(&self, raw: &[u8], known: &KnownNames, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
        self.dispatch.may_match_raw(raw, known, is_wanted)
    }
}
