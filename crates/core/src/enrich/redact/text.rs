//! Searches one string of a record for secrets, in the ways that its place asks for.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json_borrow::Value;

use super::assignment;
use super::budget::Budget;
use super::damaged;
use super::fingerprint::FingerprintKey;
use super::json::Writer;
use super::members::{Place, Tone};
use super::names::{Strength, is_aws_secret_key, looks_random};
use super::search;
use super::secrets::{SECRETS, could_be_json};
use super::spans::{self, Span};
use super::view::View;
use crate::enrich::packed;
use crate::lanes::{BlankOrForeign, has_stop};

/// Redaction of one record: the key, and what may still be spent on it.
pub struct Redaction<'k> {
    key: &'k FingerprintKey,
    /// How many texts around this one are JSON.
    nesting: usize,
    budget: Budget,
    /// Bytes to which what is packed may still unfold.
    unpack_bytes: usize,
}

/// JSON in a text of JSON in a text: what lies deeper is searched as text.
const MAX_NESTING: usize = 4;
/// Base64 in a script in base64: what lies deeper is replaced unseen.
const MAX_PACKING: usize = 4;
/// How often escapes are undone: JSON in JSON in a text that cannot be parsed has two levels of them.
const MAX_VIEWS: usize = 3;
/// Bytes to which the packed texts of a record may unfold, for each byte of it.
const UNPACKED_PER_BYTE: usize = 8;
/// Bytes to which the packed texts of any record may unfold.
const LEAST_UNPACKED: usize = 16 * 1024;

impl<'k> Redaction<'k> {
    /// Redaction of a record, or of a part of one, of that many bytes.
    pub fn new(key: &'k FingerprintKey, bytes: usize) -> Self {
        Self {
            key,
            nesting: 0,
            budget: Budget::of(bytes),
            unpack_bytes: bytes.saturating_mul(UNPACKED_PER_BYTE).saturating_add(LEAST_UNPACKED),
        }
    }

    /// The text with its secrets replaced, or none when it holds none.
    pub fn text(&mut self, text: &str, place: Place) -> Option<String> {
        // Names hold no blanks. What does is no name alone, whatever else stands in it.
        if text.is_empty() || place == Place::Identity && !has_blank(text) {
            return None;
        }
        if !self.budget.spend(text.len()) {
            return Some(self.key.unsearched(text));
        }
        match place {
            Place::Secret if !SECRETS.is_harmless(text) => self.suspect(text, &spans::hosts_of_urls(text)),
            Place::Suspect if !SECRETS.is_reference(text.trim_matches('"')) => {
                self.suspect(text, &spans::whereabouts(text))
            }
            Place::Likely if is_likely(text.trim_matches('"')) => {
                self.suspect(text, &spans::whereabouts(text))
            }
            Place::Possible if looks_random(text.trim_matches('"')) => {
                self.suspect(text, &spans::whereabouts(text))
            }
            Place::Link if !SECRETS.is_harmless(text) => Some(self.link(text)),
            Place::Script => self.script(text),
            Place::Location => self.location(text),
            Place::Variables if is_aws_secret_key(text.trim()) => Some(self.key.marker(text)),
            Place::Elsewhere | Place::Command | Place::Variables | Place::Labels => {
                self.open_text(text, place)
            }
            Place::Likely | Place::Possible => self.open_text(text, Place::Labels),
            Place::Secret | Place::Suspect | Place::Link => self.open_text(text, Place::Elsewhere),
            Place::Identity => self.plain(text, place),
        }
    }

    /// A text that is a secret as a whole by its name. Where it is a known shape with something around the secret, such
    /// as a header or a quoted word, that stays, so that the secret has the marker that it has anywhere else.
    fn suspect(&mut self, text: &str, kept: &[Range<usize>]) -> Option<String> {
        let trimmed = text.trim();
        let start = text.len() - text.trim_start().len();
        let whole = start..start + trimmed.len();
        let Some(shaped) = SECRETS.shaped(text, Tone::Prose, &mut self.budget) else {
            return Some(self.key.unsearched(text));
        };
        let known = shaped.into_iter().find(|found| found.whole == whole && found.secret != whole);
        let spans = vec![Span::from(known.map_or(0..text.len(), |found| found.secret))];
        let left = spans::without(spans, kept, text);
        // A host alone is no secret.
        (!left.is_empty()).then(|| self.written(text, &left))
    }

