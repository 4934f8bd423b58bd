//! Hashes everything that decides what a record means, so that a document says who tagged it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Hexadecimal digits of the hash: enough that no two sets of rules of one site share one.
const DIGITS: usize = 16;

/// The files beside the rules that change what documents say. The redaction's file is none of them: what it replaces is
/// decided when a record is first read.
const CONTENT: [&str; 13] = [
    include_str!("../../../../config/attack.json"),
    include_str!("../../../../config/aws-own.toml"),
    include_str!("../../../../config/aws-ranges.txt"),
    include_str!("../../../../config/catalogue.toml"),
    include_str!("../../../../config/defaults.toml"),
    include_str!("../../../../config/placeholders.toml"),
    include_str!("../../../../config/questions.toml"),
    include_str!("../../../../config/related.toml"),
    include_str!("../../../../config/resources.toml"),
    include_str!("../../../../config/runbook.toml"),
    include_str!("../../../../config/sentence.toml"),
    include_str!("../../../../config/shell.toml"),
    include_str!("../../../../config/user-agents.toml"),
];

/// The version of these rules with these values, in this release.
pub fn version(rules: &[&str], placeholders: &BTreeMap<String, Vec<String>>) -> String {
    let mut hash = Sha256::new();
    // Each part comes with its length, so that no two lists of parts read the same.
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(env!("CARGO_PKG_VERSION"));
    let mut rules = rules.to_vec();
    rules.sort_unstable();
    for text in CONTENT.into_iter().chain(rules) {
        add(text);
    }
    for (name, values) in placeholders {
        add(name);
        for value in values {
            add(value);
        }
        // An empty text ends the list.
        add("");
    }
    let mut version = hex::encode(hash.finalize());
    version.truncate(DIGITS);
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_decides_what_a_record_means_changes_the_version() {
        let values = |list: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            list.iter().map(|(name, texts)| ((*name).to_owned(), owned(texts))).collect()
        };
        let none = values(&[]);
        let first = version(&["a", "b"], &none);
        assert_eq!(first.len(), DIGITS);
        assert_eq!(first, version(&["b", "a"], &none), "files may come in any order");
        for other in [
            version(&["ab"], &none),
            version(&["a", "c"], &none),
            version(&["a", "b"], &values(&[("name", &["x", "y"])])),
            version(&["a", "b"], &values(&[("name", &["xy"])])),
        ] {
            assert_ne!(first, other);
        }
    }
}
