//! Judges what the history suggests (pure): what looks like everyday work is suggested, and what looks like an attack
//! is flagged instead of being trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;
use strum::IntoStaticStr;

use super::evidence::Evidence;
use super::network;
use super::source::{Values, Whose};
use crate::record::is_account;

/// Of a value with worrying findings, one in so many of its records at most may have one before it is flagged. Where
/// people work every day, findings of theirs that turn out harmless are a small part.
const WORRYING_SHARE: u64 = 20;

/// What was seen of a placeholder, and what is known beside it.
#[derive(Debug)]
pub struct Seen<'c> {
    pub values: BTreeMap<String, Evidence>,
    pub form: Values,
    pub whose: Whose,
    /// Accounts whose trail is delivered here.
    pub own_accounts: &'c BTreeSet<String>,
}

/// What becomes of the values of a placeholder.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    pub suggested: Vec<Suggestion>,
    pub flagged: Vec<Flagged>,
}

/// A value that looks like everyday work.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    pub value: String,
    pub evidence: Evidence,
}

/// A value that is better looked at than trusted.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Flagged {
    pub value: String,
    pub reasons: Vec<Reason>,
    pub evidence: Evidence,
}

/// Converts into the words of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    #[strum(serialize = "in one record only")]
    SeenOnce,
    #[strum(serialize = "on one day only")]
    SeenOnOneDay,
    #[strum(serialize = "together with findings of level high or above")]
    WorryingFindings,
    /// Sigma would read it as a pattern, so that one record made of wildcards trusts everything.
    #[strum(serialize = "with a wildcard, which would trust more than was seen")]
    Wildcard,
    /// An account outside of the organisation, each record of which has a finding.
    #[strum(
        serialize = "outside of the accounts whose trail is delivered here, and in no record without a finding"
    )]
    ForeignOnlyWithFindings,
}

