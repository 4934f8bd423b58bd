//! The tags of a resource: those that it was made with, and what calls have added and taken away since.
//!
//! A call that adds tags says nothing of the others. So each tag that was added and each that was taken away is a
//! member of a set, which keeps the latest.

use std::collections::BTreeMap;

use serde_json_borrow::Value;

use crate::memory::{Stamp, State};
use crate::record::Record;

/// The tags with which it was made, as `key=value`.
pub const MADE_WITH: &str = "tags";
/// Tags that were added to it, as `key=value`.
pub const ADDED: &str = "tags_added";
/// Keys of tags that were taken away.
pub const REMOVED: &str = "tags_removed";

/// The keys of tags that a call takes away.
pub fn removed<'r>(record: &'r Record<'_>) -> impl Iterator<Item = &'r str> {
    let is_removal = record.is_sagemaker() && record.event_name() == "DeleteTags";
    let keys = match record.at(&["requestParameters", "tagKeys"]) {
        Value::Array(keys) if is_removal => &keys[..],
        _ => &[],
    };
    keys.iter().filter_map(|key| key.as_str())
}

/// The tags that a resource had, by what was told of it until then.
pub fn tags(resource: &State, is_before: impl Fn(&Stamp) -> bool) -> Vec<String> {
    let made = resource.said(MADE_WITH).filter(|made| is_before(&made.at));
    let since = made.map_or(Stamp::always(), |made| &made.at);
    let values = made.into_iter().flat_map(|made| made.is.iter().map(String::as_str));
    let mut tags: BTreeMap<&str, (&Stamp, Option<&str>)> =
        values.map(|tag| (key(tag), (since, Some(tag)))).collect();
    let added = resource.members(ADDED).map(|(tag, at)| (key(tag), at, Some(tag)));
    let removed = resource.members(REMOVED).map(|(key, at)| (key, at, None));
    for (key, at, tag) in added.chain(removed) {
        // What was there before it was made anew is gone.
        let is_later = at > since && tags.get(key).is_none_or(|(known, _)| at > *known);
        if is_later && is_before(at) {
            tags.insert(key, (at, tag));
        }
    }
    tags.into_values().filter_map(|(_, tag)| tag.map(str::to_owned)).collect()
}

fn key(tag: &str) -> &str {
    tag.split_once('=').map_or(tag, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn each_call_changes_the_tags_that_it_names_and_no_others() {
        let at = |hour: u8| Stamp::at(datetime!(2026-11-20 00:00 UTC).replace_hour(hour).unwrap());
        let mut state = State::default();
        state.say(MADE_WITH, &at(1), ["team=a", "owner=ann", "stage=dev"]);
        state.add_newest(ADDED, &at(0), "before=it was made");
        state.add_newest(ADDED, &at(2), "env=test");
        state.add_newest(ADDED, &at(3), "env=prod");
        state.add_newest(ADDED, &at(3), "team=b");
        state.add_newest(REMOVED, &at(4), "owner");
        state.add_newest(REMOVED, &at(2), "stage");
        state.add_newest(ADDED, &at(5), "stage=prod");
        let cases: [(u8, &[&str]); 5] = [
            (2, &["owner=ann", "stage=dev", "team=a"]),
            (3, &["env=test", "owner=ann", "team=a"]),
            (4, &["env=prod", "owner=ann", "team=b"]),
            (5, &["env=prod", "team=b"]),
            (6, &["env=prod", "stage=prod", "team=b"]),
        ];
        for (hour, expected) in cases {
            assert_eq!(tags(&state, |told| *told < at(hour)), expected, "at {hour}");
        }
    }
}
