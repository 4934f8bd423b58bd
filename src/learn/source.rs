//! Reads `config/learn.toml`, which says where the history shows the values of a placeholder.

use std::sync::LazyLock;

use serde::Deserialize;

/// Every source, in the order of the file.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        source: Vec<Source>,
    }
    let File { source } =
        toml::from_str(include_str!("../../config/learn.toml")).expect("a test reads the file");
    source
});

/// One place where values of a placeholder stand in documents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub placeholder: String,
    /// None where the placeholder is not learned.
    pub field: Option<String>,
    /// Which documents are meant; all without one.
    pub query: Option<String>,
    #[serde(default)]
    pub values: Values,
    #[serde(default)]
    pub of: Whose,
    /// Why the placeholder is not learned.
    pub unless: Option<String>,
}

/// What becomes of the values of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    #[default]
    AsTheyStand,
    /// Addresses, which become networks.
    Networks,
    /// ARNs and accounts, of which the account counts.
    Accounts,
}

/// Whose the values are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    #[default]
    Anybodys,
    /// The organisation's, because its trail delivers records of them.
    Own,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::RulesConfig;
    use crate::enrich::rules::RuleSet;

    #[test]
    fn each_placeholder_of_the_built_in_rules_has_a_source_or_a_reason_for_none() {
        let rules = RuleSet::load(&RulesConfig::default()).unwrap();
        let inactive = rules.inactive().iter().map(|inactive| &inactive.rule);
        let used: BTreeSet<&String> =
            rules.rules().iter().chain(inactive).flat_map(|rule| &rule.placeholders).collect();
        let known: BTreeSet<&String> = SOURCES.iter().map(|source| &source.placeholder).collect();
        assert!(used.len() >= 8 && used.is_subset(&known), "{:?}", used.difference(&known));
        for source in SOURCES.iter() {
            assert_ne!(source.field.is_some(), source.unless.is_some(), "{}", source.placeholder);
        }
    }
}
