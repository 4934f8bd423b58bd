//! Tells which members of a call's parameters hold something that runs.

use std::sync::LazyLock;

use regex::Regex;
use serde_json_borrow::Value;

use crate::enrich::lower::with_lower;
use crate::enrich::shell::vocabulary::is_running_setting;

/// What the parameters of one call carry.
#[derive(Debug, Default)]
pub struct Carried {
    /// Scripts in base64, each with the member that says when it runs.
    pub packed: Vec<(String, String)>,
    /// Code in the clear, likewise.
    pub plain: Vec<(String, Code)>,
}

/// Code as a call gives it.
#[derive(Debug)]
pub enum Code {
    Text(String),
    /// A command line that is given as a list of its words.
    Words(Vec<String>),
}

/// How deep JSON may stand in texts of JSON. Each level is shorter, as its quotes are escaped.
const MAX_DOCUMENTS: usize = 3;

/// Everything that runs, wherever it stands.
pub fn carried(parameters: &Value<'_>) -> Carried {
    let mut carried = Carried::default();
    carried.collect("", parameters, 0);
    carried
}

impl Carried {
    fn collect(&mut self, hook: &str, value: &Value<'_>, documents: usize) {
        match value {
            Value::Object(members) => {
                // The arguments of an entry point stand behind it, in whatever order the record has them.
                for wanted in ["containerEntrypoint", "containerArguments"] {
                    let found = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
                    found.for_each(|(_, words)| self.take_words(wanted, words));
                }
                for (name, value) in members.iter() {
                    self.take(hook, name, value, documents);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.collect(hook, element, documents);
                }
            }
            Value::Str(text) if documents < MAX_DOCUMENTS && is_document(text) => {
                if let Ok(document) = serde_json::from_str::<Value<'_>>(text) {
                    self.collect(hook, &document, documents + 1);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, hook: &str, name: &str, value: &Value<'_>, documents: usize) {
        with_lower(name, |lower| self.take_as(lower, hook, name, value, documents));
    }

    /// Takes a member by its name in lower case.
    fn take_as(&mut self, lower: &str, hook: &str, name: &str, value: &Value<'_>, documents: usize) {
        match lower {
            "content" if documents == 0 => {
                self.packed.extend(value.as_str().map(|text| (hook.to_owned(), text.to_owned())));
            }
            "studiolifecycleconfigcontent" | "userdata" => {
                self.packed.extend(value.as_str().map(|text| (name.to_owned(), text.to_owned())));
            }
            "containerentrypoint" | "containerarguments" => {}
            "environment" | "environmentvariables" | "hyperparameters" | "statichyperparameters" => {
                self.take_settings(name, value);
                self.collect(name, value, documents);
            }
            "command" | "commands" | "script" | "cmd" | "entrypoint" | "startupscript" | "initscript" => {
                match value
                    .as_str()
                    .filter(|text| text.trim().contains(char::is_whitespace) && !is_document(text))
                {
                    Some(text) => self.plain.push((name.to_owned(), Code::Text(text.to_owned()))),
                    None if value.is_array() => self.take_words(name, value),
                    None => self.collect(name, value, documents),
                }
            }
            _ => self.collect(name, value, documents),
        }
    }

    fn take_words(&mut self, hook: &str, words: &Value<'_>) {
        let words: Vec<String> =
            words.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if !words.is_empty() {
            self.plain.push((hook.to_owned(), Code::Words(words)));
        }
    }

    /// Settings by whose name a program runs or loads something, and values that are commands.
    fn take_settings(&mut self, hook: &str, settings: &Value<'_>) {
        let Some(settings) = settings.as_object() else { return };
        for (name, value) in settings.iter() {
            let Some(value) = value.as_str() else { continue };
            if is_running_setting(name) {
                let words = vec!["export".to_owned(), format!("{name}={value}")];
                self.plain.push((hook.to_owned(), Code::Words(words)));
            } else if COMMAND.is_match(value) && !is_document(value) {
                let text = value.trim_matches('"').to_owned();
                self.plain.push((hook.to_owned(), Code::Text(text)));
            }
        }
    }
}

/// Whether a text is JSON in which something that runs may be.
fn is_document(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) && HINT.is_match(text)
}

static HINT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "(?i-u)containerEntrypoint|containerArguments|command|script|cmd|entrypoint|userdata|environment|hyperparameters|lifecycleConfigContent",
    )
});

/// What no ordinary value of a setting looks like.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"/dev/(?:tcp|udp)/|(?-u:\b)(?:curl|wget)(?-u:\s)[^\n]*(?:://|\|)|(?-u:\b)base64(?-u:\s)+(?:-d|-D|--decode)|(?-u:\b)(?:ba|z|da)?sh(?-u:\s)+-i?c(?-u:\s)|\|(?-u:\s)*(?:ba|z|da)?sh(?-u:\b)|(?-u:\b)(?:python[0-9.]*|perl|ruby)(?-u:\s)+-[ce](?-u:\s)",
    )
});

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and tested")
}
