//! Brings the bodies of monitors into one canonical form, so that they can be compared (pure).
//!
//! The alerting plugin parses a monitor and answers with what it understood. A range that was sent with `gte` comes
//! back with `from` and `include_lower`, a term with its boost, and omitted members with their defaults. In the
//! canonical form a window that somebody narrowed is a difference, and another spelling is none.

use serde_json::{Map, Value, json};

use super::kind::Kind;

/// What decides on the pages of a monitor: its search and the condition of its trigger.
const DECIDES: &[&str] = &["inputs", "condition"];

/// A body in the form in which it can be compared.
pub fn canonical(kind: Kind, body: &Value) -> Value {
    if kind != Kind::Monitor {
        return body.clone();
    }
    let mut told = monitor(body);
    // The plugin keeps it for editors, and brings it to Dashboards alone.
    if let Value::Object(members) = &mut told {
        members.remove("ui_metadata");
    }
    told
}

/// Reduces an installed body to the members that can differ from ours, which is canonical: those that ours has. In
/// parts that decide on pages every member counts, because an added clause can silence a monitor.
pub fn comparable(kind: Kind, theirs: &Value, ours: &Value) -> Value {
    let whole = if kind == Kind::Monitor { DECIDES } else { &[] };
    projected(&canonical(kind, theirs), ours, whole)
}

/// Reduces an installed body to the members that ours has, without what a server adds by itself. Members of these
/// names are kept whole, and so is a list of another length, because a person changed it.
pub fn projected(theirs: &Value, ours: &Value, whole: &[&str]) -> Value {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let kept = ours.iter().filter_map(|(name, ours)| {
                let theirs = theirs.get(name)?;
                let is_whole = whole.contains(&name.as_str());
                Some((name.clone(), if is_whole { theirs.clone() } else { projected(theirs, ours, whole) }))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            theirs.iter().zip(ours).map(|(theirs, ours)| projected(theirs, ours, whole)).collect()
        }
        _ => theirs.clone(),
    }
}

/// Changes each member, with its name, or each item, with an empty one; a scalar stays.
pub fn changed(value: &Value, change: impl Fn(&str, &Value) -> Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), change(name, value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| change("", item)).collect(),
        scalar => scalar.clone(),
    }
}

fn monitor(body: &Value) -> Value {
    changed(body, |name, value| if DECIDES.contains(&name) { told(value) } else { monitor(value) })
}

/// Queries of one field, whose value may stand alone or in a member.
const OF_A_FIELD: &[&str] = &["term", "prefix", "wildcard", "regexp"];

/// Whether the plugin writes this value, beside `null`, for an omitted member.
fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "boost" => *value == json!(1.0) || *value == json!(1),
        "adjust_pure_negative" => *value == json!(true),
        "missing_bucket" | "show_term_doc_count_error" => *value == json!(false),
        "max_determinized_states" => *value == json!(10_000),
        "flags_value" => *value == json!(255),
        "shard_min_doc_count" => *value == json!(0),
        "order" => *value == json!("asc") || *value == json!([{"_count": "desc"}, {"_key": "asc"}]),
        _ => value.is_null(),
    }
}

fn told(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let told =
                members.iter().filter(|(name, value)| !is_default(name, value)).map(|(name, value)| {
                    match (name.as_str(), value) {
                        ("range", Value::Object(fields)) => (name.clone(), each(fields, range)),
                        ("aggs", value) => ("aggregations".to_owned(), self::told(value)),
                        (clause, Value::Object(fields)) if OF_A_FIELD.contains(&clause) => {
                            (name.clone(), each(fields, of_a_field))
                        }
                        (_, value) => (name.clone(), self::told(value)),
                    }
                });
            Value::Object(told.collect())
        }
        other => changed(other, |_, value| told(value)),
    }
}

