//! Expands a word into fields as a shell does, with its variables, substitutions, braces and wildcards.

use super::machine::Machine;
use super::value::{Origin, Value, render};
use super::words::{Part, Word, is_name};

/// The fields of a word, and whether its last component was put together of pieces.
pub struct Fields {
    pub values: Vec<Value>,
    pub is_pieced: bool,
}

/// Words that one brace expansion may become.
const MOST_ALTERNATIVES: usize = 64;
/// What a field of its own costs beside its text.
const FIELD_BYTES: usize = 24;

impl Machine {
    /// Expands one word as the variables and files are now, and runs the substitutions in it.
    pub fn fields(&mut self, word: &Word) -> Fields {
        let mut done: Vec<Value> = Vec::new();
        let mut current = Value::default();
        let mut has_text = false;
        let mut is_pieced = false;
        let mut has_brace = false;
        for (position, part) in word.iter().enumerate() {
            let before = current.text.rsplit('/').next().unwrap_or_default().len();
            match part {
                Part::Bare(text) => {
                    has_brace |= text.contains('{') && text.contains(',');
                    current.text.push_str(text);
                    has_text = true;
                }
                Part::Quoted(text) => {
                    current.text.push_str(text);
                    has_text = true;
                    // Quotes around a whole word, or behind its path, are ordinary.
                    is_pieced |= position > 0 && before > 0 && !text.starts_with('/');
                }
                Part::Process(script) => {
                    let output = self.nested(script, &Value::default());
                    current.text.push_str("<(");
                    current.text.push_str(&render(script));
                    current.text.push(')');
                    current.origin.join(&output.origin);
                    self.keep_stream(&current.text, output);
                    has_text = true;
                }
                Part::Variable(..) | Part::Command(_) => {
                    let (value, is_quoted) = self.substituted(part);
                    is_pieced |= position > 0 && before > 0 && !value.text.contains(char::is_whitespace);
                    self.work(value.text.len());
                    if self.is_spent() {
                        break;
                    }
                    current.origin.join(&value.origin);
                    if is_quoted || !value.text.contains(char::is_whitespace) {
                        current.text.push_str(&value.text);
                        has_text |= is_quoted || !value.text.is_empty();
                        continue;
                    }
                    let origin = value.origin.clone();
                    if value.text.starts_with(char::is_whitespace) && has_text {
                        done.push(std::mem::take(&mut current));
                    }
                    for (number, field) in value.text.split_whitespace().enumerate() {
                        self.work(FIELD_BYTES);
                        if self.is_spent() {
                            break;
                        }
                        if number > 0 {
                            done.push(std::mem::replace(&mut current, Value::with_origin("", &origin)));
                        }
                        current.text.push_str(field);
                        has_text = true;
                    }
                    if value.text.ends_with(char::is_whitespace) && !current.text.is_empty() {
                        done.push(std::mem::take(&mut current));
                        has_text = false;
                    }
                }
            }
        }
        if has_text || !current.text.is_empty() {
            done.push(current);
        }
        if has_brace {
            done = done.into_iter().flat_map(alternatives).collect();
        }
        self.work(done.iter().map(|value| value.text.len() + 1).sum());
        Fields { values: done, is_pieced: is_pieced || has_brace }
    }

    /// A word as one text.
    pub fn text(&mut self, word: &Word) -> Value {
        let mut all = Value::default();
        for part in word {
            match part {
                Part::Bare(text) | Part::Quoted(text) => all.text.push_str(text),
                Part::Process(_) | Part::Variable(..) | Part::Command(_) => {
                    let (value, _) = self.substituted(part);
                    self.work(value.text.len());
                    if self.is_spent() {
                        break;
                    }
                    all.append(&value);
                }
            }
        }
        self.work(all.text.len());
        all
    }

    fn substituted(&mut self, part: &Part) -> (Value, bool) {
        match part {
            // Each element of an array is a word of its own, also in quotes.
            Part::Variable(inside, is_quoted) => {
                (self.parameter(inside), *is_quoted && !inside.ends_with("[@]"))
            }
            Part::Command(script) | Part::Process(script) => {
                let mut output = self.nested(script, &Value::default());
                let length = output.text.trim_end_matches('\n').len();
                output.text.truncate(length);
                let is_shown = output.text.is_empty() || output.origin.is_unknown;
                if is_shown && !self.is_spent() {
                    output.text.push_str("$(");
                    output.text.push_str(&render(script));
                    output.text.push(')');
                    // What stands for an output is one field, as blanks in it are not the output's own.
                    return (output, true);
                }
                (output, false)
            }
            Part::Bare(text) | Part::Quoted(text) => (Value::known(text.as_str()), true),
        }
    }

