//! Applies what programs do to files that fetch, send, connect and copy.

use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::value::{Origin, Text, Value};
use super::vocabulary::{Transfer, VOCABULARY};

/// The options of a command with their values, and its other words.
struct Arguments<'c> {
    options: Vec<(String, Option<Value>)>,
    words: Vec<&'c Value>,
}

impl Machine {
    /// `curl`, `wget` and their like.
    pub fn transfer(&mut self, name: &str, call: &Call) -> Value {
        let Some(program) = VOCABULARY.transfers.get(name) else { return Value::unknown() };
        let arguments = arguments(&call.fields[1..], program);
        let of = |names: &[String]| {
            let found = arguments.options.iter().filter(|(option, _)| names.contains(option));
            found.filter_map(|(_, value)| value.clone()).collect::<Vec<Value>>()
        };
        let addresses: Vec<Value> = arguments
            .options
            .iter()
            .filter(|(option, _)| option == "--url")
            .filter_map(|(_, value)| value.as_ref())
            .chain(arguments.words.iter().copied())
            .filter(|word| is_address(&word.text))
            .cloned()
            .collect();
        let mut sent = Origin::default();
        let mut has_upload = false;
        for file in of(&program.upload) {
            has_upload = true;
            let content = if file.text == "-" { call.stdin.clone() } else { self.files.read(&file.text) };
            sent.join(&content.origin);
            sent.join(&file.origin);
        }
        for body in of(&program.body) {
            let file = body.text.split_once('@').filter(|(before, _)| {
                before.is_empty()
                    || before.ends_with('=')
                    || super::words::is_name(before.chars().last().unwrap_or('-'))
                        && before.chars().all(super::words::is_name)
            });
            if let Some((_, path)) = file.filter(|(_, path)| !path.is_empty() && !path.contains(' ')) {
                let content = if path == "-" {
                    call.stdin.clone()
                } else {
                    self.files.read(path.split(';').next().unwrap_or(path))
                };
                has_upload |=
                    content.origin.is_local || content.origin.is_secret || content.origin.is_unknown;
                sent.join(&content.origin);
            }
            has_upload |= body.origin.is_secret || body.origin.is_local && body.text.contains("$(");
            sent.join(&body.origin);
        }
        for address in &addresses {
            has_upload |= address.origin.is_secret || address.origin.is_local && address.text.contains('?');
            sent.join(&address.origin);
        }
        let mut answers = Vec::new();
        for address in addresses {
            let target = with_scheme(&address.text);
            let mut answer = Value::unknown();
            if VOCABULARY.credentials.addresses.iter().any(|known| address.text.contains(known.as_str())) {
                self.facts.behaviors.insert(Behavior::CredentialsRead);
                answer.origin.is_secret = true;
            }
            if is_own_machine(&target) {
                // What it answers is its own.
            } else if has_upload {
                self.facts.take_upload(&target);
                if sent.is_secret {
                    self.facts.behaviors.insert(Behavior::CredentialsSent);
                }
            } else {
                answer.origin.join(&Origin::fetched_from(&target));
            }
            answers.push((address, answer));
        }
        self.save(program, &arguments, &answers, &of(&program.file), &of(&program.folder))
    }

    /// Puts what was fetched where the options say; what goes nowhere is the output.
    fn save(
        &mut self,
        program: &Transfer,
        arguments: &Arguments<'_>,
        answers: &[(Value, Value)],
        files: &[Value],
        folders: &[Value],
    ) -> Value {
        let mut output = Value::unknown();
        for (_, answer) in answers {
            output.origin.join(&answer.origin);
        }
        let folder = folders.first().map(|folder| folder.text.to_string());
        let within = |name: &str| match &folder {
            Some(folder) => format!("{}/{name}", folder.trim_end_matches('/')),
            None => name.to_owned(),
        };
        let is_named = arguments.options.iter().any(|(option, _)| program.named.contains(option));
        if files.iter().any(|file| matches!(file.text.as_str(), "-" | "/dev/stdout")) {
            return output;
        }
        for (position, file) in files.iter().enumerate() {
            // Of several files each is for the address at the same place.
            let of_one = answers.get(position).filter(|_| files.len() > 1);
            let content = of_one.map_or(&output, |(_, answer)| answer);
            self.write(&within(&file.text), content.clone(), false);
        }
        if files.is_empty() && (program.saves || is_named) {
            for (address, answer) in answers {
                let path = address.text.split(['?', '#']).next().unwrap_or_default();
                let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                self.write(&within(name), answer.clone(), false);
            }
        } else if files.is_empty() {
            return output;
        }
        Value::default()
    }

