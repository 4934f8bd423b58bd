//! Reads what scripts do, as a shell would read them, and never runs them.
//!
//! A search for words is stepped around by quotes, variables, encodings and several lines. So scripts are gone through
//! once: lines are joined, quotes removed, variables and encoded text resolved, and files remembered with where they
//! came from. What comes out are the commands, one on a line, and facts that no single line shows. Both are fields that
//! rules read.
//!
//! It is no shell: conditions and loops are gone through once whatever they say, and what a program answers is not
//! known unless it is one that decodes or copies. All work and all that is kept is in proportion to the scripts.

mod address;
mod arrays;
mod assignment;
mod code;
mod connections;
mod coprocess;
mod decoders;
mod decoding;
mod expand;
mod facts;
mod files;
mod groups;
mod interpreters;
mod literals;
mod machine;
mod output;
mod packages;
mod program_name;
mod programs;
mod redirects;
mod starts;
mod storage;
#[cfg(test)]
mod tests;
mod transfer;
mod value;
pub mod vocabulary;
mod words;

use std::collections::BTreeSet;

use serde::Serialize;

use super::redact::{FingerprintKey, redact_code};
use super::script::Script;
use facts::pieces;
use machine::{Call, Machine};
use value::Value;

/// The fields of what scripts do begin with this.
pub const FIELDS: &str = "sagemaker.lifecycle.";
/// The name under which rules find the commands, which is also their field in a document.
pub const COMMANDS: &str = "sagemaker.lifecycle.commands";

/// What the scripts of one record do.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shell {
    /// The commands in their order, each on one line and once, and long ones in pieces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// The commands as they were before, where one of them is in pieces.
    #[serde(skip)]
    whole: Vec<String>,
    /// What they do together, such as `decoded_run`.
    #[serde(rename = "behavior", skip_serializing_if = "Vec::is_empty")]
    pub behaviors: Vec<String>,
    /// The addresses of what is fetched and then run.
    #[serde(rename = "run_source", skip_serializing_if = "Vec::is_empty")]
    pub run_sources: Vec<String>,
    #[serde(rename = "run_bucket", skip_serializing_if = "Vec::is_empty")]
    pub run_buckets: Vec<String>,
    /// Where files or answers of the machine are sent to.
    #[serde(rename = "upload_target", skip_serializing_if = "Vec::is_empty")]
    pub upload_targets: Vec<String>,
    #[serde(rename = "upload_bucket", skip_serializing_if = "Vec::is_empty")]
    pub upload_buckets: Vec<String>,
    /// Where packages come from, other than from everybody's sources: hosts with their paths.
    #[serde(rename = "package_source", skip_serializing_if = "Vec::is_empty")]
    pub package_sources: Vec<String>,
    #[serde(rename = "package_host", skip_serializing_if = "Vec::is_empty")]
    pub package_hosts: Vec<String>,
    /// Packages that are named nearly like a popular one, which stands behind each.
    #[serde(rename = "lookalike_package", skip_serializing_if = "Vec::is_empty")]
    pub lookalike_packages: Vec<String>,
    /// Whether some of the scripts was not read, or some of the commands not kept.
    #[serde(skip)]
    pub cut: bool,
}

/// Bytes of reading and making for each byte of the scripts. Ordinary ones need six to ten.
const WORK_PER_BYTE: usize = 48;
const LEAST_WORK: usize = 16 * 1024;
/// Bytes of commands for each byte of the scripts.
const ROOM_PER_BYTE: usize = 3;
const LEAST_ROOM: usize = 2 * 1024;