    /// What `$name` or `${name…}` is.
    fn parameter(&mut self, inside: &str) -> Value {
        let inside = inside.strip_prefix('!').map_or_else(
            || inside.to_owned(),
            |name| self.variable(name).map_or_else(|| name.to_owned(), |value| value.text.to_string()),
        );
        self.work(inside.len());
        let length = inside.len() - inside.trim_start_matches(is_name).len();
        let first = inside.chars().next().map_or(0, char::len_utf8);
        let (name, rest) = inside.split_at(if length == 0 { first } else { length });
        let rest = rest.strip_prefix("[@]").or_else(|| rest.strip_prefix("[*]")).unwrap_or(rest);
        let found = self.variable(name);
        let alternative = rest.trim_start_matches(':');
        match (found, alternative.chars().next()) {
            (Some(mut value), None) => {
                if value.text.is_empty() && value.origin.is_unknown {
                    value.text = format!("${name}").into();
                }
                value
            }
            (Some(value), _) => {
                self.work(value.text.len());
                if self.is_spent() { Value::unknown() } else { changed(value, rest) }
            }
            (None, Some('-' | '=')) => {
                let alternative = &alternative[1..];
                self.deeper(alternative, |machine| machine.text(&super::words::document(alternative)))
            }
            (None, _) => unset(name),
        }
    }
}

/// A variable that the script does not set.
fn unset(name: &str) -> Value {
    let text = match name {
        "IFS" => " ".to_owned(),
        // A word is often cut in two by what is never there.
        "@" | "*" | "" => String::new(),
        "0" | "SHELL" => "/bin/bash".to_owned(),
        _ if name.bytes().all(|byte| byte.is_ascii_digit()) => String::new(),
        _ => format!("${name}"),
    };
    let is_unknown = text.starts_with('$');
    let is_secret = name.contains("SECRET") || name.contains("SESSION_TOKEN");
    Value { text: text.into(), origin: Origin { is_secret, is_unknown, ..Origin::default() } }
}

/// What the operator behind a variable's name makes of its value.
fn changed(mut value: Value, operator: &str) -> Value {
    let text = value.text.as_str();
    let new: String = if let Some(rest) = operator.strip_prefix("//") {
        let (from, to) = rest.split_once('/').unwrap_or((rest, ""));
        if from.is_empty() || to.len() > from.len() { text.to_owned() } else { text.replace(from, to) }
    } else if let Some(rest) = operator.strip_prefix('/') {
        let (from, to) = rest.split_once('/').unwrap_or((rest, ""));
        text.replacen(from, to, 1)
    } else if let Some(range) =
        operator.strip_prefix(':').filter(|rest| !rest.starts_with(['-', '=', '+', '?']))
    {
        let (offset, length) = range.split_once(':').unwrap_or((range, ""));
        let offset = offset.trim().parse().unwrap_or(0_usize);
        let length = length.trim().parse().unwrap_or(usize::MAX);
        text.chars().skip(offset).take(length).collect()
    } else if let Some(end) = operator.strip_prefix('%') {
        text.strip_suffix(end.trim_start_matches(['%', '*'])).unwrap_or(text).to_owned()
    } else if let Some(start) = operator.strip_prefix('#') {
        text.strip_prefix(start.trim_start_matches(['#', '*'])).unwrap_or(text).to_owned()
    } else if operator.starts_with(',') {
        text.to_lowercase()
    } else if operator.starts_with('^') {
        text.to_uppercase()
    } else {
        return value;
    };
    value.text = new.into();
    value
}

/// `{curl,-s,http://…}` as words; another word as it is.
fn alternatives(value: Value) -> Vec<Value> {
    let Some((before, rest)) = value.text.split_once('{') else { return vec![value] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![value] };
    if !inside.contains(',') || before.ends_with('$') || inside.contains('{') {
        return vec![value];
    }
    let parts: Vec<&str> = inside.split(',').take(MOST_ALTERNATIVES).collect();
    parts.iter().map(|part| Value::with_origin(format!("{before}{part}{after}"), &value.origin)).collect()
}
