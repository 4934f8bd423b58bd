//! Holds what is in the texts of a request: scripts, what they do, and JSON documents.

use super::embedded::Documents;
use super::script::{self, Script};
use super::shell::Shell;
use crate::record::Record;

/// What was decoded from one request, once for the rules and for the document.
#[derive(Debug, Default)]
pub struct Unpacked {
    pub scripts: Vec<Script>,
    pub shell: Shell,
    pub documents: Documents,
}

impl Unpacked {
    /// Finds the scripts in a request, follows what they do, and parses the documents in it.
    pub fn of(record: &Record<'_>) -> Self {
        Self::with_scripts(script::scripts(record), record)
    }

    /// With scripts that were found otherwise.
    pub fn with_scripts(scripts: Vec<Script>, record: &Record<'_>) -> Self {
        Self { shell: Shell::read(&scripts), scripts, documents: Documents::of(record) }
    }
}
