//! Knows the names behind the ids of ATT&CK and ATLAS that rules are tagged with.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The version of ATT&CK that `config/attack.json` and the tags of the built-in rules follow.
pub const ATTACK_VERSION: &str = "19";

/// An ATT&CK or ATLAS id with the name that a person knows it by; ids that we have no name for stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub id: String,
    pub name: String,
}

impl Named {
    /// The tactic with the short name that Sigma tags use, such as `privilege-escalation`.
    pub fn tactic(short_name: &str) -> Option<Self> {
        KNOWN
            .tactics
            .get(short_name)
            .map(|KnownTactic { id, name }| Self { id: id.clone(), name: name.clone() })
    }

    /// The technique with this id, in either case.
    pub fn technique(id: &str) -> Self {
        let id = id.to_ascii_uppercase();
        let name = KNOWN.techniques.get(&id).unwrap_or(&id).clone();
        Self { id, name }
    }
}

/// From `config/attack.json`.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../config/attack.json"))
        .expect("the names of tactics and techniques are checked in as valid JSON")
});

#[derive(Deserialize)]
struct Known {
    tactics: BTreeMap<String, KnownTactic>,
    techniques: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct KnownTactic {
    id: String,
    name: String,
}
