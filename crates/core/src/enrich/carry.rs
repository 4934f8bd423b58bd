//! Carries over what a stored document knows and its text no longer shows.
//!
//! `event.original` is the record after redaction. Rules and scripts were read before it, so a document may know more
//! than its text: a script whose parameter is `[redacted:…]` as a whole, a match on a value that is gone. A document
//! that is written anew keeps these; what its text still shows is judged by the rules of now.

use std::collections::BTreeSet;

use rsigma_eval::CompiledDetection;
use serde_json::Value;
use serde_json_borrow::Value as Member;

use super::redact::MARKER_START;
use super::rule::Rule;
use super::rules::{Judged, Muted, RuleSet};
use super::script::Script;
use super::shell;
use super::sigma_event::SigmaEvent;
use crate::record::Record;

/// Scripts that the document shows and that cannot be read out of its text any more, which gave `derived`.
pub fn scripts(document: &Value, record: &Record<'_>, derived: &[Script]) -> Vec<Script> {
    let lifecycle = &document["sagemaker"]["lifecycle"];
    let (stored, hooks) = (texts(&lifecycle["script"]), texts(&lifecycle["hook"]));
    let knows_all = !request_is_marked(record)
        && derived.len() >= stored.len()
        && !derived.iter().any(|script| script.cut);
    if knows_all {
        return Vec::new();
    }
    let cut = lifecycle["truncated"] == true;
    let is_derived = |text: &str| derived.iter().any(|script| script.text == text);
    stored
        .iter()
        .enumerate()
        .filter(|(_, text)| !is_derived(text))
        .map(|(position, text)| {
            // Scripts of one hook share its name in the document.
            let hook = hooks.get(position).or(hooks.last()).copied().unwrap_or("unknown");
            Script::stored(hook, text, cut)
        })
        .collect()
}

/// Rules that matched when the document was written, and that the text can neither confirm nor refute, because
/// something that they look at is gone from it.
pub fn rules<'k>(
    document: &Value,
    rules: &'k RuleSet,
    matching: &[&Rule],
    event: &SigmaEvent<'_, '_>,
) -> Vec<&'k Rule> {
    let mut matched: BTreeSet<&str> = texts(&document["rule"]["id"]).into_iter().collect();
    matched.extend(muted(document).filter_map(|muted| muted["id"].as_str()));
    for rule in matching {
        matched.remove(rule.id.as_str());
    }
    let known = rules.rules().iter().filter(|rule| matched.contains(rule.id.as_str()));
    known.filter(|rule| rule.compiled().detections.values().any(|it| asks_for_lost(it, event))).collect()
}

/// Mutes again the carried rules that a filter had muted, when the site still has the filter: what the filter looks at
/// may be gone from the text as well.
pub fn mute<'k>(judged: &mut Judged<'k>, document: &Value, carried: &[&'k Rule], rules: &'k RuleSet) {
    for rule in carried {
        let filter = muted(document).filter(|muted| muted["id"] == rule.id.as_str()).find_map(|muted| {
            rules.tuning().filters_for(&rule.id).find(|filter| muted["filter"] == filter.title.as_str())
        });
        if let Some(filter) = filter
            && judged.matches.iter().any(|known| known.id == rule.id)
        {
            judged.matches.retain(|known| known.id != rule.id);
            judged.releveled.retain(|releveled| releveled.id != rule.id);
            judged.muted.push(Muted::by_filter(rule, filter));
        }
    }
}

fn muted(document: &Value) -> impl Iterator<Item = &Value> {
    document["sagemaker"]["muted"].as_array().into_iter().flatten()
}

/// Adds to the new source what the document knows beside the verdict of the rules, where its text has lost some of the
/// request. Says which fields.
pub fn fields(source: &mut Value, document: &Value, record: &Record<'_>) -> Vec<String> {
    let mut carried = Vec::new();
    if !request_is_marked(record) {
        return carried;
    }
    for root in ["sagemaker", "related"] {
        let Some(old) = document[root].as_object() else { continue };
        for (name, value) in old.iter().filter(|(_, value)| !value.is_null()) {
            if root == "sagemaker" && JUDGED_ANEW.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{root}.{name}");
            merge(&mut source[root][name], value, &path, &mut carried);
        }
    }
    carried
}

