//! Ties correlations to their base rules, and to what the site has changed about them.

use super::error::BrokenRule;
use super::known_rule::{Kind, KnownRule};
use super::set::InactiveRule;
use super::tuning::Tuning;
use crate::correlation::{Base, Change, Correlation, Correlations, InactiveCorrelation};
use crate::nearest::nearest;

/// The correlations, each with the line that names its base rules, tied to the rules that are known. Those that name
/// what cannot be a base rule come back with what a person must change.
pub fn tie(
    correlations: Vec<(Correlation, usize)>,
    known: &[KnownRule],
    inactive: &[InactiveRule],
) -> (Correlations, Vec<BrokenRule>) {
    let (mut tied, mut broken) = (Correlations::default(), Vec::new());
    for (mut correlation, line) in correlations {
        let base: Result<Vec<Base>, String> =
            correlation.calls().iter().map(|name| base(name, known)).collect();
        if let Err(problem) = base.and_then(|base| correlation.tie(base)) {
            let file = correlation.place.file;
            broken.push(BrokenRule { file, line: Some(line), problem });
            continue;
        }
        let is_base = |rule: &&InactiveRule| correlation.base().iter().any(|base| base.id == rule.rule.id);
        let silent: Vec<&InactiveRule> = inactive.iter().filter(is_base).collect();
        if correlation.can_match_without(silent.len()) {
            tied.correlations.push(correlation);
        } else {
            let mut missing: Vec<String> = silent.iter().flat_map(|rule| rule.missing.clone()).collect();
            missing.sort();
            missing.dedup();
            tied.inactive.push(InactiveCorrelation { correlation, missing });
        }
    }
    (tied, broken)
}

/// The rule with an id or a name.
fn base(called: &str, known: &[KnownRule]) -> Result<Base, String> {
    let is_called = |rule: &&KnownRule| rule.id == called || rule.name.as_deref() == Some(called);
    let found: Vec<&KnownRule> = known.iter().filter(is_called).collect();
    match found.as_slice() {
        [KnownRule { kind: Kind::Correlation, title, .. }] => Err(format!(
            "\"{called}\" is the correlation \"{title}\"; correlations of correlations are not evaluated"
        )),
        [KnownRule { id, name, title, .. }] => {
            Ok(Base { id: id.clone(), name: name.clone(), title: title.clone() })
        }
        [] => {
            let names = known.iter().flat_map(|rule| [Some(&rule.id), rule.name.as_ref()]).flatten();
            Err(match nearest(called, names.map(String::as_str)) {
                Some(right) => format!("there is no rule \"{called}\"; did you mean \"{right}\"?"),
                None => format!("there is no rule with the id or name \"{called}\""),
            })
        }
        several => Err(format!("{} rules are called \"{called}\"; name the one by its id", several.len())),
    }
}

/// Gives correlations the overrides that are for them.
pub fn change(correlations: &mut Correlations, tuning: &Tuning) {
    let inactive = correlations.inactive.iter_mut().map(|inactive| &mut inactive.correlation);
    for correlation in correlations.correlations.iter_mut().chain(inactive) {
        correlation.change = tuning.override_of(&correlation.id).map(|change| Change {
            level: change.level(),
            reason: change.reason.clone(),
            until: change.until,
        });
    }
}
