//! Finds which packages a script installs, and from where.

use super::machine::{Call, Machine};
use super::value::Value;
use super::vocabulary::VOCABULARY;

/// Whether an address is of a place where everybody has repositories, from which teams install their own code.
fn is_forge(address: &str) -> bool {
    let host = super::address::host(address);
    let is_repository =
        !address.contains("/releases/") && !address.contains("/archive/") && !address.contains("/raw/");
    is_repository && matches!(host.as_str(), "github.com" | "gitlab.com" | "bitbucket.org" | "codeberg.org")
}

/// Whether what is installed is a file and no name, in whose version dots may stand.
fn is_file_name(word: &str) -> bool {
    let ends = [".whl", ".gz", ".tgz", ".zip", ".deb", ".rpm", ".bz2", ".egg"];
    word.contains('/') || word.starts_with('.') || ends.iter().any(|end| word.ends_with(end))
}

impl Machine {
    /// Applies a program that installs packages: takes their names, their sources, and files that run when installed.
    pub fn packages(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<&str> = call.words().collect();
        let is_pip = name.starts_with("pip") || matches!(name, "uv" | "easy_install" | "poetry");
        let installs =
            words.iter().any(|word| matches!(*word, "install" | "add" | "i" | "create" | "update" | "run"));
        let is_setting = words.iter().any(|word| matches!(*word, "config" | "set" | "source"));
        let mut takes_value = false;
        for (position, word) in words.iter().enumerate() {
            let before = position.checked_sub(1).map_or("", |before| words[before]);
            let (option, value) =
                word.split_once('=').filter(|_| word.starts_with("--")).unwrap_or((before, word));
            let is_source = VOCABULARY.packages.source_options.contains(option)
                || is_setting && (option.ends_with("index-url") || option.ends_with("channels"));
            if is_source && !value.starts_with('-') {
                // A channel without an address is one of conda's own.
                self.facts.take_package_source(value);
            }
            if word.starts_with("git+")
                || installs && word.contains("://") && !is_source && !word.starts_with('-')
            {
                let address = word.split_once('+').map_or(*word, |(_, address)| address);
                if !word.starts_with("git+") || !is_forge(address) {
                    self.facts.take_run(address.split(" @ ").last().unwrap_or(address));
                }
            }
            let is_file = installs
                && is_file_name(word)
                && !word.starts_with('-')
                && !word.contains("://")
                && !is_source;
            if is_file {
                let content = self.files.read(word);
                if !content.origin.sources.iter().all(|source| is_forge(source)) {
                    self.is_run(&content.origin);
                }
            }
            let is_name =
                is_pip && installs && !word.starts_with('-') && !takes_value && !is_source && !is_file;
            if is_name {
                self.take_package(word);
            }
            takes_value = VOCABULARY.packages.valued_options.contains(*word);
        }
        Value::unknown()
    }

    fn take_package(&mut self, word: &str) {
        let name = word.split(['=', '<', '>', '~', '!', '[', ';', '@', ' ']).next().unwrap_or_default();
        let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
        if let Some(popular) = VOCABULARY.packages.resembled(&name) {
            self.facts.lookalike_packages.insert(format!("{name} ({popular})"));
        }
    }
}
