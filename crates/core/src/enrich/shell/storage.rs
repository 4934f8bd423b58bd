//! Reads the command lines of services that keep files, and of Git.

use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::output::secret;
use super::value::{Origin, Text, Value};
use super::vocabulary::VOCABULARY;

impl Machine {
    /// Command lines of storage services.
    pub fn cloud(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<&str> = call.words().collect();
        let has = |word: &str| words.contains(&word);
        let value_of = |option: &str| {
            let at = words.iter().position(|word| *word == option)?;
            words.get(at + 1).copied()
        };
        if has("export-credentials") {
            self.facts.behaviors.insert(Behavior::CredentialsRead);
            return secret();
        }
        if VOCABULARY.storage.secrets.iter().any(|word| has(word)) {
            return secret();
        }
        if name == "az" && (has("upload") || has("upload-batch")) {
            let account = value_of("--account-name").or(value_of("--container-name")).unwrap_or("azure");
            self.facts.take_upload(&format!("az://{account}"));
            return Value::unknown();
        }
        let bucket = value_of("--bucket")
            .map(|bucket| format!("s3://{bucket}/{}", value_of("--key").unwrap_or_default()));
        if let Some(address) = bucket.filter(|_| has("s3api")) {
            if has("put-object") || has("upload-part") || has("copy-object") {
                self.facts.take_upload(&address);
            } else if has("get-object")
                && let Some(file) = words.iter().rev().find(|word| !word.starts_with('-'))
            {
                self.fetched_to(file, &address, false);
            }
            return Value::unknown();
        }
        let is_copy = VOCABULARY.storage.copies.iter().any(|word| has(word));
        if !is_copy || has("ecr") {
            return Value::unknown();
        }
        let paths: Vec<&str> = call
            .words()
            .filter(|word| *word == "-" || !word.starts_with('-'))
            .filter(|word| {
                is_storage(word, name)
                    || word.contains(['/', '.', '~', '$'])
                    || *word == "-"
                    || self.files.is_made(word)
            })
            .collect();
        let ends =
            paths.iter().position(|path| is_storage(path, name)).map(|at| (at, paths.get(at + 1).copied()));
        match (ends, paths.as_slice()) {
            (Some((0, Some(file))), _) if !is_storage(file, name) => {
                let is_folder = has("--recursive") || has("sync") || file.ends_with('/');
                let address = storage_address(paths[0], name);
                if file == "-" {
                    return Value { text: Text::default(), origin: Origin::fetched_from(&address) };
                }
                let is_script = !is_folder || file.contains('.');
                let at = paths[0].rsplit('/').next().unwrap_or_default();
                if is_script && !matches!(file, "." | "./") {
                    self.fetched_to(file, &address, false);
                }
                if is_folder || matches!(file, "." | "./") {
                    self.fetched_to(&format!("{}/{at}", file.trim_end_matches('/')), &address, false);
                    if has("--recursive") || has("sync") {
                        self.fetched_to(file, &address, true);
                    }
                }
            }
            (Some((0, _)), [_, target, ..]) if is_storage(target, name) => {
                // From one bucket to another.
                self.facts.take_upload(&storage_address(target, name));
            }
            (Some((at, _)), _) if at > 0 => self.facts.take_upload(&storage_address(paths[at], name)),
            _ => {}
        }
        Value::unknown()
    }

    /// Remembers that a file or a whole folder came from an address.
    pub fn fetched_to(&mut self, file: &str, source: &str, is_folder: bool) {
        let origin = Origin::fetched_from(source);
        self.work(source.len());
        if is_folder {
            self.fill_folder(file, &origin);
        } else {
            self.write(file, Value { text: Text::default(), origin }, false);
        }
    }

    /// Applies programs that put a folder of another host or a bucket in the place of one of the machine.
    pub fn mount(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<&str> = call.words().filter(|word| !word.starts_with('-')).collect();
        // Values of options stand before and behind the two.
        let is_folder = |word: &str| word.starts_with(['/', '~', '$', '.']);
        let found = words.windows(2).rfind(|pair| is_folder(pair[1]));
        let Some([source, folder]) = found else { return Value::unknown() };
        let source = if matches!(name, "mount" | "sshfs") {
            let host = super::transfer::host_of(source.trim_start_matches('/'));
            // File systems of AWS are of the network that the machine is in.
            if !host.contains('.') || host.ends_with(".amazonaws.com") {
                return Value::unknown();
            }
            format!("{name}://{host}")
        } else {
            format!("s3://{}/", source.split([':', '/']).next().unwrap_or_default())
        };
        self.fetched_to(folder, &source, true);
        Value::unknown()
    }

    /// Applies Git: what is cloned comes from its address, and what is pushed goes to one.
    pub fn git(&mut self, call: &Call) -> Value {
        let words: Vec<&str> = call.words().filter(|word| !word.starts_with('-')).collect();
        let Some(at) =
            words.iter().position(|word| word.contains("://") || word.contains('@') && word.contains(':'))
        else {
            let remotes = words.iter().map(|word| self.variable(&format!("remote {word}")));
            let known: Vec<Value> = remotes.flatten().collect();
            for remote in known.iter().filter(|_| words.contains(&"push")) {
                self.facts.take_upload(&remote.text);
            }
            return Value::unknown();
        };
        if words.first() == Some(&"remote") && at > 0 {
            self.set(&format!("remote {}", words[at - 1]), Value::known(words[at]));
        }
        if words.contains(&"clone") {
            let name = words[at].trim_end_matches(".git").rsplit('/').next().unwrap_or_default();
            let folder = words.get(at + 1).copied().unwrap_or(name);
            self.fetched_to(folder, words[at], true);
        } else if words.contains(&"push") {
            self.facts.take_upload(words[at]);
        }
        Value::unknown()
    }
}

/// Whether a word is a place in a storage service.
fn is_storage(text: &str, program: &str) -> bool {
    let is_url = ["s3://", "s3a://", "gs://", "az://"].iter().any(|scheme| text.starts_with(scheme));
    let is_blob = text.starts_with("https://") && text.contains(".blob.core.windows.net");
    // The client of MinIO writes a remote as the first part of a path.
    let is_alias = program == "mc" && text.contains('/') && !text.starts_with(['/', '.', '~', '$']);
    let is_remote = matches!(program, "rclone" | "mc")
        && text.split_once([':', '/']).is_some_and(|(name, _)| {
            !name.is_empty() && !name.starts_with(['.', '~', '$']) && text.contains(':')
                || connection(text).is_some()
        });
    is_url || is_blob || is_remote || is_alias
}

/// The kind and the settings of a remote that `rclone` takes from its command, as in `:webdav,url="https://…":folder`.
fn connection(text: &str) -> Option<&str> {
    text.strip_prefix(':').filter(|rest| rest.contains(':') && rest.starts_with(char::is_alphabetic))
}

fn storage_address(text: &str, program: &str) -> String {
    if let Some(settings) = connection(text) {
        let address = settings.split(['=', ',', '"', '\'']).find(|part| part.contains("://"));
        return address.map_or_else(|| format!("{program}://{settings}"), str::to_owned);
    }
    if text.contains("://") { text.to_owned() } else { format!("{program}://{text}") }
}
