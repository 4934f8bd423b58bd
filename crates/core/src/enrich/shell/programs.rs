//! Applies what a command does to files, variables and its output, by the name of its program.

use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::output::{echoed, joined, located, secret};
use super::program_name::shebang;
use super::value::{Origin, Text, Value};
use super::vocabulary::VOCABULARY;

impl Machine {
    /// Runs one command and returns its output.
    pub fn program(&mut self, call: &mut Call) -> Value {
        let mut is_login = false;
        // Where the command behind the wrappers begins, and up to where there is no place for an input any more.
        let (mut start, mut searched) = (0, 0);
        loop {
            let Some(first) = call.fields.get(start) else { return call.stdin.clone() };
            if first.origin != Origin::default() {
                self.is_run(&first.origin);
            }
            let name = self.name_of(first, call.is_pieced);
            let Some(valued) = VOCABULARY.wrappers.get(&name) else {
                call.fields.drain(..start);
                return self.named(&name, call);
            };
            let after = &call.fields[start + 1..];
            let options = skipped(after, valued);
            if name == "env"
                && let Some(script) = split_string(after)
            {
                return self.nested(&script, &call.stdin.clone());
            }
            if matches!(name.as_str(), "su" | "runuser") {
                self.work(after.len());
                if let Some(at) = after.iter().position(|field| field.text == "-c") {
                    let script = after.get(at + 1).cloned().unwrap_or_default();
                    return self.shell_script(&script, call);
                }
                is_login = true;
            }
            is_login |= name == "sudo"
                && after[..options]
                    .iter()
                    .any(|field| matches!(field.text.as_str(), "-i" | "-s" | "--login" | "--shell"));
            start += 1 + options;
            call.is_pieced = false;
            while let Some(setting) = call.fields.get(start).filter(|field| is_setting(&field.text, &name)) {
                if let Some((name, value)) = setting.text.split_once('=') {
                    self.facts.take_setting(name, value);
                }
                start += 1;
            }
            let rest = &call.fields[start..];
            if name == "exec" && rest.is_empty() {
                return Value::default();
            }
            if matches!(name.as_str(), "su" | "runuser") && !rest.is_empty() {
                // The name of the user.
                start += 1;
            } else if name == "command"
                && let [option, programs @ ..] = rest
                && matches!(option.text.as_str(), "-v" | "-V")
            {
                return located(programs);
            } else if matches!(name.as_str(), "xargs" | "parallel") {
                let stdin = call.stdin.clone();
                self.work(stdin.text.len());
                let from = start.max(searched);
                let found = call.fields[from..].iter().position(|field| field.text == "{}");
                searched = found.map_or(call.fields.len(), |place| from + place + 1);
                match found {
                    Some(place) => call.fields[from + place] = stdin,
                    None => call.fields.push(stdin),
                }
            }
            if start == call.fields.len() {
                if name == "env" {
                    return secret();
                }
                call.fields.clear();
                return if is_login { self.shell(call) } else { call.stdin.clone() };
            }
        }
    }

