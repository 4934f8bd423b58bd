//! Prints the differences between what is installed and what should be, without secrets (pure).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};
use similar::TextDiff;

use super::canonical::{changed, comparable};
use super::object::{Kind, Object, same};

/// What stands in the place of a secret.
const SECRET: &str = "[secret]";

/// The unified difference between what is there, if anything is, and what should be there.
pub fn between(theirs: Option<&Value>, object: &Object) -> String {
    let expected = object.expected();
    let ours = readable(object.kind, &expected);
    let theirs = theirs.map_or_else(String::new, |theirs| {
        let theirs = spelt_alike(&comparable(object.kind, theirs, &expected), &expected);
        readable(object.kind, &theirs)
    });
    if theirs == ours {
        return "(only a secret differs)\n".to_owned();
    }
    TextDiff::from_lines(&theirs, &ours).unified_diff().context_radius(2).header("there", "here").to_string()
}

/// The installed body with our spelling of equal values: a server may write numbers as texts.
fn spelt_alike(theirs: &Value, ours: &Value) -> Value {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let spelt = theirs.iter().map(|(name, theirs)| {
                let ours = ours.get(name).unwrap_or(&Value::Null);
                (name.clone(), spelt_alike(theirs, ours))
            });
            spelt.collect()
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            theirs.iter().zip(ours).map(|(theirs, ours)| spelt_alike(theirs, ours)).collect()
        }
        _ if same(theirs, ours) => ours.clone(),
        _ => theirs.clone(),
    }
}

/// The body without the addresses and headers of channels, and without the keys that pages carry.
pub fn without_secrets(kind: Kind, body: &Value) -> Value {
    match (kind, body) {
        (Kind::Channel, Value::Object(members)) => {
            let hidden = |(name, value): (&String, &Value)| {
                let is_secret = name == "url" || (name != "Content-Type" && !KNOWN.contains(&name.as_str()));
                let value =
                    if is_secret && value.is_string() { json!(SECRET) } else { without_secrets(kind, value) };
                (name.clone(), value)
            };
            members.iter().map(hidden).collect()
        }
        (Kind::Monitor, Value::String(text)) => json!(ROUTING_KEY.replace_all(text, "${1}[secret]${2}")),
        _ => changed(body, |_, value| without_secrets(kind, value)),
    }
}

/// Texts of a channel that are no secrets. Every other one may be a header, whose name the operator chose.
const KNOWN: &[&str] = &[
    "name",
    "description",
    "config_type",
    "method",
    "topic_arn",
    "role_arn",
    "email_account_id",
    "recipient",
];

static ROUTING_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"("routing_key"\s*:\s*")[^"]*(")"#).expect("the pattern is well-formed"));

/// The body as lines, members in order, texts that hold JSON unfolded, without its secrets.
fn readable(kind: Kind, body: &Value) -> String {
    let mut body = unfolded(&without_secrets(kind, body));
    body.sort_all_objects();
    format!("{}\n", serde_json::to_string_pretty(&body).expect("JSON can be written"))
}

/// Dashboards keeps JSON in texts, of which a difference would show one endless line.
fn unfolded(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).map_or_else(|_| value.clone(), |inner: Value| unfolded(&inner))
        }
        Value::String(text) if text.contains('\n') => text.lines().map(|line| json!(line)).collect(),
        other => changed(other, |_, value| unfolded(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_the_lines_that_differ_and_no_secret() {
        let channel = |url: &str, name: &str| {
            json!({"config": {"name": name, "config_type": "webhook", "webhook": {
                "url": url, "method": "POST",
                "header_params": {"Api-Key": "s3cret", "Content-Type": "application/json"}}}})
        };
        let object = Object {
            kind: Kind::Channel,
            id: "c".to_owned(),
            body: channel("https://hooks.example.com/s3cret", "ours"),
        };
        let text = between(Some(&channel("https://other.example.com/s3cret", "theirs")), &object);
        assert!(
            text.contains("-    \"name\": \"theirs\"") && text.contains("+    \"name\": \"ours\""),
            "{text}"
        );
        assert!(!text.contains("s3cret"), "{text}");
        let other = channel("https://other.example.com/s3cret", "ours");
        assert_eq!(between(Some(&other), &object), "(only a secret differs)\n");
        assert!(!between(None, &object).contains("s3cret"));
    }

    #[test]
    fn the_key_that_a_page_carries_is_hidden_and_json_in_a_text_is_unfolded() {
        let source = json!({"routing_key": "s3cret", "summary": "x"}).to_string();
        let object = Object {
            kind: Kind::Monitor,
            id: "m".to_owned(),
            body: json!({"actions": [{"message_template": {"source": source}}]}),
        };
        let text = between(None, &object);
        assert!(
            text.contains("\"routing_key\": \"[secret]\"") && text.contains("\"summary\": \"x\""),
            "{text}"
        );
        assert!(!without_secrets(Kind::Monitor, &object.body).to_string().contains("s3cret"));
    }
}
