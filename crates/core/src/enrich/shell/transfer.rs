//! Applies what programs do to files that fetch, send, connect and copy.

use std::borrow::Cow;

use super::address::{asked, is_own_machine};
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
        let fields = self.with_settings(call, program);
        let arguments = arguments(&fields, program);
        let listed = self.listed(&arguments, call, program);
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
            .chain(&listed)
            .filter(|word| is_address(&word.text))
            .filter(|word| !program.sends_input || word.text.contains("://") || !word.text.contains('@'))
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
        if program.sends_input {
            let parts = arguments.words.iter().copied().filter_map(|word| word.text.split_once('@'));
            let files: Vec<&str> =
                parts.filter(|(before, _)| !before.contains([':', '/'])).map(|(_, file)| file).collect();
            for content in files.into_iter().map(|file| self.files.read(file)).chain([call.stdin.clone()]) {
                has_upload |= content.origin.is_local || content.origin.is_secret;
                sent.join(&content.origin);
            }
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

    /// The fields of a command, with the options that its files of options hold.
    fn with_settings<'c>(&mut self, call: &'c Call, program: &Transfer) -> Cow<'c, [Value]> {
        let mut fields = Cow::Borrowed(&call.fields[1..]);
        let files: Vec<Value> = arguments(&fields, program)
            .options
            .into_iter()
            .filter(|(option, _)| program.settings.contains(option))
            .filter_map(|(_, file)| file)
            .collect();
        for file in files {
            let content = self.input_or_file(&file, call);
            self.work(2 * content.text.len());
            if self.is_spent() {
                break;
            }
            for line in content.text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
                let end = line.find([' ', '=', ':']).unwrap_or(line.len());
                let (name, value) = line.split_at(end);
                let value = value.trim_matches([' ', '=', ':']).trim_matches('"');
                let option = if name.starts_with('-') { name.to_owned() } else { format!("--{name}") };
                let given = [option.as_str(), value].into_iter().filter(|text| !text.is_empty());
                fields.to_mut().extend(given.map(|text| Value::with_origin(text, &content.origin)));
            }
        }
        fields
    }

    /// The addresses that files list.
    fn listed(&mut self, arguments: &Arguments<'_>, call: &Call, program: &Transfer) -> Vec<Value> {
        let files = arguments.options.iter().filter(|(option, _)| program.list.contains(option));
        let mut addresses = Vec::new();
        for file in files.filter_map(|(_, file)| file.as_ref()) {
            let content = self.input_or_file(file, call);
            self.work(2 * content.text.len());
            if self.is_spent() {
                break;
            }
            let lines = content.text.split_whitespace().filter(|word| word.contains("://"));
            addresses.extend(lines.map(|address| Value::with_origin(address, &content.origin)));
        }
        addresses
    }

    /// What a file holds, or what is read where `-` stands for a file.
    fn input_or_file(&self, file: &Value, call: &Call) -> Value {
        if matches!(file.text.as_str(), "-" | "/dev/stdin") {
            call.stdin.clone()
        } else {
            self.files.read(&file.text)
        }
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

    /// `cp` and its like; `scp` and `rsync` also go to and come from other hosts.
    pub fn copy(&mut self, name: &str, call: &Call) -> Value {
        let words: Vec<Value> =
            call.fields[1..].iter().filter(|field| !field.text.starts_with('-')).cloned().collect();
        let [sources @ .., target] = words.as_slice() else { return Value::default() };
        let is_remote = |text: &str| {
            text.split_once(':').is_some_and(|(host, _)| {
                host.len() > 1 && !host.contains('/') && (host.contains('@') || host.contains('.'))
                    || text.contains("::")
            }) || ["rsync://", "scp://"].iter().any(|scheme| text.starts_with(scheme))
        };
        let takes_folders = call.words().any(|word| {
            word.starts_with('-') && !word.starts_with("--") && word.contains(['r', 'a'])
                || matches!(word, "--recursive" | "--archive")
        });
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
            let file = source.text.rsplit(['/', ':']).next().unwrap_or_default();
            if is_remote(&source.text) && (takes_folders || file.is_empty()) {
                self.fill_folder(&target.text, &content.origin);
            }
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

    /// Applies a program of archives: what is unpacked comes from where the archive came from, and one that is made
    /// holds what was packed.
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
    asked(&format!("{scheme}://{host}/{}", path.unwrap_or_default()))
}

/// The host in an address, without scheme, user, port and path.
pub fn host_of(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.rsplit('@').next().unwrap_or(text);
    text.split([':', '/']).next().unwrap_or(text)
}