/// Keeps what was known of the caller's address when the event was new: networks change hands.
pub fn networks(source: &mut Value, document: &Value) {
    for [root, member] in [["source", "geo"], ["source", "as"], ["cloud", "origin"]] {
        if !document[root][member].is_null() {
            source[root][member] = document[root][member].clone();
        }
    }
    let network = &document["sagemaker"]["actor"]["network"];
    if !network.is_null() {
        source["sagemaker"]["actor"]["network"] = network.clone();
    }
}

/// Members of `sagemaker` that follow from the rules of now and from what is left of the record.
const JUDGED_ANEW: [&str; 11] = [
    "actor",
    "alert",
    "attempts",
    "categories",
    "findings",
    "muted",
    "questions",
    "releveled",
    "rules",
    "runbook",
    "severity",
];

/// What is absent or redacted is taken over, and lists get the values that they lack. A value that is another one now
/// stays.
fn merge(new: &mut Value, old: &Value, path: &str, carried: &mut Vec<String>) {
    match (new, old) {
        (new @ Value::Null, old) => {
            *new = old.clone();
            carried.push(path.to_owned());
        }
        (Value::Object(new), Value::Object(old)) => {
            for (name, value) in old.iter().filter(|(_, value)| !value.is_null()) {
                let member = new.entry(name.as_str()).or_insert(Value::Null);
                merge(member, value, &format!("{path}.{name}"), carried);
            }
        }
        (Value::Array(new), Value::Array(old)) => {
            let lacking: Vec<Value> = old.iter().filter(|value| !new.contains(value)).cloned().collect();
            if !lacking.is_empty() {
                new.extend(lacking);
                carried.push(path.to_owned());
            }
        }
        (new @ Value::String(_), Value::String(old)) => {
            let is_gone = new.as_str().is_some_and(is_marked_text) && !is_marked_text(old);
            if is_gone {
                *new = Value::from(old.as_str());
                carried.push(path.to_owned());
            }
        }
        _ => {}
    }
}

/// Whether a detection looks at something that is gone from the text.
fn asks_for_lost(detection: &CompiledDetection, event: &SigmaEvent<'_, '_>) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => {
            items.iter().any(|item| is_lost(item.field.as_deref().unwrap_or_default(), event))
        }
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => {
            parts.iter().any(|part| asks_for_lost(part, event))
        }
        CompiledDetection::ArrayMatch { field, .. } => is_lost(field, event),
        CompiledDetection::Keywords(_) | CompiledDetection::Conditional { .. } => is_lost("", event),
    }
}

/// Whether something of a field is gone; of the whole record, when the path is empty.
fn is_lost(field: &str, event: &SigmaEvent<'_, '_>) -> bool {
    let has_lost_script =
        event.unpacked.scripts.iter().any(|script| script.cut || is_marked_text(&script.text));
    match field {
        _ if field.starts_with(shell::FIELDS) => {
            has_lost_script || event.unpacked.scripts.is_empty() && request_is_marked(event.record)
        }
        "" => has_lost_script || is_marked(event.record.root()),
        // What is read out of parameters has no place of its own in the record.
        _ if field.starts_with("sagemaker.") => request_is_marked(event.record),
        _ => is_marked_at(event.record.root(), field),
    }
}

fn request_is_marked(record: &Record<'_>) -> bool {
    is_marked(record.at(&["requestParameters"]))
}

/// Whether a marker stands where a path leads, in place of it, or of a name on the way.
fn is_marked_at(value: &Member<'_>, path: &str) -> bool {
    match value {
        Member::Object(object) => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            match (object.get(path), object.get(first)) {
                (Some(value), _) => is_marked(value),
                (None, Some(value)) if !rest.is_empty() => is_marked_at(value, rest),
                _ => object.iter().any(|(name, _)| is_marked_text(name)),
            }
        }
        Member::Array(elements) => elements.iter().any(|element| is_marked_at(element, path)),
        other => is_marked(other),
    }
}

fn is_marked(value: &Member<'_>) -> bool {
    match value {
        Member::Object(object) => object.iter().any(|(name, value)| is_marked_text(name) || is_marked(value)),
        Member::Array(elements) => elements.iter().any(is_marked),
        Member::Str(text) => is_marked_text(text),
        Member::Null | Member::Bool(_) | Member::Number(_) => false,
    }
}

fn is_marked_text(text: &str) -> bool {
    text.contains(MARKER_START)
}

/// A text or the texts of a list, as OpenSearch takes both.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
