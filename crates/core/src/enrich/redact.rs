//! Replaces the secrets of others that a record carries, before anything of it is indexed.
//!
//! CloudTrail masks some secrets and writes others in clear text: session tokens of assumed roles, presigned URLs, the
//! environment and hyperparameters of jobs. Everything after this stage reads the redacted text, so there is one place
//! where a secret could get past, and it is this one. What stands for a secret is its fingerprint.
//!
//! `text`, `json` and `damaged` call each other: a text can hold JSON, whose values are texts.

mod assignment;
mod budget;
mod damaged;
mod endings;
mod fingerprint;
mod json;
mod members;
mod search;
mod names;
mod secrets;
mod spans;
mod text;
mod tokens;
mod url;
mod view;

use crate::record::Record;
pub use fingerprint::{FingerprintKey, KeyError, MARKER_START};
use json::{Nowhere, Writer};
use members::Place;
use text::Redaction;

/// The record's JSON text with every secret replaced, or none when the text as it is holds no secret.
pub fn redact(raw: &[u8], record: &Record<'_>, key: &FingerprintKey) -> Option<String> {
    let mut redaction = Redaction::new(key, raw.len());
    let mut question = Writer::new(&mut redaction, Nowhere);
    question.write(record.root(), Place::Elsewhere);
    question.finish()?;

    let mut redaction = Redaction::new(key, raw.len());
    let mut writer = Writer::new(&mut redaction, String::with_capacity(raw.len()));
    writer.write(record.root(), Place::Elsewhere);
    writer.finish()
}

/// The text of something that is no record, redacted as far as its text alone shows. Everything in it counts as a
/// command, so rather too much of it is replaced than too little.
pub fn redact_text(text: &str, key: &FingerprintKey) -> String {
    let mut redaction = Redaction::new(key, text.len());
    let by_literals = damaged::redact(text, Place::Command, &mut redaction);
    let text = by_literals.as_deref().unwrap_or(text);
    redaction.plain(text, Place::Command).unwrap_or_else(|| text.to_owned())
}

/// Code, redacted.
pub fn redact_code(code: &str, key: &FingerprintKey) -> String {
    Redaction::new(key, code.len()).open_text(code, Place::Command).unwrap_or_else(|| code.to_owned())
}

/// A command line, redacted.
pub fn redact_words(words: &[&str], key: &FingerprintKey) -> Vec<String> {
    let redacted = Redaction::new(key, words.iter().map(|word| word.len() + 1).sum()).words(words);
    redacted.unwrap_or_else(|| words.iter().map(|word| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests;
