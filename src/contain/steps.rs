//! Reads `config/containment.toml`, which says what contains what.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All steps, in the order in which they are tried, and the kinds that none contains.
pub static BOOK: LazyLock<Book> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/containment.toml")).expect("a test reads the file")
});

/// What `config/containment.toml` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// Kinds of the catalogue that nothing contains, with the reason.
    pub without: BTreeMap<String, String>,
}

/// One way to contain one kind of thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    pub on: Vec<String>,
    pub phase: Phase,
    #[serde(default)]
    pub when: Vec<Happened>,
    #[serde(default)]
    pub calls: Vec<String>,
    #[serde(default, rename = "where")]
    pub conditions: Vec<String>,
    pub title: String,
    #[serde(default)]
    pub keep: Vec<Vec<Template>>,
    #[serde(default)]
    pub run: Vec<Vec<Template>>,
    pub by_hand: Option<String>,
    pub breaks: String,
    #[serde(default)]
    pub undo: Vec<Vec<Template>>,
    pub undo_says: Option<String>,
    pub reference: String,
}

/// When a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Who acted can do no more.
    Cut,
    /// What a later step destroys is kept.
    Keep,
    /// What runs is stopped.
    Stop,
    /// What was opened is closed.
    Close,
    /// What the intruder made goes.
    Remove,
}

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    Acted,
    /// Somebody took the role.
    Handed,
    Made,
    Changed,
    /// Somebody got a way into it.
    Opened,
    Gone,
    /// It is what was asked for.
    Asked,
}

/// One argument of a command of the AWS CLI.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Template {
    Text(String),
    /// JSON as one text, such as a policy.
    Document {
        option: String,
        document: Value,
    },
    /// JSON as a structure of the API.
    Structure {
        option: String,
        structure: Value,
    },
    /// The file that a command of `keep` wrote, by its number.
    Kept {
        option: String,
        kept: usize,
    },
    /// A new file beside the evidence.
    File {
        file: String,
    },
}