/// Sorts the values, the most used first.
pub fn judge(seen: Seen<'_>) -> Judgement {
    let Seen { values, form, whose, own_accounts } = seen;
    let mut judged = Judgement::default();
    let mut take = |value: String, evidence: Evidence, reasons: Vec<Reason>| {
        if reasons.is_empty() {
            judged.suggested.push(Suggestion { value, evidence });
        } else {
            judged.flagged.push(Flagged { value, reasons, evidence });
        }
    };
    let values = match form {
        Values::AsTheyStand => values,
        Values::Accounts => accounts(values),
        Values::Networks => {
            // An address of an attacker may not hide among its neighbours.
            let (worrying, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                values.into_iter().partition(|(_, evidence)| is_worrying(evidence));
            let flagged: Vec<IpAddr> = worrying.keys().filter_map(|text| text.parse().ok()).collect();
            for (address, evidence) in network::networks(worrying, &[]) {
                let mut reasons = rarity(&evidence);
                reasons.push(Reason::WorryingFindings);
                take(address, evidence, reasons);
            }
            network::networks(others, &flagged)
        }
    };
    for (value, evidence) in values {
        let reasons = match whose {
            // A trail delivers no records of accounts that are not its organisation's.
            Whose::Own => Vec::new(),
            Whose::Anybodys => reasons(&value, &evidence, own_accounts),
        };
        take(value, evidence, reasons);
    }
    judged.suggested.sort_by_key(|it| std::cmp::Reverse(it.evidence.records));
    judged.flagged.sort_by_key(|it| std::cmp::Reverse(it.evidence.worrying));
    judged
}

/// The accounts that are named, alone or in an ARN.
fn accounts(values: BTreeMap<String, Evidence>) -> BTreeMap<String, Evidence> {
    let mut accounts: BTreeMap<String, Evidence> = BTreeMap::new();
    for (value, evidence) in values {
        if let Some(account) = value.split(':').find(|part| is_account(part)) {
            accounts.entry(account.to_owned()).or_default().add(evidence);
        }
    }
    accounts
}

fn reasons(value: &str, evidence: &Evidence, own_accounts: &BTreeSet<String>) -> Vec<Reason> {
    let mut reasons = rarity(evidence);
    if is_worrying(evidence) {
        reasons.push(Reason::WorryingFindings);
    }
    if value.contains(['*', '?']) {
        reasons.push(Reason::Wildcard);
    }
    let is_foreign = is_account(value) && !own_accounts.contains(value);
    if is_foreign && evidence.with_finding >= evidence.all_records {
        reasons.push(Reason::ForeignOnlyWithFindings);
    }
    reasons
}

/// Whether too little was seen to trust it: an attack seldom lasts, and everyday work comes again.
fn rarity(evidence: &Evidence) -> Vec<Reason> {
    match (evidence.records, evidence.days.len()) {
        (0 | 1, _) => vec![Reason::SeenOnce],
        (_, 0 | 1) => vec![Reason::SeenOnOneDay],
        _ => Vec::new(),
    }
}

fn is_worrying(evidence: &Evidence) -> bool {
    evidence.worrying > 0 && evidence.worrying * WORRYING_SHARE > evidence.all_records
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    /// So many records, on so many days, with so many worrying and so many with any finding.
    fn evidence(records: u64, days: u8, worrying: u64, with_finding: u64) -> Evidence {
        let first = date!(2026 - 11 - 01);
        let days = (0..i64::from(days)).map(|day| first + time::Duration::days(day));
        Evidence {
            records,
            all_records: records,
            days: days.collect(),
            worrying,
            with_finding,
            ..Evidence::default()
        }
    }

    fn judged(value: &str, seen: Evidence, form: Values, whose: Whose) -> Judgement {
        let own_accounts = BTreeSet::from(["111122223333".to_owned()]);
        let values = BTreeMap::from([(value.to_owned(), seen)]);
        judge(Seen { values, form, whose, own_accounts: &own_accounts })
    }

    #[test]
    fn what_comes_again_without_findings_is_suggested_and_everything_else_is_flagged_with_its_reasons() {
        use Reason::{ForeignOnlyWithFindings, SeenOnOneDay, SeenOnce, Wildcard, WorryingFindings};
        let cases: &[(&str, Evidence, &[Reason])] = &[
            ("models", evidence(40, 10, 0, 0), &[]),
            ("models", evidence(2, 2, 0, 0), &[]),
            ("models", evidence(400, 20, 20, 90), &[]),
            ("models", evidence(400, 20, 21, 90), &[WorryingFindings]),
            ("models", evidence(1, 1, 0, 0), &[SeenOnce]),
            ("models", evidence(1, 1, 1, 1), &[SeenOnce, WorryingFindings]),
            ("models", evidence(90, 1, 0, 0), &[SeenOnOneDay]),
            ("models", evidence(9, 9, 0, 9), &[]),
            ("***", evidence(9, 9, 0, 0), &[Wildcard]),
            ("model?", evidence(9, 9, 0, 0), &[Wildcard]),
            ("444455556666", evidence(9, 9, 0, 9), &[ForeignOnlyWithFindings]),
            ("444455556666", evidence(9, 9, 0, 8), &[]),
            ("111122223333", evidence(9, 9, 0, 9), &[]),
        ];
        for (value, seen, expected) in cases {
            let found = judged(value, seen.clone(), Values::AsTheyStand, Whose::Anybodys);
            let reasons: Vec<Reason> = found.flagged.iter().flat_map(|it| it.reasons.clone()).collect();
            assert_eq!(reasons, *expected, "{value} {seen:?}");
            assert_eq!(found.suggested.len(), usize::from(expected.is_empty()), "{value} {seen:?}");
        }
        let own = judged("444455556666", evidence(1, 1, 1, 1), Values::AsTheyStand, Whose::Own);
        assert_eq!((own.suggested.len(), own.flagged.len()), (1, 0));
    }

    #[test]
    fn an_address_with_worrying_findings_is_flagged_by_itself_and_its_neighbours_are_suggested_without_it() {
        let own_accounts = BTreeSet::new();
        let values = BTreeMap::from([
            ("203.0.113.6".to_owned(), evidence(50, 10, 0, 0)),
            ("203.0.113.7".to_owned(), evidence(50, 12, 0, 0)),
            ("203.0.113.99".to_owned(), evidence(4, 3, 3, 3)),
        ]);
        let seen =
            Seen { values, form: Values::Networks, whose: Whose::Anybodys, own_accounts: &own_accounts };
        let found = judge(seen);
        let suggested: Vec<&str> = found.suggested.iter().map(|it| it.value.as_str()).collect();
        assert_eq!(suggested, ["203.0.113.6/31"]);
        assert_eq!((found.suggested[0].evidence.records, found.suggested[0].evidence.days.len()), (100, 12));
        let flagged: Vec<_> =
            found.flagged.iter().map(|it| (it.value.as_str(), it.reasons.clone())).collect();
        assert_eq!(flagged, [("203.0.113.99/32", vec![Reason::WorryingFindings])]);
    }
}
