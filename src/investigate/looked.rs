//! What only the text of a record tells: what policies would have done with the call, and why parts of it are missing
//! (pure).

use std::collections::BTreeSet;

use serde_json::Value;

use super::entry::Entry;
use super::left_out::{Part, Why};
use crate::guard::Judge;

/// The text that CloudTrail writes in place of a value that is not for logs.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
const PARTS: [(&str, Part); 2] = [("requestParameters", Part::Request), ("responseElements", Part::Answer)];

impl Entry {
    /// Reads on in the text of the record, where its document keeps it.
    pub fn look(&mut self, judge: &Judge, source: &Value) {
        let text = source.pointer("/event/original").and_then(Value::as_str);
        let Some(record) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return };
        self.guarded = judge.judge(&record, self.omitted.is_empty());
        if self.omitted.is_empty() {
            return;
        }
        for (member, part) in PARTS {
            let mut whys = BTreeSet::new();
            walk(&record[member], &mut whys);
            if whys.is_empty() && self.omitted.iter().any(|path| path == member) {
                whys.insert(Why::NoParameters);
            }
            self.left_out.extend(whys.into_iter().map(|why| (why, part)));
        }
    }
}

fn walk(value: &Value, whys: &mut BTreeSet<Why>) {
    match value {
        Value::String(text) if text == HIDDEN => {
            whys.insert(Why::Hidden);
        }
        Value::Object(members) if members.get("omitted") == Some(&Value::Bool(true)) => {
            whys.insert(Why::TooLarge);
        }
        Value::Object(members) => members.values().for_each(|one| walk(one, whys)),
        Value::Array(list) => list.iter().for_each(|one| walk(one, whys)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guard::Verdict;

    fn looked(record: &Value, omitted: &[&str]) -> Entry {
        let document = json!({"@timestamp": "2026-11-03T12:00:00.000Z", "event": {"original": record.to_string()},
            "sagemaker": {"omitted": omitted}});
        let mut entry = Entry::read("index", "id", &document).unwrap();
        entry.look(&Judge::new(&std::collections::BTreeMap::new()).unwrap(), &document);
        entry
    }

    #[test]
    fn why_a_part_is_missing_and_of_which_part_is_told_apart() {
        let cases = [
            (
                json!({"requestParameters": {"a": [{"omitted": true, "originalSize": 9}]}}),
                "requestParameters.a",
                (Why::TooLarge, Part::Request),
            ),
            (
                json!({"requestParameters": {"a": 1}, "responseElements": {"authorizedUrl": HIDDEN}}),
                "responseElements.authorizedUrl",
                (Why::Hidden, Part::Answer),
            ),
            (json!({"requestParameters": null}), "requestParameters", (Why::NoParameters, Part::Request)),
        ];
        for (record, path, expected) in cases {
            assert_eq!(looked(&record, &[path]).left_out, [expected], "{record}");
        }
        assert_eq!(looked(&json!({"requestParameters": {"a": HIDDEN}}), &[]).left_out, []);
    }

    #[test]
    fn a_call_is_judged_by_the_policies_that_are_about_it_and_an_omission_leaves_it_undecided() {
        let record = json!({"eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstance",
            "requestParameters": {"notebookInstanceName": "n"}, "userIdentity": {"arn": "arn:aws:iam::111122223333:user/a"}});
        let of = |omitted: &[&str]| {
            let guarded = looked(&record, omitted).guarded;
            guarded.into_iter().find(|(policy, _)| *policy == "no-root-access").unwrap().1
        };
        assert_eq!((of(&[]), of(&["requestParameters.x"])), (Verdict::Denied, Verdict::Undecided));
        let other = json!({"eventSource": "iam.amazonaws.com", "eventName": "ListUsers"});
        assert_eq!(looked(&other, &[]).guarded, []);
    }
}
