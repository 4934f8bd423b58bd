//! Compiles one Sigma rule, and keeps what its matches put into a document.

use rsigma_eval::{CompiledDetection, CompiledRule, compile_rule};
use rsigma_parser::{Level, SigmaRule};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::attack::Named;
use super::dispatch::Calls;
use super::remembered;
use super::rules::Folder;
use crate::record::Record;

/// The tag namespace of threat categories.
const CATEGORY_NAMESPACE: &str = "sagetrail.";

/// A rule that is ready to be evaluated, with what a match of it says.
#[derive(Debug, Clone)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub description: String,
    pub level: Severity,
    /// Threat categories, such as `cryptojacking`.
    pub categories: Vec<String>,
    pub tactics: Vec<Named>,
    pub techniques: Vec<Named>,
    /// Where to read on; the first says how to contain or to fix it.
    pub references: Vec<String>,
    pub false_positives: Vec<String>,
    pub place: Place,
    /// The names of all placeholders in it, with values or without.
    pub placeholders: Vec<String>,
    /// Whether the condition looks at the call's error: then a failure is what the rule is about, and not a mere
    /// attempt.
    pub judges_failure: bool,
    /// Whether the condition looks at what memory adds to a record.
    pub reads_memory: bool,
    /// Whether the condition looks at a script.
    pub judges_scripts: bool,
    calls: Calls,
    compiled: CompiledRule,
}

/// Where a rule was found.
#[derive(Debug, Clone)]
pub struct Place {
    pub folder: Folder,
    /// Relative to `config/rules` for a built-in rule.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// How worrying a match is; the order is that of Sigma's levels.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    Informational = 1,
    Low,
    Medium,
    High,
    Critical,
}

impl Rule {
    /// Compiles a parsed rule. The error is what a person must change.
    pub fn compile(sigma: &SigmaRule, place: Place) -> Result<Self, String> {
        let id = sigma.id.clone().ok_or("it has no id; give it a random UUID")?;
        let compiled = compile_rule(sigma).map_err(|error| error.to_string())?;
        let Tags { categories, tactics, techniques } = Tags::of(&sigma.tags);
        Ok(Self {
            id,
            title: sigma.title.clone(),
            description: sigma.description.clone().unwrap_or_default(),
            level: sigma.level.map_or(Severity::Informational, Severity::from),
            categories,
            tactics,
            techniques,
            references: sigma.references.clone(),
            false_positives: sigma.falsepositives.clone(),
            place,
            placeholders: Vec::new(),
            judges_failure: asks(&compiled, |field| matches!(field, "errorCode" | "errorMessage")),
            reads_memory: asks(&compiled, remembered::is_field),
            judges_scripts: asks(&compiled, |field| field.starts_with("sagemaker.lifecycle.")),
            calls: Calls::of(&sigma.detection),
            compiled,
        })
    }

    /// The calls that the rule can match at all.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whether the rule names this very call, so that its match alone is a reason to ship the record.
    pub fn asks_for(&self, record: &Record<'_>) -> bool {
        self.calls.names_call(record.event_source(), record.event_name())
    }

    /// Whether a match is more than a tag for searches and counts.
    pub fn asks_for_a_look(&self) -> bool {
        self.level > Severity::Informational
    }

    /// Whether its match alone says nothing, and only correlations look at it.
    pub fn is_base(&self) -> bool {
        self.place.folder == Folder::Correlations && !self.asks_for_a_look()
    }

    /// The rule as Sigma's library has it.
    pub fn compiled(&self) -> &CompiledRule {
        &self.compiled
    }
}

/// What the tags of a rule say.
#[derive(Debug, Default)]
pub struct Tags {
    /// Threat categories.
    pub categories: Vec<String>,
    pub tactics: Vec<Named>,
    pub techniques: Vec<Named>,
}

impl Tags {
    /// Sorts the tags of a rule by what they name; those that name nothing known are left out.
    pub fn of(tags: &[String]) -> Self {
        let mut known = Self::default();
        for tag in tags {
            known.take(tag);
        }
        known
    }

    /// Tags of other namespaces (`cve.…`, `car.…`) say nothing that a document carries.
    fn take(&mut self, tag: &str) {
        let tag = tag.to_ascii_lowercase();
        if let Some(category) = tag.strip_prefix(CATEGORY_NAMESPACE) {
            self.categories.push(category.to_owned());
        } else if let Some(id) = tag.strip_prefix("atlas.") {
            self.techniques.push(Named::technique(id));
        } else if let Some(rest) = tag.strip_prefix("attack.") {
            match Named::tactic(rest) {
                Some(tactic) => self.tactics.push(tactic),
                None if is_technique_id(rest) => self.techniques.push(Named::technique(rest)),
                None => {}
            }
        }
    }
}

/// Whether a condition looks at a field of this kind.
fn asks(rule: &CompiledRule, is_field: fn(&str) -> bool) -> bool {
    rule.detections.values().any(|detection| looks_at(detection, is_field))
}

fn looks_at(detection: &CompiledDetection, is_field: fn(&str) -> bool) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => {
            items.iter().any(|item| item.field.as_deref().is_some_and(is_field))
        }
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => {
            parts.iter().any(|part| looks_at(part, is_field))
        }
        CompiledDetection::Keywords(_)
        | CompiledDetection::ArrayMatch { .. }
        | CompiledDetection::Conditional { .. } => false,
    }
}

/// `t1098` or `t1098.003`, as ATT&CK numbers its techniques.
fn is_technique_id(text: &str) -> bool {
    text.strip_prefix('t').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

impl Severity {
    /// From the least to the most worrying.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The level in small letters, as Sigma and documents have it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// One step less worrying; the lowest stays.
    #[must_use]
    pub fn reduced(self) -> Self {
        match self {
            Self::Informational | Self::Low => Self::Informational,
            Self::Medium => Self::Low,
            Self::High => Self::Medium,
            Self::Critical => Self::High,
        }
    }
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
