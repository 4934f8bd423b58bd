//! Collects what a script does, as far as one line of it cannot tell.

use std::collections::BTreeSet;

use strum::IntoStaticStr;

use super::vocabulary::VOCABULARY;
use crate::enrich::packed::beginning;

/// What a script does, as rules ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Behavior {
    /// It decodes something and runs the outcome.
    DecodedRun,
    /// It gives another host a shell.
    RemoteShell,
    /// It spells the name of a program so that a search for the name does not find it.
    HiddenName,
    /// It reads credentials that programs find by themselves.
    CredentialsRead,
    /// It sends credentials to another host.
    CredentialsSent,
    /// It puts data into the names that it asks a name server for.
    DataInNames,
}

type Set = BTreeSet<String>;

/// What the scripts of one record do, for rules and for the document.
#[derive(Debug, Default)]
pub struct Facts {
    pub commands: Vec<String>,
    pub behaviors: BTreeSet<Behavior>,
    pub run_sources: BTreeSet<String>,
    pub run_buckets: BTreeSet<String>,
    pub upload_targets: BTreeSet<String>,
    pub upload_buckets: BTreeSet<String>,
    pub package_sources: BTreeSet<String>,
    pub package_hosts: BTreeSet<String>,
    pub lookalike_packages: BTreeSet<String>,
    /// Whether some of the script was not read, or some of its commands not kept.
    pub cut: bool,
    known: BTreeSet<String>,
    room: usize,
}

/// Characters of one command that a field of the index compares.
const MOST_CHARACTERS: usize = 8000;
/// How far the pieces of a longer command overlap.
const OVERLAP: usize = 400;

impl Facts {
    /// Begins with nothing; `room` is how many bytes of commands and addresses are kept.
    pub fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// Keeps a command, on one line, once.
    pub fn take_command(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.chars().all(|character| matches!(character, '…' | '|' | ' ')) {
            return;
        }
        // In pieces it takes a twentieth more.
        let most = self.room / 10 * 9;
        let kept = if line.len() > most { beginning(line, most) } else { line };
        self.cut |= kept.len() < line.len();
        if !kept.is_empty() && self.known.insert(kept.to_owned()) {
            self.room -= pieces(kept).map(str::len).sum::<usize>();
            self.commands.push(kept.to_owned());
        }
    }

    fn is_kept(&mut self, text: &str) -> bool {
        let is_kept = text.len() <= self.room;
        if is_kept {
            self.room -= text.len();
        } else {
            self.cut = true;
        }
        is_kept
    }

    /// The address of something fetched that is run.
    pub fn take_run(&mut self, source: &str) {
        if !is_unresolved(source) {
            self.take_place(source, |facts| (&mut facts.run_buckets, &mut facts.run_sources));
        }
    }

    /// Where files of the machine are sent to.
    pub fn take_upload(&mut self, target: &str) {
        if !is_unresolved(target) {
            self.take_place(target, |facts| (&mut facts.upload_buckets, &mut facts.upload_targets));
        }
    }

    /// Keeps the bucket or the address once, and takes room for what is new only.
    fn take_place(&mut self, address: &str, places: impl Fn(&mut Self) -> (&mut Set, &mut Set)) {
        let asked = super::address::asked(address);
        let (name, is_bucket) = bucket(address).map_or((asked.as_str(), false), |bucket| (bucket, true));
        let of = |(buckets, addresses): (&'_ mut Set, &'_ mut Set)| {
            if is_bucket { buckets.contains(name) } else { addresses.contains(name) }
        };
        if of(places(self)) || !self.is_kept(name) {
            return;
        }
        let (buckets, addresses) = places(self);
        if is_bucket {
            buckets.insert(name.to_owned())
        } else {
            addresses.insert(name.to_owned())
        };
    }

    /// Where packages come from, which is an address or a host.
    pub fn take_package_source(&mut self, address: &str) {
        let address = address.trim_matches(['"', '\'', '/', ',']);
        let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
        let bare =
            bare.split_once('@').filter(|(user, _)| !user.contains('/')).map_or(bare, |(_, rest)| rest);
        let bare = bare.split(['?', '#', ' ']).next().unwrap_or_default().trim_end_matches('/');
        // A path keeps its case: in small letters a secret in it would not be known any more.
        let (host, path) = bare.split_at(bare.find(['/', ':']).unwrap_or(bare.len()));
        let host = host.to_ascii_lowercase();
        let bare = format!("{host}{path}");
        let is_host = host.contains('.') && !host.starts_with(['.', '/', '-', '$']) && !is_unresolved(&host);
        if !is_host || VOCABULARY.packages.are_public_at(&host) || !self.is_kept(&bare) {
            return;
        }
        self.package_hosts.insert(host);
        self.package_sources.insert(bare);
    }

    /// Settings of the environment by which tools find packages.
    pub fn take_setting(&mut self, name: &str, value: &str) {
        if VOCABULARY.packages.settings.contains(name) {
            value.split_whitespace().for_each(|address| self.take_package_source(address));
        }
    }
}

/// The pieces of a command as a field of the index can compare them. They are made of what may be shown, as half a
/// secret has no shape by which to redact it.
pub fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.floor_char_boundary(MOST_CHARACTERS);
        rest = (end < text.len()).then(|| &text[text.floor_char_boundary(end - OVERLAP)..]);
        Some(&text[..end])
    })
}

/// Whether a name stands for something that the script does not say.
fn is_unresolved(text: &str) -> bool {
    let after = text.split_once("://").map_or(text, |(_, rest)| rest);
    let first = after.split('/').next().unwrap_or_default();
    first.is_empty() || first.contains(['$', '`', '<', '…', '*'])
}

fn bucket(address: &str) -> Option<&str> {
    let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| address.strip_prefix(scheme))?;
    rest.split('/').next().filter(|bucket| !bucket.is_empty())
}

/// Whether a path is one under which credentials are kept.
pub fn holds_credentials(path: &str) -> bool {
    path.starts_with("/proc/") && path.ends_with("/environ")
        || VOCABULARY.credentials.paths.iter().any(|known| path.contains(known.as_str()))
}
