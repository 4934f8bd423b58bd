//! Settings of the configuration that decide what becomes of a record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// Whether the uncompressed content of each object is hashed for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentHash {
    Sha256,
    /// The ledger proves less by itself; `sagetrail verify` then reads every object.
    None,
}

/// Which records are shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Records whose eventSource belongs to the SageMaker family.
    Sagemaker,
    /// Those, and records of other services that a rule names and matches.
    Related,
    /// Every record of every file.
    All,
}

/// Detection rules beyond the ones that the binary carries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// A folder of Sigma files that are loaded beside the built-in rules.
    pub folder: Option<PathBuf>,
    /// The values of the placeholders in rules, by name.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// What changes about single rules, by the rule's id.
    #[serde(rename = "override")]
    pub overrides: BTreeMap<String, Override>,
}

/// What a site changes about one rule until a day. Loading the rules refuses one that does not make sense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    pub disable: bool,
    /// The name of a level.
    pub level: Option<String>,
    pub reason: Option<String>,
    /// The last day on which it applies, in UTC, such as `2026-12-31`.
    pub until: Option<String>,
}

/// The key of the fingerprints that stand for redacted secrets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedactionConfig {
    pub key: Option<SecretString>,
    pub key_file: Option<PathBuf>,
}
