//! Knows what programs put out that print, copy or find what they are given.

use super::decoders;
use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::value::{Origin, Text, Value};

impl Machine {
    pub(super) fn contents(&mut self, call: &Call) -> Value {
        let mut all = Value::default();
        let mut has_file = false;
        for field in call.fields[1..].iter().filter(|field| !field.text.starts_with('-') || field.text == "-")
        {
            let content = if field.text == "-" { call.stdin.clone() } else { self.files.read(&field.text) };
            if content.origin.is_secret {
                self.facts.behaviors.insert(Behavior::CredentialsRead);
            }
            self.work(content.text.len());
            if self.is_spent() {
                break;
            }
            all.append(&content);
            has_file = true;
        }
        if has_file { all } else { call.stdin.clone() }
    }

    pub(super) fn tee(&mut self, call: &Call) -> Value {
        let appends = call.fields.iter().any(|field| matches!(field.text.as_str(), "-a" | "--append"));
        for field in call.fields[1..].iter().filter(|field| !field.text.starts_with('-')) {
            self.work(call.stdin.text.len());
            self.write(&field.text, call.stdin.clone(), appends);
        }
        call.stdin.clone()
    }

    pub(super) fn dd(&mut self, call: &Call) -> Value {
        let argument = |name: &str| call.fields.iter().find_map(|field| field.text.strip_prefix(name));
        let content = argument("if=").map_or_else(|| call.stdin.clone(), |path| self.files.read(path));
        match argument("of=") {
            Some(path) => {
                self.write(path, content, false);
                Value::default()
            }
            None => content,
        }
    }
}

pub(super) fn joined(fields: &[Value]) -> Value {
    let mut all = Value::default();
    for (position, field) in fields.iter().enumerate() {
        if position > 0 {
            all.text.push(' ');
        }
        all.append(field);
    }
    all
}

pub(super) fn secret() -> Value {
    Value { text: Text::default(), origin: Origin { is_secret: true, is_unknown: true, ..Origin::default() } }
}

/// Where a program is found, which is its name here.
pub(super) fn located(fields: &[Value]) -> Value {
    let name = fields.iter().find(|field| !field.text.starts_with('-')).map(|field| field.text.clone());
    let program = name.as_deref().map(str::to_owned);
    Value { text: name.unwrap_or_default(), origin: Origin { program, ..Origin::default() } }
}

pub(super) fn echoed(name: &str, fields: &[Value]) -> Value {
    let mut rest = fields;
    let mut has_escapes = name == "printf";
    while let [first, after @ ..] = rest
        && (matches!(first.text.as_str(), "-e" | "-n" | "-ne" | "-en" | "-E") || first.text == "--")
    {
        has_escapes |= first.text.contains('e');
        rest = after;
    }
    let mut value = if name == "printf"
        && let [format, arguments @ ..] = rest
    {
        formatted(format, arguments)
    } else {
        joined(rest)
    };
    if has_escapes {
        let text = decoders::escapes(&value.text);
        let has_codes =
            value.text.contains("\\x") || value.text.contains("\\0") || value.text.contains("\\1");
        value.origin.is_decoded |= has_codes && text != value.text.as_str();
        value.text = text.into();
    }
    value.origin.program = None;
    if name == "echo" {
        value.text.push('\n');
    }
    value
}

/// What `printf` makes of a format, whose places are filled in their order. What is left over stands behind it.
fn formatted(format: &Value, arguments: &[Value]) -> Value {
    let mut value = Value::with_origin("", &format.origin);
    let mut arguments = arguments.iter().inspect(|argument| value.origin.join(&argument.origin));
    let mut rest = format.text.as_str();
    let mut text = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        rest = after;
        match after.strip_prefix(['s', 'b']).and_then(|after| Some((after, arguments.next()?))) {
            Some((after, argument)) => {
                text.push_str(&argument.text);
                rest = after;
            }
            None => text.push('%'),
        }
    }
    text.push_str(rest);
    arguments.for_each(|argument| text.push_str(&argument.text));
    value.text = text.into();
    value
}
