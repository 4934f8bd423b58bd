//! Applies programs that hold a connection with another host: sockets, remote shells, file transfer, name servers.

use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::transfer::host_of;
use super::value::{Origin, Text, Value};

impl Machine {
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
        let reads_file = |word: &&str| name == "socat" && is_file_of_socat(word);
        let is_sent =
            call.stdin.origin.is_local || call.stdin.origin.is_secret || words.iter().any(reads_file);
        if is_sent && !listens {
            for host in hosts.into_iter().filter(|host| !reads_file(host)) {
                let host = host.split(',').next().unwrap_or(host);
                let host = if name == "socat" { without_kind(host) } else { host };
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

    /// Applies `sftp`, `ftp` and their like: what they put goes to another host, and what they get comes from there.
    pub fn file_transfer(&mut self, name: &str, call: &Call) -> Value {
        // Commands can stand in a file. Where it stands is no host, whatever it is called.
        let option = match name {
            "sftp" => Some("-b"),
            "lftp" => Some("-f"),
            _ => None,
        };
        let file = option.and_then(|option| {
            call.words().enumerate().find_map(|(place, word)| match word.strip_prefix(option)? {
                "" => Some((place + 1, call.words().nth(place + 1)?)),
                file => Some((place, file)),
            })
        });
        let is_file = |place: usize| file.is_some_and(|(known, _)| known == place);
        let mut others = call.words().enumerate().filter(|(place, _)| !is_file(*place)).map(|(_, word)| word);
        let host = others.find_map(|word| match word.strip_prefix("//") {
            Some(share) => share.split('/').next(),
            None => (!word.starts_with(['-', '/']) && word.contains('.')).then_some(word),
        });
        let script = format!(
            "{}\n{}\n{}",
            call.stdin.text,
            file.map(|(_, file)| self.files.read(file).text).unwrap_or_default(),
            call.fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ")
        );
        self.work(2 * script.len());
        let sends = script
            .split(|character: char| !character.is_alphabetic())
            .any(|word| matches!(word, "put" | "mput" | "mirror" | "ftpput" | "ncftpput"));
        let Some(host) = host else { return Value::unknown() };
        let from = format!("ftp://{}", host_of(host));
        if sends {
            self.facts.take_upload(&from);
        }
        for (remote, local) in fetched(&script) {
            let source = if remote.contains("://") { remote } else { from.as_str() };
            self.fetched_to(local, source, false);
        }
        // `sftp host:file` fetches without being told to.
        let remote =
            host.rsplit_once(':').map(|(_, path)| path).filter(|path| name == "sftp" && !path.is_empty());
        if let Some(remote) = remote {
            let after = call.words().skip_while(|word| *word != host).nth(1);
            let local = after.unwrap_or_else(|| remote.rsplit('/').next().unwrap_or_default());
            self.fetched_to(local, &from, false);
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
        // A text that a name server answers is what whoever owns the name has put there.
        let is_text = |word: &str| word.to_ascii_lowercase().trim_start_matches("-type=") == "txt";
        let asked = call.words().find(|word| word.contains('.') && !word.starts_with(['-', '+', '@']));
        if let Some(asked) = asked.filter(|_| call.words().any(is_text)) {
            let origin = Origin::fetched_from(&format!("dns://{asked}"));
            return Value { text: Text::default(), origin };
        }
        Value::unknown()
    }
}

/// What the commands of a file transfer get, each with the name that it has here.
fn fetched(script: &str) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for line in script.split(['\n', ';']) {
        let mut words = line.split([' ', '\t', '"', '\'']).filter(|word| !word.is_empty());
        let gets = |word: &str| matches!(word, "get" | "mget" | "pget" | "reget" | "recv" | "GET");
        if !words.any(gets) {
            continue;
        }
        let mut named = words.filter(|word| !word.starts_with('-'));
        if let Some(remote) = named.next() {
            let local = named.next().unwrap_or_else(|| remote.rsplit('/').next().unwrap_or_default());
            all.push((remote, local));
        }
    }
    all
}

/// Whether a word is an address of `socat` that stands for a file.
fn is_file_of_socat(word: &str) -> bool {
    let kind = word.split(':').next().unwrap_or_default().to_ascii_lowercase();
    matches!(kind.as_str(), "file" | "open" | "gopen" | "create") || word.starts_with('/')
}

/// An address of `socat` without its kind, as in `TCP:host:443`.
fn without_kind(word: &str) -> &str {
    word.split_once(':').filter(|(_, rest)| rest.contains(':')).map_or(word, |(_, rest)| rest)
}
