//! Fills in templates, in which texts for people are written (pure).
//!
//! A value gets into a text only through the escape of the form, so that nothing that a record says becomes markup or
//! syntax.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use crate::enrich::is_invisible;

/// Writes a text so that it stays one in the form around it.
pub type Escape = fn(&str) -> Cow<'_, str>;

/// The escape of a form without syntax.
pub const PLAIN: Escape = |text| Cow::Borrowed(text);

/// The template with the members of `values` in their places. A template comes with the program and is filled in by a
/// test, so that whatever is wrong with it shows there. In a release a value that is not there leaves a gap: it must
/// cost nobody a report.
pub fn fill(template: &str, escape: Escape, values: &impl Serialize) -> String {
    let mut environment = Environment::new();
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    let is_strict = cfg!(debug_assertions);
    environment.set_undefined_behavior(if is_strict {
        UndefinedBehavior::SemiStrict
    } else {
        UndefinedBehavior::Chainable
    });
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("form".into()));
    environment.set_formatter(move |out, _, value| {
        let written = match value.as_str() {
            Some(text) if value.is_safe() => out.write_str(text),
            Some(text) => out.write_str(&escape(text)),
            None if value.is_number() => write!(out, "{value}"),
            // What an `if` without `else` leaves; all else that is undefined has failed before.
            None if value.is_undefined() || value.is_none() && !is_strict => Ok(()),
            None => Err(std::fmt::Error),
        };
        written.map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("a {} is no text", value.kind())))
    });
    environment.render_str(template, Serde(values)).expect("a test fills in the template")
}

/// At most so many characters of a text, with an escape for those that nobody sees, such as one that turns the
/// direction of the rest, and for those in `escaped`.
pub fn visible<'t>(text: &'t str, most: usize, escaped: &[char]) -> Cow<'t, str> {
    let is_escaped = |character: char| is_invisible(character) || escaped.contains(&character);
    if text.len() <= most && !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len());
    for (place, character) in text.chars().enumerate() {
        if place == most {
            visible.push('…');
            break;
        }
        if is_escaped(character) {
            visible.extend(character.escape_default());
        } else {
            visible.push(character);
        }
    }
    Cow::Owned(visible)
}
