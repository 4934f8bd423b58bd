//! The plan for programs: whatever a thing is called, its name is one text there.

use serde_json::Value;

use super::super::document;
use super::{NOW, everything};

const PLAIN: &str = "plainname";

#[test]
fn whatever_a_thing_is_called_each_input_is_the_same_with_that_name() {
    for name in [
        "\",\"Effect\":\"Allow",
        "\\",
        "a\nb\r\u{2028}",
        "--option=x",
        "=1+1",
        "{name}{time}",
        "${BEFORE}",
        "[1, null]",
        "true",
        "</script>",
    ] {
        let (hostile, plain) = (everything(name), everything(PLAIN));
        let [mut hostile, mut plain] = [&hostile, &plain].map(|plan| document(plan, NOW)["steps"].take());
        forget_files(&mut hostile);
        forget_files(&mut plain);
        rename(&mut plain, name);
        for (step, expected) in hostile.as_array().unwrap().iter().zip(plain.as_array().unwrap()) {
            assert_eq!(step, expected, "{name:?}");
        }
    }
}

/// Names of files have only a part of a thing's name.
fn forget_files(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${EVIDENCE}/") => text.clear(),
        Value::Array(items) => items.iter_mut().for_each(forget_files),
        Value::Object(members) => {
            members.remove("file");
            members.values_mut().for_each(forget_files);
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts another name into each text. A policy is a text that is JSON itself.
fn rename(value: &mut Value, name: &str) {
    match value {
        Value::String(text) => {
            let (option, rest) = text.split_once('=').unwrap_or(("", text));
            *text = match serde_json::from_str::<Value>(rest) {
                Ok(mut inner @ (Value::Object(_) | Value::Array(_))) => {
                    rename(&mut inner, name);
                    let mark = if option.is_empty() { "" } else { "=" };
                    format!("{option}{mark}{inner}")
                }
                _ => text.replace(PLAIN, name),
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, name)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
