//! Holds all that was understood of one record, for the stages that put it into words and advice.

use super::actor::Actor;
use super::context::Context;
use super::networks::SourceNetwork;
use super::rule::Rule;
use super::verdict::{CallOutcome, Verdict};
use crate::record::Record;

/// One record, the rules that matched it, and everything that was concluded from both.
#[derive(Clone, Copy)]
pub struct Analysis<'v, 'a> {
    /// The record with its secrets replaced.
    pub record: &'v Record<'a>,
    pub matches: &'v [&'v Rule],
    pub actor: &'v Actor<'v>,
    pub network: &'v SourceNetwork<'v>,
    pub context: &'v Context<'v>,
    pub verdict: &'v Verdict<'v>,
    pub outcome: CallOutcome,
}

impl Analysis<'_, '_> {
    /// Whether the call failed because the caller lacks a permission, by its error code.
    pub fn was_denied(&self) -> bool {
        let code = self.record.text(&["errorCode"]).unwrap_or_default();
        DENIALS.iter().any(|denial| code.contains(denial))
    }
}

/// Parts of the error codes by which services say that the caller lacks the permission.
const DENIALS: [&str; 3] = ["AccessDenied", "UnauthorizedOperation", "NotAuthorized"];

#[cfg(test)]
pub mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::enrich::catalogue::Catalogue;
    use crate::enrich::networks::Networks;
    use crate::enrich::rule::Place;
    use crate::enrich::rules::Folder;
    use crate::enrich::unpacked::Unpacked;
    use crate::enrich::{actor, context, verdict};

    /// Calls the function with the reading of a record that these rules matched.
    pub fn read<T>(record: &Json, rules: &[Rule], function: impl Fn(&Analysis<'_, '_>) -> T) -> T {
        let raw = record.to_string();
        let record = Record::parse(raw.as_bytes()).unwrap();
        let matches: Vec<&Rule> = rules.iter().collect();
        let catalogue = Catalogue::built_in();
        let unpacked = Unpacked::default();
        let (actor, context) = (actor::actor(&record), context::context(&record, &unpacked, &catalogue));
        let networks = Networks::built_in();
        let network = networks.source(&record);
        let outcome = verdict::outcome(&record);
        let verdict = Verdict::of(&matches, outcome);
        function(&Analysis {
            record: &record,
            matches: &matches,
            actor: &actor,
            network: &network,
            context: &context,
            verdict: &verdict,
            outcome,
        })
    }

    pub fn rule(title: &str, level: &str, tags: &[&str]) -> Rule {
        let tags: Vec<String> = tags.iter().map(|tag| format!("  - {tag}")).collect();
        let tags = tags.join("\n");
        let yaml = format!(
            "title: {title}\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\nlogsource:\n  product: aws\ndetection:\n  \
             s:\n    eventName: X\n  condition: s\nlevel: {level}\ntags:\n{tags}"
        );
        let place = Place { folder: Folder::Site, file: "test.yml".to_owned(), line: 1 };
        Rule::compile(&rsigma_parser::parse_sigma_yaml(&yaml).unwrap().rules[0], place).unwrap()
    }
}