    /// The address of something. Whoever names a bucket or an image must not be able to hide it; a link of the web may
    /// hold a secret behind its host.
    fn location(&mut self, text: &str) -> Option<String> {
        let Some(spans) = self.spans(text, Tone::Prose, 0) else { return Some(self.key.unsearched(text)) };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let is_web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "ws" | "wss");
        let rest_at = text.len() - rest.len();
        let host = super::url::host_of(rest);
        let is_aws = [".amazonaws.com", ".amazonaws.com.cn", ".sagemaker.aws"]
            .iter()
            .any(|end| rest[host.clone()].ends_with(end));
        let mut kept = spans::whereabouts(text);
        if !is_web || is_aws {
            let path_end = rest
                .find(|symbol: char| matches!(symbol, '?' | '#') || symbol.is_whitespace())
                .unwrap_or(rest.len())
                .max(host.end);
            kept = vec![0..rest_at, rest_at + host.start..rest_at + path_end];
        }
        let left = spans::without(spans, &kept, text);
        (!left.is_empty()).then(|| self.written(text, &left))
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

    /// Code as base64: it is unpacked, redacted and packed again in the way that it was. What does not unfold to its
    /// end is replaced as a whole, since what nobody saw may hold anything.
    fn script(&mut self, text: &str) -> Option<String> {
        let Some(unpacked) = packed::unpack(text, self.room(text)) else {
            return self.open_text(text, Place::Command);
        };
        self.unpack_bytes = self.unpack_bytes.saturating_sub(unpacked.text.len());
        if unpacked.cut {
            return Some(self.key.unsearched(text));
        }
        if !unpacked.is_text() {
            // Words can be base64 by accident.
            return self.plain(text, Place::Command);
        }
        let redacted = self.code(&unpacked.text, 1)?;
        Some(packed::pack(&redacted, &unpacked.form))
    }

    /// Code in the clear that was packed so many times.
    fn code(&mut self, code: &str, packing: usize) -> Option<String> {
        if packing == 1 && could_be_json(code) {
            return self.open_text(code, Place::Command);
        }
        self.plain_packed(code, Place::Command, packing)
    }

    /// Bytes to which a packed text may unfold.
    fn room(&self, text: &str) -> usize {
        text.len().saturating_mul(MOST_GROWTH).saturating_add(text.len()).min(self.unpack_bytes)
    }