impl Shell {
    /// Reads all scripts of one record.
    #[must_use]
    pub fn read(scripts: &[Script]) -> Self {
        if scripts.is_empty() {
            return Self::default();
        }
        let bytes: usize = scripts.iter().map(|script| script.text.len()).sum();
        let mut machine =
            Machine::new(LEAST_WORK + WORK_PER_BYTE * bytes, LEAST_ROOM + ROOM_PER_BYTE * bytes);
        let mut rest = scripts;
        while let [script, after @ ..] = rest {
            rest = after;
            if script.words().is_empty() {
                machine.script(&script.text);
                continue;
            }
            let mut words = script.words().to_vec();
            if let [arguments, after @ ..] = rest
                && script.hook.eq_ignore_ascii_case("containerEntrypoint")
                && arguments.hook.eq_ignore_ascii_case("containerArguments")
            {
                words.extend_from_slice(arguments.words());
                rest = after;
            }
            machine.command_line(&words);
        }
        Self::of(machine)
    }

    fn of(machine: Machine) -> Self {
        let facts = machine.facts;
        let list = |set: BTreeSet<String>| set.into_iter().collect();
        let commands = in_pieces(&facts.commands);
        let is_whole = commands.len() == facts.commands.len();
        Self {
            commands,
            whole: if is_whole { Vec::new() } else { facts.commands },
            behaviors: facts
                .behaviors
                .into_iter()
                .map(|behavior| <&str>::from(behavior).to_owned())
                .collect(),
            run_sources: list(facts.run_sources),
            run_buckets: list(facts.run_buckets),
            upload_targets: list(facts.upload_targets),
            upload_buckets: list(facts.upload_buckets),
            package_sources: list(facts.package_sources),
            package_hosts: list(facts.package_hosts),
            lookalike_packages: list(facts.lookalike_packages),
            cut: facts.cut,
        }
    }

    /// As it may be shown: a secret whose pieces the shell puts together is one only here.
    #[must_use]
    pub fn redacted(mut self, key: &FingerprintKey) -> Self {
        let mut whole = std::mem::take(&mut self.whole);
        if whole.is_empty() {
            whole = std::mem::take(&mut self.commands);
        }
        for line in &mut whole {
            *line = redact_code(line, key);
        }
        self.commands = in_pieces(&whole);
        for list in [
            &mut self.run_sources,
            &mut self.upload_targets,
            &mut self.package_sources,
            &mut self.lookalike_packages,
        ] {
            for text in list {
                *text = redact_code(text, key);
            }
        }
        self
    }

    /// What a field of a rule asks for; none for a field that is not of these.
    pub fn field(&self, path: &str) -> Option<&[String]> {
        Some(match path.strip_prefix(FIELDS)? {
            "commands" => &self.commands,
            "behavior" => &self.behaviors,
            "run_source" => &self.run_sources,
            "run_bucket" => &self.run_buckets,
            "upload_target" => &self.upload_targets,
            "upload_bucket" => &self.upload_buckets,
            "package_source" => &self.package_sources,
            "package_host" => &self.package_hosts,
            "lookalike_package" => &self.lookalike_packages,
            _ => return None,
        })
    }
}

fn in_pieces(lines: &[String]) -> Vec<String> {
    lines.iter().flat_map(|line| pieces(line)).map(str::to_owned).collect()
}

impl Machine {
    fn script(&mut self, text: &str) {
        match program_name::shebang(text) {
            Some(language) => self.run_code(&language, text),
            None if is_python(text) => self.run_code("python", text),
            None => {
                self.once(text, &Value::default());
            }
        }
    }

    fn command_line(&mut self, words: &[String]) {
        let line = words.join(" ");
        self.work(2 * line.len());
        self.facts.take_command(&value::render(&line));
        let fields = words.iter().map(|word| Value::known(word.as_str())).collect();
        self.program(&mut Call { fields, stdin: Value::default(), has_socket: false, is_pieced: false });
    }
}

/// Whether code without a first line that names its language is Python's.
fn is_python(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| {
        line.starts_with("import ") && !line.contains('-')
            || line.starts_with("from ") && line.contains(" import ")
            || line.starts_with("def ") && line.ends_with(':')
    })
}
