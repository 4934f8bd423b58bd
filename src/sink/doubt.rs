//! Doubts the refusal of a document until its index has taken another one.

use std::collections::BTreeMap;

use super::bulk::{self, ItemOutcome};
use super::cluster_block::ClusterBlock;
use super::entry::Entry;
use super::probe::{self, Finding};
use crate::document::{IndexName, Write};
use crate::opensearch::{Answer, OpenSearch};

/// Postpones the refused documents of each index that has taken nothing, unless it takes the probe and then refuses the
/// same documents again. The obstacle may have gone just before the probe, so they are sent again first.
pub(super) async fn check(client: &OpenSearch, entries: &[Entry], outcomes: &mut [ItemOutcome]) {
    for (index, refusals) in unproven(entries, outcomes) {
        let block = match probe::ask(client, index).await {
            Finding::Takes => {
                if let Some(again) = send_again(client, entries, &refusals).await {
                    for (position, outcome) in refusals.into_iter().zip(again) {
                        outcomes[position] = outcome;
                    }
                    continue;
                }
                None
            }
            Finding::Refuses { .. } | Finding::RequestRefused { .. } => Some(ClusterBlock::TakesNone),
            Finding::Unknown => None,
        };
        for position in refusals {
            let outcome = &mut outcomes[position];
            if let ItemOutcome::Refused(refusal) | ItemOutcome::Doubtful(refusal) = outcome {
                let (status, kind) = (refusal.status, std::mem::take(&mut refusal.kind));
                *outcome = ItemOutcome::Retry { status, kind, block };
            }
        }
    }
}

/// Sends the refused documents again and returns their outcomes; None without a usable answer.
async fn send_again(client: &OpenSearch, entries: &[Entry], refusals: &[usize]) -> Option<Vec<ItemOutcome>> {
    let documents = refusals.iter().map(|position| &entries[*position].document);
    let Ok(Answer { status: 200..=299, body }) = client.bulk(bulk::encode(documents.clone())).await else {
        return None;
    };
    bulk::classify(&body, documents.map(bulk::sent)).ok()
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
        let is_proof = match entry.document.write {
            Write::Create => matches!(outcome, ItemOutcome::Created | ItemOutcome::Duplicate),
            // What was known already never came to the mapping.
            Write::Join => *outcome == ItemOutcome::Created,
        };
        if is_proof {
            refusals.remove(&entry.document.index);
        }
    }
    refusals
}
