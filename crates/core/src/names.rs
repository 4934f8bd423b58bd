//! Names everything that sagetrail creates in OpenSearch and Dashboards, all under one prefix (pure).
//!
//! Two prefixes on one cluster are two independent tenants. The files in `mappings/` and `dashboards/` are written for
//! the default prefix, and read through [`Names::in_text`].

use std::borrow::Cow;
use std::sync::Arc;

/// The prefix that the files are written for, and that is used without a setting.
pub const DEFAULT_PREFIX: &str = "sagetrail";

/// Every name of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.into() }
    }
}

impl Names {
    /// The names of the tenant with this prefix, whose form the configuration checks.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// What every name of this tenant begins with, without the hyphen behind it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The stored script that joins a fact into a document of memory. Its version is that of the join, so that daemons
    /// of two releases can run side by side.
    pub fn join_script(&self) -> String {
        self.named("join-1")
    }

    /// The title of something that people see beside that of other tenants.
    pub fn title(&self, title: &str) -> String {
        format!("{}: {title}", self.prefix)
    }

    /// The channel that the configuration calls so.
    pub fn channel(&self, name: &str) -> String {
        self.named(&format!("channel-{name}"))
    }

    /// The patterns of indices and aliases that match all of this tenant's and none of another's.
    pub fn patterns(&self) -> Vec<String> {
        INDICES.iter().map(|(_, pattern)| self.named(pattern)).collect()
    }

    /// The name of something that only this tenant has: what it is, behind the prefix.
    pub fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A text of our files, which are written for the default prefix, with this tenant's names and titles.
    pub fn in_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if &*self.prefix == DEFAULT_PREFIX {
            return Cow::Borrowed(text);
        }
        let mut renamed = text.to_owned();
        for after in ["-", ": "] {
            renamed =
                renamed.replace(&format!("{DEFAULT_PREFIX}{after}"), &format!("{}{after}", self.prefix));
        }
        Cow::Owned(renamed)
    }
}

/// Names each index: its method, and the pattern that matches it or, where it is an alias, all indices behind it.
macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident: $pattern:literal,)*) => {
        const INDICES: &[(&str, &str)] = &[$((stringify!($name), $pattern),)*];

        impl Names {
            $($(#[$doc])* pub fn $name(&self) -> String {
                self.named(stringify!($name))
            })*
        }
    };
}

indices! {
    /// The alias over every index of events.
    events: "events*",
    /// The alias over every index of the ledger of shipped objects.
    objects: "objects*",
    /// The index of records that could not be stored as events.
    rejected: "rejected",
    /// The index of what is known of resources.
    resources: "resources",
    /// The index of what is known of identities.
    identities: "identities",
    /// The alias over every index of what is known of sessions.
    sessions: "sessions*",
    /// The index with one document for each verification.
    verification: "verification",
    /// The index with one document for each account, region and day that was verified.
    verified: "verified",
    /// The index of incidents.
    incidents: "incidents",
    /// The index of what rules over several records have found.
    correlated: "correlated",
    /// The index of the lease that correlators hold in turn.
    correlator: "correlator",
    /// The index that remembers what setup installed.
    setup: "setup",
}

/// Words beside those of indices that may not follow a hyphen in a prefix, because the names would match the patterns
/// of another tenant.
const RESERVED: &[&str] = &["settings", "monitor", "channel", "dashboard", "search"];

/// The longest prefix. OpenSearch takes names of 255 bytes, and what follows the prefix takes some tens.
const LONGEST: usize = 100;

/// Checks a prefix, and returns what is wrong with it.
pub fn problem_of_prefix(prefix: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let taken = || {
        let mut parts = prefix.split('-').skip(1);
        let reserved = INDICES.iter().map(|(name, _)| name).chain(RESERVED);
        parts.find_map(|part| reserved.clone().find(|reserved| part.starts_with(**reserved)))
    };
    if prefix.is_empty() || prefix.len() > LONGEST || !prefix.bytes().all(is_plain) {
        Some(format!("must be 1 to {LONGEST} of the characters a-z, 0-9, -, _ and . alone"))
    } else if !prefix.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit()) {
        Some("must begin with a letter or a digit: OpenSearch refuses indices that begin otherwise, and hides those with a point".to_owned())
    } else if prefix.ends_with(['-', '.']) || prefix.contains("--") || prefix.contains("..") {
        Some("must have something between two hyphens or points, and after the last".to_owned())
    } else {
        taken().map(|reserved| {
            format!(
                "must not have `-{reserved}` in it: its indices would be among those of the tenant with the prefix before that"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str) -> Names {
        Names { prefix: prefix.into() }
    }

    #[test]
    fn a_prefix_is_what_an_index_may_begin_with_and_no_tenants_names_match_anothers_patterns() {
        let long = "a".repeat(LONGEST + 1);
        for prefix in ["sagetrail", "acme", "sagetrail-acme", "a_b.c-1", "events", "team-x-prod", "1"] {
            assert_eq!(problem_of_prefix(prefix), None, "{prefix}");
        }
        let refused = [
            "",
            "Acme",
            "_acme",
            "-acme",
            ".acme",
            "+acme",
            "acme-",
            "acme.",
            "a--b",
            "a..b",
            "a*",
            "a,b",
            "a b",
            "a/b",
            "a:b",
            "a#b",
            "a\"b",
            "ä",
            "sagetrail-events",
            "sagetrail-events-x",
            "sagetrail-eventsx",
            "a-objects",
            "a-rejected",
            "a-setup2",
            "a-monitor",
            "a-channel-b",
            "a-verified",
            "a-verification",
            "a-resources",
            "a-identities-b",
            "a-sessions",
            "a-incidents",
            "a-correlated-b",
            "a-correlator",
            long.as_str(),
        ];
        for prefix in refused {
            assert!(problem_of_prefix(prefix).is_some(), "{prefix}");
        }
    }

    #[test]
    fn patterns_match_the_tenants_own_names_and_not_those_of_a_longer_or_a_shorter_prefix() {
        let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        let prefixes =
            ["sagetrail", "sagetrail-x", "sagetrail-x-y", "sage", "sagetrailx", "sagetrail_x", "events"];
        for ours in prefixes {
            for theirs in prefixes {
                let theirs_names = names(theirs);
                for name in [
                    "events",
                    "events-2026.01",
                    "objects-2026.01",
                    "sessions-2026.01",
                    "resources",
                    "rejected",
                    "verified",
                    "incidents",
                    "correlated",
                    "correlator",
                    "setup",
                ] {
                    let name = theirs_names.named(name);
                    let is_matched = names(ours).patterns().iter().any(|pattern| matches(pattern, &name));
                    assert_eq!(is_matched, ours == theirs, "{ours} and {name}");
                }
            }
        }
    }

    #[test]
    fn a_text_gets_the_tenants_names_and_keeps_the_programs_own() {
        let text = "sagetrail-events* of sagetrail: see `sagetrail verify`, sagetrail: Overview, sagetrail_freshness_seconds";
        let renamed =
            "acme-events* of acme: see `sagetrail verify`, acme: Overview, sagetrail_freshness_seconds";
        assert_eq!(names("acme").in_text(text), renamed);
        assert_eq!(Names::default().in_text(text), text);
        assert_eq!(names("my-sagetrail").in_text("sagetrail-events"), "my-sagetrail-events");
    }
}
