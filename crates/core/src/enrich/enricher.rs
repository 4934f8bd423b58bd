//! What enrichment knows beside the record, and where a record came from.

use std::sync::Arc;

use time::OffsetDateTime;

use super::catalogue::Catalogue;
use super::networks::Networks;
use super::redact::FingerprintKey;
use super::rules::{BrokenRules, RuleSet, RulesError};
use crate::names::Names;
use crate::settings::{RedactionConfig, RulesConfig, Scope};

/// What enrichment knows beside the record: the rules, SageMaker's operations, which records are wanted, and the key of
/// redaction.
#[derive(Debug)]
pub struct Enricher {
    pub rules: Arc<RuleSet>,
    pub catalogue: Catalogue,
    pub scope: Scope,
    pub fingerprint_key: FingerprintKey,
    pub networks: Networks,
    /// Of the indices that documents go to.
    pub names: Names,
    pub arrival: Arrival,
}

/// How records come that are enriched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// As CloudTrail delivers them, however late.
    Delivered,
    /// Out of history, by a human. Their documents have the tag [`Arrival::REPLAYED`].
    Replayed,
}

impl Arrival {
    /// The tag of documents that were replayed: unless they are of the last hours, they open no incident.
    pub const REPLAYED: &str = "replay";
}

impl Enricher {
    /// What is known without any configuration: the built-in rules, and a random key.
    pub fn built_in(scope: Scope) -> Self {
        let key = FingerprintKey::load(&RedactionConfig::default()).expect("the system gives random bytes");
        Self::load(&RulesConfig::default(), BrokenRules::Refuse, scope, key, Names::default())
            .expect("a test loads the built-in rules")
    }

    /// The same for every record, whatever a site ships.
    #[must_use]
    pub fn of_everything(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            catalogue: Catalogue::built_in(),
            scope: Scope::All,
            fingerprint_key: self.fingerprint_key.clone(),
            networks: self.networks.clone(),
            names: self.names.clone(),
            arrival: self.arrival,
        }
    }

    /// With the networks that are known without any file.
    pub fn load(
        rules: &RulesConfig,
        broken: BrokenRules,
        scope: Scope,
        fingerprint_key: FingerprintKey,
        names: Names,
    ) -> Result<Self, RulesError> {
        let rules = match broken {
            BrokenRules::Refuse => RuleSet::load(rules)?,
            BrokenRules::Skip => RuleSet::load_usable(rules)?,
        };
        let networks = Networks::built_in();
        let rules = Arc::new(rules);
        let (catalogue, arrival) = (Catalogue::built_in(), Arrival::Delivered);
        Ok(Self { rules, catalogue, scope, fingerprint_key, networks, names, arrival })
    }
}

/// Where a record came from and when.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'o> {
    /// Such as `s3://bucket/key`.
    pub path: &'o str,
    /// When the object was written.
    pub written_at: Option<OffsetDateTime>,
    pub now: OffsetDateTime,
}