fn each(fields: &Map<String, Value>, told: fn(&Value) -> Value) -> Value {
    fields.iter().map(|(field, value)| (field.clone(), told(value))).collect()
}

/// A range by its bounds, each under the name that says whether it is included.
fn range(range: &Value) -> Value {
    let Value::Object(members) = range else { return range.clone() };
    let includes = |name: &str| members.get(name) != Some(&json!(false));
    let bound = |name: &str| {
        match name {
            "from" if includes("include_lower") => "gte",
            "from" => "gt",
            "to" if includes("include_upper") => "lte",
            "to" => "lt",
            other => other,
        }
        .to_owned()
    };
    let is_said =
        |(name, value): &(&String, &Value)| !name.starts_with("include_") && !is_default(name, value);
    members.iter().filter(is_said).map(|(name, value)| (bound(name), value.clone())).collect()
}

/// The value of a query of one field, with what else was said of it.
fn of_a_field(query: &Value) -> Value {
    let Value::Object(members) = query else { return json!({"value": query}) };
    let said = members.iter().filter(|(name, value)| !is_default(name, value));
    said.map(|(name, value)| match (name.as_str(), value.as_str()) {
        ("wildcard", _) => ("value".to_owned(), value.clone()),
        ("flags", Some("NONE")) => ("flags_value".to_owned(), json!(0)),
        _ => (name.clone(), value.clone()),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::object::same;

    /// A search as it was sent, and as the parser of OpenSearch 2.19.4 wrote it.
    fn pair() -> (Value, Value) {
        let pair: Value = serde_json::from_str(include_str!("../../tests/e2e/setup/rewritten.json")).unwrap();
        let monitor = |query: &Value| {
            json!({"name": "m", "ui_metadata": {"sagetrail": {"version": 1}}, "inputs": [{"search": {"query": query}}],
                   "triggers": [{"bucket_level_trigger": {"condition": {"script": {"source": "params.n > 0"}}}}]})
        };
        let mut stored = monitor(&pair["stored"]);
        stored.as_object_mut().unwrap().remove("ui_metadata");
        (monitor(&pair["sent"]), stored)
    }

    #[test]
    fn what_the_plugin_stores_is_what_was_sent_and_each_edit_of_it_is_another() {
        let (sent, stored) = pair();
        let expected = canonical(Kind::Monitor, &sent);
        let is_ours = |theirs: &Value| same(&comparable(Kind::Monitor, theirs, &expected), &expected);
        assert!(is_ours(&sent) && is_ours(&stored));
        let clauses = "/inputs/0/search/query/query/bool";
        let edits = [
            ("/filter/6/range/event.ingested/from", json!("{{period_end}}||-1s")),
            ("/filter/6/range/event.ingested/to", json!("{{period_end}}||-1d")),
            ("/filter/6/range/event.ingested/include_lower", json!(false)),
            ("/filter/6/range/event.ingested/include_upper", json!(false)),
            ("/filter/6/range/event.ingested/boost", json!(0.0)),
            ("/filter/7/range/@timestamp/to", json!("{{period_end}}||-1d")),
            ("/filter/0/term/sagemaker.severity/value", json!("none")),
            ("/must_not/1/regexp/user.name/flags_value", json!(0)),
            ("/must_not", json!([{"match_all": {"boost": 1.0}}])),
            ("/must", json!([{"match_none": {}}])),
            ("/minimum_should_match", json!("1")),
        ];
        for (path, value) in edits {
            let mut edited = stored.clone();
            let (parent, member) = path.rsplit_once('/').unwrap();
            edited.pointer_mut(&format!("{clauses}{parent}")).unwrap()[member] = value;
            assert!(!is_ours(&edited), "{path}");
        }
        let mut filtered = stored;
        filtered["triggers"][0]["bucket_level_trigger"]["condition"]["composite_agg_filter"] =
            json!({"a": 1});
        assert!(!is_ours(&filtered), "buckets that are left out do not page");
    }
}
