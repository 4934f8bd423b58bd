//! The text: one string of a record, searched for secrets in the ways that its place asks for.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json_borrow::Value;

use super::damaged;
use super::fingerprint::FingerprintKey;
use super::json::Writer;
use super::secrets::{Place, SECRETS, could_be_json};
use crate::enrich::packed::{self, Unpacked};

/// Redaction of one record: the key, and what may still be spent on it.
pub struct Redaction<'k> {
    key: &'k FingerprintKey,
    /// How many texts around this one are JSON.
    nesting: usize,
    /// Bytes by which gzip may still grow.
    unpack_bytes: usize,
}

/// JSON in a text of JSON in a text: what lies deeper is searched as text.
const MAX_NESTING: usize = 4;
/// Base64 in a script in base64: what lies deeper is not looked into.
const MAX_PACKING: usize = 2;
/// Bytes by which gzip in one record may grow when it is unfolded. What would be more is replaced unseen.
const MAX_UNPACK_BYTES: usize = 1024 * 1024;

impl<'k> Redaction<'k> {
    pub fn new(key: &'k FingerprintKey) -> Self {
        Self { key, nesting: 0, unpack_bytes: MAX_UNPACK_BYTES }
    }

    /// The text with its secrets replaced, or none when it holds none.
    pub fn text(&mut self, text: &str, place: Place) -> Option<String> {
        match place {
            Place::Secret if !SECRETS.is_harmless(text) => Some(self.secret(text)),
            Place::Suspect if !SECRETS.is_reference(text) => Some(self.secret(text)),
            Place::Link if !SECRETS.is_harmless(text) => Some(self.link(text)),
            Place::Script => self.script(text),
            Place::Variables if is_aws_secret_key(text.trim()) => Some(self.key.marker(text)),
            Place::Elsewhere | Place::Command | Place::Variables => self.open_text(text, place),
            Place::Secret | Place::Suspect | Place::Link => self.open_text(text, Place::Elsewhere),
        }
    }

    /// A text that is a secret as a whole. Where it is a known shape with something around the secret, such as a header
    /// or a quoted word, that stays, so that the secret has the marker that it has anywhere else.
    pub fn secret(&self, text: &str) -> String {
        let trimmed = text.trim();
        let start = text.len() - text.trim_start().len();
        let whole = start..start + trimmed.len();
        match SECRETS.find(text, false).into_iter().find(|found| found.whole == whole) {
            Some(found) => self.replace(text, vec![found.secret]),
            None => self.key.marker(text),
        }
    }

