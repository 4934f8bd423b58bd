//! The correlations of a set of rules.

use std::collections::BTreeSet;

use super::Correlation;

/// The correlations that are loaded.
#[derive(Debug, Default)]
pub struct Correlations {
    pub(crate) correlations: Vec<Correlation>,
    pub(crate) inactive: Vec<InactiveCorrelation>,
}

/// A correlation that cannot match, because base rules of it are inactive.
#[derive(Debug)]
pub struct InactiveCorrelation {
    pub correlation: Correlation,
    /// The placeholders without values.
    pub missing: Vec<String>,
}

impl Correlations {
    /// Those that can match.
    pub fn iter(&self) -> impl Iterator<Item = &Correlation> {
        self.correlations.iter()
    }

    /// Those that cannot match, for want of configured values.
    pub fn inactive(&self) -> &[InactiveCorrelation] {
        &self.inactive
    }

    /// Those that can match, and those that cannot.
    pub fn all(&self) -> impl Iterator<Item = &Correlation> {
        self.iter().chain(self.inactive.iter().map(|inactive| &inactive.correlation))
    }

    /// The correlation with this id, if it can match.
    pub fn get(&self, id: &str) -> Option<&Correlation> {
        self.iter().find(|correlation| correlation.id == id)
    }

    /// The fields of documents that points need.
    pub fn fields(&self) -> BTreeSet<String> {
        self.iter().flat_map(Correlation::fields).collect()
    }

    /// The ids of the rules whose documents are points of one of them.
    pub fn base(&self) -> BTreeSet<&str> {
        self.iter().flat_map(Correlation::base).map(|base| base.id.as_str()).collect()
    }
}
