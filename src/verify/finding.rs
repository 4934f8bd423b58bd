//! One finding of a verification, and what to do about its kind.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;

use crate::labels::{FindingKind, Label};

/// One object that is missing, changed or unproven, or one period of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// Its S3 URI.
    pub object: String,
    pub detail: String,
}

impl Finding {
    /// A finding about an object or a folder of a bucket; the detail says what is wrong, in a clause.
    pub fn new(kind: FindingKind, bucket: &str, key: &str, detail: String) -> Self {
        Self { kind, object: format!("s3://{bucket}/{key}"), detail }
    }
}

/// The name of a count of findings in documents, such as `missing_files`.
pub fn plural(kind: FindingKind) -> String {
    format!("{}s", kind.label())
}

/// A count's name for people, such as `missing files`.
pub fn words(kind: FindingKind) -> String {
    plural(kind).replace('_', " ")
}

static ADVICE: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/verification-advice.toml")).expect("a test reads the file")
});

/// What an operator should do about it.
pub fn advice(kind: FindingKind) -> &'static str {
    ADVICE.get(kind.label()).expect("a test reads it for each kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_advice_and_each_advice_a_kind() {
        assert!(FindingKind::ALL.iter().all(|kind| !advice(*kind).is_empty()));
        assert_eq!(ADVICE.len(), FindingKind::ALL.len());
    }
}