    /// `nc`, `socat` and their like: what they read comes from another host, and what they get goes there.
    pub fn connect(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<&str> = call.words().collect();
        let runs_shell = |word: &str| {
            let lower = word.to_ascii_lowercase();
            (lower.starts_with("exec:") || lower.starts_with("system:")) && name == "socat"
        };
        let mut is_shell = words.iter().any(|word| runs_shell(word));
        for (position, word) in words.iter().enumerate() {
            let is_exec = word.starts_with('-')
                && !word.starts_with("--")
                && word.ends_with(['e', 'c'])
                && name != "telnet"
                && name != "socat"
                || matches!(*word, "--exec" | "--sh-exec" | "--lua-exec");
            let next = words.get(position + 1).copied().unwrap_or_default();
            is_shell |= is_exec && next.chars().any(char::is_alphabetic) && !next.contains('.');
            is_shell |= word.starts_with("--exec=") || word.starts_with("--sh-exec=");
        }
        if is_shell || call.stdin.origin.is_of_shell {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let hosts: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| {
                !word.starts_with('-') && (word.contains('.') || word.contains(':')) && !word.starts_with('/')
            })
            .filter(|word| !runs_shell(word))
            .collect();
        let listens =
            words.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('l'));
        let is_sent = call.stdin.origin.is_local || call.stdin.origin.is_secret;
        if is_sent && !listens {
            for host in hosts {
                let host = host.split(',').next().unwrap_or(host);
                self.facts.take_upload(&format!("tcp://{host}"));
            }
            if call.stdin.origin.is_secret {
                self.facts.behaviors.insert(Behavior::CredentialsSent);
            }
        }
        let mut output = Value::unknown();
        output.origin.is_socket = true;
        output
    }

    /// `cp` and its like; `scp` and `rsync` also go to and come from other hosts.
    pub fn copy(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<Value> =
            call.fields[1..].iter().filter(|field| !field.text.starts_with('-')).cloned().collect();
        let [sources @ .., target] = words.as_slice() else { return Value::default() };
        let is_remote = |text: &str| {
            text.split_once(':').is_some_and(|(host, _)| {
                host.len() > 1 && !host.contains('/') && (host.contains('@') || host.contains('.'))
                    || text.contains("::")
            }) || text.starts_with("rsync://")
        };
        for source in sources {
            let mut content = if is_remote(&source.text) && matches!(name, "scp" | "rsync") {
                let origin = Origin::fetched_from(&format!("{name}://{}", host_of(&source.text)));
                Value { text: Text::default(), origin }
            } else {
                self.files.read(&source.text)
            };
            if is_remote(&target.text) && matches!(name, "scp" | "rsync") {
                self.facts.take_upload(&format!("{name}://{}", host_of(&target.text)));
                continue;
            }
            let file = source.text.rsplit('/').next().unwrap_or_default();
            if content.origin.is_local {
                // A copy of a program under another name is still that program.
                content.origin.program = source.origin.program.clone().or_else(|| Some(file.to_owned()));
                content.origin.is_local = false;
                let is_program = source.text.contains("bin/") || source.origin.program.is_some();
                if !is_program {
                    continue;
                }
            }
            self.work(content.text.len());
            self.write(&target.text, content.clone(), false);
            if sources.len() > 1 || target.text.ends_with('/') || target.text == "." {
                self.write(&format!("{}/{file}", target.text.trim_end_matches('/')), content, false);
            }
        }
        Value::default()
    }

    /// `ssh`: what it gets goes to another host, and what it answers comes from there.
    pub fn remote(&mut self, call: &Call) -> Value {
        let host = call.words().find(|word| {
            !word.starts_with('-') && (word.contains('@') || word.contains('.')) && !word.contains(['/', '='])
        });
        let is_sent = call.stdin.origin.is_local || call.stdin.origin.is_secret;
        if let Some(host) = host.filter(|_| is_sent) {
            self.facts.take_upload(&format!("ssh://{}", host_of(host)));
        }
        if call.stdin.origin.is_of_shell {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let from = host.map(|host| Origin::fetched_from(&format!("ssh://{}", host_of(host))));
        from.map_or_else(Value::unknown, |origin| Value { text: Text::default(), origin })
    }

    pub fn file_transfer(&mut self, call: &Call) -> Value {
        let host =
            call.words().find(|word| !word.starts_with('-') && word.contains('.') && !word.starts_with('/'));
        let script = format!(
            "{} {}",
            call.stdin.text,
            call.fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ")
        );
        let sends = script
            .split(|character: char| !character.is_alphabetic())
            .any(|word| matches!(word, "put" | "mput" | "mirror" | "ftpput" | "ncftpput"));
        if let Some(host) = host.filter(|_| sends) {
            self.facts.take_upload(&format!("ftp://{}", host_of(host)));
        }
        Value::unknown()
    }

    /// A question for a name in which there is something that was read.
    pub fn ask_name(&mut self, name: &str, call: &Call) -> Value {
        let carries = call.fields[1..].iter().any(|field| {
            (field.origin.is_local || field.origin.is_secret) && (field.text.contains('.') || name == "ping")
        });
        if carries {
            self.facts.behaviors.insert(Behavior::DataInNames);
        }
        Value::unknown()
    }

    pub fn unpack_archive(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<Value> = call.fields[1..].to_vec();
        let first = words.first().map(|word| word.text.to_string()).unwrap_or_default();
        let packs = name.ends_with("tar")
            && !first.contains('x')
            && !words.iter().any(|word| word.text.starts_with("-x") || word.text == "--extract")
            && (first.contains('c')
                || words.iter().any(|word| word.text.starts_with("-c") || word.text == "--create"));
        let mut folder = String::new();
        let mut archive = call.stdin.clone();
        let mut target = None;
        let mut position = 0;
        while let Some(word) = words.get(position) {
            position += 1;
            match word.text.as_str() {
                "-C" | "--directory" | "-d" => {
                    folder = words.get(position).map(|word| word.text.to_string()).unwrap_or_default();
                    position += 1;
                }
                text if name.ends_with("tar")
                    && text.ends_with('f')
                    && (text.starts_with('-') || position == 1) =>
                {
                    if let Some(file) = words.get(position) {
                        target = Some(file.text.to_string());
                        archive =
                            if file.text == "-" { call.stdin.clone() } else { self.files.read(&file.text) };
                    }
                    position += 1;
                }
                text if !name.ends_with("tar")
                    && !text.starts_with('-')
                    && position <= 3
                    && text.contains(['.', '/']) =>
                {
                    archive = self.files.read(text);
                }
                _ => {}
            }
        }
        if packs {
            let content = Value {
                text: Text::default(),
                origin: Origin { is_local: true, is_unknown: true, ..Origin::default() },
            };
            return match target.filter(|target| target != "-") {
                Some(target) => {
                    self.write(&target, content, false);
                    Value::default()
                }
                None => content,
            };
        }
        if !archive.origin.sources.is_empty() {
            self.fill_folder(&folder, &archive.origin);
        }
        Value::default()
    }

    /// Packages that are installed from files, which are run in that way.
    pub fn files_run(&mut self, call: &Call) -> Value {
        for field in &call.fields[1..] {
            let content = self.files.read(&field.text);
            self.is_run(&content.origin);
            if field.text.contains("://") {
                self.facts.take_run(&field.text);
            }
        }
        Value::unknown()
    }
}