    fn named(&mut self, name: &str, call: &mut Call) -> Value {
        if let Some(alias) = self.variable(&format!("alias {name}")) {
            self.work(alias.text.len() / 4);
            let rest: Vec<&str> = call.words().collect();
            let script = format!("{} {}", alias.text, rest.join(" "));
            let stdin = call.stdin.clone();
            return self.once(&script, &stdin);
        }
        if let Some(function) = self.variable(&format!("function {name}")) {
            return self.function(&function.text, call);
        }
        if VOCABULARY.programs.shells.contains(name) {
            return self.shell(call);
        }
        if VOCABULARY.programs.is_interpreter(name) {
            return self.interpreter(name, call);
        }
        if VOCABULARY.programs.sockets.contains(name) {
            return self.connect(name, call);
        }
        if VOCABULARY.transfers.contains_key(name) {
            return self.transfer(name, call);
        }
        match name {
            "openssl" if call.fields.iter().any(|field| field.text == "s_client") => self.connect(name, call),
            "ssh" => self.remote(call),
            "for" => self.each(call),
            "eval" => {
                let script = joined(&call.fields[1..]);
                self.shell_script(&script, call)
            }
            "source" | "." => self.file_run(&call.fields.get(1).cloned().unwrap_or_default(), call),
            "trap" => self.shell_script(&call.fields.get(1).cloned().unwrap_or_default(), call),
            "export" | "declare" | "local" | "readonly" | "typeset" => self.declare(call),
            "alias" => self.alias(call),
            "read" | "mapfile" | "readarray" => self.read(call),
            "cd" | "pushd" => {
                self.files.enter(call.fields.get(1).map_or("", |field| &field.text));
                Value::default()
            }
            "set" if call.fields.get(1).is_some_and(|field| field.text == "--") => {
                self.set_arguments(&call.fields[2..]);
                Value::default()
            }
            "printenv" | "set" => secret(),
            "printf" if call.fields.get(1).is_some_and(|field| field.text == "-v") => {
                let name = call.fields.get(2).map_or_else(String::new, |field| field.text.to_string());
                self.set(&name, echoed("printf", call.fields.get(3..).unwrap_or_default()));
                Value::default()
            }
            "find" => self.find(call),
            "echo" | "printf" => echoed(name, &call.fields[1..]),
            "mount" | "sshfs" | "s3fs" | "goofys" | "mount-s3" => self.mount(name, call),
            "which" | "type" => located(&call.fields[1..]),
            "cat" | "head" | "tail" | "tac" | "strings" | "less" | "more" | "pv" => self.contents(call),
            "tee" => self.tee(call),
            "cp" | "mv" | "install" | "ln" | "rsync" | "scp" => self.copy(name, call),
            "dd" => self.dd(call),
            "tar" | "unzip" | "bsdtar" | "7z" => self.unpack_archive(name, call),
            "git" => self.git(call),
            "base64" | "base32" | "xxd" | "openssl" | "gunzip" | "zcat" | "gzip" | "bzip2" | "xz" | "rev"
            | "tr" | "sed" | "uudecode" | "bunzip2" | "bzcat" | "xzcat" | "unxz" => self.decode(name, call),
            "at" | "batch" => {
                let script = call.stdin.clone();
                self.shell_script(&script, call)
            }
            "crontab" => {
                let file = call.fields[1..].iter().find(|field| !field.text.starts_with('-')).cloned();
                let content = match file {
                    Some(file) => self.files.read(&file.text),
                    None => call.stdin.clone(),
                };
                self.schedule(&content);
                Value::default()
            }
            "aws" | "gsutil" | "gcloud" | "az" | "azcopy" | "rclone" | "s3cmd" | "s5cmd" | "mc" => {
                self.cloud(name, call)
            }
            "smbclient" | "sftp" | "ftp" | "lftp" | "tftp" | "ftpput" | "ncftpput" => {
                self.file_transfer(name, call)
            }
            "dig" | "nslookup" | "host" | "ping" => self.ask_name(name, call),
            "pip" | "pip3" | "uv" | "conda" | "mamba" | "micromamba" | "npm" | "yarn" | "pnpm"
            | "easy_install" | "apt-get" | "apt" | "yum" | "dnf" | "add-apt-repository" | "poetry"
            | "pipx" => self.packages(name, call),
            "dpkg" | "rpm" => self.files_run(call),
            "make" | "gmake" => self.build(call),
            _ => self.other(call),
        }
    }

    /// The commands of a `Makefile`, as far as it is known where it is from.
    fn build(&mut self, call: &Call) -> Value {
        let value_of = |option: &str| call.words().skip_while(|word| *word != option).nth(1);
        let file = value_of("-f").unwrap_or("Makefile");
        let path = value_of("-C").map_or_else(|| file.to_owned(), |folder| format!("{folder}/{file}"));
        let origin = self.files.read(&path).origin;
        self.is_run(&origin);
        Value::unknown()
    }

