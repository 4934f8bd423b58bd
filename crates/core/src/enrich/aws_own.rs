//! Knows what belongs to AWS itself: the registries of its images, and the buckets of its models and examples.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// Whether the account holds a registry of AWS's images for SageMaker.
pub fn is_registry(account_id: &str) -> bool {
    OWN.registries.contains(account_id)
}

/// Whether the bucket is one of AWS's. Names are compared as a whole: anybody may call a bucket almost so.
pub fn is_bucket(name: &str) -> bool {
    OWN.buckets.contains(name)
}

/// The names of AWS's buckets.
pub fn buckets() -> impl Iterator<Item = &'static str> {
    OWN.buckets.iter().map(String::as_str)
}

struct Own {
    registries: HashSet<String>,
    buckets: HashSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    registries: BTreeMap<String, Vec<String>>,
    buckets: BTreeMap<String, Vec<String>>,
}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../../../../config/aws-own.toml")).expect("a test reads the file");
    let all = |by_region: BTreeMap<String, Vec<String>>| by_region.into_values().flatten().collect();
    Own { registries: all(file.registries), buckets: all(file.buckets) }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_awss_is_known_by_its_whole_name() {
        for account in ["763104351884", "492215442770", "664544806723", "017069133835"] {
            assert!(is_registry(account), "{account}");
        }
        for bucket in
            ["jumpstart-cache-prod-eu-central-1", "sagemaker-sample-files", "sagemaker-sample-data-us-west-2"]
        {
            assert!(is_bucket(bucket), "{bucket}");
        }
        for other in ["111122223333", "76310435188", ""] {
            assert!(!is_registry(other), "{other}");
        }
        for other in [
            "jumpstart-cache-prod-eu-central-9",
            "sagemaker-eu-central-1-111122223333",
            "sagemaker-sample-file",
        ] {
            assert!(!is_bucket(other), "{other}");
        }
    }
}
