//! The doubt: a refusal is believed of a document only when its index takes others.

use std::collections::BTreeMap;

use super::OpenSearch;
use super::bulk::ItemOutcome;
use super::entry::Entry;
use super::obstacle::Obstacle;
use super::probe::{self, Finding};
use crate::document::IndexName;

/// Turns the refusals of each index that has taken nothing into something to wait for, unless it takes the probe.
pub(super) async fn check(client: &OpenSearch, entries: &[Entry], outcomes: &mut [ItemOutcome]) {
    for (index, refusals) in unproven(entries, outcomes) {
        let obstacle = match probe::ask(client, index).await {
            Finding::Takes => continue,
            Finding::Refuses { .. } | Finding::RequestRefused { .. } => Some(Obstacle::TakesNone),
            Finding::Unknown => None,
        };
        for position in refusals {
            let outcome = &mut outcomes[position];
            if let ItemOutcome::Refused(refusal) | ItemOutcome::Doubtful(refusal) = outcome {
                let (status, kind) = (refusal.status, std::mem::take(&mut refusal.kind));
                *outcome = ItemOutcome::Retry { status, kind, obstacle };
            }
        }
    }
}

/// The refusals of each index that took no document of this bulk.
fn unproven<'a>(entries: &'a [Entry], outcomes: &[ItemOutcome]) -> BTreeMap<&'a IndexName, Vec<usize>> {
    let mut refusals: BTreeMap<&IndexName, Vec<usize>> = BTreeMap::new();
    for (position, (entry, outcome)) in entries.iter().zip(outcomes).enumerate() {
        if matches!(outcome, ItemOutcome::Refused(_) | ItemOutcome::Doubtful(_)) {
            refusals.entry(&entry.document.index).or_default().push(position);
        }
    }
    for (entry, outcome) in entries.iter().zip(outcomes) {
        if matches!(outcome, ItemOutcome::Created | ItemOutcome::Duplicate) {
            refusals.remove(&entry.document.index);
        }
    }
    refusals
}
