//! What the rules of health have in common: what they ask for, and how an answer is told.

use std::time::Duration;

use sagetrail_core::incident::Trouble;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::correlator::changed;
use crate::enrich::plain;

/// Troubles of one rule that are looked at. More are one incident anyway.
pub(super) const MOST: usize = 1_000;

/// What a rule found; none where that is not known.
pub(super) type Found = Option<Vec<Trouble>>;

/// Aggregations by account and region, with these for each.
pub(super) fn by_account_and_region(of_each: &Value) -> Value {
    json!({"accounts": {
        "terms": {"field": "cloud.account.id", "size": MOST},
        "aggs": {"regions": {"terms": {"field": "cloud.region", "size": 50}, "aggs": of_each}}
    }})
}

/// An account and a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub account: String,
    pub region: String,
}

impl Pair {
    fn subject(&self) -> String {
        format!("{} {}", self.account, self.region)
    }

    /// What is wrong with this account and region: since when, how lately it showed, in how many records, and in words.
    pub fn trouble(
        &self,
        (since, last): (OffsetDateTime, OffsetDateTime),
        records: u64,
        said: String,
    ) -> Trouble {
        Trouble {
            subject: self.subject(),
            account: Some(self.account.clone()),
            region: Some(self.region.clone()),
            since,
            last,
            records,
            said,
        }
    }
}

/// The buckets of `by_account_and_region`.
pub(super) fn pairs(answer: &Value) -> Vec<(Pair, &Value)> {
    let mut found = Vec::new();
    for account in buckets(&answer["aggregations"]["accounts"]) {
        for region in buckets(&account["regions"]) {
            if let (Some(account), Some(name)) = (account["key"].as_str(), region["key"].as_str()) {
                let pair = Pair { account: plain(account).into_owned(), region: plain(name).into_owned() };
                found.push((pair, region));
            }
        }
    }
    found
}

pub(super) fn buckets(aggregation: &Value) -> impl Iterator<Item = &Value> {
    aggregation["buckets"].as_array().into_iter().flatten()
}

pub(super) fn time_of(value: &Value) -> Option<OffsetDateTime> {
    changed::at(value["value"].as_f64()?)
}

/// A length of time in words, in the largest unit of which there are two.
pub(super) fn span(length: time::Duration) -> String {
    let minutes = length.whole_minutes().max(1);
    match minutes {
        1 => "1 minute".to_owned(),
        2..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

pub(super) fn length(setting: Duration) -> time::Duration {
    time::Duration::try_from(setting).unwrap_or(time::Duration::MAX)
}

/// A time for a phone.
pub(super) fn clock(time: OffsetDateTime) -> String {
    format!("{} UTC", crate::timestamp::format(time)[..16].replace('T', " "))
}