/// Splits a command's words into options and others. Options of one letter may stand together.
fn arguments<'c>(fields: &'c [Value], program: &Transfer) -> Arguments<'c> {
    let mut all = Arguments { options: Vec::new(), words: Vec::new() };
    let mut position = 0;
    while let Some(field) = fields.get(position) {
        position += 1;
        let text = field.text.as_str();
        if let Some((name, value)) = text.split_once('=').filter(|_| text.starts_with("--")) {
            all.options.push((name.to_owned(), Some(Value::with_origin(value, &field.origin))));
        } else if text.starts_with("--") || text.len() > 1 && text.starts_with('-') && program.has_value(text)
        {
            let has_value = program.has_value(text) || text == "--url";
            all.options.push((text.to_owned(), has_value.then(|| fields.get(position).cloned()).flatten()));
            position += usize::from(has_value);
        } else if text.len() > 1 && text.starts_with('-') {
            for (at, letter) in text[1..].char_indices() {
                let option = format!("-{letter}");
                let has_value = program.has_value(&option);
                let attached = &text[1 + at + letter.len_utf8()..];
                if !has_value {
                    all.options.push((option, None));
                    continue;
                }
                let value = if attached.is_empty() {
                    fields.get(position).cloned()
                } else {
                    Some(Value::with_origin(attached, &field.origin))
                };
                position += usize::from(attached.is_empty());
                all.options.push((option, value));
                break;
            }
        } else {
            all.words.push(field);
        }
    }
    all
}

fn is_address(text: &str) -> bool {
    text.contains("://") || text.contains('.') && !text.starts_with(['.', '/', '@']) || text.starts_with('$')
}

fn with_scheme(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let (authority, path) =
        rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
    let path = path.map(|path| path.split(['?', '#']).next().unwrap_or_default());
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}/"),
    }
}

/// Whether an address is one of the machine itself, or of its metadata.
fn is_own_machine(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["localhost", "127.", "169.254.", "[::1]", "0.0.0.0", "[fd00:ec2::254]"]
        .iter()
        .any(|own| host.starts_with(own))
}

fn host_of(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.rsplit('@').next().unwrap_or(text);
    text.split([':', '/']).next().unwrap_or(text)
}
