//! Applies programs of other languages, with their code in an option, a file or their input.

use super::code;
use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::value::{Origin, Text, Value, render};
use super::vocabulary::VOCABULARY;

impl Machine {
    /// Applies a program of another language: the code in its option, its file or its input. Returns what is known of
    /// its output.
    pub fn interpreter(&mut self, name: &str, call: &mut Call) -> Value {
        let mut fields = call.fields.iter().skip(1).cloned();
        if call.has_socket {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let unknown =
            Value { text: Text::default(), origin: Origin { is_unknown: true, ..call.stdin.origin.clone() } };
        let is_awk = name.ends_with("awk");
        while let Some(field) = fields.next() {
            let option = field.text.as_str();
            if option == "-m" {
                let module: Vec<Value> = fields.collect();
                let name = module.first().map(|module| module.text.to_string()).unwrap_or_default();
                call.fields = module;
                return if name == "pip" { self.packages("pip", call) } else { unknown };
            }
            let is_code = VOCABULARY.programs.code_options.contains(option)
                || option.starts_with('-')
                    && option.len() > 2
                    && option.ends_with(['c', 'e'])
                    && !option.starts_with("--");
            if is_code {
                if let Some(code) = fields.find(|field| !field.text.starts_with('-')) {
                    self.is_run(&code.origin);
                    self.code(&code.text);
                    let mut output = unknown;
                    output.origin.is_decoded |= code::decodes(&code.text);
                    return output;
                }
                return unknown;
            }
            if option.starts_with('-') && option != "-" {
                continue;
            }
            if is_awk {
                self.code(option);
                return unknown;
            }
            if option == "-" {
                break;
            }
            let content = self.files.read(option);
            self.is_run(&content.origin);
            self.is_run(&field.origin);
            self.run_code(name, &content.text);
            return unknown;
        }
        let script = call.stdin.clone();
        self.is_run(&script.origin);
        self.run_code(name, &script.text);
        unknown
    }

    /// Keeps the code of a file beside the commands, and reads it.
    pub fn run_code(&mut self, name: &str, text: &str) {
        self.work(text.len());
        if !text.trim().is_empty() && !self.is_spent() {
            self.facts.take_command(&format!("{name} {}", render(text)));
            self.code(text);
            self.has_run = true;
        }
    }

    /// What code of another language does with shells, addresses and buckets.
    pub fn code(&mut self, text: &str) {
        self.work(2 * text.len());
        if self.is_spent() {
            return;
        }
        let text = super::literals::resolved(text);
        self.work(text.len());
        for found in code::effects(&text) {
            match found {
                code::Effect::Shell(script) => {
                    self.once(&script, &Value::default());
                }
                code::Effect::Fetched { source, file } => {
                    let value = Value { text: Text::default(), origin: Origin::fetched_from(&source) };
                    self.write(&file, value, false);
                }
                code::Effect::FetchedAndRun(source) => self.facts.take_run(&source),
                code::Effect::Sent(target) => self.facts.take_upload(&target),
            }
        }
    }
}