    /// A link that opens a door: who reads it may learn where it leads. Its parameters are what opens it; without any,
    /// that must be in its path.
    fn link(&mut self, text: &str) -> String {
        let Some(link) = LINK.captures(text) else { return self.key.marker(text) };
        let (scheme, host, path) = (&link["scheme"], &link["host"], &link["path"]);
        if link["parameters"].is_empty() {
            let path = path.trim_start_matches('/');
            let path = if path.is_empty() { String::new() } else { self.key.marker(path) };
            return format!("{scheme}{host}/{path}");
        }
        let path = self.plain(path, Place::Elsewhere).unwrap_or_else(|| path.to_owned());
        let parameters = PARAMETER.replace_all(&link["parameters"], |parameter: &Captures<'_>| {
            let (mark, name, value) = (&parameter["mark"], &parameter["name"], &parameter["value"]);
            let value = if value.is_empty() {
                String::new()
            } else if SECRETS.is_harmless_parameter(name.trim_end_matches('=')) {
                self.plain(value, Place::Elsewhere).unwrap_or_else(|| value.to_owned())
            } else {
                self.key.marker(value)
            };
            format!("{mark}{name}{value}")
        });
        format!("{scheme}{host}{path}{parameters}")
    }

    /// Code as base64. When the code holds a secret, or was not read to its end, the base64 goes as a whole: the code is
    /// in the document by itself, redacted, and what nobody saw may hold anything.
    fn script(&mut self, text: &str) -> Option<String> {
        match packed::unpack(text, text.len() + self.unpack_bytes) {
            None => self.open_text(text, Place::Command),
            Some(unpacked) => {
                let growth = unpacked.text.len().saturating_sub(text.len());
                self.unpack_bytes = self.unpack_bytes.saturating_sub(growth);
                if unpacked.cut || self.holds_secret(&unpacked.text, 1) {
                    return Some(self.key.marker(text));
                }
                // Words can be base64 by accident.
                self.plain(text, Place::Elsewhere)
            }
        }
    }

    /// A text that may be JSON, and may hold secrets beside other things.
    pub fn open_text(&mut self, text: &str, place: Place) -> Option<String> {
        if !could_be_json(text) {
            return self.plain(text, place);
        }
        if self.nesting < MAX_NESTING
            && let Ok(value) = serde_json::from_str::<Value<'_>>(text)
        {
            self.nesting += 1;
            let mut writer = Writer::new(self, String::with_capacity(text.len()));
            writer.write(&value, place);
            let json = writer.finish();
            self.nesting -= 1;
            return json;
        }
        // It could be JSON that CloudTrail cut off.
        let redacted = damaged::redact(text, place, self);
        let plain = self.plain(redacted.as_deref().unwrap_or(text), place);
        plain.or(redacted)
    }

    /// A text that is not looked at as JSON.
    pub fn plain(&mut self, text: &str, place: Place) -> Option<String> {
        let in_command = place != Place::Elsewhere;
        let mut secrets = secrets_of(text, in_command);
        if in_command {
            secrets.extend(self.packed_secrets(text, 1));
        }
        (!secrets.is_empty()).then(|| self.replace(text, secrets))
    }

    /// A command line as the list of its words. A secret may need the word before it to be known as one.
    pub fn words(&mut self, words: &[&str]) -> Option<Vec<String>> {
        let line = words.join(" ");
        let mut in_line = secrets_of(&line, true);
        in_line.sort_by_key(|secret| secret.start);
        let (mut changed, mut flagged, mut start, mut passed) = (false, false, 0, 0);
        let mut redacted = Vec::with_capacity(words.len());
        for word in words {
            let end = start + word.len();
            passed += in_line[passed..].iter().take_while(|secret| secret.end <= start).count();
            let across = in_line[passed..].iter().take_while(|secret| secret.start < end);
            let mut secrets: Vec<Range<usize>> =
                across.map(|secret| secret.start.max(start) - start..secret.end.min(end) - start).collect();
            let is_flag = word.starts_with('-');
            let new = if flagged && !is_flag {
                self.text(word, Place::Suspect)
            } else if let Some(new) = self.text(word, Place::Command) {
                // The word by itself shows more of its secrets than the line does.
                Some(new)
            } else {
                secrets.retain(|secret| secret.start < secret.end);
                (!secrets.is_empty()).then(|| self.replace(word, secrets))
            };
            changed |= new.is_some();
            redacted.push(new.unwrap_or_else(|| (*word).to_owned()));
            flagged = is_flag && !word.contains('=') && SECRETS.is_suspect(word);
            start = end + 1;
        }
        changed.then_some(redacted)
    }

    fn packed_secrets(&mut self, text: &str, packing: usize) -> Vec<Range<usize>> {
        if packing > MAX_PACKING {
            return Vec::new();
        }
        let runs: Vec<_> = packed::runs(text, &mut self.unpack_bytes).collect();
        let holds_secret =
            |(_, unpacked): &(_, Unpacked)| unpacked.cut || self.holds_secret(&unpacked.text, packing + 1);
        runs.into_iter().filter(holds_secret).map(|(run, _)| run).collect()
    }

    fn holds_secret(&mut self, code: &str, packing: usize) -> bool {
        !SECRETS.find(code, true).is_empty() || !self.packed_secrets(code, packing).is_empty()
    }

    /// The text with a marker in each of the ranges; ranges that overlap are one secret.
    fn replace(&self, text: &str, mut secrets: Vec<Range<usize>>) -> String {
        secrets.sort_by_key(|secret| secret.start);
        let mut redacted = String::with_capacity(text.len());
        let mut written = 0;
        let mut secrets = secrets.into_iter().peekable();
        while let Some(mut secret) = secrets.next() {
            while let Some(next) = secrets.next_if(|next| next.start < secret.end) {
                secret.end = secret.end.max(next.end);
            }
            redacted.push_str(&text[written..secret.start]);
            redacted.push_str(&self.key.marker(&text[secret.clone()]));
            written = secret.end;
        }
        redacted.push_str(&text[written..]);
        redacted
    }
}

fn secrets_of(text: &str, in_command: bool) -> Vec<Range<usize>> {
    SECRETS.find(text, in_command).into_iter().map(|found| found.secret).collect()
}

/// The parts of a link that may stay, and its parameters. User and password are no part of what stays.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?\#]*@)?(?<host>[A-Za-z0-9.:\[\]-]+)(?<path>(?:/[^?\#]*)?)
        (?<parameters>(?:[?\#](?s:.*))?)$",
    )
    .expect("the pattern is fixed and tested")
});

static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<mark>[?&;#])(?<name>(?:[^?&;#=]*=)?)(?<value>[^?&;#]*)")
        .expect("the pattern is fixed and tested")
});

/// An AWS secret access key by itself: forty characters of base64. Git's commit ids are as long, but plain
/// hexadecimal, and paths hardly ever mix cases and digits.
fn is_aws_secret_key(text: &str) -> bool {
    let any = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    text.len() == 40
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_digit)
}