    /// A text that may be JSON, and may hold secrets beside other things.
    pub fn open_text(&mut self, text: &str, place: Place) -> Option<String> {
        if !could_be_json(text) {
            return self.plain(text, place);
        }
        if !self.budget.spend(text.len()) {
            return Some(self.key.unsearched(text));
        }
        if self.nesting < MAX_NESTING
            && let Ok(value) = serde_json::from_str::<Value<'_>>(text)
        {
            self.nesting += 1;
            let mut writer = Writer::new(self, String::with_capacity(text.len()));
            // Who calls chooses what JSON in a text has for members; none of them is one of the API.
            let inner = if place == Place::Elsewhere { Place::Labels } else { place };
            writer.write(&value, inner);
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
        self.plain_packed(text, place, 0)
    }

    fn plain_packed(&mut self, text: &str, place: Place, packing: usize) -> Option<String> {
        let Some(spans) = self.spans(text, place.tone(), packing) else {
            return Some(self.key.unsearched(text));
        };
        if spans.is_empty() {
            return None;
        }
        let left = spans::without(spans, &spans::whereabouts(text), text);
        (!left.is_empty()).then(|| self.written(text, &left))
    }

    /// The secrets in a text that was packed so many times, in order. None when the budget ends before the text does.
    fn spans(&mut self, text: &str, tone: Tone, packing: usize) -> Option<Vec<Span>> {
        let is_code = tone == Tone::Code;
        if !is_code && !SECRETS.hint_in(text) {
            return Some(Vec::new());
        }
        let mut spans: Vec<Span> =
            search::find(text, tone, &mut self.budget)?.into_iter().map(Span::from).collect();
        let mut views: Vec<View> = Vec::new();
        for number in 0..=MAX_VIEWS {
            let seen = views.last().map_or(text, |view| view.text.as_str());
            // The last view is the one without the quotes that divide words.
            let view = if number < MAX_VIEWS {
                View::decoded(seen).or_else(|| View::joined(seen))
            } else {
                View::joined(seen)
            };
            let Some(view) = view else { break };
            if !self.budget.spend(2 * view.text.len()) {
                return None;
            }
            let found = search::find(&view.text, tone, &mut self.budget)?;
            views.push(view);
            let seen = &views[views.len() - 1].text;
            spans.extend(found.into_iter().map(|range| {
                let meant = seen[range.clone()].to_owned();
                let range = views.iter().rev().fold(range, |range, view| view.origin(&range));
                let is_plain = text[range.clone()] == meant;
                Span { range, meant: (!is_plain).then_some(meant), instead: None }
            }));
        }
        if is_code {
            spans.extend(self.packed_spans(text, packing)?);
        }
        Some(spans::united(spans))
    }

    /// What is packed inside a text and holds a secret, or could not be searched.
    fn packed_spans(&mut self, text: &str, packing: usize) -> Option<Vec<Span>> {
        if !self.budget.spend(text.len()) {
            return None;
        }
        let mut spans = Vec::new();
        for run in packed::candidates(text) {
            let packed = &text[run.clone()];
            let Some(unpacked) = packed::unpack(packed, self.room(packed)) else { continue };
            self.unpack_bytes = self.unpack_bytes.saturating_sub(unpacked.text.len());
            if !unpacked.cut && !unpacked.is_text() {
                continue;
            }
            let is_seen = !unpacked.cut && packing < MAX_PACKING;
            let instead = if is_seen && self.budget.spend(unpacked.text.len()) {
                self.plain_packed(&unpacked.text, Place::Command, packing + 1)
                    .map(|redacted| packed::pack(&redacted, &unpacked.form))
            } else {
                Some(self.key.unsearched(packed))
            };
            spans.extend(instead.map(|instead| Span { range: run, meant: None, instead: Some(instead) }));
        }
        Some(spans)
    }

    /// A command line as the list of its words. A secret may need the word before it to be known as one.
    pub fn words(&mut self, words: &[&str]) -> Option<Vec<String>> {
        let line = words.join(" ");
        if !self.budget.spend(line.len()) {
            return Some(words.iter().map(|word| self.key.unsearched(word)).collect());
        }
        let Some(in_line) = self.spans(&line, Tone::Code, 0) else {
            return Some(words.iter().map(|word| self.key.unsearched(word)).collect());
        };
        let kept = spans::whereabouts(&line);
        let in_line = spans::without(in_line, &kept, &line);
        let (mut changed, mut flagged, mut start, mut passed) = (false, None, 0, 0);
        let mut redacted = Vec::with_capacity(words.len());
        for word in words {
            let range = start..start + word.len();
            while in_line.get(passed).is_some_and(|span| span.range.end <= range.start) {
                passed += 1;
            }
            let across = in_line[passed..].iter().take_while(|span| span.range.start < range.end);
            let across: Vec<Span> = across.filter_map(|span| spans::within(span, &range)).collect();
            let is_flag = word.starts_with('-');
            let suspect = match flagged {
                Some(Strength::Possible) if !looks_random(word) => None,
                Some(_) if !is_flag && !SECRETS.is_reference(word) => Some(0..word.len()),
                _ => None,
            };
            let new = if let Some(suspect) = suspect {
                let left = spans::without(vec![Span::from(suspect)], &spans::whereabouts(word), word);
                (!left.is_empty()).then(|| self.written(word, &left))
            } else if across.is_empty() && could_be_json(word) {
                self.text(word, Place::Command)
            } else if self.budget.spend(word.len()) {
                self.word(word, across)
            } else {
                Some(self.key.unsearched(word))
            };
            changed |= new.is_some();
            redacted.push(new.unwrap_or_else(|| (*word).to_owned()));
            flagged = if is_flag && !word.contains('=') { SECRETS.strength(word) } else { None };
            start = range.end + 1;
        }
        changed.then_some(redacted)
    }

    /// One word of a line, with the secrets that the line shows in it. The word by itself may show others.
    fn word(&mut self, word: &str, mut spans: Vec<Span>) -> Option<String> {
        let Some(own) = self.spans(word, Tone::Code, 0) else { return Some(self.key.unsearched(word)) };
        spans.extend(own);
        let left = spans::without(spans::united(spans), &spans::whereabouts(word), word);
        (!left.is_empty()).then(|| self.written(word, &left))
    }

    /// The text with a marker, or what is meant to stand there, in each of the spans, which are in order.
    fn written(&self, text: &str, spans: &[Span]) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut written = 0;
        for span in spans {
            redacted.push_str(&text[written..span.range.start]);
            let secret = span.meant.as_deref().unwrap_or(&text[span.range.clone()]);
            match &span.instead {
                Some(instead) => redacted.push_str(instead),
                None => redacted.push_str(&self.key.marker(secret)),
            }
            written = span.range.end;
        }
        redacted.push_str(&text[written..]);
        redacted
    }

    /// Whether that much work may still be done.
    pub fn spend(&mut self, bytes: usize) -> bool {
        self.budget.spend(bytes)
    }

    /// What replaces a text that was not searched to its end: a marker with its fingerprint.
    pub fn unsearched(&self, text: &str) -> String {
        self.key.unsearched(text)
    }

    /// Bytes that were worked on.
    #[cfg(test)]
    pub fn spent(&self) -> usize {
        self.budget.spent()
    }
}

/// By how much a packed text may grow, in bytes for each of its own. A script that somebody wrote shrinks by less.
const MOST_GROWTH: usize = 64;

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

/// Whether blanks of any kind stand in a text. Nearly all texts are ASCII, in which they are found without taking
/// characters apart.
fn has_blank(text: &str) -> bool {
    has_stop::<BlankOrForeign>(text.as_bytes()) && text.contains(char::is_whitespace)
}

fn is_likely(text: &str) -> bool {
    !SECRETS.is_reference(text) && !assignment::is_small_number(text) && !assignment::is_path(text)
}
