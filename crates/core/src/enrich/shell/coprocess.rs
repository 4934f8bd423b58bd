//! Knows what `coproc` starts, which later commands read from and write to by the elements of an array.

use super::groups::Groups;
use super::words::{Part, Word, is_name};

/// A command that runs beside the others.
pub(super) struct Coprocess {
    /// The array with its descriptors.
    name: String,
    /// How many groups are open around it.
    depth: usize,
}

impl Coprocess {
    /// The next command starts it.
    pub(super) fn begin(groups: &Groups) -> Self {
        Self { name: "COPROC".to_owned(), depth: groups.depth() }
    }

    /// Takes the name that stands before a group, which until then looks like a program.
    pub(super) fn take_name(&mut self, words: &mut Vec<Word>, groups: &Groups) {
        if let [word] = words.as_slice()
            && let [Part::Bare(name)] = word.as_slice()
            && name.chars().all(is_name)
            && groups.depth() == self.depth
        {
            self.name.clone_from(name);
            words.clear();
        }
    }

    pub(super) fn ends_in(&self, groups: &Groups) -> bool {
        groups.depth() == self.depth
    }

    /// The descriptor that is read from. An element of an array that is not set is called as the array is.
    pub(super) fn descriptor(&self) -> String {
        format!("${}", self.name)
    }
}
