//! Reads the parameters of pipelines: their values where a definition uses them, and those that a start gives.
//!
//! A definition says `{"Get": "Parameters.Image"}` where it uses a parameter, and joins texts by `Std:Join`. A start
//! gives values by name, of which nothing but their look says what they are.

use serde_json::{Map, Value as Json};
use serde_json_borrow::Value;

use super::values::any_case;

/// How many times a definition's own bytes all values together may add to it: what a record costs stays in proportion
/// to its size.
const MOST_GROWTH: usize = 4;

/// The definition of a pipeline with the default values of its parameters in their places, and whether some did not fit
/// in. None where there is nothing to put in place.
pub fn in_place(definition: &str) -> Option<(String, bool)> {
    let is_used = definition.contains("\"Get\"") || definition.contains("\"Std:Join\"");
    let mut document: Json = is_used.then(|| serde_json::from_str(definition).ok()).flatten()?;
    let values: Map<String, Json> = document
        .get("Parameters")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|parameter| {
            Some((parameter["Name"].as_str()?.to_owned(), parameter.get("DefaultValue")?.clone()))
        })
        .filter(|(_, value)| !value.is_object() && !value.is_array())
        .collect();
    let mut room = Room { bytes: MOST_GROWTH * definition.len(), is_over: false };
    put(&mut document, &values, &mut room);
    Some((document.to_string(), room.is_over))
}

struct Room {
    bytes: usize,
    is_over: bool,
}

fn put(value: &mut Json, values: &Map<String, Json>, room: &mut Room) {
    match value {
        Json::Array(elements) => elements.iter_mut().for_each(|element| put(element, values, room)),
        Json::Object(members) => {
            members.values_mut().for_each(|member| put(member, values, room));
            let [(name, inside)] = members.iter().collect::<Vec<_>>()[..] else { return };
            let known = match name.as_str() {
                "Get" => {
                    inside.as_str().and_then(|path| values.get(path.strip_prefix("Parameters.")?)).cloned()
                }
                "Std:Join" => joined(inside).map(Json::String),
                _ => None,
            };
            let Some(known) = known else { return };
            let added = known.as_str().map_or(8, str::len);
            if added <= room.bytes {
                room.bytes -= added;
                *value = known;
            } else {
                // A smaller one behind it fits in all the same, so that no filling hides it.
                room.is_over = true;
            }
        }
        _ => {}
    }
}

/// What a join makes of its values. Those that only a run knows stand as a star, which is in no name of a bucket.
fn joined(join: &Json) -> Option<String> {
    let between = join["On"].as_str().unwrap_or_default();
    let values = join["Values"].as_array()?;
    let texts = values.iter().map(|value| match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => "*".to_owned(),
    });
    Some(texts.collect::<Vec<_>>().join(between))
}

/// Each parameter that a start gives, by its name.
pub fn each<'r>(list: &'r Value<'_>, mut take: impl FnMut(&'r str, &'r Value<'r>)) {
    for parameter in list.as_array().unwrap_or_default() {
        if let Some(name) = any_case(parameter, "name").as_str() {
            take(name, any_case(parameter, "value"));
        }
    }
}

/// The name of the member, in lower case, that a value would stand in.
pub fn member_by_look(value: &Value<'_>) -> Option<&'static str> {
    let text = value.as_str()?.trim();
    let is_role = || text.starts_with("arn:") && text.contains(":iam:") && text.contains(":role/");
    let is_type = || {
        text.strip_prefix("ml.").is_some_and(|rest| {
            rest.contains('.')
                && rest.chars().all(|character| character.is_ascii_alphanumeric() || ".-".contains(character))
        })
    };
    if is_role() {
        Some("rolearn")
    } else if is_type() {
        Some("instancetype")
    } else {
        is_image(text).then_some("imageuri")
    }
}

/// Whether a text is the address of a container image: a registry, a repository, and a tag or a digest.
fn is_image(text: &str) -> bool {
    let Some((host, path)) = text.split_once('/') else { return false };
    let last = path.rsplit('/').next().unwrap_or(path);
    host.contains('.')
        && host.chars().all(|character| character.is_ascii_alphanumeric() || ".-:".contains(character))
        && last.split_once([':', '@']).is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty())
        && !path.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_and_joins_become_what_a_run_would_have_without_other_values() {
        let parameters = json!([{"Name": "Out", "DefaultValue": "s3://b/x"}, {"Name": "N", "DefaultValue": 16}, {"Name": "Open"}]);
        for (used, expected) in [
            (json!({"Get": "Parameters.Out"}), json!("s3://b/x")),
            (json!({"Get": "Parameters.N"}), json!(16)),
            (json!({"Get": "Parameters.Open"}), json!({"Get": "Parameters.Open"})),
            (json!({"Get": "Steps.t.ModelArtifacts"}), json!({"Get": "Steps.t.ModelArtifacts"})),
            (json!({"Std:Join": {"On": "/", "Values": ["ghcr.io", "x", "y"]}}), json!("ghcr.io/x/y")),
            (
                json!({"Std:Join": {"On": "/", "Values": [{"Get": "Parameters.Out"}, "y"]}}),
                json!("s3://b/x/y"),
            ),
            (
                json!({"Std:Join": {"On": "/", "Values": ["s3://b", {"Get": "Execution.Id"}]}}),
                json!("s3://b/*"),
            ),
        ] {
            let definition = json!({"Parameters": parameters, "Steps": [{"Arguments": {"X": used}}]});
            let made: Json = serde_json::from_str(&in_place(&definition.to_string()).unwrap().0).unwrap();
            assert_eq!(made["Steps"][0]["Arguments"]["X"], expected);
        }
        assert_eq!(in_place(r#"{"Steps":[]}"#), None);
    }

    #[test]
    fn values_that_are_used_often_add_no_more_than_there_is_room_for() {
        let parameters = json!([{"Name": "A", "DefaultValue": "x".repeat(1 << 16)}]);
        let steps: Vec<Json> = (0..100).map(|_| json!({"Get": "Parameters.A"})).collect();
        let definition = json!({"Parameters": parameters, "Steps": steps}).to_string();
        let (made, is_cut) = in_place(&definition).unwrap();
        assert!(is_cut && made.len() <= (1 + MOST_GROWTH) * definition.len());
        let last = json!({"Parameters": [parameters[0], {"Name": "B", "DefaultValue": "s3://b"}], "Steps": [steps, {"Get": "Parameters.B"}]});
        let (made, is_cut) = in_place(&last.to_string()).unwrap();
        assert!(is_cut && made.ends_with(r#""s3://b"]}"#), "a small value behind large ones is told");
    }

    #[test]
    fn the_value_of_a_parameter_is_told_by_its_look() {
        for (text, expected) in [
            ("arn:aws:iam::444455556666:role/x", Some("rolearn")),
            ("ml.p4d.24xlarge", Some("instancetype")),
            ("ghcr.io/x/y:1", Some("imageuri")),
            ("444455556666.dkr.ecr.eu-west-1.amazonaws.com/x@sha256:00", Some("imageuri")),
            ("s3://b/x", None),
            ("0.5/x", None),
            ("2026-11-30", None),
        ] {
            assert_eq!(member_by_look(&Value::Str(text.into())), expected, "{text}");
        }
    }
}
