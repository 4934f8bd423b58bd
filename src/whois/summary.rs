//! What is shown of one thing (pure).

use std::cmp::Reverse;

use sagetrail_core::enrich::{Caller, trace};
use sagetrail_core::memory::{Key, Kind, Known, State};

use super::tree::{Fact, MOST_VALUES};

/// Fields that branches of the tree show, or that stand beside the name.
const SHOWN_ELSEWHERE: [&str; 5] = ["key", "memory", "uses", "used_for", "resource.type"];

/// What is shown of a thing that is not the root.
const SUMMARY: [&str; 16] = [
    "arn",
    "first_seen",
    "last_seen",
    "issued.at",
    "issued.call",
    "issued.to",
    "issued.by",
    "issued.from",
    "created.at",
    "created.by",
    "created.person",
    "changed.at",
    "changed.by",
    "gone.at",
    "gone.by",
    "script.verdict",
];

/// Every field, and of sets the members that were seen last or first.
pub fn everything(state: &State) -> Vec<Fact> {
    let document = state.document();
    let fields = document.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
    fields.filter(|field| !SHOWN_ELSEWHERE.contains(field)).filter_map(|field| fact(state, field)).collect()
}

/// The few fields that are shown of a thing beside the root, as far as they are known.
pub fn summary(state: &State) -> Vec<Fact> {
    SUMMARY.iter().filter_map(|field| fact(state, field)).collect()
}

/// Who is behind a thing, or what is not known of that.
pub fn origin(key: &Key, state: &State, known: &Known) -> Option<Fact> {
    let text = |field: &str| state.value(field);
    let lineage = match key.kind {
        Kind::Sessions => {
            let name = text("issued.to").unwrap_or(&key.id);
            trace(&Caller { name, person: None, access_key: Some(&key.id) }, known)
        }
        Kind::Resources => {
            let access_key = text("created.key").filter(|key| key.starts_with("ASIA"));
            let caller = Caller { name: text("created.by")?, person: text("created.person"), access_key };
            trace(&caller, known)
        }
        Kind::Identities => return None,
    };
    let (field, value) = match (lineage.origin, lineage.missing) {
        (Some(origin), _) => ("origin", origin),
        (None, missing) => ("origin is missing", missing?),
    };
    Some(Fact { field: field.to_owned(), values: vec![value], more: 0 })
}

fn fact(state: &State, field: &str) -> Option<Fact> {
    let mut values: Vec<String> = if let Some(said) = state.said(field) {
        said.is.to_vec()
    } else {
        let mut members: Vec<_> = state.members(field).collect();
        members.sort_by_key(|(member, at)| (Reverse(*at), *member));
        members.into_iter().map(|(member, _)| member.to_owned()).collect()
    };
    let more = values.len().saturating_sub(MOST_VALUES);
    values.truncate(MOST_VALUES);
    (!values.is_empty()).then(|| Fact { field: field.to_owned(), values, more: more as u64 })
}
