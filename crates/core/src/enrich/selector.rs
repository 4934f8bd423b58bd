//! Evaluates a condition, written as data, on what was understood of a record.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::analysis::Analysis;
use super::rule::{Rule, Severity};
use super::verdict::CallOutcome;
use crate::record::{Record, truth};

/// It holds when every condition that is given holds, and a list does when one of its entries does.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    services: Vec<Service>,
    calls: Vec<Call>,
    /// Kinds of resources.
    resources: Vec<String>,
    /// Types of `userIdentity`.
    identities: Vec<String>,
    /// Classes of user agents.
    agents: Vec<String>,
    /// What the parameters of the call name.
    settings: Vec<Setting>,
    read_only: Option<bool>,
    outcome: Option<Outcome>,
    /// Whether the role is one of IAM Identity Center's.
    permission_set: Option<bool>,
    /// The next three are about rules: one that matched must have something of each that is given.
    categories: Vec<String>,
    /// Ids of ATT&CK's tactics, as `config/attack.json` has them.
    tactics: Vec<String>,
    levels: Vec<Severity>,
}

/// A service as its host name begins; `sagemaker` stands for the whole family.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
enum Service {
    SageMaker,
    Host(String),
}

/// The name of a call; with `*` at the end, how it begins.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
enum Call {
    Name(String),
    Beginning(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Setting {
    DirectInternet,
    ExecutionRole,
    Lifecycle,
    Network,
    RootAccess,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Success,
    Failure,
    Denied,
}

impl Selector {
    /// Whether everything that the selector asks for is so. A selector that asks for nothing always holds.
    pub fn holds(&self, analysis: &Analysis<'_, '_>) -> bool {
        let record = analysis.record;
        let resource = analysis.context.resource.as_ref().and_then(|resource| resource.kind.as_deref());
        let permission_set = || analysis.actor.permission_set().is_some();
        let (source, name) = (record.event_source(), record.event_name());
        any(&self.calls, |call| call.is_of(name))
            && any(&self.services, |service| service.is_of(record, source))
            && any(&self.resources, |kind| resource == Some(kind))
            && any(&self.identities, |kind| analysis.actor.kind == Some(kind))
            && any(&self.agents, |agent| analysis.actor.agent == agent)
            && any(&self.settings, |setting| setting.is_named(analysis))
            && self.read_only.is_none_or(|read_only| truth(record.at(&["readOnly"])) == Some(read_only))
            && self.outcome.is_none_or(|outcome| outcome.is_of(analysis))
            && self.permission_set.is_none_or(|expected| permission_set() == expected)
            && (self.asks_for_no_rule() || analysis.matches.iter().any(|rule| self.fits(rule)))
    }

    /// The kinds of resources of which it asks for one; none where any will do.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// The bytes of which the name of the call begins with one; None where any will do.
    pub fn first_letters(&self) -> Option<BTreeSet<u8>> {
        let first = |call: &Call| {
            let (Call::Name(text) | Call::Beginning(text)) = call;
            text.bytes().next()
        };
        if self.calls.is_empty() { None } else { self.calls.iter().map(first).collect() }
    }

    fn asks_for_no_rule(&self) -> bool {
        self.categories.is_empty() && self.tactics.is_empty() && self.levels.is_empty()
    }

    fn fits(&self, rule: &Rule) -> bool {
        any(&self.categories, |category| rule.categories.contains(category))
            && any(&self.tactics, |id| rule.tactics.iter().any(|tactic| tactic.id == *id))
            && any(&self.levels, |level| rule.level == *level)
    }
}

/// Whether the condition holds for one of the entries, or nothing is asked for.
fn any<T>(entries: &[T], holds: impl Fn(&T) -> bool) -> bool {
    entries.is_empty() || entries.iter().any(holds)
}

impl From<String> for Service {
    fn from(text: String) -> Self {
        if text == "sagemaker" { Self::SageMaker } else { Self::Host(text) }
    }
}

impl Service {
    fn is_of(&self, record: &Record<'_>, source: &str) -> bool {
        match self {
            Self::SageMaker => record.is_sagemaker(),
            Self::Host(beginning) => {
                let rest = source.strip_prefix(beginning.as_str());
                rest.is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

impl From<String> for Call {
    fn from(text: String) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Name(text),
        }
    }
}

impl Call {
    fn is_of(&self, name: &str) -> bool {
        match self {
            Self::Name(known) => name == known,
            Self::Beginning(beginning) => name.starts_with(beginning.as_str()),
        }
    }
}

impl Setting {
    fn is_named(self, analysis: &Analysis<'_, '_>) -> bool {
        let context = analysis.context;
        match self {
            Self::DirectInternet => context.network.direct_internet == Some(true),
            Self::ExecutionRole => !context.execution_role.arn.is_empty(),
            Self::Lifecycle => !context.lifecycle.name.is_empty() || !context.lifecycle.script.is_empty(),
            Self::Network => context.network != super::context::Network::default(),
            Self::RootAccess => context.root_access == Some(true),
        }
    }
}

impl Outcome {
    fn is_of(self, analysis: &Analysis<'_, '_>) -> bool {
        match self {
            Self::Success => analysis.outcome == CallOutcome::Succeeded,
            Self::Failure => analysis.outcome == CallOutcome::Failed,
            Self::Denied => analysis.was_denied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::*;

    const FILES: [&str; 2] =
        [include_str!("../../../../config/questions.toml"), include_str!("../../../../config/runbook.toml")];

    /// The texts under the name anywhere below the value.
    fn texts(value: &Value, name: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Table(table) => {
                for (member, value) in table {
                    if member == name {
                        let values = value.as_array().unwrap().iter();
                        found.extend(values.map(|text| text.as_str().unwrap().to_owned()));
                    }
                    texts(value, name, found);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| texts(element, name, found)),
            _ => {}
        }
    }

    #[test]
    fn what_selectors_name_exists() {
        let catalogue = include_str!("../../../../config/catalogue.toml");
        let agents = include_str!("../../../../config/user-agents.toml");
        let attack = include_str!("../../../../config/attack.json");
        let categories = include_str!("../../../../config/sentence.toml");
        // Each condition with the file that has what it names, and how that is written there.
        let cases = [
            ("resources", catalogue, "resource = \"X\""),
            ("agents", agents, "name = \"X\""),
            ("tactics", attack, "\"X\""),
            ("categories", categories, "\nX = \""),
        ];
        for (condition, known, written) in cases {
            let mut named = BTreeSet::new();
            for file in FILES {
                texts(&toml::from_str(file).unwrap(), condition, &mut named);
            }
            assert!(!named.is_empty(), "{condition}");
            for name in named {
                assert!(known.contains(&written.replace('X', &name)), "{condition}: {name}");
            }
        }
    }
}
