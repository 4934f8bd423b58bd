//! Evaluates the rules on stored documents again (pure), with the values of now and with those that are suggested.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::enrich::rules::RuleSet;
use sagetrail_core::memory::Known;

use crate::enrich::{Enricher, Rule, Severity, StoredEvent, re_enrich};
use crate::timestamp;

/// In how many documents a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    pub id: String,
    pub title: String,
    pub level: Severity,
    pub placeholders: Vec<String>,
    /// With the values of now; none where the rule is inactive for want of some.
    pub now: Option<u64>,
    /// With the suggested values beside them; none where the rule stays inactive.
    pub with_suggestions: Option<u64>,
}

/// Counts the matches of the rules that have placeholders.
#[derive(Debug)]
pub struct Effects<'k> {
    now: &'k Enricher,
    suggested: &'k Enricher,
    by_rule: BTreeMap<String, Effect>,
    pub documents: u64,
    /// Documents without a text that can be read.
    pub unreadable: u64,
}

impl<'k> Effects<'k> {
    /// Compares two sets of the same rules: one with the values of now, one with the suggested ones beside them.
    pub fn new(now: &'k Enricher, suggested: &'k Enricher) -> Self {
        let effects = with_placeholders(&now.rules).map(|(rule, is_silent)| {
            let effect = Effect {
                id: rule.id.clone(),
                title: rule.title.clone(),
                level: rule.level,
                placeholders: rule.placeholders.clone(),
                now: (!is_silent).then_some(0),
                with_suggestions: speaks(&suggested.rules, &rule.id).then_some(0),
            };
            (rule.id.clone(), effect)
        });
        Self { now, suggested, by_rule: effects.collect(), documents: 0, unreadable: 0 }
    }

    /// Takes a document as it is stored.
    pub fn take(&mut self, document: &Value, at: OffsetDateTime) {
        self.documents += 1;
        let (Some(now), Some(suggested)) =
            (matching(document, self.now, at), matching(document, self.suggested, at))
        else {
            self.unreadable += 1;
            return;
        };
        for effect in self.by_rule.values_mut() {
            for (count, matching) in [(&mut effect.now, &now), (&mut effect.with_suggestions, &suggested)] {
                if let Some(count) = count {
                    *count += u64::from(matching.contains(&effect.id));
                }
            }
        }
    }

    /// The counts of each rule that has placeholders, by the rules' ids.
    pub fn into_effects(self) -> Vec<Effect> {
        self.by_rule.into_values().collect()
    }
}

fn with_placeholders(rules: &RuleSet) -> impl Iterator<Item = (&Rule, bool)> {
    let inactive = rules.inactive().iter().map(|inactive| (&inactive.rule, true));
    let all = rules.rules().iter().map(|rule| (rule, false)).chain(inactive);
    all.filter(|(rule, _)| !rule.placeholders.is_empty())
}

fn speaks(rules: &RuleSet, id: &str) -> bool {
    rules.rules().iter().any(|rule| rule.id == id)
}

/// The ids of the rules that match a document.
fn matching(document: &Value, enricher: &Enricher, at: OffsetDateTime) -> Option<Vec<String>> {
    let timestamp = document["@timestamp"].as_str().and_then(timestamp::parse).unwrap_or(at);
    let kept = StoredEvent {
        original: document["event"]["original"].as_str()?,
        path: document["log"]["file"]["path"].as_str().unwrap_or_default(),
        timestamp,
        created: None,
        ingested: at,
        retagged: at,
        document,
    };
    let source = re_enrich(&kept, enricher, &Known::off())?.source;
    let ids = source["rule"]["id"].as_array().into_iter().flatten();
    Some(ids.filter_map(Value::as_str).map(str::to_owned).collect())
}
