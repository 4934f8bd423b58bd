//! Reads what `config/shell.toml` knows of programs.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

/// The binary's `config/shell.toml`, read when a script first needs it.
pub static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../../config/shell.toml"))
        .expect("the programs of shells are checked in as valid TOML")
});

/// The file, whose comments say what each list is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    pub wrappers: HashMap<String, Vec<String>>,
    pub programs: Programs,
    pub storage: Storage,
    pub credentials: Credentials,
    pub packages: Packages,
    #[serde(rename = "transfer")]
    pub transfers: HashMap<String, Transfer>,
}

/// Programs that run what they are given, by their names, and how they are given it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    pub shells: BTreeSet<String>,
    interpreters: BTreeSet<String>,
    pub code_options: BTreeSet<String>,
    pub sockets: BTreeSet<String>,
    hidden: Vec<String>,
    running_settings: BTreeSet<String>,
}

/// Words in the command lines of programs that keep files, such as `aws s3` or `rclone`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub copies: Vec<String>,
    pub secrets: Vec<String>,
}

/// Where programs and machines keep credentials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub paths: Vec<String>,
    pub addresses: Vec<String>,
}

/// How packages are named, where they come from, and which ones everybody uses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    pub settings: BTreeSet<String>,
    pub source_options: BTreeSet<String>,
    pub valued_options: BTreeSet<String>,
    public: BTreeSet<String>,
    popular: Vec<String>,
    known: BTreeSet<String>,
}

/// A program that fetches and sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub saves: bool,
    pub file: Vec<String>,
    pub folder: Vec<String>,
    pub named: Vec<String>,
    pub upload: Vec<String>,
    pub body: Vec<String>,
    /// Options with a file that lists addresses.
    #[serde(default)]
    pub list: Vec<String>,
    /// Options with a file that holds options.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Whether it sends its input, and files that stand behind `name@`.
    #[serde(default)]
    pub sends_input: bool,
    valued: Vec<String>,
}

impl Transfer {
    /// Whether the next word belongs to this option.
    pub fn has_value(&self, option: &str) -> bool {
        [&self.file, &self.folder, &self.upload, &self.body, &self.list, &self.settings, &self.valued]
            .iter()
            .any(|options| options.iter().any(|known| known == option))
    }
}

impl Programs {
    /// Names that are worth to be hidden.
    pub fn worth_hiding(&self) -> impl Iterator<Item = &String> {
        self.hidden.iter().chain(&self.shells).chain(&self.interpreters).chain(&self.sockets)
    }

    /// Whether the name is that of an interpreter, with or without a version.
    pub fn is_interpreter(&self, name: &str) -> bool {
        self.interpreters.contains(name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.'))
    }
}

impl Packages {
    /// Whether everybody gets packages from this host.
    pub fn are_public_at(&self, host: &str) -> bool {
        let parent = host.find('.').map_or("", |dot| &host[dot..]);
        self.public.contains(host) || self.public.contains(parent)
    }

    /// The popular package that a name is nearly but not quite.
    pub fn resembled(&self, package: &str) -> Option<&str> {
        let is_known = || self.known.contains(package) || self.popular.iter().any(|known| known == package);
        if !(5..=40).contains(&package.len()) || is_known() {
            return None;
        }
        let nearest = self.popular.iter().find(|known| known.len() >= 5 && is_near(known, package));
        nearest.map(String::as_str)
    }
}

/// Whether a variable of this name makes programs run or load something, or says where packages come from.
pub fn is_running_setting(name: &str) -> bool {
    VOCABULARY.packages.settings.contains(name) || VOCABULARY.programs.running_settings.contains(name)
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
            assert_eq!(VOCABULARY.packages.resembled(name), popular, "{name}");
        }
    }
}