    /// A program that is not known: one that the script made is run, and what any reads goes into its output.
    fn other(&mut self, call: &mut Call) -> Value {
        let first = call.fields[0].clone();
        let is_path = first.text.contains('/');
        let installed = ["/usr/local/bin", "/usr/bin"].map(|folder| format!("{folder}/{}", first.text));
        if !is_path && let Some(path) = installed.into_iter().find(|path| self.files.is_made(path)) {
            return self.file_run(&Value::known(path), call);
        }
        if is_path && self.files.is_made(&first.text) {
            return self.file_run(&first, call);
        }
        if call.has_socket && first.text.starts_with('$') {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let mut origin = call.stdin.origin.clone();
        origin.is_unknown = true;
        origin.program = None;
        for field in &call.fields[1..] {
            origin.is_secret |= field.origin.is_secret || super::facts::holds_credentials(&field.text);
        }
        if first.text == "jq" || first.text == "grep" {
            origin.is_local |= call.fields.len() > 2;
        }
        Value { text: Text::default(), origin }
    }

    /// `find … -exec program … ;`: the program is run, whatever is found.
    fn find(&mut self, call: &mut Call) -> Value {
        let is_exec = |field: &Value| matches!(field.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir");
        let Some(at) = call.fields.iter().position(is_exec) else { return self.other(call) };
        let mut fields = call.fields.split_off(at + 1);
        let end = fields.iter().position(|field| matches!(field.text.as_str(), ";" | "+"));
        fields.truncate(end.unwrap_or(fields.len()));
        call.fields = fields;
        self.deeper("", |machine| machine.program(call))
    }

    /// `for name in …`: the name gets all values, as nothing says which one matters.
    fn each(&mut self, call: &Call) -> Value {
        if let [_, name, _, values @ ..] = call.fields.as_slice() {
            let all = joined(values);
            self.set(&name.text, all);
        }
        Value::default()
    }

    /// `set -- …`: what `$1` and `$@` are from here on.
    fn set_arguments(&mut self, values: &[Value]) {
        for (position, value) in values.iter().take(9).enumerate() {
            self.set(&(position + 1).to_string(), value.clone());
        }
        let all = joined(values);
        self.set("*", all.clone());
        self.set("@", all);
    }

    fn declare(&mut self, call: &Call) -> Value {
        for field in &call.fields[1..] {
            if let Some((name, value)) = field.text.split_once('=') {
                self.facts.take_setting(name, value);
                self.set(name, Value::with_origin(value, &field.origin));
            }
        }
        if call.fields.iter().any(|field| field.text == "-p") { secret() } else { Value::default() }
    }

    /// Runs the body of a function with its arguments in place.
    fn function(&mut self, body: &str, call: &Call) -> Value {
        let mut script = body.to_owned();
        for (position, field) in call.fields.iter().enumerate().skip(1).take(9) {
            for name in [format!("${position}"), format!("${{{position}}}")] {
                self.work(script.len() + script.matches(&name).count() * field.text.len());
                if self.is_spent() {
                    return Value::unknown();
                }
                script = script.replace(&name, &field.text);
            }
        }
        self.once(&script, &call.stdin)
    }

    fn alias(&mut self, call: &Call) -> Value {
        for field in &call.fields[1..] {
            if let Some((name, value)) = field.text.split_once('=')
                && value.split_whitespace().next() != Some(name)
            {
                self.set(&format!("alias {name}"), Value::known(value));
            }
        }
        Value::default()
    }

    fn read(&mut self, call: &Call) -> Value {
        let first = call.stdin.text.lines().next().unwrap_or_default();
        let mut value = Value::with_origin(first, &call.stdin.origin);
        value.origin.is_socket |= call.has_socket;
        value.origin.is_unknown |= first.is_empty();
        value.origin.is_line = call.stdin.is_nothing() && !call.has_socket;
        for field in call.fields[1..].iter().filter(|field| !field.text.starts_with('-')) {
            self.set(&field.text, value.clone());
        }
        Value::default()
    }

    /// A shell with a script in its options, a file or its input.
    fn shell(&mut self, call: &mut Call) -> Value {
        if call.has_socket {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let mut fields = call.fields.iter().skip(1);
        while let Some(field) = fields.next() {
            let option = field.text.as_str();
            if option.starts_with('-') && !option.starts_with("--") && option.contains('c') {
                let script = fields.find(|field| !field.text.starts_with('-')).cloned().unwrap_or_default();
                return self.shell_script(&script, call);
            }
            match option {
                "--rcfile" | "--init-file" => {
                    let file = fields.next().cloned().unwrap_or_default();
                    return self.file_run(&file, call);
                }
                "-o" | "-O" => {
                    fields.next();
                }
                "-s" | "-" => break,
                _ if option.starts_with(['-', '+']) => {}
                _ => {
                    let file = field.clone();
                    return self.file_run(&file, call);
                }
            }
        }
        let script = call.stdin.clone();
        self.shell_script(&script, call)
    }

    /// Runs a text as a script.
    fn shell_script(&mut self, script: &Value, call: &Call) -> Value {
        self.is_run(&script.origin);
        if call.has_socket || call.stdin.origin.is_socket {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        let mut output = self.once(&script.text, &call.stdin);
        self.has_run = true;
        output.origin.is_of_shell = true;
        output
    }

    /// Runs a file, or what stands in its place.
    fn file_run(&mut self, file: &Value, call: &Call) -> Value {
        let content = match file.text.as_str() {
            "/dev/stdin" | "/dev/fd/0" | "-" => call.stdin.clone(),
            path => {
                let mut content = self.files.read(path);
                content.origin.join(&Origin { program: None, ..file.origin.clone() });
                content
            }
        };
        if let Some(interpreter) = shebang(&content.text) {
            self.is_run(&content.origin);
            self.run_code(&interpreter, &content.text);
            return Value::unknown();
        }
        self.shell_script(&content, call)
    }
}

/// The command that `env -S` takes apart by itself.
fn split_string(fields: &[Value]) -> Option<String> {
    let options = fields.iter().take_while(|field| field.text.starts_with('-'));
    let at = options
        .clone()
        .position(|field| field.text.starts_with("-S") || field.text.starts_with("--split-string"))?;
    let first =
        fields[at].text.trim_start_matches("--split-string").trim_start_matches("-S").trim_start_matches('=');
    Some(
        std::iter::once(first)
            .chain(fields[at + 1..].iter().map(|field| field.text.as_str()))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// How many of the words behind a wrapper are its own.
fn skipped(fields: &[Value], valued: &[String]) -> usize {
    let mut position = 0;
    while let Some(field) = fields.get(position) {
        if !field.text.starts_with('-') || field.text == "-" && position > 0 {
            break;
        }
        if matches!(field.text.as_str(), "-v" | "-V") && valued.is_empty() {
            break;
        }
        position += if valued.iter().any(|option| field.text == option.as_str()) { 2 } else { 1 };
        if field.text == "--" {
            break;
        }
    }
    position.min(fields.len())
}

/// What stands between a wrapper and its command: settings of `env`, the seconds of `timeout`, the root of `chroot`.
fn is_setting(text: &str, wrapper: &str) -> bool {
    match wrapper {
        "env" | "sudo" | "exec" => text
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(super::words::is_name)),
        "timeout" => text.starts_with(|first: char| first.is_ascii_digit()) && text.len() < 8,
        "chroot" | "flock" => text.starts_with('/') && !text.contains("/bin/"),
        _ => false,
    }
}
