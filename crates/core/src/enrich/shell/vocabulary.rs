//! The vocabulary: what `config/shell.toml` knows of programs.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

pub static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../../../../config/shell.toml"))
        .expect("the programs of shells are checked in as valid TOML");
    Vocabulary::of(file)
});

pub struct Vocabulary {
    pub wrappers: HashMap<String, Vec<String>>,
    pub shells: HashSet<String>,
    pub interpreters: Vec<String>,
    pub code_options: HashSet<String>,
    pub sockets: HashSet<String>,
    /// Names that are worth to be hidden.
    pub hidden: Vec<String>,
    pub credential_paths: Vec<String>,
    pub credential_addresses: Vec<String>,
    pub package_settings: HashSet<String>,
    /// Variables that make programs run or load something.
    pub running_settings: HashSet<String>,
    public_indexes: HashSet<String>,
    pub popular: Vec<String>,
    known_packages: HashSet<String>,
    pub transfers: HashMap<String, Transfer>,
}

/// A program that fetches and sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    name: String,
    pub saves: bool,
    pub file: Vec<String>,
    pub folder: Vec<String>,
    pub named: Vec<String>,
    pub upload: Vec<String>,
    pub body: Vec<String>,
    valued: Vec<String>,
}

impl Transfer {
    pub fn has_value(&self, option: &str) -> bool {
        [&self.file, &self.folder, &self.upload, &self.body, &self.valued]
            .iter()
            .any(|options| options.iter().any(|known| known == option))
    }
}

impl Vocabulary {
    fn of(file: File) -> Self {
        let Programs { shells, interpreters, code_options, sockets, mut hidden, running_settings: running } =
            file.programs;
        hidden.extend(shells.iter().chain(&interpreters).chain(&sockets).cloned());
        let known_packages =
            file.packages.known.into_iter().chain(file.packages.popular.iter().cloned()).collect();
        Self {
            wrappers: file.wrappers,
            shells: shells.into_iter().collect(),
            interpreters,
            code_options: code_options.into_iter().collect(),
            sockets: sockets.into_iter().collect(),
            hidden,
            credential_paths: file.credentials.paths,
            credential_addresses: file.credentials.addresses,
            running_settings: running.into_iter().collect(),
            package_settings: file.packages.settings.into_iter().collect(),
            public_indexes: file.packages.public.into_iter().collect(),
            popular: file.packages.popular,
            known_packages,
            transfers: file.transfer.into_iter().map(|transfer| (transfer.name.clone(), transfer)).collect(),
        }
    }

    /// Whether everybody gets packages from this host.
    pub fn is_public_index(&self, host: &str) -> bool {
        let parent = host.find('.').map_or("", |dot| &host[dot..]);
        self.public_indexes.contains(host) || self.public_indexes.contains(parent)
    }

    /// Whether the name is that of an interpreter, with or without a version.
    pub fn is_interpreter(&self, name: &str) -> bool {
        let bare = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.');
        self.interpreters.iter().any(|known| known == bare)
    }

    /// The popular package that a name is nearly but not quite.
    pub fn resembled(&self, package: &str) -> Option<&str> {
        let is_candidate = (5..=40).contains(&package.len()) && !self.known_packages.contains(package);
        let nearest = self.popular.iter().find(|known| known.len() >= 5 && is_near(known, package));
        nearest.filter(|_| is_candidate).map(String::as_str)
    }
}

/// Whether one edit leads from one name to the other: a character more, less, another, or two exchanged.
fn is_near(known: &str, other: &str) -> bool {
    let (known, other) = (known.as_bytes(), other.as_bytes());
    if known == other || known.len().abs_diff(other.len()) > 1 {
        return false;
    }
    let same = known.iter().zip(other).take_while(|(one, two)| one == two).count();
    let (known, other) = (&known[same..], &other[same..]);
    let (known_after, other_after) = (known.get(1..).unwrap_or_default(), other.get(1..).unwrap_or_default());
    let is_exchanged = known.len() >= 2
        && other.len() >= 2
        && known[0] == other[1]
        && known[1] == other[0]
        && known[2..] == other[2..];
    is_exchanged || known_after == other_after || known_after == other || known == other_after
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    wrappers: HashMap<String, Vec<String>>,
    programs: Programs,
    credentials: Credentials,
    packages: Packages,
    transfer: Vec<Transfer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Programs {
    shells: Vec<String>,
    interpreters: Vec<String>,
    code_options: Vec<String>,
    sockets: Vec<String>,
    hidden: Vec<String>,
    running_settings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    paths: Vec<String>,
    addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Packages {
    settings: Vec<String>,
    public: Vec<String>,
    popular: Vec<String>,
    known: Vec<String>,
}

/// Whether a variable of this name makes programs run or load something, or says where packages come from.
pub fn is_running_setting(name: &str) -> bool {
    VOCABULARY.package_settings.contains(name) || VOCABULARY.running_settings.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_resembles_a_popular_one_when_a_single_edit_leads_to_it() {
        for (name, popular) in [
            ("sagemaker-utills", Some("sagemaker-utils")),
            ("reqeusts", Some("requests")),
            ("bot03", Some("boto3")),
            ("panda", Some("pandas")),
            ("pandas", None),
            ("sagemaker", None),
            ("acme-utils", None),
            ("transformer", None),
        ] {
            assert_eq!(VOCABULARY.resembled(name), popular, "{name}");
        }
    }
}
